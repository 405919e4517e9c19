"""temporal_iou: overlap of intervals in time; matched, and every pair."""

import numbers

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_tensor, readable
from ._overlap import broadcast_pair, check_floats

KINDS = ("iou", "giou", "diou", "hull", "iop", "time_r1")


def temporal_iou(pred: Tensor, target: Tensor, kind: str = "iou", duration: Tensor | float | None = None) -> Tensor:
    """Overlap of intervals [start, end], in any one unit of time.

        iou      |P ∩ T| / |P ∪ T|
        hull     |P ∩ T| / |hull(P, T)|: the paper's R_iou (papers A2, grade C); on a line the same as iou
        giou     iou - (|hull| - |P ∪ T|) / |hull|, in (-1, 1]
        diou     iou - (distance of the centres / |hull|)^2, in (-1, 1]
        iop      |P ∩ T| / |P|: NExT-GQA's intersection over prediction (papers A4, C); 0 for a prediction of no length
        time_r1  iou * max(0, 1 - |Δstart| / duration) * max(0, 1 - |Δend| / duration): Time-R1's, in which the ends
                 count (arXiv 2503.13377; its code: C); that a factor ends at 0 is ours (O): two negative ones would
                 earn again

    An interval that is not finite or whose end lies before its start scores the worst value (-1 for giou and diou, 0
    for the others), and so do two intervals that span nothing together; its gradient is 0. Never NaN.

    Args:
        pred, target: (…, 2), float32 or float64, of shapes that broadcast.
        kind: one of the six above.
        duration: time_r1's alone, and needed there: the video's length, > 0; a number, or a tensor that broadcasts to
            the result's shape.

    Returns:
        (…) in the dtype of pred; differentiable in pred and target, not in duration.

    Raises:
        TypeError, ValueError: an argument is not as above (durations on a GPU are not looked at: one that is not
        finite or not > 0 scores 0).
    """
    _check_pair(pred, target, kind)
    duration = _check_duration(duration, kind, pred)
    pred, target = broadcast_pair(pred, target)
    return torch.ops.videostr.temporal_iou(pred, target, kind, _expand(duration, pred.shape[:-1], "the result's"))


def temporal_iou_pairwise(
    pred_N2: Tensor, target_M2: Tensor, kind: str = "iou", duration: Tensor | float | None = None
) -> Tensor:
    """`temporal_iou` of every pair: (N, 2) and (M, 2) -> (N, M). `duration`: a number, or (N,), one a prediction."""
    _check_pair(pred_N2, target_M2, kind)
    check_tensor("pred", pred_N2, ndim=2)
    check_tensor("target", target_M2, ndim=2)
    duration = _expand(_check_duration(duration, kind, pred_N2), pred_N2.shape[:1], "(N,), one a prediction:")
    return torch.ops.videostr.temporal_iou_pairwise(pred_N2, target_M2, kind, duration)


def _check_pair(pred: Tensor, target: Tensor, kind: str) -> None:
    check_floats("pred", pred, 2, "[start, end]")
    check_floats("target", target, 2, "[start, end]", pred)
    check_choice("kind", kind, KINDS)


def _check_duration(duration: Tensor | float | None, kind: str, pred: Tensor) -> Tensor | None:
    if kind != "time_r1":
        if duration is not None:
            raise ValueError(f"duration is for kind 'time_r1' alone, got one with kind {kind!r}")
        return None
    if duration is None:
        raise ValueError("duration must be given for kind 'time_r1', got None")
    if isinstance(duration, numbers.Real | torch.SymFloat | torch.SymInt):
        check_number("duration", duration, above=0.0)
        return pred.new_tensor(duration)
    check_tensor("duration", duration)
    check_device("duration", duration, pred.device, "pred")
    duration = duration.detach().to(pred.dtype)
    if readable(duration) and not bool(((duration > 0) & duration.isfinite()).all()):
        raise ValueError(f"duration must be finite and > 0, got {duration.tolist()}")
    return duration


def _expand(duration: Tensor | None, shape: torch.Size, what: str) -> Tensor | None:
    if duration is None:
        return None
    try:
        return duration.expand(shape)
    except RuntimeError as error:
        raise ValueError(
            f"duration must have a shape that broadcasts to {what} {tuple(shape)}, got {tuple(duration.shape)}"
        ) from error


@torch.library.register_fake("videostr::temporal_iou")
def _fake(pred, target, kind, duration=None):
    return pred.new_empty(pred.shape[:-1])


@torch.library.register_fake("videostr::temporal_iou_pairwise")
def _fake_pairwise(pred, target, kind, duration=None):
    return pred.new_empty(pred.shape[0], target.shape[0])


any_device("temporal_iou")(reference.temporal_iou)
any_device("temporal_iou_pairwise")(reference.temporal_iou_pairwise)


def _gradients(pred: Tensor, target: Tensor, kind: str, duration: Tensor | None) -> tuple[Tensor, Tensor]:
    """Derivatives of the score by pred and target, (…, 2) each; ties between ends are shared, as torch.max does."""
    valid = reference.within_range(pred) & reference.within_range(target)
    valid = valid & (pred[..., 1] >= pred[..., 0]) & (target[..., 1] >= target[..., 0])
    hull = torch.maximum(pred[..., 1], target[..., 1]) - torch.minimum(pred[..., 0], target[..., 0])
    valid = valid & (hull > 0)
    if kind == "iop":
        valid = valid & (pred[..., 1] > pred[..., 0])
    if kind == "time_r1":
        valid = valid & (duration > 0) & duration.isfinite()
        duration = torch.where(valid, duration, 1.0)[..., None]
    valid = valid[..., None]
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
    length = p[..., 1:] - p[..., :1]
    union = length + (t[..., 1:] - t[..., :1]) - inter

    def quotient(top, d_top, bottom, d_bottom):
        return (d_top * bottom - top * d_bottom) / bottom.square()

    grads = []
    for sign, inter_d, hull_d in ((1.0, inter_p, hull_p), (-1.0, inter_t, hull_t)):
        union_d = outward - inter_d
        if kind == "hull":
            grad = quotient(inter, inter_d, hull, hull_d)
        elif kind == "iop":
            grad = quotient(inter, inter_d, length, outward if sign > 0 else 0.0)
        else:
            grad = torch.where(union > 0, quotient(inter, inter_d, union, union_d), 0.0)
        if kind == "giou":
            grad = grad + quotient(union, union_d, hull, hull_d)
        elif kind == "diou":
            centre_gap = (p - t).sum(-1, keepdim=True) / 2
            share = centre_gap / hull
            grad = grad - 2 * share * quotient(centre_gap, sign * 0.5 * torch.ones_like(p), hull, hull_d)
        elif kind == "time_r1":
            ends = 1 - (p - t).abs() / duration
            ends_d = torch.where(ends >= 0, -sign * side / duration, 0.0)
            ends, iou = ends.clamp(min=0), torch.where(union > 0, inter / union, 0.0)
            grad = grad * ends.prod(-1, keepdim=True) + iou * ends_d * ends.flip(-1)
        grads.append(torch.where(valid, grad, 0.0))
    return grads[0], grads[1]


def _setup_context(ctx, inputs, output):
    pred, target, ctx.kind, duration = inputs
    ctx.save_for_backward(pred, target, duration)


def _backward(ctx, grad):
    pred, target, duration = ctx.saved_tensors
    by_pred, by_target = _gradients(pred, target, ctx.kind, duration)
    return grad[..., None] * by_pred, grad[..., None] * by_target, None, None


def _backward_pairwise(ctx, grad):
    pred, target, duration = ctx.saved_tensors
    pred, target = torch.broadcast_tensors(pred[:, None], target[None])
    by_pred, by_target = _gradients(pred, target, ctx.kind, None if duration is None else duration[:, None])
    return (grad[..., None] * by_pred).sum(1), (grad[..., None] * by_target).sum(0), None, None


torch.library.register_autograd("videostr::temporal_iou", _backward, setup_context=_setup_context)
torch.library.register_autograd("videostr::temporal_iou_pairwise", _backward_pairwise, setup_context=_setup_context)
