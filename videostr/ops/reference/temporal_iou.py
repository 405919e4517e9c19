"""Overlap of intervals in time."""

import torch
from torch import Tensor


def temporal_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    pred, target = torch.broadcast_tensors(pred, target)
    pred_start, pred_end = pred.unbind(-1)
    start, end = target.unbind(-1)
    hull = torch.maximum(pred_end, end) - torch.minimum(pred_start, start)
    valid = torch.isfinite(pred).all(-1) & torch.isfinite(target).all(-1) & (pred_end >= pred_start) & (end >= start)
    valid = valid & (hull > 0)

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
    centre_gap = (pred_start + pred_end - start - end) / 2
    return where_valid(iou - (centre_gap / hull).square(), -1.0)  # diou


def temporal_iou_pairwise(pred_N2: Tensor, target_M2: Tensor, kind: str = "iou") -> Tensor:
    return temporal_iou(pred_N2[:, None], target_M2[None], kind)


def temporal_iou_sets(pred_K2: Tensor, pred_offsets_B1: Tensor, target_J2: Tensor, target_offsets_B1: Tensor) -> Tensor:
    pred_offsets, target_offsets = pred_offsets_B1.tolist(), target_offsets_B1.tolist()
    score_B = pred_K2.new_zeros(len(pred_offsets) - 1)
    for b in range(len(pred_offsets) - 1):
        pred = _drop_invalid(pred_K2[pred_offsets[b] : pred_offsets[b + 1]])
        target = _drop_invalid(target_J2[target_offsets[b] : target_offsets[b + 1]])
        cut_E = torch.cat([pred.flatten(), target.flatten()]).unique(sorted=True)
        if cut_E.numel() < 2:
            continue
        # between two neighbouring end points nothing changes: a piece lies in a set or it does not
        piece_E, left_E = cut_E.diff(), cut_E[:-1]
        in_pred_E, in_target_E = _covers(pred, left_E), _covers(target, left_E)
        union = piece_E[in_pred_E | in_target_E].sum()
        if union > 0:
            score_B[b] = piece_E[in_pred_E & in_target_E].sum() / union
    return score_B


def _drop_invalid(span_K2: Tensor) -> Tensor:
    return span_K2[torch.isfinite(span_K2).all(-1) & (span_K2[:, 1] > span_K2[:, 0])]


def _covers(span_K2: Tensor, left_E: Tensor) -> Tensor:
    return ((span_K2[:, :1] <= left_E) & (left_E < span_K2[:, 1:])).any(0)
