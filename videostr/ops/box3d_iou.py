"""box3d_iou: overlap of upright boxes in space, with or without a heading; matched, and every pair."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_tensor
from ._overlap import broadcast_pair, check_floats

KINDS = ("iou", "bev")


def box3d_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    """Overlap of boxes that stand upright on a ground plane.

        iou  shared volume over the volume of both
        bev  the same of their footprints on the ground (KITTI's bird's-eye view)

    A row is x, y, z, length, width, height, yaw: the centre; length along the heading, width across it; yaw the angle
    from the x axis towards the y axis, in radians, z up. Without the seventh number the box lies along the axes (centre
    and size). From a line of KITTI's labels (camera axes: y down, the position at the bottom, h, w, l, rotation_y):
    (x, z, h / 2 - y, l, w, h, -rotation_y), as the plane x, z of the camera, seen from above, is ours.

    Exact up to rounding: one footprint is cut along the other's sides. A box that is not finite or has a negative size
    scores 0, and so do two without volume (area) together. Never NaN, never above 1.

    Args:
        pred, target: (…, 6) or (…, 7), float32 or float64, of shapes that broadcast.
        kind: "iou" or "bev".

    Returns:
        (…) in the dtype of pred. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    pred, target = _check(pred, target, kind)
    return torch.ops.videostr.box3d_iou(*broadcast_pair(pred, target), kind)


def box3d_iou_pairwise(pred_N: Tensor, target_M: Tensor, kind: str = "iou") -> Tensor:
    """`box3d_iou` of every pair: (N, 6 or 7) and (M, 6 or 7) -> (N, M)."""
    pred_N7, target_M7 = _check(pred_N, target_M, kind)
    check_tensor("pred", pred_N7, ndim=2)
    check_tensor("target", target_M7, ndim=2)
    return torch.ops.videostr.box3d_iou_pairwise(pred_N7, target_M7, kind)


def _check(pred: Tensor, target: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    check_choice("kind", kind, KINDS)
    boxes = []
    for name, value in (("pred", pred), ("target", target)):
        check_tensor(name, value, floating=True)
        columns = 6 if value.ndim and value.shape[-1] == 6 else 7
        check_floats(name, value, columns, "[x, y, z, length, width, height, yaw]", pred)
        value = value.detach()
        boxes.append(torch.nn.functional.pad(value, (0, 1)) if columns == 6 else value)
    return boxes[0], boxes[1]


@torch.library.register_fake("videostr::box3d_iou")
def _fake(pred, target, kind):
    return pred.new_empty(pred.shape[:-1])


@torch.library.register_fake("videostr::box3d_iou_pairwise")
def _fake_pairwise(pred, target, kind):
    return pred.new_empty(pred.shape[0], target.shape[0])


any_device("box3d_iou")(reference.box3d_iou)
any_device("box3d_iou_pairwise")(reference.box3d_iou_pairwise)
