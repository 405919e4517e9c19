"""Weights spread over processes (FSDP2, DeepSpeed ZeRO-3), and the whole copy of them that answers are sampled from.

A sampler calls parts of the model token by token, and processes sample different numbers of tokens, so it cannot take
part in a collective forward. Each process keeps the whole weights for it, as it would for a separate engine; the
trained weights, gradients and optimiser state are what is shared out.
"""

import copy
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import Muon, Optimizer
from transformers.integrations import unset_hf_deepspeed_config


def check_sharding(accelerator: Accelerator) -> None:
    """Raises ValueError for the ways of sharding that have not been made to work, and says what to use."""
    kind = accelerator.distributed_type
    if kind == DistributedType.MEGATRON_LM or kind == DistributedType.FSDP and not accelerator.is_fsdp2:
        name = "FSDP1" if kind == DistributedType.FSDP else kind.value
        raise ValueError(
            f"accelerate is configured for {name}, which is not supported: use FSDP2 "
            "(recipes/configs/accelerate_fsdp2.yaml), DeepSpeed or DDP"
        )


def check_optimizers(optimizers: Sequence[Optimizer], accelerator: Accelerator) -> None:
    """Raises ValueError for Muon where weights are sharded: it needs whole matrices."""
    kind = accelerator.distributed_type
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED) and any(isinstance(o, Muon) for o in optimizers):
        raise ValueError(f"optim.lr_muon: Muon needs whole matrices, and {kind.value} shards them: leave it out")


def keep_models_whole(accelerator: Accelerator) -> None:
    """Undo that under ZeRO-3 transformers shards every model while it is loaded: sampling wants whole weights.

    accelerate asks for it whenever it sets DeepSpeed up, whatever `zero3_init_flag` says.
    """
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        unset_hf_deepspeed_config()


def to_be_trained(module: nn.Module, accelerator: Accelerator) -> nn.Module:
    """The module for `accelerator.prepare`: a copy where its weights are going to be sharded, else `module` itself."""
    kind = accelerator.distributed_type
    zero3 = kind == DistributedType.DEEPSPEED and accelerator.state.deepspeed_plugin.zero_stage == 3
    return copy.deepcopy(module) if zero3 or kind == DistributedType.FSDP else module


def configure_deepspeed(accelerator: Accelerator, max_grad_norm: float) -> None:
    """Tell DeepSpeed, where it is used, what the training loop decides."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        accelerator.state.deepspeed_plugin.deepspeed_config |= {
            "gradient_clipping": max_grad_norm,
            "gradient_accumulation_steps": 1,  # the loop says when an update is complete
            "train_micro_batch_size_per_gpu": 1,  # for its log alone
            "zero_force_ds_cpu_optimizer": False,  # AdamW is torch's
            "zero_allow_untested_optimizer": True,
        }


@torch.no_grad()
def gather_weights(trained: nn.Module, whole: nn.Module) -> None:
    """Copy the trained parameters of `trained`, sharded, into the same ones of `whole`. All processes call it."""
    whole_parameters = dict(whole.named_parameters())
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            whole_parameters[name].copy_(_whole(parameter))


def _whole(parameter: nn.Parameter) -> torch.Tensor:
    if isinstance(parameter, DTensor):
        return parameter.full_tensor()
    if hasattr(parameter, "ds_id"):
        from deepspeed.runtime.zero import GatheredParameters

        with GatheredParameters([parameter]):
            return parameter.detach().clone()
    return parameter
