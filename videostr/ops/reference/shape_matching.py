"""Matches nodes of one class by how they lie among the others, whatever the place and direction of the whole (O)."""

import math

import torch
from torch import Tensor

from .assignment import solve

BEYOND = 1e-6  # what a distance past the scale adds to a matching's cost: it decides between equals, nothing more
NEARER = 1e-12  # what the positions themselves weigh: of layouts that are equal by their lengths, the one that is there


def match_cost(gap: Tensor, scale: float) -> Tensor:
    """1 - closeness, and past the scale a hair more; 2 for NaN."""
    part = gap / scale if scale > 0 else torch.where(gap == 0, 0.0, gap * math.inf)
    cost = torch.where(part <= 1, part, 1 + BEYOND * (1 - 1 / part))
    return torch.where(cost.isnan(), 2.0, cost)


def match_shapes(
    pred_class_M: Tensor, pred_MD: Tensor, true_class_J: Tensor, true_JD: Tensor, scale: float, scale_invariant: bool
) -> Tensor:
    """Where each true node of one frame stands in the prediction, (J, D): NaN for one that is not matched.

    Predicted node i with true node j costs Σ_a weight_a match_cost(| unit |p_i - P_a| - |g_j - G_a| |)² over anchors a:
    squares, because sums of absolute differences tie wherever two nodes lie to one side of their counterparts.
    Anchors are first the classes' centres, weighted by the smaller of their two counts, then, once, the nodes that were
    matched by these, each with weight 1. unit: 1, or, scale_invariant, the ratio of the mean distances from the centre.
    """
    there = torch.isfinite(pred_MD).all(1)
    groups = []
    for c in true_class_J.unique().tolist():
        rows, columns = torch.nonzero((pred_class_M == c) & there)[:, 0], torch.nonzero(true_class_J == c)[:, 0]
        if len(rows):
            groups.append((rows, columns))
    seen_JD = torch.full_like(true_JD, math.nan)
    if not groups:
        return seen_JD
    unit = 1.0
    if scale_invariant:
        of_seen = _mean_radius(pred_MD[torch.cat([rows for rows, _ in groups])])
        unit = _mean_radius(true_JD[torch.cat([columns for _, columns in groups])]) / of_seen if of_seen > 0 else 1.0
    pred_AD = torch.stack([pred_MD[rows].mean(0) for rows, _ in groups])
    true_AD = torch.stack([true_JD[columns].mean(0) for _, columns in groups])
    weight_A = torch.tensor([min(len(rows), len(columns)) for rows, columns in groups], dtype=torch.float64)
    for _ in range(2):
        seen_JD = torch.full_like(true_JD, math.nan)
        for rows, columns in groups:
            seen_RA, true_CA = unit * _distances(pred_MD[rows], pred_AD), _distances(true_JD[columns], true_AD)
            cost_RC = (match_cost((seen_RA[:, None] - true_CA).abs(), scale).square() * weight_A).sum(-1)
            cost_RC += NEARER * match_cost(_distances(pred_MD[rows], true_JD[columns]), scale)
            for r, k in enumerate(solve(cost_RC.tolist())):
                if k >= 0:
                    seen_JD[columns[k]] = pred_MD[rows[r]]
        matched = torch.isfinite(seen_JD).all(1)
        pred_AD, true_AD = seen_JD[matched], true_JD[matched]
        weight_A = torch.ones(len(pred_AD), dtype=torch.float64)
    return seen_JD


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _mean_radius(position_ND: Tensor) -> float:
    return float((position_ND - position_ND.mean(0)).norm(dim=1).mean())
