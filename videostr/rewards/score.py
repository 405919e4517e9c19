"""The one place where the package's trainers and evaluations call a reward."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from videostr.data.samples import Sample
from videostr.rewards.batch import RewardBatch


class Reward(Protocol):
    """What `RewardSpec` is: N completions, the columns of their samples and their numbers of tokens -> rewards."""

    def __call__(
        self, completions: Sequence[str], columns: Mapping[str, Sequence[Any]], tokens: Sequence[int] | None = None
    ) -> RewardBatch: ...


def score_answers(reward: Reward, sample: Sample, completions: Sequence[str], tokens: Sequence[int]) -> RewardBatch:
    """Score the answers to one sample, which are one group.

    tokens: each answer's number of tokens. The columns are "spans", "duration" and what the sample's `meta` holds.
    """
    known = sample.meta | {"spans": sample.spans, "duration": sample.duration}
    return reward(completions, {name: [value] * len(completions) for name, value in known.items()}, tokens=tokens)
