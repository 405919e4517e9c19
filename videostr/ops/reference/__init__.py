"""The operators in plain torch: the specification every kernel is tested against.

Differentiable by autograd, at the precision of the inputs (float64 in, float64 throughout; 16-bit inputs are widened
after the matrix product, as torch's own log-softmax would see them). Nothing here is blocked or fast, and arguments are
taken as checked: `videostr.ops` does that.
"""

from .assignment import Assignment, assignment, assignment_ragged
from .box3d_iou import box3d_iou, box3d_iou_pairwise
from .box_iou import box_iou, box_iou_pairwise, tube_iou
from .colour import FORMATS, MATRICES, Format, colour_coefficients, to_rgb
from .dtypes import wide_dtype
from .frames_to_patches import frames_to_patches, normalise_patches, normalise_table, patch_order, resize
from .group_advantage import GroupAdvantage, group_advantage, spread
from .linear_logprob import linear_logprob, scale_logits
from .policy_loss import (
    LOG_RATIO_LIMIT,
    LOG_TINY,
    LOSS_TYPES,
    STATS,
    LossType,
    PolicyOptions,
    importance_weights,
    kl_terms,
    objective_terms,
    policy_loss,
    token_weights,
    weighted_policy_loss,
    with_sample_size,
)
from .prefix_attention import prefix_attention, prefix_mask
from .relation_graph import PARTS, RelationGraph, relation_graph
from .temporal_average_precision import temporal_average_precision
from .temporal_iou import temporal_iou, temporal_iou_pairwise, within_range
from .temporal_nms import temporal_nms
from .temporal_set_scores import temporal_set_scores

__all__ = [
    "Assignment",
    "FORMATS",
    "Format",
    "GroupAdvantage",
    "LOG_RATIO_LIMIT",
    "LOG_TINY",
    "LOSS_TYPES",
    "LossType",
    "PARTS",
    "MATRICES",
    "PolicyOptions",
    "RelationGraph",
    "STATS",
    "assignment",
    "assignment_ragged",
    "box3d_iou",
    "box3d_iou_pairwise",
    "box_iou",
    "box_iou_pairwise",
    "colour_coefficients",
    "frames_to_patches",
    "group_advantage",
    "importance_weights",
    "kl_terms",
    "linear_logprob",
    "objective_terms",
    "normalise_patches",
    "normalise_table",
    "patch_order",
    "policy_loss",
    "prefix_attention",
    "prefix_mask",
    "relation_graph",
    "resize",
    "scale_logits",
    "spread",
    "temporal_average_precision",
    "temporal_iou",
    "temporal_iou_pairwise",
    "temporal_nms",
    "temporal_set_scores",
    "token_weights",
    "to_rgb",
    "tube_iou",
    "weighted_policy_loss",
    "wide_dtype",
    "with_sample_size",
    "within_range",
]
