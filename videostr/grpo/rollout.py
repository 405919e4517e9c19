"""One step's rollout: prompts -> groups of answers -> rewards -> advantages, the same list on every process.

Each process samples its share of the prompts; the answers (ids and log-probs, a few bytes a token) are then exchanged,
so that the informative groups of the whole step can be shared out evenly for training.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from videostr import ops
from videostr.data.samples import Sample
from videostr.grpo.config import GRPOConfig
from videostr.grpo.contrast import shuffled_means, with_bonus
from videostr.rewards import Reward, score_answers
from videostr.rollout import Completion, sample_groups
from videostr.training.order import group_seed
from videostr.training.prompter import Prompter


@dataclass(frozen=True)
class Group:
    """A sample's G answers with their rewards and, once computed, advantages (G,)."""

    sample: Sample
    completions: list[Completion]
    reward_G: torch.Tensor
    task_G: torch.Tensor
    reasons: list[str]
    terms: dict[str, torch.Tensor]
    advantage_G: torch.Tensor | None = None
    informative: bool = True


def roll_out(
    prompter: Prompter,
    samples: Sequence[Sample],
    reward: Reward,
    config: GRPOConfig,
    accelerator: Accelerator,
    seed: int,
    step: int,
) -> list[Group]:
    """Sample, score and compare the answers of one step's samples. Samples whose video cannot be read are left out."""
    sampling = config.sampling
    # A small set can bring a sample twice in one step: then its answers are drawn anew.
    times = [sum(other.id == sample.id for other in samples[:at]) for at, sample in enumerate(samples)]
    numbered = list(zip(range(len(samples)), samples, times, strict=True))
    mine = numbered[accelerator.process_index :: accelerator.num_processes]
    groups = []
    for start in range(0, len(mine), sampling.rollout_batch):
        part = mine[start : start + sampling.rollout_batch]
        kept, prompts = prompter.readable([sample for _, sample, _ in part])
        if not kept:
            continue
        videos = {sample.video for sample in kept}
        part = [numbers for numbers in part if numbers[1].video in videos]
        seeds = [group_seed(seed, step, f"{sample.id}#{again}" if again else sample.id) for _, sample, again in part]
        with accelerator.autocast():  # as the trained module's forward
            answers = sample_groups(prompter.policy, prompts, config.group_size, sampling.params(), seeds)
            shuffled = shuffled_means(prompter, kept, reward, config, seeds) if config.contrast.weight else None
        for number, ((position, sample, _), completions) in enumerate(zip(part, answers, strict=True)):
            group = score_group(sample, completions, reward)
            if shuffled is not None:
                group = with_bonus(group, shuffled[number], config.contrast)
            groups.append((position, group))
    groups = [group for _, group in sorted(gather_object(groups), key=lambda pair: pair[0])]
    return with_advantages(groups, config)


def score_group(sample: Sample, completions: list[Completion], reward: Reward) -> Group:
    """Rewards of one sample's answers."""
    scored = score_answers(reward, sample, [c.text for c in completions], [len(c.ids_L) for c in completions])
    return Group(sample, completions, scored.total_N, scored.task_N, scored.reasons, scored.terms)


def with_advantages(groups: list[Group], config: GRPOConfig) -> list[Group]:
    """The same groups with `advantage_G` and `informative` filled in, by one operator call."""
    if not groups:
        return []
    advantage = config.advantage
    result = ops.group_advantage(
        torch.cat([group.reward_G for group in groups]),
        offsets=torch.arange(len(groups) + 1) * config.group_size,
        scale=advantage.scale,
        eps=advantage.eps,
        min_std=advantage.min_std,
        task_reward=torch.cat([group.task_G for group in groups]) if advantage.gate == "task" else None,
    )
    parts = result.advantage_N.split(config.group_size)
    return [
        replace(group, advantage_G=part, informative=bool(informative))
        for group, part, informative in zip(groups, parts, result.informative_B, strict=True)
    ]


def rollout_metrics(groups: list[Group]) -> dict[str, float]:
    """What the answers of a step were like, before any training on them."""
    reward_BG = torch.stack([group.reward_G for group in groups])
    completions = [completion for group in groups for completion in group.completions]
    reasons = Counter(reason for group in groups for reason in group.reasons)
    row = {
        "reward": reward_BG.mean(),
        "group_std": torch.stack([group.task_G for group in groups]).std(dim=1).mean(),
        "informative": sum(group.informative for group in groups) / len(groups),
        "length": sum(len(c.ids_L) for c in completions) / len(completions),
        "truncated": sum(not c.finished for c in completions) / len(completions),
    }
    for name in groups[0].terms:
        row[f"reward/{name}"] = torch.stack([group.terms[name] for group in groups]).mean()
    for reason, count in reasons.items():
        row[f"reason/{reason}"] = count / len(completions)
    return {key: float(value) for key, value in row.items()}
