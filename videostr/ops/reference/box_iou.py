"""Overlap of boxes in an image, and of tubes of them."""

import torch
from torch import Tensor


def box_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    def valid(box: Tensor) -> Tensor:
        return torch.isfinite(box).all(-1) & (box[..., 2:] >= box[..., :2]).all(-1)

    pred, target = torch.broadcast_tensors(pred, target)
    hull = (torch.maximum(pred[..., 2:], target[..., 2:]) - torch.minimum(pred[..., :2], target[..., :2])).prod(-1)
    sides = torch.minimum(pred[..., 2:], target[..., 2:]) - torch.maximum(pred[..., :2], target[..., :2])
    inter = sides.clamp(min=0).prod(-1)
    union = (pred[..., 2:] - pred[..., :2]).prod(-1) + (target[..., 2:] - target[..., :2]).prod(-1) - inter
    score = torch.where(union > 0, inter / union, 0.0)
    if kind == "giou":
        score = score - (hull - union) / hull
    fine = valid(pred) & valid(target) & (hull > 0) & torch.isfinite(hull)
    return torch.where(fine, score, -1.0 if kind == "giou" else 0.0)


def box_iou_pairwise(pred_N4: Tensor, target_M4: Tensor, kind: str = "iou") -> Tensor:
    return box_iou(pred_N4[:, None], target_M4[None], kind)


def tube_iou(
    pred_K4: Tensor,
    pred_frame_K: Tensor,
    pred_offsets_B1: Tensor,
    target_J4: Tensor,
    target_frame_J: Tensor,
    target_offsets_B1: Tensor,
    over: str = "target",
) -> Tensor:
    pred_bounds, target_bounds = pred_offsets_B1.tolist(), target_offsets_B1.tolist()
    score_B = pred_K4.new_zeros(len(pred_bounds) - 1)
    pred_frames, target_frames = pred_frame_K.tolist(), target_frame_J.tolist()
    for b in range(len(pred_bounds) - 1):
        mine = {pred_frames[k]: k for k in range(*pred_bounds[b : b + 2])}  # the last of a frame
        true = {target_frames[j]: j for j in range(*target_bounds[b : b + 2])}
        shared = sorted(mine.keys() & true.keys())
        frames = len(true) if over == "target" else len(mine.keys() | true.keys())
        if shared:
            pred, target = pred_K4[[mine[f] for f in shared]], target_J4[[true[f] for f in shared]]
            score_B[b] = box_iou(pred, target).sum() / frames
    return score_B
