"""Average precision of scored intervals."""

import torch
from torch import Tensor

from .temporal_iou import temporal_iou_pairwise


def temporal_average_precision(
    pred_K2: Tensor,
    score_K: Tensor,
    pred_offsets_B1: Tensor,
    target_J2: Tensor,
    target_offsets_B1: Tensor,
    thresholds: list[float],
    pred_video_K: Tensor | None = None,
    target_video_J: Tensor | None = None,
) -> Tensor:
    pred_bounds, target_bounds = pred_offsets_B1.tolist(), target_offsets_B1.tolist()
    ap_BH = pred_K2.new_zeros(len(pred_bounds) - 1, len(thresholds))
    for b in range(len(pred_bounds) - 1):
        mine, true = slice(*pred_bounds[b : b + 2]), slice(*target_bounds[b : b + 2])
        iou = temporal_iou_pairwise(pred_K2[mine].double(), target_J2[true].double())
        if pred_video_K is not None:
            iou = torch.where(pred_video_K[mine, None] == target_video_J[None, true], iou, -1.0)
        order = torch.sort(
            score_K[mine].nan_to_num(-torch.inf, torch.inf, -torch.inf), descending=True, stable=True
        ).indices
        for h, threshold in enumerate(thresholds):
            ap_BH[b, h] = _area(_right(iou[order].tolist(), threshold), iou.shape[1])
    return ap_BH


def _right(iou: list[list[float]], threshold: float) -> list[bool]:
    """For each prediction whether it found a free true interval."""
    free, right = set(range(len(iou[0]))) if iou else set(), []
    for row in iou:
        best = max(((row[j], j) for j in free), default=(0.0, -1))
        right.append(best[0] >= threshold)
        if right[-1]:
            free.remove(best[1])
    return right


def _area(right: list[bool], targets: int) -> float:
    precision = [sum(right[: k + 1]) / (k + 1) for k in range(len(right))]
    return sum(max(precision[k:]) for k in range(len(right)) if right[k]) / max(targets, 1)
