"""temporal_iou: overlap of intervals in time; matched, every pair, and unions of ragged sets."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_shape, check_tensor, readable

KINDS = ("iou", "giou", "diou", "hull")


def temporal_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    """Overlap of intervals [start, end], in any one unit of time.

        iou   |P ∩ T| / |P ∪ T|
        hull  |P ∩ T| / |hull(P, T)|: the paper's R_iou (papers A2, grade C); on a line the same as iou
        giou  iou - (|hull| - |P ∪ T|) / |hull|, in (-1, 1]
        diou  iou - (distance of the centres / |hull|)^2, in (-1, 1]

    An interval that is not finite or whose end lies before its start scores the worst value (0 for iou and hull, -1 for
    giou and diou), and so do two intervals that span nothing together; its gradient is 0. Never NaN.

    Args:
        pred, target: (…, 2), float32 or float64, of shapes that broadcast.
        kind: one of the four above.

    Returns:
        (…) in the dtype of pred; differentiable in both.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    _check_pair(pred, target, kind)
    try:
        pred, target = torch.broadcast_tensors(pred, target)
    except RuntimeError as error:
        raise ValueError(
            f"target must have a shape that broadcasts with pred's {tuple(pred.shape)}, got {tuple(target.shape)}"
        ) from error
    return torch.ops.videostr.temporal_iou(pred, target, kind)


def temporal_iou_pairwise(pred_N2: Tensor, target_M2: Tensor, kind: str = "iou") -> Tensor:
    """`temporal_iou` of every pair: (N, 2) and (M, 2) -> (N, M)."""
    _check_pair(pred_N2, target_M2, kind)
    check_tensor("pred", pred_N2, ndim=2)
    check_tensor("target", target_M2, ndim=2)
    return torch.ops.videostr.temporal_iou_pairwise(pred_N2, target_M2, kind)


def temporal_iou_sets(pred_K2: Tensor, pred_offsets_B1: Tensor, target_J2: Tensor, target_offsets_B1: Tensor) -> Tensor:
    """IoU of the union of each problem's predicted intervals with the union of its true ones.

    Problem b owns pred[pred_offsets[b] : pred_offsets[b + 1]], and likewise the target. Overlapping intervals of a set
    count once; invalid and empty ones count for nothing; two sets without length score 0.

    Args:
        pred_K2, target_J2: (K, 2), (J, 2), float32 or float64, one dtype.
        pred_offsets_B1, target_offsets_B1: (B + 1,) int32 or int64, from 0 to K (J), never falling.

    Returns:
        (B,) in the dtype of pred. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    _check_pair(pred_K2, target_J2, "iou")
    check_tensor("pred", pred_K2, ndim=2)
    check_tensor("target", target_J2, ndim=2)
    offsets = {"pred_offsets": (pred_offsets_B1, pred_K2), "target_offsets": (target_offsets_B1, target_J2)}
    for name, (value, spans) in offsets.items():
        check_tensor(name, value, ndim=1, floating=False)
        check_device(name, value, pred_K2.device, "pred")
        if value.numel() == 0:
            raise ValueError(f"{name} must have at least one entry (B + 1), got none")
        if readable(value):
            first, last = int(value[0]), int(value[-1])
            if first != 0 or last != spans.shape[0] or bool((value.diff() < 0).any()):
                raise ValueError(f"{name} must run from 0 to {spans.shape[0]} without falling, got {value.tolist()}")
    check_shape("target_offsets", target_offsets_B1, tuple(pred_offsets_B1.shape), "as pred_offsets")
    return torch.ops.videostr.temporal_iou_sets(
        pred_K2.detach(), pred_offsets_B1.long(), target_J2.detach(), target_offsets_B1.long()
    )


def _check_pair(pred: Tensor, target: Tensor, kind: str) -> None:
    for name, value in (("pred", pred), ("target", target)):
        check_tensor(name, value, floating=True)
        if value.ndim == 0 or value.shape[-1] != 2:
            raise ValueError(f"{name} must have shape (…, 2), [start, end], got {tuple(value.shape)}")
        if value.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} must be float32 or float64, got {value.dtype}")
    if pred.dtype != target.dtype:
        raise TypeError(f"pred and target must have one dtype, got {pred.dtype} and {target.dtype}")
    check_device("target", target, pred.device, "pred")
    check_choice("kind", kind, KINDS)


@torch.library.register_fake("videostr::temporal_iou")
def _fake(pred, target, kind):
    return pred.new_empty(pred.shape[:-1])


@torch.library.register_fake("videostr::temporal_iou_pairwise")
def _fake_pairwise(pred, target, kind):
    return pred.new_empty(pred.shape[0], target.shape[0])


@torch.library.register_fake("videostr::temporal_iou_sets")
def _fake_sets(pred, pred_offsets, target, target_offsets):
    return pred.new_empty(pred_offsets.shape[0] - 1)


any_device("temporal_iou")(reference.temporal_iou)
any_device("temporal_iou_pairwise")(reference.temporal_iou_pairwise)
any_device("temporal_iou_sets")(reference.temporal_iou_sets)


def _gradients(pred: Tensor, target: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Derivatives of the score by pred and target, (…, 2) each; ties between ends are shared, as torch.max does."""
    valid = torch.isfinite(pred).all(-1) & torch.isfinite(target).all(-1)
    valid = valid & (pred[..., 1] >= pred[..., 0]) & (target[..., 1] >= target[..., 0])
    hull = torch.maximum(pred[..., 1], target[..., 1]) - torch.minimum(pred[..., 0], target[..., 0])
    valid = (valid & (hull > 0))[..., None]
    unit = pred.new_tensor([0.0, 1.0])
    p, t = torch.where(valid, pred, unit), torch.where(valid, target, unit)
    # derivative of the hull and of the overlap by (start, end) of pred; target has what is left of ±1
    side = torch.sign(p - t)
    outward = pred.new_tensor([-1.0, 1.0])
    hull_p = outward * (1 + outward * side) / 2
    hull_t = outward - hull_p
    inter_p = outward * (1 - outward * side) / 2
    inter_t = outward - inter_p
    hull = (torch.maximum(p[..., 1], t[..., 1]) - torch.minimum(p[..., 0], t[..., 0]))[..., None]
    inter = (torch.minimum(p[..., 1], t[..., 1]) - torch.maximum(p[..., 0], t[..., 0]))[..., None]
    touching = (inter >= 0).to(p.dtype)
    inter, inter_p, inter_t = inter.clamp(min=0), inter_p * touching, inter_t * touching
    union = (p[..., 1:] - p[..., :1]) + (t[..., 1:] - t[..., :1]) - inter

    def quotient(top, d_top, bottom, d_bottom):
        return (d_top * bottom - top * d_bottom) / bottom.square()

    grads = []
    centre_gap = ((p - t).sum(-1, keepdim=True)) / 2
    for sign, inter_d, hull_d in ((1.0, inter_p, hull_p), (-1.0, inter_t, hull_t)):
        union_d = outward - inter_d
        if kind == "hull":
            grad = quotient(inter, inter_d, hull, hull_d)
        else:
            grad = torch.where(union > 0, quotient(inter, inter_d, union, union_d), 0.0)
        if kind == "giou":
            grad = grad + quotient(union, union_d, hull, hull_d)
        elif kind == "diou":
            share = centre_gap / hull
            grad = grad - 2 * share * quotient(centre_gap, sign * 0.5 * torch.ones_like(p), hull, hull_d)
        grads.append(torch.where(valid, grad, 0.0))
    return grads[0], grads[1]


def _setup_context(ctx, inputs, output):
    pred, target, ctx.kind = inputs
    ctx.save_for_backward(pred, target)


def _backward(ctx, grad):
    by_pred, by_target = _gradients(*ctx.saved_tensors, ctx.kind)
    return grad[..., None] * by_pred, grad[..., None] * by_target, None


def _backward_pairwise(ctx, grad):
    pred, target = ctx.saved_tensors
    pred, target = torch.broadcast_tensors(pred[:, None], target[None])
    by_pred, by_target = _gradients(pred, target, ctx.kind)
    return (grad[..., None] * by_pred).sum(1), (grad[..., None] * by_target).sum(0), None


torch.library.register_autograd("videostr::temporal_iou", _backward, setup_context=_setup_context)
torch.library.register_autograd("videostr::temporal_iou_pairwise", _backward_pairwise, setup_context=_setup_context)
