"""Weights spread over processes (FSDP2), and the whole copy of them that answers are sampled from.

A sampler calls parts of the model token by token, and processes sample different numbers of tokens, so it cannot take
part in FSDP's collective forward. Each process keeps the whole weights for it, as it would for a separate engine; the
trained weights, gradients and optimiser state are what is shared out.
"""

import copy

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor


def to_be_trained(module: nn.Module, accelerator: Accelerator) -> nn.Module:
    """The module for `accelerator.prepare`: a copy where it is going to be sharded, otherwise `module` itself.

    Raises ValueError for the ways of sharding that have not been made to work: FSDP1, DeepSpeed, Megatron.
    """
    kind = accelerator.distributed_type
    if kind == DistributedType.FSDP and accelerator.is_fsdp2:
        return copy.deepcopy(module)
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        name = "FSDP1" if kind == DistributedType.FSDP else kind.value
        raise ValueError(
            f"accelerate is configured for {name}, which is not supported: use DDP, or FSDP2 for weights that one GPU "
            "cannot hold with their optimiser state (recipes/configs/accelerate_fsdp2.yaml)"
        )
    return module


@torch.no_grad()
def gather_weights(trained: nn.Module, whole: nn.Module) -> None:
    """Copy the trained parameters of `trained`, sharded, into the same ones of `whole`. All processes call it."""
    whole_parameters = dict(whole.named_parameters())
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            value = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
            whole_parameters[name].copy_(value)
