"""A `RewardSpec` as an outcome reward of ms-swift.

In a file that `--external_plugins` names, with `--reward_funcs videostr_tvg`:

    from swift.rewards import orms  # swift.plugin in ms-swift 3
    from videostr.integrations.ms_swift import swift_reward

    orms["videostr_tvg"] = swift_reward("tvg")
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videostr.integrations.columns import as_reward, plain_columns, same_prompt, text_of
from videostr.rewards import RewardSpec


class SwiftReward:
    """What ms-swift asks of an ORM: made with its arguments, `__call__(completions, **columns) -> list[float]`."""

    reward: RewardSpec

    def __init__(self, args: Any = None, **kwargs: Any):
        self.args = args

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float]:
        """A group is what has one prompt: a `prompt_id` where there is one, else equal messages before the last."""
        tokens = columns.get("response_token_ids")
        prompts = columns.get("prompt_id")
        if prompts is None and columns.get("messages") is not None:
            prompts = [messages[:-1] for messages in columns["messages"]]
        batch = self.reward(
            [text_of(completion) for completion in completions],
            plain_columns(self.reward, columns),
            tokens=None if tokens is None else [_length(ids) for ids in tokens],
            groups=None if prompts is None else same_prompt(prompts),
        )
        return batch.total_N.tolist()


def _length(ids: Sequence[Any]) -> int:
    """Tokens of one answer; ms-swift gives a list a turn where there are several."""
    return sum(map(len, ids)) if len(ids) and isinstance(ids[0], list) else len(ids)


def swift_reward(reward: RewardSpec | str | Path) -> type[SwiftReward]:
    """The class for ms-swift's `orms`. reward: a spec, a spec's name or a YAML file."""
    name = "Spec" if isinstance(reward, RewardSpec) else Path(reward).stem.title().replace("_", "")
    return type(f"{name}Reward", (SwiftReward,), {"reward": as_reward(reward)})
