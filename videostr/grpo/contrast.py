"""T-GRPO: a bonus for right answers where the order of the frames helps (Video-R1, arXiv 2503.21776).

A few answers are also sampled to the same question about the video with its frames shuffled. Where the answers to the
video in order are right at least `ratio` times as often, each right one of them earns `weight` more. Grade C: that is
what the trainer's code does, with weight 0.3, ratio 0.8, half as many shuffled answers, and right meaning an accuracy
above 0.1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from videostr.data.samples import Sample
from videostr.grpo.config import ContrastConfig, GRPOConfig
from videostr.rewards import Reward, score_answers
from videostr.rollout import sample_groups
from videostr.training.order import group_seed
from videostr.training.prompter import Prompter

if TYPE_CHECKING:  # which imports this
    from videostr.grpo.rollout import Group


def shuffled_means(
    prompter: Prompter, samples: Sequence[Sample], reward: Reward, config: GRPOConfig, seeds: Sequence[int]
) -> list[float]:
    """The mean of the contrast's term over answers to each sample's shuffled video. seeds: of the groups in order."""
    contrast = config.contrast
    seeds = [group_seed(seed, 0, "shuffled") for seed in seeds]
    prompts = [prompter.shuffled(sample, seed) for sample, seed in zip(samples, seeds, strict=True)]
    answers = sample_groups(prompter.policy, prompts, contrast.answers, config.sampling.params(), seeds)
    means = []
    for sample, completions in zip(samples, answers, strict=True):
        scored = score_answers(reward, sample, [c.text for c in completions], [len(c.ids_L) for c in completions])
        means.append(float(scored.terms[contrast.term].mean()))
    return means


def with_bonus(group: "Group", shuffled_mean: float, contrast: ContrastConfig) -> "Group":
    """The group with the bonus in its rewards, and as a term "contrast"."""
    right_G = group.terms[contrast.term]
    helps = float(right_G.mean()) >= contrast.ratio * shuffled_mean
    bonus_G = (right_G > contrast.above).float() * helps
    return replace(
        group, reward_G=group.reward_G + contrast.weight * bonus_G, terms=group.terms | {"contrast": bonus_G}
    )
