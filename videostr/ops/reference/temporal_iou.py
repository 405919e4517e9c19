"""Overlap of intervals in time."""

import torch
from torch import Tensor


def within_range(span: Tensor) -> Tensor:
    """(…, 2) -> (…): finite, and so far from what a double holds that no difference or sum of a few overflows."""
    return (span.abs() < 1e300).all(-1)


def temporal_iou(pred: Tensor, target: Tensor, kind: str = "iou", duration: Tensor | None = None) -> Tensor:
    pred, target = torch.broadcast_tensors(pred, target)
    pred_start, pred_end = pred.unbind(-1)
    start, end = target.unbind(-1)
    hull = torch.maximum(pred_end, end) - torch.minimum(pred_start, start)
    valid = within_range(pred) & within_range(target) & (pred_end >= pred_start) & (end >= start)
    valid = valid & (hull > 0)
    if kind == "iop":
        valid = valid & (pred_end > pred_start)
    if kind == "time_r1":
        valid = valid & (duration > 0) & torch.isfinite(duration)

    def where_valid(x: Tensor, otherwise: float) -> Tensor:
        return torch.where(valid, x, x.new_tensor(otherwise))

    # an invalid interval is replaced before any arithmetic, so that its NaN reaches no gradient either
    pred_start, start = where_valid(pred_start, 0.0), where_valid(start, 0.0)
    pred_end, end = where_valid(pred_end, 1.0), where_valid(end, 1.0)
    hull = torch.maximum(pred_end, end) - torch.minimum(pred_start, start)
    inter = (torch.minimum(pred_end, end) - torch.maximum(pred_start, start)).clamp(min=0)
    union = (pred_end - pred_start) + (end - start) - inter
    iou = torch.where(union > 0, inter / torch.where(union > 0, union, 1.0), 0.0)  # two points share nothing
    if kind == "iou":
        return where_valid(iou, 0.0)
    if kind == "hull":
        return where_valid(inter / hull, 0.0)
    if kind == "giou":
        return where_valid(iou - (hull - union) / hull, -1.0)
    if kind == "iop":
        return where_valid(inter / (pred_end - pred_start), 0.0)
    if kind == "time_r1":
        duration = where_valid(duration, 1.0)
        at_start = (1 - (pred_start - start).abs() / duration).clamp(min=0)
        at_end = (1 - (pred_end - end).abs() / duration).clamp(min=0)
        return where_valid(iou * at_start * at_end, 0.0)
    centre_gap = (pred_start + pred_end - start - end) / 2
    return where_valid(iou - (centre_gap / hull).square(), -1.0)  # diou


def temporal_iou_pairwise(
    pred_N2: Tensor, target_M2: Tensor, kind: str = "iou", duration_N: Tensor | None = None
) -> Tensor:
    return temporal_iou(pred_N2[:, None], target_M2[None], kind, None if duration_N is None else duration_N[:, None])
