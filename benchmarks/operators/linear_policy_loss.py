"""linear_policy_loss, forward and backward, against TRL's and Liger's code, plain torch and our own two operators.

TRL is its chunked head and its eager loss; Liger its fused loss, which has no entropy term and so does less.

"three products" is no peer but the limit: the matrix products alone, by the same library, without a softmax.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import torch

import videostr
from benchmarks import costs
from benchmarks.trl_loss import TrlLoss
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
    peers = {"TRL, chunked": version("trl"), "Liger, no entropy": version("liger-kernel")}
    names = ("torch, whole logits", "three products")
    ours = dict.fromkeys(("videostr", "two operators"), videostr.__version__)
    return ours | peers | dict.fromkeys(names, torch.__version__)


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], list[torch.Tensor]]:
    hidden, weight, target, advantage, mask = _inputs(mode, device, size)
    if provider == "three products":
        return lambda: _products(hidden.detach(), weight.detach())

    function = _function(provider)

    def step() -> list[torch.Tensor]:
        loss = function(hidden, weight, target, advantage, mask)
        return list(torch.autograd.grad(loss, (hidden, weight)))

    return step


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of both gradients at a size whose float64 truth fits."""
    if provider == "three products":
        return 0.0
    small = (64, 64, 4096)
    inputs = _inputs(mode, device, small)
    wide = [x.detach().double().requires_grad_() for x in inputs[:2]]
    options = {} if provider.startswith("Liger") else OPTIONS
    truth = torch.autograd.grad(_plain(*wide, *inputs[2:], **options), wide)
    ours = make(provider, mode, device, small)()
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(ours, truth, strict=True))


def _function(provider: str) -> Callable[..., torch.Tensor]:
    if provider == "TRL, chunked":
        from trl.kernels.chunked_logprob import ChunkedLogProbFunction
        from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE as chunk

        loss = TrlLoss("bnpo", entropy_coef=OPTIONS["entropy_coef"])

        def trl(hidden, weight, target, advantage, mask):
            parts = ChunkedLogProbFunction.apply(hidden, weight, None, target, 1.0, chunk, None, 1.0, ("entropy",))
            logprob, entropy = (x.view(mask.shape) for x in parts[:2])
            return loss(logprob, logprob.detach(), advantage, mask, entropy=entropy)[0]

        return trl
    if provider == "Liger, no entropy":
        from liger_kernel.chunked_loss import LigerFusedLinearGRPOLoss

        loss = LigerFusedLinearGRPOLoss(beta=0.0, compiled=False, use_ref_model=False, loss_type="bnpo")

        def liger(hidden, weight, target, advantage, mask):
            hidden, target = hidden.view(*mask.shape, -1), target.view(mask.shape)
            return loss(hidden, weight, target, mask, advantage)[0]

        return liger
    return {"videostr": _fused, "two operators": _two}.get(provider, partial(_plain, **OPTIONS))


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


def _plain(hidden, weight, target, advantage, mask, **options) -> torch.Tensor:
    logprob, entropy = (x.view(mask.shape) for x in reference.linear_logprob(hidden, weight, target))
    advantage = advantage.to(logprob.dtype)
    return reference.policy_loss(logprob, logprob.detach(), advantage, mask, entropy=entropy, **options)[0]


def _products(hidden, weight) -> list[torch.Tensor]:
    logits = hidden @ weight.T
    return [logits @ weight, logits.T @ hidden]
