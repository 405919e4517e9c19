"""The project's CUDA kernels, run by the simulator against the specification in float64.

A new kernel is a line in bindings.cpp and a row in TABLE. A launch fails on its own where a kernel reads or writes out
of bounds, races or diverges; what is compared here is what it computes.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from cuda_sim.build import CSRC, HERE, CudaSimError, load, why_not
from videostr.ops import reference

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DTYPES = ["float32", "float64"]
KINDS = ["iou", "giou", "diou", "hull", "iop", "time_r1"]


@pytest.fixture(scope="module")
def kernels():
    return load(HERE / "bindings.cpp")


def intervals(random, n, dtype):
    """[n, 2]: ordered ones on a coarse grid, so that ends meet, and a few that are reversed, empty, NaN or infinite."""
    spans = np.sort(random.integers(-8, 24, (n, 2)) / 2, axis=-1) + random.choice([0.0, 0.1], (n, 1))
    odd = random.random(n) < 0.2
    strange = [(5.0, 1.0), (2.0, 2.0), (np.nan, 1.0), (0.0, np.nan), (-np.inf, 1.0), (0.0, np.inf), (-1e30, 1e30)]
    spans[odd] = np.array(strange)[random.integers(0, len(strange), odd.sum())]
    return spans.astype(dtype)


def durations(random, n, dtype):
    """[n]: of videos, some as short as the errors, some that are no length."""
    return random.choice([2.0, 7.5, 30.0, 0.0, -1.0, np.nan, np.inf], n).astype(dtype)


class Case(NamedTuple):
    """A launch: its arguments in order (None stands for the output), and what the output has to be, in float64."""

    arguments: list
    expected: np.ndarray


def matched(random, shape, dtype, kind) -> Case:
    (n,) = shape
    pred, target = (intervals(random, n, dtype) for _ in range(2))
    duration = durations(random, n, dtype)
    p, t, whole = (torch.from_numpy(x.astype(np.float64)) for x in (pred, target, duration))
    return Case([pred, target, duration, None, n], reference.temporal_iou(p, t, kind, whole).numpy())


def pairwise(random, shape, dtype, kind) -> Case:
    rows, columns = shape
    pred, target = (intervals(random, n, dtype) for n in shape)
    duration = durations(random, rows, dtype)
    p, t, whole = (torch.from_numpy(x.astype(np.float64)) for x in (pred, target, duration))
    return Case(
        [pred, target, duration, None, rows, columns], reference.temporal_iou_pairwise(p, t, kind, whole).numpy()
    )


class Row(NamedTuple):
    """A kernel: the launcher's name before its dtype and variant, what makes a case, and shapes."""

    name: str
    case: Callable
    variants: list
    shapes: list
    huge: tuple  # more than 65,535 rows, or whatever one axis of a grid cannot hold
    arrays: list  # names; each is also given a base that is not 16-byte aligned


TABLE = [
    Row(
        "matched",
        matched,
        KINDS,
        [(0,), (1,), (3,), (4,), (1023,), (1024,), (2051,)],
        (70_001,),
        ["pred", "target", "duration", "out"],
    ),
    Row(
        *("pairwise", pairwise, KINDS),
        [(0, 5), (5, 0), (1, 1), (1, 4), (31, 3), (32, 8), (33, 7), (65, 12), (2, 1025), (3, 2048), (100, 1030)],
        (70_001, 3),
        ["pred", "target", "out"],
    ),
]


def check(kernels, row, shape, dtype, variant, seed=0, offsets=None):
    case = row.case(np.random.default_rng(seed), shape, dtype, variant)
    out = np.full(case.expected.shape, np.nan, dtype)  # what a kernel leaves out stays NaN
    arguments = [out if argument is None else argument for argument in case.arguments]
    getattr(kernels, f"{row.name}_{dtype}_{variant}")(*arguments, seed=seed, offset_elements=offsets or {})
    if dtype == "float64":
        np.testing.assert_allclose(out, case.expected, rtol=1e-15, atol=1e-15)
    else:  # rounded once, from a double that may itself be off in its last place
        np.testing.assert_allclose(out, case.expected.astype(dtype), rtol=np.finfo(dtype).eps, atol=1e-15)
        assert (out == case.expected.astype(dtype)).mean() > 0.99 if out.size > 100 else True


CASES = [(row, shape) for row in TABLE for shape in row.shapes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row,shape", CASES, ids=[f"{row.name}-{'x'.join(map(str, shape))}" for row, shape in CASES])
def test_shapes(kernels, row, shape, dtype):
    for seed, variant in enumerate(row.variants):
        check(kernels, row, shape, dtype, variant, seed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_many_rows(kernels, row, dtype):
    check(kernels, row, row.huge, dtype, row.variants[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_bases_that_are_not_aligned(kernels, row, dtype):
    shape = max(row.shapes, key=np.prod)
    for count in range(1, len(row.arrays) + 1):
        for seed, moved in enumerate(itertools.combinations(row.arrays, count)):
            check(kernels, row, shape, dtype, row.variants[-1], seed, dict.fromkeys(moved, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_every_order_gives_the_same_bits(kernels, row, dtype):
    shape = max(row.shapes, key=np.prod)
    case = row.case(np.random.default_rng(0), shape, dtype, row.variants[-1])
    results = []
    for seed in range(6):
        out = np.full(case.expected.shape, np.nan, dtype)
        arguments = [out if argument is None else argument for argument in case.arguments]
        getattr(kernels, f"{row.name}_{dtype}_{row.variants[-1]}")(*arguments, seed=seed)
        results.append(out.tobytes())
    assert len(set(results)) == 1


def test_pairwise_where_the_row_blocks_go_round(kernels):
    """More rows than 65,535 blocks of 32 hold: some blocks take a second tile."""
    rows = 65_535 * 32 + 40
    pred = np.zeros((rows, 2), np.float32)
    pred[:, 1] = np.arange(rows) % 7
    out = np.full((rows, 1), np.nan, np.float32)
    kernels.pairwise_float32_hull(pred, np.array([[0, 8]], np.float32), np.zeros(0, np.float32), out, rows, 1)
    np.testing.assert_array_equal(out[:, 0], pred[:, 1] / 8)


# Slips in temporal_iou.cuh: the text, what stands there instead, which of its occurrences, and what may be found.
BARRIER = "__syncthreads();"
SLIPS = {
    "nothing wrong": ("", "", 0, set()),
    "first barrier gone": (BARRIER, "", 0, {"uninitialised shared read", "data race"}),
    "second barrier gone": (BARRIER, "", 1, {"data race"}),
    "barrier in a branch": (
        BARRIER,
        "if (whole) __syncthreads();",
        0,
        {"barrier divergence", "uninitialised shared read"},
    ),
    "bound off by one": ("i < first + each && i < n;", "i < first + each && i <= n;", 0, {"out of bounds"}),
    "tile off by one": ("threadIdx.x < count", "threadIdx.x <= count", 0, {"out of bounds"}),
    "tile too small": ("tile[kTileRows]", "tile[kTileRows - 1]", 0, {"out of bounds"}),
    "alignment not asked": ("aligned(target) && aligned(out) && columns", "columns", 0, {"misaligned"}),
    "columns not asked": ("&& columns % Pack<T>::size == 0", "", 0, {"misaligned"}),
    "grid too tall": ("row_blocks < kMostRowBlocks ? row_blocks : kMostRowBlocks", "row_blocks + 65535", 0, {"launch"}),
    "a row too few": ("row < count;", "row + 1 < count;", 0, {"wrong"}),
}


def mutate(folder, old, new, nth):
    """The header with a slip, and with 2 blocks along the rows at most, so that small inputs go round as well."""
    text = (CSRC / "cuda" / "temporal_iou.cuh").read_text()
    for text_old, text_new, which in (("kMostRowBlocks = 65535", "kMostRowBlocks = 2", 0), (old, new, nth)):
        parts = text.split(text_old) if text_old else [text, ""]
        assert len(parts) > which + 1, f"temporal_iou.cuh no longer has {text_old!r} {which + 1} times"
        text = text_old.join(parts[: which + 1]) + text_new + text_old.join(parts[which + 1 :])
    (folder / "cuda").mkdir(parents=True)
    (folder / "cuda" / "temporal_iou.cuh").write_text(text)
    return folder


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_kernel_is_caught(slip, tmp_path):
    old, new, nth, kinds = SLIPS[slip]
    kernels = load(HERE / "kernels" / "slips.cpp", mutate(tmp_path / slip.replace(" ", "-"), old, new, nth))
    found = set()
    shapes = [
        (TABLE[0], (1021,), {}),
        (TABLE[1], (33, 7), {}),
        (TABLE[1], (70, 8), {}),
        (TABLE[1], (40, 8), {"out": 1}),
    ]
    for seed, (row, shape, offsets) in itertools.product(range(3), shapes):
        try:
            check(kernels, row, shape, "float32", "giou", seed, offsets)
        except CudaSimError as error:
            found.add(error.kind)
        except AssertionError:
            found.add("wrong")
    assert found <= kinds and bool(found) == bool(kinds), found
