"""A `RewardSpec` as a TRL reward function.

    trainer = GRPOTrainer(model, reward_funcs=[trl_reward("tvg")], train_dataset=dataset, …)

The data set's columns are the spec's (`columns` renames). Terms and reasons are logged beside TRL's own numbers. TRL
drops no group by its task reward; `scale_rewards=False` keeps a badly formatted answer from becoming a full-size
advantage.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from videostr.integrations.columns import as_reward, plain_columns, same_prompt, shares, text_of
from videostr.rewards import RewardSpec


def trl_reward(reward: RewardSpec | str | Path, name: str | None = None) -> "TRLReward":
    """reward: a spec, a spec's name or a YAML file. name: what TRL logs it as; default: the spec's name or "reward"."""
    default = "reward" if isinstance(reward, RewardSpec) else Path(reward).stem
    return TRLReward(as_reward(reward), name or default)


class TRLReward:
    """`f(completions, **columns) -> list[float]`; can be pickled."""

    def __init__(self, reward: RewardSpec, name: str):
        self.reward, self.__name__ = reward, name

    def __call__(
        self,
        completions: Sequence[Any],
        prompts: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list], None] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Score the completions, texts or chat messages. A group is what has one prompt in this call, which is all that
        this process sees."""
        batch = self.reward(
            [text_of(completion) for completion in completions],
            plain_columns(self.reward, columns),
            tokens=None if completion_ids is None else [len(ids) for ids in completion_ids],
            groups=None if prompts is None else same_prompt(prompts),
        )
        if log_metric is not None:
            for key, value in shares(batch).items():
                log_metric(f"{self.__name__}/{key}", value)
        if log_extra is not None:
            log_extra(f"{self.__name__}/reason", batch.reasons)
        return batch.total_N.tolist()

    def __reduce__(self):
        return type(self), (self.reward, self.__name__)
