"""temporal_nms: non-maximum suppression of intervals, a ragged batch of problems in one call."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_number, check_offsets, check_shape, check_tensor
from ._overlap import check_floats


def temporal_nms(span_K2: Tensor, score_K: Tensor, offsets_B1: Tensor, threshold: float) -> Tensor:
    """Which intervals stay, problem by problem: hard non-maximum suppression, as torchvision.ops.nms does for boxes.

    The highest score first, an interval stays unless its IoU with one that stays is above `threshold`. Equal scores:
    the earlier one first. A NaN score comes last, with -inf. An interval that is not finite or is reversed never stays.

    Args:
        span_K2: (K, 2), [start, end], float32 or float64. score_K: (K,) of the same dtype.
        offsets_B1: (B + 1,) int32 or int64, from 0 to K, never falling: problem b owns offsets[b] up to offsets[b + 1].
        threshold: in [0, 1].

    Returns:
        (K,) bool: a mask and not a list, so that a GPU need not be waited for.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    check_floats("span", span_K2, 2, "[start, end]")
    check_tensor("span", span_K2, ndim=2)
    check_tensor("score", score_K, ndim=1, floating=True)
    check_shape("score", score_K, tuple(span_K2.shape[:1]), "one an interval")
    if score_K.dtype != span_K2.dtype or score_K.device != span_K2.device:
        raise TypeError(
            f"score must be {span_K2.dtype} on {span_K2.device} like span, got {score_K.dtype} on {score_K.device}"
        )
    check_number("threshold", threshold, at_least=0.0)
    if threshold > 1:
        raise ValueError(f"threshold must be in [0, 1], got {threshold}")
    offsets = check_offsets("offsets", offsets_B1, span_K2.shape[0], span_K2.device, "span")
    return torch.ops.videostr.temporal_nms(span_K2.detach(), score_K.detach(), offsets, float(threshold))


@torch.library.register_fake("videostr::temporal_nms")
def _fake(span, score, offsets, threshold):
    return span.new_empty(span.shape[0], dtype=torch.bool)


any_device("temporal_nms")(reference.temporal_nms)
