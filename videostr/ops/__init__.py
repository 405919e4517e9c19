"""Operators of videostr as torch functions."""

from .reference import (
    GroupAdvantage,
    group_advantage,
    linear_logprob,
    policy_loss,
    temporal_iou,
    temporal_iou_pairwise,
    temporal_iou_sets,
)

__all__ = [
    "GroupAdvantage",
    "group_advantage",
    "linear_logprob",
    "policy_loss",
    "temporal_iou",
    "temporal_iou_pairwise",
    "temporal_iou_sets",
]
