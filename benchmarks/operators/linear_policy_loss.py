"""linear_policy_loss, forward and backward, against plain torch with whole logits and against two operators in a row.

"three products" is no peer but the limit: the matrix products alone, by the same library, without a softmax.
"""

from collections.abc import Callable

import torch

import videostr
from benchmarks import costs
from videostr import ops
from videostr.ops import reference

ANSWERS = 8
TINY = (16, 8, 64)
OPTIONS = {"entropy_coef": 1e-3}  # the paper's


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    if quick:
        shapes = [(64, 64, 4096)]
    else:
        shapes = [(512, 896, 151_936)] if device.type == "cpu" else [(4096, 3584, 152_064), (8192, 4096, 151_936)]
    return [(dtype, shape) for dtype in ("float32", "bfloat16") for shape in shapes]


def shape(size: tuple[int, int, int]) -> str:
    return "N={} D={} V={}".format(*size)


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    return costs.linear_policy_loss(*size, itemsize=getattr(torch, mode).itemsize)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    names = ("torch, whole logits", "two operators", "three products")
    return {"videostr": videostr.__version__} | dict.fromkeys(names, torch.__version__)


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], list[torch.Tensor]]:
    hidden, weight, target, advantage, mask = _inputs(mode, device, size)
    if provider == "three products":
        return lambda: _products(hidden.detach(), weight.detach())

    def step() -> list[torch.Tensor]:
        loss = {"videostr": _fused, "two operators": _two}.get(provider, _plain)(
            hidden, weight, target, advantage, mask
        )
        return list(torch.autograd.grad(loss, (hidden, weight)))

    return step


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of both gradients at a size whose float64 truth fits."""
    if provider == "three products":
        return 0.0
    small = (64, 64, 4096)
    inputs = _inputs(mode, device, small)
    wide = [x.detach().double().requires_grad_() for x in inputs[:2]]
    truth = torch.autograd.grad(_plain(*wide, *inputs[2:]), wide)
    ours = make(provider, mode, device, small)()
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(ours, truth, strict=True))


def _inputs(mode: str, device: str, size: tuple[int, int, int] | str) -> tuple[torch.Tensor, ...]:
    rows, width, vocabulary = TINY if size == "tiny" else size
    dtype, generator = getattr(torch, mode), torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, width, generator=generator).to(device, dtype).requires_grad_()
    weight = (torch.randn(vocabulary, width, generator=generator) * width**-0.5).to(device, dtype).requires_grad_()
    target = torch.randint(0, vocabulary, (rows,), generator=generator).to(device)
    advantage = torch.randn(ANSWERS, generator=generator).to(device)
    return hidden, weight, target, advantage, torch.ones(ANSWERS, rows // ANSWERS, dtype=torch.bool, device=device)


def _fused(hidden, weight, target, advantage, mask) -> torch.Tensor:
    return ops.linear_policy_loss(hidden, weight, target, advantage, mask, **OPTIONS)[0]


def _two(hidden, weight, target, advantage, mask) -> torch.Tensor:
    logprob, entropy = (x.view(mask.shape) for x in ops.linear_logprob(hidden, weight, target))
    return ops.policy_loss(logprob, logprob.detach(), advantage, mask, entropy=entropy, **OPTIONS)[0]


def _plain(hidden, weight, target, advantage, mask) -> torch.Tensor:
    logprob, entropy = (x.view(mask.shape) for x in reference.linear_logprob(hidden, weight, target))
    advantage = advantage.to(logprob.dtype)
    return reference.policy_loss(logprob, logprob.detach(), advantage, mask, entropy=entropy, **OPTIONS)[0]


def _products(hidden, weight) -> list[torch.Tensor]:
    logits = hidden @ weight.T
    return [logits @ weight, logits.T @ hidden]
