"""temporal_average_precision: average precision of scored intervals over IoU thresholds, a ragged batch in one call."""

from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_number, check_offsets, check_shape, check_tensor
from ._overlap import check_floats, check_ids

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def temporal_average_precision(
    pred_K2: Tensor,
    score_K: Tensor,
    pred_offsets_B1: Tensor,
    target_J2: Tensor,
    target_offsets_B1: Tensor,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    pred_video_K: Tensor | None = None,
    target_video_J: Tensor | None = None,
) -> Tensor:
    """Average precision of each problem's predictions at each IoU threshold: a query of QVHighlights, a class of
    ActivityNet.

    The definition of both evaluations' own code (moment_detr's standalone_eval, ActivityNet's eval_detection: C). The
    highest score first, a prediction takes the free true interval of the highest IoU, if that is at least the
    threshold, and is then right, otherwise wrong. With precision and recall after each prediction,

        AP = sum over right predictions k of (best precision after k or any later prediction) / true intervals

    that is, the area under the interpolated precision of VOC 2011.

    - QVHighlights' mAP: a problem a query; the mean over queries, then over the ten thresholds. Its code keeps the
      first 10 predictions as they were listed, before it sorts by score, and drops queries without a prediction from
      the mean: cut and drop before the call for the same numbers. Here a query without a prediction has AP 0.
    - ActivityNet's: a problem a class, over all videos at once; pred_video and target_video say which belong together.
    - Equal scores: the earlier prediction first, as moment_detr's stable sort (ActivityNet's is not stable). Equal
      IoUs: the last true interval, as both (numpy's argsort, reversed; below 17 intervals). A NaN score comes last,
      with -inf.
    - A problem without a true interval has AP 0: leave it out of a mean. An interval that is not finite or is reversed
      overlaps nothing, and counts.

    Args:
        pred_K2, target_J2: (K, 2), (J, 2), [start, end], float32 or float64, one dtype. score_K: (K,) of that dtype.
        pred_offsets_B1, target_offsets_B1: (B + 1,) int32 or int64, from 0 to K (J), never falling.
        thresholds: H numbers in (0, 1].
        pred_video_K, target_video_J: (K,), (J,) integers; both or neither. Without them a problem is one video.

    Returns:
        (B, H) in the dtype of pred. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    check_floats("pred", pred_K2, 2, "[start, end]")
    check_floats("target", target_J2, 2, "[start, end]", pred_K2)
    check_tensor("pred", pred_K2, ndim=2)
    check_tensor("target", target_J2, ndim=2)
    check_tensor("score", score_K, ndim=1, floating=True)
    check_shape("score", score_K, tuple(pred_K2.shape[:1]), "one a prediction")
    if score_K.dtype != pred_K2.dtype or score_K.device != pred_K2.device:
        raise TypeError(
            f"score must be {pred_K2.dtype} on {pred_K2.device} like pred, got {score_K.dtype} on {score_K.device}"
        )
    pred_offsets = check_offsets("pred_offsets", pred_offsets_B1, pred_K2.shape[0], pred_K2.device, "pred")
    target_offsets = check_offsets(
        "target_offsets", target_offsets_B1, target_J2.shape[0], target_J2.device, "target", pred_offsets_B1
    )
    if not isinstance(thresholds, Sequence) or len(thresholds) == 0:
        raise ValueError(f"thresholds must have at least one number, as a sequence, got {thresholds!r}")
    for threshold in thresholds:
        check_number("thresholds", threshold, above=0.0)
        if threshold > 1:
            raise ValueError(f"thresholds must be in (0, 1], got {threshold}")
    if (pred_video_K is None) != (target_video_J is None):
        raise ValueError("pred_video and target_video must be given together, got one of them")
    if pred_video_K is not None:
        pred_video_K = check_ids("pred_video", pred_video_K, pred_K2, "one a prediction")
        target_video_J = check_ids("target_video", target_video_J, target_J2, "one a true interval")
    return torch.ops.videostr.temporal_average_precision(
        pred_K2.detach(),
        score_K.detach(),
        pred_offsets,
        target_J2.detach(),
        target_offsets,
        [float(x) for x in thresholds],
        pred_video_K,
        target_video_J,
    )


@torch.library.register_fake("videostr::temporal_average_precision")
def _fake(pred, score, pred_offsets, target, target_offsets, thresholds, pred_video, target_video):
    return pred.new_empty(pred_offsets.shape[0] - 1, len(thresholds))


any_device("temporal_average_precision")(reference.temporal_average_precision)
