"""Which optimiser moves which parameter, and the learning rate over a run."""

import math
from collections.abc import Collection

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from videostr.training.config import OptimConfig


def make_optimizers(module: nn.Module, optim: OptimConfig) -> list[Optimizer]:
    """AdamW, and where `lr_muon` is given Muon for the matrices between the embeddings and the head.

    Raises ValueError where every parameter is frozen.
    """
    matrices = hidden_matrices(module) if optim.lr_muon is not None else {}
    optimizers: list[Optimizer] = []
    if groups := parameter_groups(module, optim, without=matrices):
        optimizers.append(AdamW(groups, lr=optim.lr, betas=(optim.beta1, optim.beta2)))
    if matrices:
        # The rate is scaled with the matrix so that an update is as large as AdamW's (arXiv 2502.16982, 2.2).
        optimizers.append(
            Muon(
                matrices.values(),
                lr=optim.lr_muon,
                weight_decay=optim.weight_decay,
                momentum=optim.beta1,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if not optimizers:
        raise ValueError("there is nothing to train: every parameter of the model is frozen")
    return optimizers


def hidden_matrices(module: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable weights of linear layers by name, without the head and what it shares with the embeddings."""
    apart = {id(child.weight) for child in module.modules() if isinstance(child, nn.Embedding)}
    linear = {id(child.weight) for child in module.modules() if isinstance(child, nn.Linear)} - apart
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and id(parameter) in linear and not name.endswith("lm_head.weight")
    }


def parameter_groups(module: nn.Module, optim: OptimConfig, without: Collection[str] = ()) -> list[dict]:
    """Trainable parameters by learning rate and weight decay. without: names of those that are left out.

    Matrices decay, vectors do not; the vision tower has its own rate.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and name not in without:
            groups.setdefault((".visual." in name, parameter.ndim >= 2), []).append(parameter)
    vision_lr = optim.lr if optim.lr_vision is None else optim.lr_vision
    return [
        {
            "params": parameters,
            "lr": vision_lr if vision else optim.lr,
            "weight_decay": optim.weight_decay if matrix else 0.0,
        }
        for (vision, matrix), parameters in sorted(groups.items())
    ]


def lr_factor(update: int, total: int, optim: OptimConfig) -> float:
    """The learning rate of update `update` (from 0) as a share of its greatest."""
    warmup = math.ceil(total * optim.warmup_ratio)
    if update < warmup:
        return (update + 1) / warmup
    if optim.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (update - warmup) / max(1, total - warmup)))
