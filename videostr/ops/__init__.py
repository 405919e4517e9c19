"""Operators of videostr as torch functions.

Each is a torch.library operator (schema in csrc/ops.cpp) with a C++ kernel for the CPU, a torch implementation for
every device without a kernel, a fake for torch.compile and, where it applies, autograd; `reference` is the
specification in plain torch. This package imports no other part of videostr.
"""

from ._library import load

load()

from . import logprob_rows  # noqa: E402, F401
from .assignment import assignment, assignment_ragged  # noqa: E402
from .box3d_iou import box3d_iou, box3d_iou_pairwise  # noqa: E402
from .box_iou import box_iou, box_iou_pairwise  # noqa: E402
from .frames_to_patches import (  # noqa: E402
    RaggedPatches,
    frames_to_patches,
    frames_to_patches_ragged,
)
from .group_advantage import group_advantage  # noqa: E402
from .linear_logprob import linear_logprob  # noqa: E402
from .linear_policy_loss import linear_policy_loss  # noqa: E402
from .normalise_patches import CLIP_MEAN, CLIP_STD, normalise_patches  # noqa: E402
from .parse_graph import parse_graph  # noqa: E402, F401 (what videostr.graph reads text with; CPU only)
from .parse_interval import parse_interval  # noqa: E402, F401 (what videostr.rewards reads text with; CPU only)
from .policy_loss import policy_loss  # noqa: E402
from .prefix_attention import prefix_attention  # noqa: E402
from .prefix_layout import PrefixLayout  # noqa: E402
from .reference import (  # noqa: E402
    Assignment,
    GroupAdvantage,  # noqa: E402
    RelationGraph,
)
from .relation_graph import relation_graph  # noqa: E402
from .temporal_average_precision import temporal_average_precision  # noqa: E402
from .temporal_iou import temporal_iou, temporal_iou_pairwise  # noqa: E402
from .temporal_nms import temporal_nms  # noqa: E402
from .temporal_set_scores import SetScores, temporal_set_scores  # noqa: E402
from .tube_iou import tube_iou  # noqa: E402

__all__ = [
    "Assignment",
    "CLIP_MEAN",
    "CLIP_STD",
    "GroupAdvantage",
    "PrefixLayout",
    "RaggedPatches",
    "RelationGraph",
    "SetScores",
    "assignment",
    "assignment_ragged",
    "box3d_iou",
    "box3d_iou_pairwise",
    "box_iou",
    "box_iou_pairwise",
    "frames_to_patches",
    "frames_to_patches_ragged",
    "group_advantage",
    "linear_logprob",
    "linear_policy_loss",
    "normalise_patches",
    "policy_loss",
    "prefix_attention",
    "relation_graph",
    "temporal_average_precision",
    "temporal_iou",
    "temporal_iou_pairwise",
    "temporal_nms",
    "temporal_set_scores",
    "tube_iou",
]
