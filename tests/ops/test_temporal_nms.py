"""temporal_nms against torchvision's nms of boxes of height 1, and by hand."""

import itertools
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops


def by_definition(spans, scores, threshold):
    """Which stay, in plain Python with IoU in fractions of floats that are whole numbers."""

    def iou(p, t):
        inter = max(0.0, min(p[1], t[1]) - max(p[0], t[0]))
        union = p[1] - p[0] + t[1] - t[0] - inter
        return inter / union if union > 0 else 0.0

    order = sorted(range(len(spans)), key=lambda i: (-math.inf if math.isnan(scores[i]) else scores[i], -i))[::-1]
    kept = []
    for i in order:
        valid = all(map(math.isfinite, spans[i])) and spans[i][0] <= spans[i][1]
        if valid and all(iou(spans[i], spans[j]) <= threshold for j in kept):
            kept.append(i)
    return [i in kept for i in range(len(spans))]


END = st.one_of(st.integers(0, 12).map(float), st.sampled_from([math.nan, math.inf]))
SCORED = st.tuples(st.tuples(END, END), st.sampled_from([0.1, 0.5, 0.9, math.nan, -math.inf]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(SCORED, max_size=8), max_size=4), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_against_the_definition(problems, threshold):
    flat = [item for problem in problems for item in problem]
    spans = torch.tensor([x[0] for x in flat], dtype=torch.float64).reshape(-1, 2)
    scores = torch.tensor([x[1] for x in flat], dtype=torch.float64)
    offsets = torch.tensor(list(itertools.accumulate(map(len, problems), initial=0)))
    truth = [k for p in problems for k in by_definition([x[0] for x in p], [x[1] for x in p], threshold)]
    for function in (ops.temporal_nms, ops.reference.temporal_nms):
        assert function(spans, scores, offsets, threshold).tolist() == truth


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_against_torchvision(threshold, rng):
    spans = torch.rand(4000, 2, generator=rng, dtype=torch.float64).sort(-1).values
    scores = torch.rand(4000, generator=rng, dtype=torch.float64)
    offsets = torch.tensor([0, 0, 1, 300, 1500, 4000])
    mine = ops.temporal_nms(spans, scores, offsets, threshold)
    boxes = torch.stack([spans[:, 0], torch.zeros(4000), spans[:, 1], torch.ones(4000)], -1)
    for begin, end in itertools.pairwise(offsets.tolist()):
        kept = torchvision.ops.nms(boxes[begin:end], scores[begin:end], threshold)
        assert mine[begin:end].nonzero()[:, 0].tolist() == sorted(kept.tolist())


def test_by_hand():
    spans = torch.tensor([[0.0, 10.0], [1.0, 11.0], [20.0, 30.0], [0.0, 10.0]])
    keep = ops.temporal_nms(spans, torch.tensor([0.5, 0.9, 0.1, 0.9]), torch.tensor([0, 4]), 0.5)
    assert keep.tolist() == [False, True, True, False]  # of the two best the earlier one


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"score_K": torch.zeros(2)}, ValueError, r"score must have shape \(3,\) \(one an interval\)"),
        ({"score_K": torch.zeros(3).double()}, TypeError, "score must be torch.float32 on cpu like span"),
        ({"span_K2": torch.zeros(3, 4)}, ValueError, r"span must have shape \(…, 2\)"),
        ({"threshold": 1.5}, ValueError, r"threshold must be in \[0, 1\], got 1.5"),
        ({"threshold": math.nan}, ValueError, "threshold must be a finite number"),
        ({"offsets_B1": torch.tensor([0, 2])}, ValueError, "offsets must run from 0 to 3"),
    ],
)
def test_wrong_arguments(change, error, message):
    good = {
        "span_K2": torch.zeros(3, 2),
        "score_K": torch.zeros(3),
        "offsets_B1": torch.tensor([0, 3]),
        "threshold": 0.5,
    }
    with pytest.raises(error, match=message):
        ops.temporal_nms(**{**good, **change})
