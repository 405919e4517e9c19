"""temporal_set_scores: ragged sets of intervals, an answer's segments against the true ones."""

from typing import NamedTuple

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_offsets, check_tensor
from ._overlap import check_floats

PAIRINGS = ("written", "ordered")


class SetScores(NamedTuple):
    """Five numbers an answer, (B,) each, in [0, 1], in the dtype of pred; see `temporal_set_scores`."""

    iou_B: Tensor
    precision_B: Tensor
    recall_B: Tensor
    f1_B: Tensor
    matching_B: Tensor


def temporal_set_scores(
    pred_K2: Tensor, pred_offsets_B1: Tensor, target_J2: Tensor, target_offsets_B1: Tensor, pairing: str = "written"
) -> SetScores:
    """Scores of B answers, each a set of segments, against the true segments, in one pass.

    Answer b owns pred[pred_offsets[b] : pred_offsets[b + 1]], and likewise the target. P and T are the unions of its
    valid segments: what overlaps counts once, what is not finite, reversed or empty counts for nothing.

        iou        |P ∩ T| / |P ∪ T|
        precision  |P ∩ T| / |P|
        recall     |P ∩ T| / |T|
        f1         2 |P ∩ T| / (|P| + |T|): MUSEG's global matching (arXiv 2505.20715; its code: C), which adds 1e-6 to
                   the denominators and counts twice what lies in two true segments; neither here
        matching   sum over pairs of (1 + GIoU) / 2, over the larger number of segments: MUSEG's local matching

    pairing:
        "written"  the k-th segment with the k-th true one: MUSEG's code (C). There the shorter list is filled up with a
                   segment at 1e9 s, worth about 1e-7; here what has no partner is worth 0
        "ordered"  the best pairing of all in which no two pairs cross (dynamic programming; O): one segment too few at
                   the start does not spoil the rest

    A segment that is no interval is worth 0 in every pair and counts in the number (MUSEG's code gives the whole answer
    0). What has the denominator 0 is 0. MUSEG's reward is f1 + matching.

    Args:
        pred_K2, target_J2: (K, 2), (J, 2), [start, end], float32 or float64, one dtype.
        pred_offsets_B1, target_offsets_B1: (B + 1,) int32 or int64, from 0 to K (J), never falling.

    Returns:
        SetScores of (B,) each. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    check_floats("pred", pred_K2, 2, "[start, end]")
    check_floats("target", target_J2, 2, "[start, end]", pred_K2)
    check_tensor("pred", pred_K2, ndim=2)
    check_tensor("target", target_J2, ndim=2)
    check_choice("pairing", pairing, PAIRINGS)
    pred_offsets = check_offsets("pred_offsets", pred_offsets_B1, pred_K2.shape[0], pred_K2.device, "pred")
    target_offsets = check_offsets(
        "target_offsets", target_offsets_B1, target_J2.shape[0], target_J2.device, "target", pred_offsets_B1
    )
    return SetScores(
        *torch.ops.videostr.temporal_set_scores(
            pred_K2.detach(), pred_offsets, target_J2.detach(), target_offsets, pairing
        )
    )


@torch.library.register_fake("videostr::temporal_set_scores")
def _fake(pred, pred_offsets, target, target_offsets, pairing):
    return tuple(pred.new_empty(pred_offsets.shape[0] - 1) for _ in SetScores._fields)


any_device("temporal_set_scores")(reference.temporal_set_scores)
