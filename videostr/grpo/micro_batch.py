"""Groups -> the packed batches that one process runs forward, with what its share of the loss needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from videostr.grpo.config import GRPOConfig
from videostr.grpo.rollout import Group
from videostr.model import PackedGroups, pack_groups
from videostr.ops.reference import LOSS_TYPES
from videostr.training.prompter import Prompter


@dataclass
class MicroBatch:
    """What one forward and one loss call need.

    weight: what the loss is multiplied by so that the micro-batches of all processes add up to the update's loss.
    counted: 1, or 0 for the filler that keeps the processes in step.
    old_logprob_NL, ref_logprob_NL: filled in by the trainer where the loss needs them.
    """

    groups: Sequence[Group]
    prompter: Prompter
    device: torch.device
    weight: float
    counted: int
    normalizer: float | None
    old_logprob_NL: Tensor | None = None
    ref_logprob_NL: Tensor | None = None

    def pack(self) -> PackedGroups:
        """The packed row. Made when it is needed, so that a step holds one micro-batch's video patches at a time."""
        prompts = [self.prompter(group.sample) for group in self.groups]
        return pack_groups(prompts, [[c.ids_L for c in group.completions] for group in self.groups]).to(self.device)

    def advantage_N(self) -> Tensor:
        return torch.cat([group.advantage_G for group in self.groups]).to(self.device)

    def sampler_logprob_NL(self, mask_NL: Tensor) -> Tensor:
        """The log-probs the answers were sampled with, laid out like `mask_NL`."""
        flat = torch.cat([c.logprob_L for group in self.groups for c in group.completions]).to(self.device)
        return torch.zeros(mask_NL.shape, device=self.device).masked_scatter(mask_NL, flat)


def build_micro_batches(
    groups: Sequence[Group], prompter: Prompter, config: GRPOConfig, accelerator: Accelerator
) -> list[MicroBatch]:
    """This process's micro-batches of one update, made of the informative groups only.

    Every process gets the same number: FSDP's forward and DDP's backward are collective, so a short one repeats the
    last micro-batch with weight 0. Empty on all processes alike when no group is informative.
    """
    informative = [group for group in groups if group.informative]
    chunks = [
        informative[start : start + config.micro_batch] for start in range(0, len(informative), config.micro_batch)
    ]
    if not chunks:
        return []
    world, rank = accelerator.num_processes, accelerator.process_index
    aggregation = LOSS_TYPES[config.loss.loss_type].aggregation
    normalizer = None
    if aggregation == "token-sum-norm":
        normalizer = float(sum(len(c.ids_L) for group in informative for c in group.completions))
    elif aggregation == "seq-mean-token-sum-norm":
        normalizer = float(config.sampling.max_new_tokens)
    batches = []
    for index in range(rank, -(-len(chunks) // world) * world, world):
        counted = int(index < len(chunks))
        chunk = chunks[min(index, len(chunks) - 1)]
        if aggregation == "token-sum-norm":  # a sum over the whole update already
            weight = 1.0
        elif aggregation == "token-mean":  # the mean over micro-batches of the mean over a micro-batch's tokens
            weight = 1.0 / len(chunks)
        else:  # a mean over answers
            weight = len(chunk) / len(informative)
        batches.append(MicroBatch(chunk, prompter, accelerator.device, weight * counted, counted, normalizer))
    return batches
