"""The one place where the package's trainers and evaluations call a reward."""

from collections.abc import Sequence

from videostr.data.samples import Sample
from videostr.rewards.batch import RewardBatch
from videostr.rewards.spec import RewardSpec
from videostr.rewards.temporal import TemporalReward

Reward = TemporalReward | RewardSpec


def score_answers(reward: Reward, sample: Sample, completions: Sequence[str], tokens: Sequence[int]) -> RewardBatch:
    """Score the answers to one sample, which are one group.

    tokens: each answer's number of tokens. A `RewardSpec` reads the columns "spans" and "duration" and what the
    sample's `meta` holds; anything else is called with the true intervals and the video's length.
    """
    count = len(completions)
    if isinstance(reward, RewardSpec):
        known = sample.meta | {"spans": sample.spans, "duration": sample.duration}
        columns = {name: [known[name]] * count for name in reward.needs if name in known}
        return reward(completions, columns, tokens=tokens)
    return reward(completions, [sample.spans] * count, [sample.duration] * count)
