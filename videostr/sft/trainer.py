"""Supervised fine-tuning through the same forward as GRPO: a prompt with one answer is a group of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from videostr.data.samples import Sample
from videostr.model import GroupedPolicy, PackedGroups, pack_groups
from videostr.training.config import LoopConfig, OptimConfig, at_least
from videostr.training.loop import TrainLoop
from videostr.training.order import step_indices
from videostr.training.prompter import Prompter


@dataclass
class SFTConfig:
    """steps: optimiser updates. batch_size: samples per update, over all processes. micro_batch: samples per forward.

    The learning rate, schedule and warm-up are ours (papers.md grade O: the paper does not publish them).
    """

    steps: int = 1000
    batch_size: int = 32
    micro_batch: int = 8
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=1e-5, schedule="cosine", warmup_ratio=0.03))
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        at_least("sft", self, 1, "steps", "batch_size", "micro_batch")
        if self.batch_size % self.micro_batch:
            raise ValueError(f"sft.micro_batch ({self.micro_batch}) must divide sft.batch_size ({self.batch_size})")


def train_sft(
    prompter: Prompter,
    samples: Sequence[Sample],
    config: SFTConfig,
    *,
    out_dir: Path,
    accelerator: Accelerator,
    seed: int,
    on_step: Callable[[int, dict], None] | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
) -> None:
    """Teach `prompter.policy` the `response` of each sample, in place; continues from a checkpoint under `out_dir`.

    The loss is the mean negative log-likelihood over all answer tokens of the update, end-of-answer id included.
    evaluate: scores the policy on held-out samples, after every `config.loop.eval_every` steps.
    Raises ValueError when there is no sample or one has no response.
    """
    if not samples:
        raise ValueError("samples is empty: the cold start has nothing to train on")
    without = next((sample.id for sample in samples if not sample.response), None)
    if without is not None:
        raise ValueError(f"sample {without!r} has no response: the cold start needs a written answer for every sample")
    policy, world, rank = prompter.policy, accelerator.num_processes, accelerator.process_index
    if (config.batch_size // config.micro_batch) % world:
        raise ValueError(
            f"sft.batch_size / sft.micro_batch = {config.batch_size // config.micro_batch} forwards an update cannot "
            f"be shared by {world} processes: make it a multiple"
        )
    loop = TrainLoop(
        GroupedPolicy(policy),
        accelerator,
        name="sft",
        out_dir=out_dir,
        total_steps=config.steps,
        updates_per_step=1,
        optim=config.optim,
        loop=config.loop,
        evaluate=evaluate,
    )
    loop.module.train()
    for step in loop.steps():
        batch = [samples[i] for i in step_indices(len(samples), config.batch_size, step, seed)]
        answers = [answer_ids(policy, sample.response) for sample in batch]
        total_tokens = sum(map(len, answers))
        starts = range(0, config.batch_size, config.micro_batch)[rank::world]
        packs = [_pack(prompter, batch, answers, slice(start, start + config.micro_batch)) for start in starts]
        loop.log(likelihood_update(loop, packs, total_tokens) | {"tokens": total_tokens})
        if on_step is not None:
            on_step(step + 1, loop.history[-1])


def likelihood_update(loop: TrainLoop, packs: Sequence[PackedGroups], total_tokens: float) -> dict[str, float]:
    """One optimiser update towards the packs' target tokens; returns the step's loss, lr and grad_norm.

    The loss is the mean negative log-likelihood of `total_tokens`, the number of target tokens of all processes' packs.
    """
    device, lr = loop.accelerator.device, loop.lr
    loss = torch.zeros((), device=device)

    def loss_of(packed: PackedGroups) -> torch.Tensor:
        nonlocal loss
        logprob_NL, _ = loop.module(packed, entropy=False)
        value = -logprob_NL.sum() / total_tokens  # 0 where there is no token
        loss = loss + value.detach()
        return value

    grad_norm = loop.update([pack.to(device) for pack in packs], loss_of)
    return {"loss": float(loop.accelerator.reduce(loss)), "lr": lr, "grad_norm": grad_norm}


def answer_ids(policy, text: str) -> torch.Tensor:
    """The token ids of a written answer, ended as the model must learn to end it."""
    ids = policy.tokenizer(text, add_special_tokens=False).input_ids
    return torch.tensor([*ids, policy.eos_ids[0]])


def _pack(prompter: Prompter, batch: list[Sample], answers: list[torch.Tensor], part: slice) -> PackedGroups:
    prompts = [prompter(sample) for sample in batch[part]]
    return pack_groups(prompts, [[answer] for answer in answers[part]])
