"""box_iou against torchvision and exact fractions; tube_iou against a dictionary of frames."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops

KINDS = ["iou", "giou"]


def exact(pred, target, kind):
    """One pair, in fractions."""
    worst = -1.0 if kind == "giou" else 0.0
    if not all(map(math.isfinite, (*pred, *target))):
        return worst
    a, b = (list(map(Fraction, box)) for box in (pred, target))
    if any(box[2] < box[0] or box[3] < box[1] for box in (a, b)):
        return worst
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    if hull == 0:
        return worst
    sides = [max(Fraction(0), min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
    inter = sides[0] * sides[1]
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - inter
    iou = inter / union if union else Fraction(0)
    return float(iou - (hull - union) / hull if kind == "giou" else iou)


SIDE = st.one_of(st.integers(0, 6).map(float), st.sampled_from([0.5, math.nan, math.inf]))
BOX = st.tuples(SIDE, SIDE, SIDE, SIDE)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(BOX, BOX), max_size=20), st.sampled_from(KINDS))
def test_matched(pairs, kind):
    pred, target = (torch.tensor([p[k] for p in pairs], dtype=torch.float64).reshape(-1, 4) for k in (0, 1))
    truth = torch.tensor([exact(p, t, kind) for p, t in pairs], dtype=torch.float64)
    for function in (ops.box_iou, ops.reference.box_iou):
        torch.testing.assert_close(function(pred, target, kind), truth, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ops.box_iou_pairwise(pred, target, kind).diagonal(), truth, rtol=1e-12, atol=1e-12)


def boxes(rng, n):
    corner, size = (torch.rand(n, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    return torch.cat([corner, corner + size], -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_against_torchvision(dtype, rng):
    pred, target = boxes(rng, 300).to(dtype), boxes(rng, 211).to(dtype)
    for kind, truth in (("iou", torchvision.ops.box_iou), ("giou", torchvision.ops.generalized_box_iou)):
        mine = ops.box_iou_pairwise(pred, target, kind)
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), truth(pred.double(), target.double()), rtol=1e-6, atol=1e-6)
        for n in (0, 1, 2, 3, 5, 8, 17, 211):  # vectors and their tails
            torch.testing.assert_close(ops.box_iou(pred[:n], target[:n], kind), mine.diagonal()[:n])


def test_broadcasting_empty_and_huge():
    one = torch.tensor([0.0, 0.0, 2.0, 2.0])
    assert ops.box_iou(one, torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]])).tolist() == [
        pytest.approx(1 / 3),
        1.0,
    ]
    assert ops.box_iou_pairwise(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)
    huge = torch.tensor([[-3e38, -3e38, 3e38, 3e38]])
    assert ops.box_iou(huge, huge).item() == 1.0
    beyond = torch.tensor([-1e300, -1e300, 1e300, 1e300], dtype=torch.float64)  # an area beyond double
    assert ops.box_iou(beyond, beyond).item() == 0.0 and ops.box_iou(beyond, beyond, "giou").item() == -1.0


# ---- tubes


def tube(pred, target, over):
    """One answer: (frame, box) pairs."""
    mine, true = dict(pred), dict(target)
    total = sum(exact(mine[f], true[f], "iou") for f in mine if f in true)
    frames = len(true) if over == "target" else len({*mine, *true})
    return total / frames if frames else 0.0


ROWS = st.lists(st.tuples(st.integers(-2, 4), BOX), max_size=7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ROWS, ROWS), max_size=5), st.sampled_from(["target", "union"]))
def test_tubes(problems, over):
    arguments = []
    for k in (0, 1):
        rows = [row for problem in problems for row in problem[k]]
        arguments.append(torch.tensor([box for _, box in rows], dtype=torch.float64).reshape(-1, 4))
        arguments.append(torch.tensor([frame for frame, _ in rows], dtype=torch.long))
        arguments.append(torch.tensor(list(itertools.accumulate((len(p[k]) for p in problems), initial=0))))
    truth = torch.tensor([tube(*problem, over) for problem in problems], dtype=torch.float64)
    for function in (ops.tube_iou, ops.reference.tube_iou):
        torch.testing.assert_close(function(*arguments, over), truth, rtol=1e-12, atol=1e-12)


def test_tube_by_hand():
    unit = [0.0, 0.0, 1.0, 1.0]
    half = [0.0, 0.0, 0.5, 1.0]
    pred, pred_frame = torch.tensor([unit, half, unit]), torch.tensor([30, 10, 99])
    target, target_frame = torch.tensor([unit, unit, unit, unit]), torch.tensor([10, 20, 30, 40])
    bounds = torch.tensor([0, 3], dtype=torch.int32), torch.tensor([0, 4], dtype=torch.int32)
    arguments = (pred, pred_frame, bounds[0], target, target_frame, bounds[1])
    assert ops.tube_iou(*arguments).item() == 1.5 / 4  # frame 20 and 40 are missing; 99 costs nothing
    assert ops.tube_iou(*arguments, over="union").item() == pytest.approx(1.5 / 5)


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"pred_frame_K": torch.zeros(2).long()}, ValueError, r"pred_frame must have shape \(3,\) \(one a box\)"),
        ({"pred_frame_K": torch.zeros(3)}, TypeError, "pred_frame must hold integers"),
        ({"target_J4": torch.zeros(3, 4).double()}, TypeError, "one dtype"),
        ({"over": "pred"}, ValueError, "over must be one of target, union, got 'pred'"),
        ({"pred_offsets_B1": torch.tensor([0, 4])}, ValueError, "pred_offsets must run from 0 to 3"),
    ],
)
def test_wrong_tubes(change, error, message):
    box, frame, offsets = torch.zeros(3, 4), torch.arange(3), torch.tensor([0, 3])
    good = {"pred_K4": box, "pred_frame_K": frame, "pred_offsets_B1": offsets}
    good |= {"target_J4": box, "target_frame_J": frame, "target_offsets_B1": offsets}
    with pytest.raises(error, match=message):
        ops.tube_iou(**{**good, **change})


@pytest.mark.parametrize(
    "pred,target,kind,error,message",
    [
        (torch.zeros(3, 5), torch.zeros(3, 4), "iou", ValueError, r"pred must have shape \(…, 4\)"),
        (torch.zeros(3, 4), torch.zeros(3, 4).double(), "iou", TypeError, "one dtype"),
        (torch.zeros(3, 4), torch.zeros(3, 4), "diou", ValueError, "kind must be one of iou, giou, got 'diou'"),
        (torch.zeros(3, 4), torch.zeros(2, 4), "iou", ValueError, "broadcasts"),
    ],
)
def test_wrong_arguments(pred, target, kind, error, message):
    with pytest.raises(error, match=message):
        ops.box_iou(pred, target, kind)
