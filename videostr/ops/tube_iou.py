"""tube_iou: vIoU of tubes, boxes by frame, a ragged batch of answers in one call."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_offsets, check_tensor
from ._overlap import check_floats, check_ids

OVER = ("target", "union")


def tube_iou(
    pred_K4: Tensor,
    pred_frame_K: Tensor,
    pred_offsets_B1: Tensor,
    target_J4: Tensor,
    target_frame_J: Tensor,
    target_offsets_B1: Tensor,
    over: str = "target",
) -> Tensor:
    """vIoU of B answers: the boxes' IoU, summed over the frames that prediction and truth share, over a frame count.

        over="target"  annotated frames, so that a box too few costs and one too many does not: V-STaR's (its code: C)
        over="union"   frames of either: the vIoU of VidSTG and HC-STVG (as in TubeDETR's evaluation: C; its script for
                       VidSTG ends the union at the earlier of the two ends, a slip that is not followed here)

    Of several boxes in one frame the last counts. A predicted box that is not finite or is reversed has IoU 0, as a
    missing one. An answer without frames scores 0.

    Args:
        pred_K4, target_J4: (K, 4), (J, 4), x0, y0, x1, y1, float32 or float64, one dtype.
        pred_frame_K, target_frame_J: (K,), (J,) integers, in any order: frame numbers, or timestamps as whole numbers
            (of milliseconds, say); equal ones are one frame.
        pred_offsets_B1, target_offsets_B1: (B + 1,) int32 or int64, from 0 to K (J), never falling: answer b owns the
            rows offsets[b] up to offsets[b + 1].
        over: "target" or "union".

    Returns:
        (B,) in the dtype of pred. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    check_floats("pred", pred_K4, 4, "[x0, y0, x1, y1]")
    check_floats("target", target_J4, 4, "[x0, y0, x1, y1]", pred_K4)
    check_tensor("pred", pred_K4, ndim=2)
    check_tensor("target", target_J4, ndim=2)
    check_choice("over", over, OVER)
    pred_frame = check_ids("pred_frame", pred_frame_K, pred_K4, "one a box")
    target_frame = check_ids("target_frame", target_frame_J, target_J4, "one a box")
    pred_offsets = check_offsets("pred_offsets", pred_offsets_B1, pred_K4.shape[0], pred_K4.device, "pred")
    target_offsets = check_offsets(
        "target_offsets", target_offsets_B1, target_J4.shape[0], target_J4.device, "target", pred_offsets_B1
    )
    return torch.ops.videostr.tube_iou(
        pred_K4.detach(), pred_frame, pred_offsets, target_J4.detach(), target_frame, target_offsets, over
    )


@torch.library.register_fake("videostr::tube_iou")
def _fake(pred, pred_frame, pred_offsets, target, target_frame, target_offsets, over):
    return pred.new_empty(pred_offsets.shape[0] - 1)


any_device("tube_iou")(reference.tube_iou)
