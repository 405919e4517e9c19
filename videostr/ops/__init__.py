"""Operators of videostr as torch functions.

Each is a torch.library operator (schema in csrc/ops.cpp) with a C++ kernel for the CPU, a torch implementation for
every device without a kernel, a fake for torch.compile and, where it applies, autograd; `reference` is the
specification in plain torch. This package imports no other part of videostr.
"""

from ._library import load

load()

from . import logprob_rows  # noqa: E402, F401
from .frames_to_patches import frames_to_patches  # noqa: E402
from .group_advantage import group_advantage  # noqa: E402
from .linear_logprob import linear_logprob  # noqa: E402
from .linear_policy_loss import linear_policy_loss  # noqa: E402
from .policy_loss import policy_loss  # noqa: E402
from .prefix_attention import prefix_attention  # noqa: E402
from .prefix_layout import PrefixLayout  # noqa: E402
from .reference import GroupAdvantage  # noqa: E402
from .temporal_iou import temporal_iou, temporal_iou_pairwise, temporal_iou_sets  # noqa: E402

__all__ = [
    "GroupAdvantage",
    "PrefixLayout",
    "frames_to_patches",
    "group_advantage",
    "linear_logprob",
    "linear_policy_loss",
    "policy_loss",
    "prefix_attention",
    "temporal_iou",
    "temporal_iou_pairwise",
    "temporal_iou_sets",
]
