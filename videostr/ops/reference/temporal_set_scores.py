"""Ragged sets of intervals."""

import torch
from torch import Tensor

from .temporal_iou import temporal_iou_pairwise, within_range


def temporal_set_scores(
    pred_K2: Tensor, pred_offsets_B1: Tensor, target_J2: Tensor, target_offsets_B1: Tensor, pairing: str
) -> tuple[Tensor, ...]:
    """iou, precision, recall, f1, matching, (B,) each."""
    pred_bounds, target_bounds = pred_offsets_B1.tolist(), target_offsets_B1.tolist()
    score_5B = pred_K2.new_zeros(5, len(pred_bounds) - 1)
    for b in range(len(pred_bounds) - 1):
        pred = pred_K2[pred_bounds[b] : pred_bounds[b + 1]]
        target = target_J2[target_bounds[b] : target_bounds[b + 1]]
        score_5B[:4, b] = _of_unions(_drop_invalid(pred), _drop_invalid(target))
        score_5B[4, b] = _matching(pred, target, pairing)
    return score_5B.unbind()


def _of_unions(pred_K2: Tensor, target_J2: Tensor) -> Tensor:
    cut_E = torch.cat([pred_K2.flatten(), target_J2.flatten()]).unique(sorted=True)
    # between two neighbouring end points nothing changes: a piece lies in a set or it does not
    piece_E, left_E = cut_E.diff(), cut_E[:-1]
    in_pred_E, in_target_E = _covers(pred_K2, left_E), _covers(target_J2, left_E)
    pred, target = piece_E[in_pred_E].sum(), piece_E[in_target_E].sum()
    shared, union = piece_E[in_pred_E & in_target_E].sum(), piece_E[in_pred_E | in_target_E].sum()
    parts = torch.stack([shared, shared, shared, 2 * shared])
    wholes = torch.stack([union, pred, target, pred + target])
    return torch.where(wholes > 0, parts / wholes, 0.0)


def _drop_invalid(span_K2: Tensor) -> Tensor:
    return span_K2[within_range(span_K2) & (span_K2[:, 1] > span_K2[:, 0])]


def _covers(span_K2: Tensor, left_E: Tensor) -> Tensor:
    return ((span_K2[:, :1] <= left_E) & (left_E < span_K2[:, 1:])).any(0)


def _matching(pred_K2: Tensor, target_J2: Tensor, pairing: str) -> Tensor:
    rows, columns = len(pred_K2), len(target_J2)
    pair_KJ = (1 + temporal_iou_pairwise(pred_K2, target_J2, "giou")) / 2
    if pairing == "written":
        total = pair_KJ.diagonal().sum()
    else:
        best = pair_KJ.new_zeros(rows + 1, columns + 1)  # of the first i segments with the first j true ones
        for i in range(rows):
            for j in range(columns):
                best[i + 1, j + 1] = torch.stack([best[i, j + 1], best[i + 1, j], best[i, j] + pair_KJ[i, j]]).max()
        total = best[rows, columns]
    return total / max(rows, columns, 1)
