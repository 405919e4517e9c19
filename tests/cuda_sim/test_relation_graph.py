"""relation_graph's CUDA kernel, run by the simulator, against the specification in float64."""

import itertools

import numpy as np
import pytest
import torch
from graph_cases import node_boxes, random_graphs

from cuda_sim.build import HERE, load, why_not
from videostr.ops import reference

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

ANGLES = ("none", "turn", "direction")  # in the order of the kernel's enum


@pytest.fixture(scope="module")
def kernels():
    return load(HERE / "bindings.cpp")


DEFAULTS = {
    "scale": 3.0,
    "reach": None,
    "angle": "turn",
    "matching": "optimal",
    "extra": True,
    "shape": False,
    "edges": "shape",
}


def check(kernels, arguments, ids, dtype, moved=None, seed=0, boxes=None, **options):
    scale, reach, angle, matching, extra, shape, edges = (DEFAULTS | options).values()
    graphs, preds, truths = len(arguments[6]) - 1, len(arguments[0]), len(arguments[3])
    arguments = [x.to(dtype) if x.is_floating_point() else x for x in arguments]
    scales = [None if x is None else torch.full((graphs,), x, dtype=torch.float64) for x in (scale, reach)]
    objects = ids.get("pred_object_M"), ids.get("true_object_J")
    sides = [None if boxes is None else boxes[name].to(dtype) for name in ("pred_box_M4", "true_box_J4")]
    inputs = (*arguments[:2], objects[0], sides[0], *arguments[2:5], objects[1], sides[1], *arguments[5:], *scales)
    wide = [x.double() if x is not None and x.is_floating_point() else x for x in inputs]
    *parts, true_match, true_frames = reference.relation_graph(*wide, angle, matching, extra, shape, edges)
    kinds = [torch.int64] * 3 + [dtype] + [torch.int64] * 4 + [dtype] + [torch.int64] * 2 + [torch.float64] * 2
    given = [x if x is not None else torch.zeros(0, dtype=kind) for x, kind in zip(inputs, kinds, strict=True)]
    score, frames = np.full((graphs, 6), np.nan, given[1].numpy().dtype), np.full((graphs, 6), -9, np.int64)
    match = np.full(preds, -9, np.int64)
    work = np.full(3 * preds + 11 * truths, np.nan), np.full(4 * preds + 6 * truths, -9, np.int32)
    may_be_absent = (*scales, objects[1], objects[0], sides[1])
    present = sum(bit for bit, x in zip((1, 2, 4, 8, 16), may_be_absent, strict=True) if x is not None)
    name = "float32" if dtype == torch.float32 else "float64"
    numbers = (graphs, preds, truths, arguments[1].shape[1], present, ANGLES.index(angle), matching == "greedy")
    getattr(kernels, f"relation_graph_{name}")(
        *(x.numpy() for x in given), score, match, frames, *work, *numbers, extra, shape, edges == "shape",
        seed=seed, offset_elements=moved or {},
    )  # fmt: skip
    tolerance = 2e-7 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(score, torch.stack(parts, 1).numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(match, true_match.numpy())
    np.testing.assert_array_equal(frames, true_frames.numpy())
    return score.tobytes()


OPTIONS = [
    {},
    {"scale": None, "angle": "direction"},
    {"angle": "none", "matching": "greedy"},
    {"shape": True, "extra": False},
    {"reach": 1.5, "matching": "greedy"},
    {"scale": None, "edges": "position", "shape": True},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_against_the_specification(kernels, dimensions, options, dtype):
    arguments, ids = random_graphs(torch.Generator().manual_seed(dimensions), 13, dimensions)
    for objects in ({}, {"true_object_J": ids["true_object_J"]}, ids):
        if objects or "reach" not in options:
            check(kernels, arguments, objects, dtype, **options)
    boxes = node_boxes(torch.Generator().manual_seed(dimensions), arguments, wild=True)
    check(kernels, arguments, ids, dtype, boxes=boxes, **options)


@pytest.mark.parametrize("graphs", [0, 1, 4, 5])
def test_few_graphs(kernels, graphs):
    rng = torch.Generator().manual_seed(1)
    arguments, ids = random_graphs(rng, graphs)
    check(kernels, arguments, ids, torch.float32)
    check(kernels, arguments, ids, torch.float32, boxes=node_boxes(rng, arguments))


def test_boxes_of_no_node_change_nothing(kernels):
    arguments, ids = random_graphs(torch.Generator().manual_seed(6), 8)
    none = {"pred_box_M4": arguments[1].new_zeros(len(arguments[0]), 4)}
    none["true_box_J4"] = arguments[1].new_full((len(arguments[3]), 4), torch.nan)
    for matching in ("optimal", "greedy"):
        without = check(kernels, arguments, ids, torch.float64, matching=matching)
        assert check(kernels, arguments, ids, torch.float64, matching=matching, boxes=none) == without


def test_more_nodes_than_a_warp_has_lanes(kernels):
    rng = torch.Generator().manual_seed(2)
    arguments, ids = random_graphs(rng, 3, most=90, classes=2)
    for matching in ("optimal", "greedy"):
        check(kernels, arguments, ids, torch.float64, matching=matching)
        check(kernels, arguments, ids, torch.float64, matching=matching, boxes=node_boxes(rng, arguments))


def test_model_output_of_any_kind(kernels):
    arguments, ids = random_graphs(torch.Generator().manual_seed(3), 20)
    wild = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, 5.0], dtype=torch.float64)
    rng = torch.Generator().manual_seed(4)
    pred = arguments[1]
    where = torch.rand(pred.shape, generator=rng) < 0.2
    arguments[1] = torch.where(where, wild[torch.randint(0, 5, pred.shape, generator=rng)], pred)
    for options in ({}, {"shape": True}, {"angle": "direction", "matching": "greedy"}):
        check(kernels, arguments, ids, torch.float64, **options)


def test_bases_that_are_not_aligned_and_every_order(kernels):
    arguments, ids = random_graphs(torch.Generator().manual_seed(5), 6)
    results = set()
    moved = ("pred_position", "true_position", "pred_class", "pred_box", "true_box", "score", "match")
    boxes = node_boxes(torch.Generator().manual_seed(7), arguments)
    for seed, names in enumerate(itertools.chain([()], zip(moved), [moved])):  # noqa: B905
        results.add(
            check(kernels, arguments, ids, torch.float32, moved=dict.fromkeys(names, 1), seed=seed, boxes=boxes)
        )
    assert len(results) == 1
