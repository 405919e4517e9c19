"""temporal_average_precision against the definition in numpy, and by hand."""

import itertools

import numpy as np
import pytest
import torch

from videostr import ops

THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def interpolated_area(precision, recall):
    """The integral over recall of the best precision at that recall or beyond, step by step."""
    area, last = 0.0, 0.0
    for level in np.unique(recall):
        area += (level - last) * precision[recall >= level].max()
        last = level
    return area


def by_definition(pred, score, target, threshold, pred_video=None, target_video=None):
    """One problem, in numpy."""
    order = np.argsort(-score, kind="stable")
    free = np.ones(len(target), bool)
    right = np.zeros(len(pred))
    for rank, i in enumerate(order):
        inter = (np.minimum(pred[i, 1], target[:, 1]) - np.maximum(pred[i, 0], target[:, 0])).clip(0)
        union = pred[i, 1] - pred[i, 0] + target[:, 1] - target[:, 0] - inter
        iou = np.where(free, inter / union, -1)
        if pred_video is not None:
            iou = np.where(target_video == pred_video[i], iou, -1)
        if len(iou) and iou.max() >= threshold:
            best = np.flatnonzero(iou == iou.max())[-1]
            free[best], right[rank] = False, 1
    if not len(target) or not len(pred):
        return 0.0
    found = right.cumsum()
    return interpolated_area(found / np.arange(1, len(pred) + 1), found / len(target))


def problems(seed, count, videos=None):
    """Ragged predictions around true intervals on a coarse grid, so that IoUs and scores tie."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        sizes = random.integers(0, 9, 2)
        spans = [np.cumsum(random.integers(1, 9, (n, 2)), 1).astype(float) for n in sizes]
        ids = [random.integers(0, videos, n) if videos else None for n in sizes]
        yield spans[0], random.integers(0, 5, sizes[0]) / 4, spans[1], *ids


@pytest.mark.parametrize("videos", [None, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_against_the_definition(videos, dtype):
    cases = list(problems(0, 200, videos))
    truth = [[by_definition(p, s, t, h, pv, tv) for h in THRESHOLDS] for p, s, t, pv, tv in cases]
    pred, target = (torch.tensor(np.concatenate([case[k] for case in cases]), dtype=dtype) for k in (0, 2))
    score = torch.tensor(np.concatenate([case[1] for case in cases]), dtype=dtype)
    bounds = [torch.tensor(list(itertools.accumulate((len(case[k]) for case in cases), initial=0))) for k in (0, 2)]
    ids = [torch.tensor(np.concatenate([case[k] for case in cases])) if videos else None for k in (3, 4)]
    mine = ops.temporal_average_precision(
        pred, score, bounds[0], target, bounds[1], pred_video_K=ids[0], target_video_J=ids[1]
    )
    assert mine.dtype == dtype
    torch.testing.assert_close(mine.double(), torch.tensor(truth, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    plain = ops.reference.temporal_average_precision(pred, score, bounds[0], target, bounds[1], THRESHOLDS, *ids)
    torch.testing.assert_close(mine, plain)


def one(pred, score, target, thresholds, **videos):
    spans = [torch.tensor(x, dtype=torch.float64).reshape(-1, 2) for x in (pred, target)]
    bounds = [torch.tensor([0, len(x)]) for x in spans]
    score = torch.tensor(score, dtype=torch.float64)
    return ops.temporal_average_precision(
        spans[0], score, bounds[0], spans[1], bounds[1], thresholds, **{k: torch.tensor(v) for k, v in videos.items()}
    )[0].tolist()


def test_by_hand():
    truth = [[0.0, 10.0], [20.0, 30.0]]
    # right, wrong, right: precision 1, 1/2, 2/3; half of the recall at 1, half at 2/3
    assert one([[0, 10], [50, 60], [20, 30]], [0.9, 0.8, 0.7], truth, [0.5]) == [pytest.approx(0.5 + 0.5 * 2 / 3)]
    # wrong first: the precision at the first true positive is raised to what comes later
    assert one([[50, 60], [0, 10], [20, 30]], [0.9, 0.8, 0.7], truth, [0.5]) == [pytest.approx(2 / 3)]
    # the second of one true interval is wrong; IoU 0.8 counts at 0.8 and not above
    assert one([[0, 8], [0, 10]], [0.9, 0.8], truth, [0.5, 0.8, 0.85]) == [0.5, 0.5, 0.25]
    assert one([], [], truth, [0.5]) == [0.0] and one([[0, 1]], [1.0], [], [0.5]) == [0.0]
    # nothing that is no interval is right, and it costs precision; NaN scores come last
    assert one([[float("nan"), 3], [0, 10]], [0.9, 0.8], truth[:1], [0.5]) == [0.5]
    assert one([[50, 60], [0, 10]], [float("nan"), 0.1], truth[:1], [0.5]) == [1.0]
    # the same interval in another video is another one
    videos = {"pred_video_K": [1, 0], "target_video_J": [0, 1]}
    assert one([[0, 10], [0, 10]], [0.9, 0.8], [[0.0, 10.0], [3.0, 30.0]], [0.5], **videos) == [0.25]


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"thresholds": []}, ValueError, "thresholds must have at least one number"),
        ({"thresholds": [0.5, 0.0]}, ValueError, "thresholds must be a finite number > 0"),
        ({"thresholds": [1.5]}, ValueError, r"thresholds must be in \(0, 1\]"),
        ({"score_K": torch.zeros(2)}, ValueError, r"score must have shape \(3,\)"),
        ({"score_K": torch.zeros(3).double()}, TypeError, "score must be torch.float32"),
        ({"pred_video_K": torch.zeros(3).long()}, ValueError, "must be given together"),
        (
            {"pred_video_K": torch.zeros(2).long(), "target_video_J": torch.zeros(3).long()},
            ValueError,
            r"pred_video must have shape \(3,\) \(one a prediction\)",
        ),
        ({"target_offsets_B1": torch.tensor([0, 1, 3])}, ValueError, "target_offsets must have shape"),
    ],
)
def test_wrong_arguments(change, error, message):
    spans, offsets = torch.zeros(3, 2), torch.tensor([0, 3])
    good = {"pred_K2": spans, "score_K": torch.zeros(3), "pred_offsets_B1": offsets, "target_J2": spans}
    good |= {"target_offsets_B1": offsets}
    with pytest.raises(error, match=message):
        ops.temporal_average_precision(**{**good, **change})
