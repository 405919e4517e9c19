"""box_iou: overlap of boxes in an image; matched, and every pair."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_tensor
from ._overlap import broadcast_pair, check_floats

KINDS = ("iou", "giou")


def box_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    """Overlap of boxes x0, y0, x1, y1, in any one unit of length.

        iou   |P ∩ T| / |P ∪ T|
        giou  iou - (|hull| - |P ∪ T|) / |hull|, the hull the smallest box around both; in (-1, 1]

    A box that is not finite or whose x1 < x0 or y1 < y0 scores the worst value (0; -1 for giou), and so do two that
    span no area together. Never NaN.

    Args:
        pred, target: (…, 4), float32 or float64, of shapes that broadcast.
        kind: "iou" or "giou".

    Returns:
        (…) in the dtype of pred. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    _check(pred, target, kind)
    return torch.ops.videostr.box_iou(*broadcast_pair(pred.detach(), target.detach()), kind)


def box_iou_pairwise(pred_N4: Tensor, target_M4: Tensor, kind: str = "iou") -> Tensor:
    """`box_iou` of every pair: (N, 4) and (M, 4) -> (N, M)."""
    _check(pred_N4, target_M4, kind)
    check_tensor("pred", pred_N4, ndim=2)
    check_tensor("target", target_M4, ndim=2)
    return torch.ops.videostr.box_iou_pairwise(pred_N4.detach(), target_M4.detach(), kind)


def _check(pred: Tensor, target: Tensor, kind: str) -> None:
    check_floats("pred", pred, 4, "[x0, y0, x1, y1]")
    check_floats("target", target, 4, "[x0, y0, x1, y1]", pred)
    check_choice("kind", kind, KINDS)


@torch.library.register_fake("videostr::box_iou")
def _fake(pred, target, kind):
    return pred.new_empty(pred.shape[:-1])


@torch.library.register_fake("videostr::box_iou_pairwise")
def _fake_pairwise(pred, target, kind):
    return pred.new_empty(pred.shape[0], target.shape[0])


any_device("box_iou")(reference.box_iou)
any_device("box_iou_pairwise")(reference.box_iou_pairwise)
