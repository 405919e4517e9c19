"""The CUDA kernels of the overlap operators but temporal_iou, run by the simulator against the specification.

As test_kernels.py, for kernels of several outputs and of ragged batches.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from cuda_sim.build import CSRC, HERE, CudaSimError, load, why_not
from cuda_sim.test_kernels import intervals
from videostr.ops import reference

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DTYPES = ["float32", "float64"]


@pytest.fixture(scope="module")
def kernels():
    return load(HERE / "bindings_overlap.cpp")


class Case(NamedTuple):
    """A launch: its arguments in order (None stands for an output), and what each output has to be, in float64."""

    arguments: list
    expected: list[np.ndarray]


def true(function, *arguments):
    """The specification's outputs, floats widened, as numpy."""
    wide = [torch.from_numpy(x.astype(np.float64) if x.dtype.kind == "f" else x) for x in arguments[:-1]]
    out = function(*wide, arguments[-1])
    return [x.numpy() for x in (out if isinstance(out, tuple) else (out,))]


def bounds(random, problems, most):
    """Offsets of problems of 0 to `most` rows; the last one has `most`."""
    counts = random.integers(0, most + 1, problems)
    counts[-1:] = most
    return np.concatenate([[0], counts.cumsum()]).astype(np.int64)


def set_scores(random, shape, dtype, pairing):
    answers, most = shape
    offsets = [bounds(random, answers, most) for _ in range(2)]
    pred, target = (intervals(random, int(x[-1]), dtype) for x in offsets)
    edge = np.full(len(pred), np.nan)
    expected = true(reference.temporal_set_scores, pred, offsets[0], target, offsets[1], pairing)
    return Case([pred, offsets[0], target, offsets[1], edge, *[None] * 5, answers], expected)


def nms(random, shape, dtype, _):
    problems, most = shape
    offsets = bounds(random, problems, most)
    span = intervals(random, int(offsets[-1]), dtype)
    scores = random.choice([0.1, 0.2, 0.7, np.nan, -np.inf, np.inf], len(span)).astype(dtype)
    keep = true(reference.temporal_nms, span, scores, offsets, 0.3)
    return Case([span, scores, offsets, 0.3, None, problems], [keep[0].astype(np.uint8)])


def boxes(random, n, dtype):
    """[n, 4] on a coarse grid, a few reversed, empty or not finite."""
    corner, size = random.integers(0, 8, (2, n, 2)) / 2
    box = np.concatenate([corner, corner + size], -1)
    odd = random.random(n) < 0.2
    strange = [(3, 0, 1, 2), (np.nan, 0, 1, 1), (0, 0, np.inf, 1), (1, 1, 1, 1), (-1e30, -1e30, 1e30, 1e30)]
    box[odd] = np.array(strange)[random.integers(0, len(strange), odd.sum())]
    return box.astype(dtype)


def boxes3d(random, n, dtype):
    """[n, 7], on a grid and turned by parts of a circle, so that sides touch and coincide; a few are none."""
    box = np.concatenate([random.integers(0, 6, (n, 3)) / 2, random.integers(0, 5, (n, 3)) / 2], -1)
    yaw = random.choice([0.0, np.pi / 4, np.pi / 2, np.pi, -0.3, 40.0, 1e-7], (n, 1))
    box = np.concatenate([box, yaw], -1)
    box[random.random(n) < 0.1, random.integers(0, 7)] = random.choice([np.nan, np.inf, -1.0])
    return box.astype(dtype)


def matched(make, function):
    def case(random, shape, dtype, kind):
        pred, target = (make(random, shape[0], dtype) for _ in range(2))
        return Case([pred, target, None, shape[0]], true(function, pred, target, kind))

    return case


def pairwise(make, function):
    def case(random, shape, dtype, kind):
        pred, target = (make(random, n, dtype) for n in shape)
        return Case([pred, target, None, *shape], true(function, pred, target, kind))

    return case


def tube(random, shape, dtype, over):
    answers, most = shape
    offsets = [bounds(random, answers, most) for _ in range(2)]
    pred, target = (boxes(random, int(x[-1]), dtype) for x in offsets)
    frames = [random.integers(-3, max(most, 1), len(x)).astype(np.int64) for x in (pred, target)]
    arguments = [pred, frames[0], offsets[0], target, frames[1], offsets[1]]
    return Case([*arguments, None, answers], true(reference.tube_iou, *arguments, over))


class Row(NamedTuple):
    """A kernel: the launcher's name before its dtype and variant, what makes a case, variants, shapes, and how far a
    float64 may be from the specification, which sums in another order (or integrates instead of cutting)."""

    name: str
    case: Callable
    variants: list
    shapes: list
    tolerance: float = 1e-14


RAGGED = [(0, 0), (1, 0), (1, 1), (5, 9), (130, 3), (3, 33), (2, 70)]
PAIRS = [(0, 5), (5, 0), (1, 1), (33, 3), (17, 70), (2, 300), (70, 5)]
TABLE = [
    Row("set_scores", set_scores, ["written", "ordered"], RAGGED, 1e-13),
    Row("nms", nms, ["hard"], RAGGED),
    Row("box_matched", matched(boxes, reference.box_iou), ["iou", "giou"], [(0,), (1,), (255,), (700,)]),
    Row("box_pairwise", pairwise(boxes, reference.box_iou_pairwise), ["iou", "giou"], PAIRS),
    Row("box3d_matched", matched(boxes3d, reference.box3d_iou), ["iou", "bev"], [(0,), (1,), (63,), (300,)], 1e-9),
    Row("box3d_pairwise", pairwise(boxes3d, reference.box3d_iou_pairwise), ["iou", "bev"], PAIRS, 1e-9),
    Row("tube", tube, ["target", "union"], RAGGED),
]
CASES = [(row, shape) for row in TABLE for shape in row.shapes]
NAMES = [f"{row.name}-{'x'.join(map(str, shape))}" for row, shape in CASES]


def launch(kernels, row, case, dtype, variant, seed=0, offsets=None):
    """The outputs; what a kernel leaves out stays NaN, or 7."""
    outs = [np.full(x.shape, 7 if x.dtype == np.uint8 else np.nan, x.dtype if x.dtype == np.uint8 else dtype)
            for x in case.expected]  # fmt: skip
    left = iter(outs)
    arguments = [next(left) if x is None else x for x in case.arguments]
    getattr(kernels, f"{row.name}_{dtype}_{variant}")(*arguments, seed=seed, offset_elements=offsets or {})
    return outs


def check(kernels, row, shape, dtype, variant, seed=0, offsets=None):
    case = row.case(np.random.default_rng(seed), shape, dtype, variant)
    for ours, right in zip(launch(kernels, row, case, dtype, variant, seed, offsets), case.expected, strict=True):
        tolerance = max(row.tolerance, 2 * np.finfo(dtype).eps if dtype == "float32" else 0)
        np.testing.assert_allclose(ours, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row,shape", CASES, ids=NAMES)
def test_shapes(kernels, row, shape, dtype):
    for seed, variant in enumerate(row.variants):
        check(kernels, row, shape, dtype, variant, seed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_bases_that_are_not_aligned(kernels, row, dtype):
    first = "span" if row.name == "nms" else "pred"
    for moved in ([first], [first, "target"][: 1 + (first == "pred")], ["target"][: first == "pred"]):
        check(kernels, row, row.shapes[-2], dtype, row.variants[0], 3, dict.fromkeys(moved, 1))


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_every_order_gives_the_same_bits(kernels, row):
    case = row.case(np.random.default_rng(0), row.shapes[-1], "float32", row.variants[-1])
    results = set()
    for seed in range(4):
        outs = launch(kernels, row, case, "float32", row.variants[-1], seed)
        results.add(b"".join(out.tobytes() for out in outs))
    assert len(results) == 1


# Slips: the header, the text, what stands there instead, which of its occurrences, and what may be found.
BARRIER = "__syncthreads();"
SLIPS = {
    "nothing wrong": ("box_iou.cuh", "", "", 0, set()),
    "first barrier gone": ("box_iou.cuh", BARRIER, "", 0, {"uninitialised shared read", "data race"}),
    "second barrier gone": ("box3d_iou.cuh", BARRIER, "", 1, {"data race"}),
    "alignment not asked": ("box_iou.cuh", "aligned(pred) && aligned(target)", "true", 0, {"misaligned"}),
    "polygons too small": (
        "box3d_iou.cuh",
        "corners[2 * kPolygonValues]",
        "corners[kPolygonValues]",
        0,
        {"out of bounds"},
    ),
    "polygons of all threads one": ("box3d_iou.cuh", "{corners + threadIdx.x}", "{corners}", 0, {"data race"}),
    "strip without its left": ("temporal_set_scores.cuh", "larger(best, paired), left)", "best, paired)", 0, {"wrong"}),
    "edge one too far": (
        "temporal_set_scores.cuh",
        "edge[i] = best",
        "edge[i + 1] = best",
        0,
        {"wrong", "out of bounds"},
    ),
    "repeated ends count": ("temporal_set_scores.cuh", "&& !repeated", "", 0, {"wrong"}),
    "lanes leave early": (
        "temporal_nms.cuh",
        "if (b >= problems) return;",
        "if (lane() > 9) return;",
        0,
        {"inactive lane"},
    ),
    "first of a frame": ("tube_iou.cuh", "j + 1, true_end", "j, true_end", 0, {"wrong"}),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_kernel_is_caught(slip, tmp_path):
    header, old, new, nth, kinds = SLIPS[slip]
    text = (
        (CSRC / "cuda" / header).read_text().replace("kMostRowBlocks = 65535", "kMostRowBlocks = 1")
    )  # blocks go round
    parts = text.split(old) if old else [text, ""]
    assert len(parts) > nth + 1, f"{header} no longer has {old!r} {nth + 1} times"
    (tmp_path / slip.replace(" ", "-") / "cuda").mkdir(parents=True)
    text = old.join(parts[: nth + 1]) + new + old.join(parts[nth + 1 :])
    (tmp_path / slip.replace(" ", "-") / "cuda" / header).write_text(text)
    kernels = load(HERE / "kernels" / "slips_overlap.cpp", tmp_path / slip.replace(" ", "-"))
    found = set()
    for row in TABLE:
        for variant, shape in zip(row.variants, row.shapes[-2:], strict=False):
            for seed, offsets in enumerate(({}, {"span" if row.name == "nms" else "pred": 1})):
                try:
                    check(kernels, row, shape, "float32", variant, seed, offsets)
                except CudaSimError as error:
                    found.add(error.kind)
                except AssertionError:
                    found.add("wrong")
    assert found <= kinds and bool(found) == bool(kinds), found
