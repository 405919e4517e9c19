"""What released reward and evaluation code does an answer at a time, written again in plain Python and numpy."""

import numpy as np

Span = list[float]


def giou(p: Span, t: Span) -> float:
    inter = max(0.0, min(p[1], t[1]) - max(p[0], t[0]))
    union = p[1] - p[0] + t[1] - t[0] - inter
    hull = max(p[1], t[1]) - min(p[0], t[0])
    return inter / union - (hull - union) / hull


def global_f1(pred: list[Span], target: list[Span]) -> float:
    """F1 of the covered length, as MUSEG's global matching: predictions merged, then every pair's overlap summed."""
    merged: list[Span] = []
    for start, end in sorted(pred):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    shared = sum(max(0.0, min(p[1], t[1]) - max(p[0], t[0])) for t in target for p in merged)
    precision = shared / sum(end - start for start, end in merged)
    recall = shared / sum(end - start for start, end in target)
    return 2 * precision * recall / (precision + recall) if shared else 0.0


def written_matching(pred: list[Span], target: list[Span]) -> float:
    return sum((1 + giou(p, t)) / 2 for p, t in zip(pred, target, strict=False)) / max(len(pred), len(target))


def ordered_matching(pred: list[Span], target: list[Span]) -> float:
    best = [0.0] * (len(target) + 1)
    for p in pred:
        row = [0.0]
        for j, t in enumerate(target):
            row.append(max(best[j + 1], row[j], best[j] + (1 + giou(p, t)) / 2))
        best = row
    return best[-1] / max(len(pred), len(target))


def tube_viou(pred: dict[int, Span], target: dict[int, Span]) -> float:
    """Mean over the annotated frames of the boxes' IoU; a frame without a prediction has 0."""
    total = 0.0
    for frame, t in target.items():
        p = pred.get(frame)
        if p is None:
            continue
        width, height = min(p[2], t[2]) - max(p[0], t[0]), min(p[3], t[3]) - max(p[1], t[1])
        inter = max(0.0, width) * max(0.0, height)
        union = (p[2] - p[0]) * (p[3] - p[1]) + (t[2] - t[0]) * (t[3] - t[1]) - inter
        total += inter / union if union > 0 else 0.0
    return total / len(target)


def nms(spans: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The usual loop over what is left, a numpy expression a round."""
    kept, left = [], np.argsort(-scores, kind="stable")
    while left.size:
        first, left = left[0], left[1:]
        kept.append(int(first))
        inter = np.minimum(spans[first, 1], spans[left, 1]) - np.maximum(spans[first, 0], spans[left, 0])
        inter = inter.clip(0)
        union = spans[first, 1] - spans[first, 0] + spans[left, 1] - spans[left, 0] - inter
        left = left[inter / union <= threshold]
    return kept


def average_precision(pred: np.ndarray, score: np.ndarray, target: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """The loop of moment_detr's and ActivityNet's evaluation: over predictions, thresholds and candidates."""
    order = np.argsort(-score, kind="stable")
    taken = np.zeros((len(thresholds), len(target)), bool)
    right = np.zeros((len(thresholds), len(pred)))
    for rank, p in enumerate(pred[order]):
        inter = (np.minimum(p[1], target[:, 1]) - np.maximum(p[0], target[:, 0])).clip(0)
        iou = inter / (p[1] - p[0] + target[:, 1] - target[:, 0] - inter)
        candidates = iou.argsort()[::-1]
        for h, threshold in enumerate(thresholds):
            for j in candidates:
                if iou[j] < threshold:
                    break
                if not taken[h, j]:
                    taken[h, j] = right[h, rank] = True
                    break
    found = right.cumsum(1)
    precision = found / np.arange(1, len(pred) + 1)
    best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    return (best * right).sum(1) / len(target)
