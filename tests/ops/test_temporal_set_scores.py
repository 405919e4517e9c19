"""temporal_set_scores against counted cells and against every order-preserving pairing, in fractions."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops


def covered(spans):
    """Unit cells that a set of whole-numbered intervals covers."""
    return {cell for start, end in spans if math.isfinite(start + end) for cell in range(int(start), int(end))}


def pair(p, t):
    """(1 + GIoU) / 2 of one pair."""
    if not all(map(math.isfinite, (*p, *t))) or p[1] < p[0] or t[1] < t[0]:
        return Fraction(0)
    (a, b), (c, d) = (map(Fraction, x) for x in (p, t))
    hull = max(b, d) - min(a, c)
    if hull == 0:
        return Fraction(0)
    inter = max(Fraction(0), min(b, d) - max(a, c))
    union = b - a + d - c - inter
    iou = inter / union if union else Fraction(0)
    return (1 + iou - (hull - union) / hull) / 2


def exact(pred, target, pairing):
    """The five scores of one answer; the best pairing by trying all."""
    p, t = covered(pred), covered(target)
    parts = [(len(p & t), len(p | t)), (len(p & t), len(p)), (len(p & t), len(t)), (2 * len(p & t), len(p) + len(t))]
    scores = [Fraction(top, bottom) if bottom else Fraction(0) for top, bottom in parts]
    if pairing == "written":
        best = sum((pair(*x) for x in zip(pred, target, strict=False)), Fraction(0))
    else:
        best = max(
            sum((pair(pred[i], target[j]) for i, j in zip(rows, columns, strict=True)), Fraction(0))
            for size in range(min(len(pred), len(target)) + 1)
            for rows in itertools.combinations(range(len(pred)), size)
            for columns in itertools.combinations(range(len(target)), size)
        )
    scores.append(best / max(len(pred), len(target), 1))
    return [float(x) for x in scores]


def ragged(problems, dtype=torch.float64, offset_dtype=torch.int64):
    """Lists of (pred, target) as the operator's four tensors."""
    arguments = []
    for k in (0, 1):
        flat = [span for problem in problems for span in problem[k]]
        arguments.append(torch.tensor(flat, dtype=dtype).reshape(-1, 2))
        bounds = itertools.accumulate((len(problem[k]) for problem in problems), initial=0)
        arguments.append(torch.tensor(list(bounds), dtype=offset_dtype))
    return arguments


WHOLE = st.one_of(st.tuples(st.integers(0, 12).map(float), st.integers(0, 12).map(float)), st.just((math.nan, 3.0)))
SETS = st.lists(st.tuples(st.lists(WHOLE, max_size=5), st.lists(WHOLE, max_size=5)), max_size=5)


@settings(max_examples=200, deadline=None)
@given(SETS, st.sampled_from([torch.int32, torch.int64]), st.sampled_from(["written", "ordered"]))
def test_against_exact(problems, offset_dtype, pairing):
    truth = torch.tensor([exact(*x, pairing) for x in problems], dtype=torch.float64).reshape(-1, 5)
    arguments = ragged(problems, offset_dtype=offset_dtype)
    for function in (ops.temporal_set_scores, ops.reference.temporal_set_scores):
        mine = torch.stack(tuple(function(*arguments, pairing)), -1)
        torch.testing.assert_close(mine, truth, rtol=1e-12, atol=1e-12)


def test_by_hand():
    # two of the three true segments are there; the first is missing, so that written pairs are all one off
    pred, target = [(10.0, 20.0), (40.0, 50.0)], [(0.0, 5.0), (10.0, 20.0), (40.0, 45.0)]
    written, ordered = (ops.temporal_set_scores(*ragged([(pred, target)]), pairing=p) for p in ("written", "ordered"))
    assert written.iou_B.item() == 15 / 25 and written.precision_B.item() == 15 / 20
    assert written.recall_B.item() == 15 / 20 and written.f1_B.item() == 30 / 40
    # (10, 20) and (0, 5): GIoU -5/20; (40, 50) and (10, 20): -20/40
    assert written.matching_B.item() == pytest.approx((0.375 + 0.25) / 3, rel=1e-15)
    assert ordered.matching_B.item() == pytest.approx((1 + 0.75) / 3, rel=1e-15)
    assert ordered.f1_B.item() == written.f1_B.item()


def test_museg_code_gives_the_same_to_its_own_constants():
    """MUSEG's rules written down again: the shorter list filled up at 1e9 s, 1e-6 in the denominators."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        pred, target = (
            torch.rand(int(n), 2, generator=generator, dtype=torch.float64).mul(90).sort(-1).values
            for n in torch.randint(1, 9, (2,), generator=generator)
        )
        target = target.flatten().sort().values.reshape(-1, 2)  # true segments do not overlap
        far = torch.tensor([[1e9, 1e9 + 1]], dtype=torch.float64)
        longest = max(len(pred), len(target))
        p, t = (torch.cat([x, far.expand(longest - len(x), 2)]) for x in (pred, target))
        inter = (torch.minimum(p[:, 1], t[:, 1]) - torch.maximum(p[:, 0], t[:, 0])).clamp(min=0)
        union = p[:, 1] - p[:, 0] + t[:, 1] - t[:, 0] - inter
        hull = torch.maximum(p[:, 1], t[:, 1]) - torch.minimum(p[:, 0], t[:, 0])
        local = ((1 + inter / union - (hull - union) / hull) / 2).mean()
        bounds = [torch.tensor([0, len(x)]) for x in (pred, target)]
        mine = ops.temporal_set_scores(pred, bounds[0], target, bounds[1])
        assert abs(mine.matching_B.item() - local.item()) < 1e-6


def test_many_answers_in_float32(rng):
    counts = torch.randint(0, 12, (2, 3000), generator=rng)
    bounds = torch.cat([torch.zeros(2, 1, dtype=torch.long), counts.cumsum(1)], 1)
    pred, target = (torch.rand(int(n), 2, generator=rng).mul(60).sort(-1).values for n in bounds[:, -1])
    mine = ops.temporal_set_scores(pred, bounds[0], target, bounds[1], "ordered")
    few = 40
    right = ops.reference.temporal_set_scores(
        pred[: bounds[0, few]].double(),
        bounds[0, : few + 1],
        target[: bounds[1, few]].double(),
        bounds[1, : few + 1],
        "ordered",
    )
    for ours, true in zip(mine, right, strict=True):
        assert ours.dtype == torch.float32 and ((ours >= 0) & (ours <= 1)).all()
        torch.testing.assert_close(ours[:few].double(), true, rtol=1e-6, atol=1e-7)
    swapped = ops.temporal_set_scores(target, bounds[1], pred, bounds[0], "ordered")
    torch.testing.assert_close(swapped.precision_B, mine.recall_B)
    torch.testing.assert_close(swapped.matching_B, mine.matching_B)


@pytest.mark.parametrize(
    "pred_offsets,target_offsets,message",
    [
        ([0, 2], [0, 3], "pred_offsets must run from 0 to 3"),
        ([0, 3], [1, 3], "target_offsets must run from 0 to 3"),
        ([0, 2, 1, 3], [0, 1, 2, 3], "without falling"),
        ([0, 3], [0, 1, 3], "target_offsets must have shape"),
        ([], [0, 3], "pred_offsets must have at least one entry"),
    ],
)
def test_wrong_offsets(pred_offsets, target_offsets, message):
    offsets = [torch.tensor(x, dtype=torch.long) for x in (pred_offsets, target_offsets)]
    with pytest.raises(ValueError, match=message):
        ops.temporal_set_scores(torch.zeros(3, 2), offsets[0], torch.zeros(3, 2), offsets[1])


def test_wrong_arguments():
    spans, offsets = torch.zeros(3, 2), torch.tensor([0, 3])
    with pytest.raises(ValueError, match="pairing must be one of written, ordered, got 'best'"):
        ops.temporal_set_scores(spans, offsets, spans, offsets, "best")
    with pytest.raises(TypeError, match="one dtype"):
        ops.temporal_set_scores(spans, offsets, spans.double(), offsets)
    with pytest.raises(TypeError, match="pred_offsets must hold integers"):
        ops.temporal_set_scores(spans, offsets.float(), spans, offsets)
