"""Video language models as policies: loading, prompts, and the grouped forward that runs a group's prompt once."""

from videostr.model.grouped import GroupedPolicy
from videostr.model.load import Policy, load_policy, make_policy
from videostr.model.packing import PackedGroups, pack_groups
from videostr.model.prompt import Prompt, build_prompt

__all__ = [
    "GroupedPolicy",
    "PackedGroups",
    "Policy",
    "Prompt",
    "build_prompt",
    "load_policy",
    "make_policy",
    "pack_groups",
]
