"""Overlap of upright boxes in space.

The shared area of two footprints is integrated along x in the axes of the first: between two neighbouring corners or
crossings the height of what they share is linear in x, so the height in the middle times the width is exact.
"""

import torch
from torch import Tensor


def box3d_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    pred, target = torch.broadcast_tensors(pred, target)

    def valid(box: Tensor) -> Tensor:
        return torch.isfinite(box).all(-1) & (box[..., 3:6] >= 0).all(-1)

    fine = valid(pred) & valid(target)
    unit = pred.new_tensor([0.0, 0, 0, 1, 1, 1, 0])
    p, t = torch.where(fine[..., None], pred, unit), torch.where(fine[..., None], target, unit)
    inter, whole_p, whole_t = _shared_ground(p, t), p[..., 3:5].prod(-1), t[..., 3:5].prod(-1)
    inter = torch.minimum(inter, torch.minimum(whole_p, whole_t))
    if kind == "iou":
        top = torch.minimum(p[..., 2] + p[..., 5] / 2, t[..., 2] + t[..., 5] / 2)
        bottom = torch.maximum(p[..., 2] - p[..., 5] / 2, t[..., 2] - t[..., 5] / 2)
        inter, whole_p, whole_t = inter * (top - bottom).clamp(min=0), whole_p * p[..., 5], whole_t * t[..., 5]
    union = whole_p + whole_t - inter
    return torch.where(fine & (union > 0), inter / union, 0.0).nan_to_num(0.0)


def box3d_iou_pairwise(pred_N7: Tensor, target_M7: Tensor, kind: str = "iou") -> Tensor:
    return box3d_iou(pred_N7[:, None], target_M7[None], kind)


def _shared_ground(a: Tensor, b: Tensor) -> Tensor:
    """Area that the footprints of (…, 7) share, (…)."""
    delta_x, delta_y = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    cos_a, sin_a = a[..., 6].cos(), a[..., 6].sin()
    x, y = cos_a * delta_x + sin_a * delta_y, cos_a * delta_y - sin_a * delta_x  # b's centre in the axes of a
    cos, sin = (b[..., 6] - a[..., 6]).cos(), (b[..., 6] - a[..., 6]).sin()
    (half_x, half_y), (half_l, half_w) = a[..., 3:5].unbind(-1), b[..., 3:5].unbind(-1)
    half_x, half_y, half_l, half_w = (half / 2 for half in (half_x, half_y, half_l, half_w))

    at = [-half_x, half_x]
    for u in (-half_l, half_l):
        at += [x + u * cos - v * sin for v in (-half_w, half_w)]  # corners of b
    for edge in (-half_y, half_y):  # where a side of b crosses the upper or lower side of a
        at += [x + (u - (edge - y) * sin) / cos for u in (-half_l, half_l)]
        at += [x + ((edge - y) * cos - v) / sin for v in (-half_w, half_w)]
    at_E = torch.stack(at, -1).nan_to_num(0.0)
    at_E = at_E.clamp(-half_x[..., None], half_x[..., None]).sort(-1).values
    width_E, middle_E = at_E.diff(), (at_E[..., 1:] + at_E[..., :-1]) / 2

    # b is |dx cos + dy sin| <= half_l and |dy cos - dx sin| <= half_w, dx and dy from its centre
    dx_E, y, cos, sin = middle_E - x[..., None], y[..., None], cos[..., None], sin[..., None]
    low_E, high_E = -half_y[..., None].expand_as(dx_E), half_y[..., None].expand_as(dx_E)
    for slope, shift, half in ((sin, dx_E * cos, half_l[..., None]), (cos, -dx_E * sin, half_w[..., None])):
        ends = torch.stack([(-half - shift) / slope, (half - shift) / slope])
        flat = torch.where(shift.abs() <= half, torch.inf, -torch.inf)  # slope 0: everything, or nothing
        low_E = torch.maximum(low_E, torch.where(slope == 0, -flat, y + ends.amin(0)))
        high_E = torch.minimum(high_E, torch.where(slope == 0, flat, y + ends.amax(0)))
    return ((high_E - low_E).clamp(min=0) * width_E).sum(-1)
