"""policy_loss with its gradients and statistics against TRL's eager loss, which is called as TRL ships it."""

from collections.abc import Callable
from importlib.metadata import version

import torch

import videostr
from benchmarks import costs
from benchmarks.trl_loss import TrlLoss
from videostr import ops

TINY = (4, 8)
# mode -> (our options, TRL's); both with a KL term, its clamp off as TRL has none
MODES = {
    "grpo": ({"loss_type": "grpo"}, {"loss_type": "grpo"}),
    "gspo": ({"loss_type": "gspo"}, {"loss_type": "grpo", "importance_sampling_level": "sequence"}),
    "sapo": ({"loss_type": "sapo"}, {"loss_type": "sapo"}),
}


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int]]]:
    size = (64, 128) if quick else (2048, 512)
    return [(mode, size) for mode in MODES]


def shape(size: tuple[int, int]) -> str:
    return f"N={size[0]} L={size[1]}"


def cost(mode: str, size: tuple[int, int]) -> costs.Cost:
    return costs.policy_loss(*size)


def providers(mode: str, size: tuple[int, int]) -> dict[str, str]:
    return {"videostr": videostr.__version__, "TRL, eager": version("trl"), "torch": torch.__version__}


def make(provider: str, mode: str, device: str, size: tuple[int, int] | str) -> Callable[[], torch.Tensor]:
    return _call(provider, mode, *_inputs(device, size))


def error(provider: str, mode: str, device: str, size: tuple[int, int]) -> float:
    inputs = _inputs(device, size)
    truth = _call("torch", mode, *(x if x.dtype == torch.bool else x.double() for x in inputs))()
    return float((_call(provider, mode, *inputs)().double() - truth).abs().max() / truth.abs().max())


def _call(provider, mode, logprob, old, advantage, mask, ref, entropy) -> Callable[[], torch.Tensor]:
    """Loss, statistics, and the gradient of the log-probs, which is returned."""
    ours, trls = MODES[mode]
    leaf = logprob.detach().requires_grad_()
    if provider == "TRL, eager":
        trl = TrlLoss(beta=0.04, **trls)

        def loss() -> torch.Tensor:
            return trl(leaf, old, advantage, mask, ref, entropy)[0]
    else:
        function = ops.policy_loss if provider == "videostr" else ops.reference.policy_loss

        def loss() -> torch.Tensor:
            return function(leaf, old, advantage, mask, ref, entropy, kl_coef=0.04, kl_clamp=None, **ours)[0]

    return lambda: torch.autograd.grad(loss(), leaf)[0]


def _inputs(device: str, size: tuple[int, int] | str) -> tuple[torch.Tensor, ...]:
    answers, length = TINY if size == "tiny" else size
    rng = torch.Generator().manual_seed(0)
    logprob = -torch.rand(answers, length, generator=rng) * 3
    old, ref = (logprob + 0.2 * torch.randn(answers, length, generator=rng) for _ in range(2))
    tokens = torch.randint(length // 2, length + 1, (answers, 1), generator=rng)
    mask, entropy = torch.arange(length) < tokens, torch.rand(answers, length, generator=rng)
    return tuple(x.to(device) for x in (logprob, old, torch.randn(answers, generator=rng), mask, ref, entropy))
