"""temporal_iou against exact rational arithmetic, and gradients against autograd of the specification."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops

KINDS = ["iou", "giou", "diou", "hull", "iop", "time_r1"]
WORST = {"giou": -1.0, "diou": -1.0}
DURATION = 8.0  # shorter than the greatest distance of two ends below: both factors of time_r1 reach 0


def exact(pred, target, kind):
    """One pair, in fractions."""
    worst = WORST.get(kind, 0.0)
    if not all(map(math.isfinite, (*pred, *target))):
        return worst
    a, b, c, d = map(Fraction, (*pred, *target))
    hull = max(b, d) - min(a, c)
    if b < a or d < c or hull <= 0 or (kind == "iop" and a == b):
        return worst
    inter = max(Fraction(0), min(b, d) - max(a, c))
    union = (b - a) + (d - c) - inter
    iou = inter / union if union else Fraction(0)
    if kind == "iop":
        return float(inter / (b - a))
    if kind == "time_r1":
        at_start, at_end = (max(Fraction(0), 1 - abs(x - y) / Fraction(DURATION)) for x, y in ((a, c), (b, d)))
        return float(iou * at_start * at_end)
    centres = abs((a + b) / 2 - (c + d) / 2)
    return float(
        {
            "iou": iou,
            "hull": inter / hull,
            "giou": iou - (hull - union) / hull,
            "diou": iou - (centres / hull) ** 2,
        }[kind]
    )


def durations(kind, *shape):
    return torch.full(shape, DURATION, dtype=torch.float64) if kind == "time_r1" else None


# ends on a coarse grid: touching, equal, nested, reversed and empty intervals are common
END = st.one_of(st.integers(-3, 9).map(float), st.sampled_from([0.5, 1e-6, 1e6, math.nan, math.inf, -math.inf]))
SPAN = st.tuples(END, END)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SPAN, SPAN), min_size=0, max_size=20), st.sampled_from(KINDS))
def test_matched(pairs, kind):
    pred, target = (torch.tensor([p[k] for p in pairs], dtype=torch.float64).reshape(-1, 2) for k in (0, 1))
    truth = torch.tensor([exact(p, t, kind) for p, t in pairs], dtype=torch.float64)
    for function in (ops.temporal_iou, ops.reference.temporal_iou):
        mine = function(pred, target, kind, durations(kind, len(pairs)))
        torch.testing.assert_close(mine, truth, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(SPAN, max_size=8), st.lists(SPAN, max_size=8), st.sampled_from(KINDS))
def test_pairwise(preds, targets, kind):
    pred, target = (torch.tensor(x, dtype=torch.float64).reshape(-1, 2) for x in (preds, targets))
    truth = torch.tensor([[exact(p, t, kind) for t in targets] for p in preds], dtype=torch.float64)
    mine = ops.temporal_iou_pairwise(pred, target, kind, DURATION if kind == "time_r1" else None)
    assert mine.shape == (len(preds), len(targets))
    torch.testing.assert_close(mine, truth.reshape(mine.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind, rng):
    # lengths and places at random: no ties, some pairs apart, some nested
    start = torch.rand(200, 2, generator=rng, dtype=torch.float64) * 10
    length = torch.rand(200, 2, generator=rng, dtype=torch.float64) * 6
    spans = torch.stack([start, start + length], -1)
    spans[0, 0] = torch.tensor([math.nan, 1.0])
    spans[1, 1] = torch.tensor([5.0, 2.0])
    spans[2, 0] = torch.tensor([0.0, math.inf])
    pred, target = (spans[:, k].clone().requires_grad_() for k in (0, 1))
    weight = torch.randn(200, generator=rng, dtype=torch.float64)
    duration = None if kind != "time_r1" else 3 + 9 * torch.rand(200, generator=rng, dtype=torch.float64)
    mine, true = (
        torch.autograd.grad((function(pred, target, kind, duration) * weight).sum(), (pred, target))
        for function in (ops.temporal_iou, ops.reference.temporal_iou)
    )
    for a, b in zip(mine, true, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        assert not a[:3].any()
    small = pred[3:12].detach().requires_grad_(), target[3:10].detach().requires_grad_()
    few = None if duration is None else duration[:9]
    assert torch.autograd.gradcheck(lambda p, t: ops.temporal_iou_pairwise(p, t, kind, few), small)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_at_ties_agree_with_torch(kind):
    grid = torch.tensor([[a, b] for a in range(4) for b in range(a, 4)], dtype=torch.float64)
    pred = grid[:, None].expand(-1, len(grid), 2).clone().requires_grad_()
    target = grid[None].expand(len(grid), -1, 2).clone().requires_grad_()
    duration = torch.tensor(5.0, dtype=torch.float64) if kind == "time_r1" else None  # no gap is as long
    mine = torch.autograd.grad(ops.temporal_iou(pred, target, kind, duration).sum(), (pred, target))
    assert all(x.isfinite().all() for x in mine)
    # equal ends are a tie of max and min; where one interval begins as the other stops, clamp's own rule would decide
    plain = (pred[..., 1] > pred[..., 0]) & (target[..., 1] > target[..., 0])
    plain &= torch.maximum(pred[..., 0], target[..., 0]) != torch.minimum(pred[..., 1], target[..., 1])
    true = torch.autograd.grad(ops.reference.temporal_iou(pred, target, kind, duration)[plain].sum(), (pred, target))
    for a, b in zip(mine, true, strict=True):
        torch.testing.assert_close(a[plain], b[plain])


def test_a_step_along_giou_and_diou_brings_intervals_nearer():
    for kind in ("giou", "diou"):
        pred = torch.tensor([0.0, 1.0], requires_grad=True)
        score = ops.temporal_iou(pred, torch.tensor([5.0, 8.0]), kind)
        score.backward()
        assert pred.grad[1] > 0 and score < 0


def test_broadcasting_and_strides(rng):
    pred = torch.rand(3, 1, 2, generator=rng).sort(-1).values
    target = torch.rand(2, 5, generator=rng).sort(0).values.T  # not contiguous
    assert ops.temporal_iou(pred, target).shape == (3, 5)
    torch.testing.assert_close(ops.temporal_iou(pred, target), ops.temporal_iou_pairwise(pred[:, 0], target))
    assert ops.temporal_iou(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0])).item() == 0.5


def test_time_r1_by_hand():
    pred, target = torch.tensor([[0.0, 4.0], [2.0, 6.0]]), torch.tensor([[2.0, 6.0]])
    # IoU 2/6, both ends off by 2 of 10 seconds; a video shorter than the error earns nothing
    torch.testing.assert_close(ops.temporal_iou(pred, target, "time_r1", 10.0), torch.tensor([0.8 * 0.8 / 3, 1.0]))
    by_row = ops.temporal_iou_pairwise(pred, target, "time_r1", torch.tensor([1.5, 20.0], dtype=torch.float64))
    torch.testing.assert_close(by_row, torch.tensor([[0.0], [1.0]]))


def test_every_length_of_a_vector_and_its_tail(rng):
    for n in range(70):
        pred, target = (torch.rand(n, 2, generator=rng, dtype=torch.float64) for _ in range(2))
        for kind in KINDS:
            mine = ops.temporal_iou(pred, target, kind, durations(kind))
            torch.testing.assert_close(mine, ops.reference.temporal_iou(pred, target, kind, durations(kind, n)))


def test_many_and_large(rng):
    pred = torch.rand(100_003, 2, generator=rng).sort(-1).values
    target = torch.rand(100_003, 2, generator=rng).sort(-1).values
    mine = ops.temporal_iou(pred, target)
    torch.testing.assert_close(mine, ops.reference.temporal_iou(pred.double(), target.double()).float())
    huge = torch.tensor([[-3e38, 3e38]])  # the length is beyond float32
    assert ops.temporal_iou(huge, huge).item() == 1.0


GOOD = {"pred": torch.zeros(3, 2), "target": torch.zeros(3, 2)}


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"pred": torch.zeros(3)}, ValueError, r"pred must have shape \(…, 2\)"),
        ({"pred": torch.zeros(3, 2, dtype=torch.long)}, TypeError, "pred must be floating point"),
        ({"pred": torch.zeros(3, 2).half()}, TypeError, "pred must be float32 or float64, got torch.float16"),
        ({"target": torch.zeros(3, 2).double()}, TypeError, "one dtype"),
        ({"target": torch.zeros(4, 2)}, ValueError, "target must have a shape that broadcasts"),
        ({"target": [0.0, 1.0]}, TypeError, "target must be a tensor, got list"),
        ({"kind": "ciou"}, ValueError, "kind must be one of iou, giou, diou, hull, iop, time_r1, got 'ciou'"),
        ({"kind": "time_r1"}, ValueError, "duration must be given for kind 'time_r1'"),
        ({"duration": 3.0}, ValueError, "duration is for kind 'time_r1' alone, got one with kind 'iou'"),
        ({"kind": "time_r1", "duration": 0.0}, ValueError, "duration must be a finite number > 0"),
        (
            {"kind": "time_r1", "duration": torch.tensor([1.0, -1.0, 2.0])},
            ValueError,
            "duration must be finite and > 0",
        ),
        ({"kind": "time_r1", "duration": torch.ones(4)}, ValueError, r"duration must have a shape that broadcasts to"),
        ({"kind": "time_r1", "duration": "8 s"}, TypeError, "duration must be a tensor, got str"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.temporal_iou(**{**GOOD, **change})


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "hull", "iop"])
def test_spans_that_a_double_hardly_holds(kind):
    """Differences of such ends would overflow: they count as not finite, in scores and gradients."""
    huge = torch.tensor([[-1.7e308, 1e308], [1e308, 1.7e308], [0.0, 1e300]], dtype=torch.float64, requires_grad=True)
    worst = -1.0 if kind in ("giou", "diou") else 0.0
    for function in (ops.temporal_iou, ops.reference.temporal_iou):
        score = function(huge, torch.tensor([[5.0, 8.0]], dtype=torch.float64), kind)
        assert score.tolist() == [worst] * 3
        assert torch.autograd.grad(score.sum(), huge)[0].tolist() == [[0.0, 0.0]] * 3
    large = torch.tensor([[0.0, 9e299]], dtype=torch.float64)
    assert ops.temporal_iou(large, large, kind).tolist() == [1.0]
