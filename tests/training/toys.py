"""A small random policy, prompts of noise videos, rewards that are a function of the text: training without files."""

from dataclasses import dataclass, field

import torch
from model.tiny import make_vision, messages, tiny_policy

from videostr.data.samples import Sample
from videostr.model import Policy, Prompt, build_prompt
from videostr.rewards import RewardBatch
from videostr.training import optimizer
from videostr.video import SkippedVideos, VideoError


@dataclass
class ToyPrompter:
    """What a trainer needs of `videostr.training.prompter.Prompter`; each sample has a noise video of its own."""

    policy: Policy
    missing: tuple[str, ...] = ()
    skipped: SkippedVideos = field(default_factory=SkippedVideos)

    def __call__(self, sample: Sample) -> Prompt:
        if sample.video in self.missing:
            raise VideoError(sample.video, "missing")
        number = int(sample.video)
        video = make_vision((1 + number % 2, 4, 4), seed=number)
        return build_prompt(self.policy, messages("video", text=sample.query), [video])

    def uncached(self):
        return self

    def readable(self, samples):
        kept = [sample for sample in samples if sample.video not in self.missing]
        for sample in samples:
            if sample.video in self.missing:
                self.skipped.add(VideoError(sample.video, "missing"))
        return kept, [self(sample) for sample in kept]


def toy_policy(seed=0) -> Policy:
    return tiny_policy("qwen2_5_vl", seed=seed)


def toy_samples(count=6) -> list[Sample]:
    """Samples 0, 3, … can earn no task reward (see `toy_reward`)."""
    answers = ("it moves", "at 2.5", "no!", "<time>[1, 2]</time>", "a", "when it is red, 10")
    return [
        Sample(f"s{i}", str(i), f"is it {i}?", ((0.0 if i % 3 == 0 else 1.0, 9.0),), response=answers[i % 6])
        for i in range(count)
    ]


def toy_reward(texts, columns, tokens=None) -> RewardBatch:
    """Task: the share of lower-case letters, 0 where the true interval starts at 0. Format: by the characters' sum."""
    lower = [sum(c.islower() for c in text) / (1 + len(text)) for text in texts]
    task = torch.tensor([share * (span[0][0] > 0) for share, span in zip(lower, columns["spans"], strict=True)])
    form = torch.tensor([float(sum(map(ord, text)) % 2) for text in texts])
    reasons = ["ok" if good else "no_tag" for good in form]
    return RewardBatch(0.9 * task + 0.1 * form, {"iou": task, "format": form}, reasons, [], {"iou": 1.0})


def use_sgd(patch) -> None:
    """Plain gradient descent for AdamW, which makes full-size steps of rounding errors where a gradient is 0."""
    patch(optimizer, "AdamW", lambda groups, lr, betas: torch.optim.SGD(groups, lr=lr))


def weights(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in policy.base.named_parameters()}


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], start: dict[str, torch.Tensor]) -> float:
    """|one - other| / |other - start|: the difference of two trainings as a share of what training changed."""

    def norm(left, right):
        return torch.stack([(left[name] - right[name]).double().square().sum() for name in left]).sum().sqrt()

    return (norm(one, other) / norm(other, start)).item()
