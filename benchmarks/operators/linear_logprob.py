"""linear_logprob, log-prob and entropy, forward and backward, against TRL's and Liger's chunked functions and torch.

Liger's has no entropy, so it does less. "three products" is no peer but the limit: the matrix products alone, by the
same library; with recomputed logits there are four.
"""

from collections.abc import Callable
from importlib.metadata import version

import torch

import videostr
from benchmarks import costs
from videostr import ops
from videostr.ops import reference

TINY = (16, 8, 64)
KEPT = "videostr, kept logits"


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    if quick:
        shapes = [(64, 64, 4096)]
    else:
        shapes = [(512, 896, 151_936)] if device.type == "cpu" else [(4096, 3584, 152_064), (8192, 4096, 151_936)]
    return [(dtype, shape) for dtype in ("float32", "bfloat16") for shape in shapes]


def shape(size: tuple[int, int, int]) -> str:
    return "N={} D={} V={}".format(*size)


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    return costs.linear_logprob(*size, itemsize=getattr(torch, mode).itemsize)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    peers = {"TRL, chunked": version("trl"), "Liger, no entropy": version("liger-kernel")}
    ours = dict.fromkeys(("videostr", KEPT), videostr.__version__)
    return ours | peers | dict.fromkeys(("torch, whole logits", "three products"), torch.__version__)


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], list[torch.Tensor]]:
    hidden, weight, target, g, h = _inputs(mode, device, size)
    if provider == "three products":
        return lambda: _products(hidden.detach(), weight.detach())
    function = _function(provider)

    def step() -> list[torch.Tensor]:
        logprob, entropy = function(hidden, weight, target)
        loss = (logprob * g).sum() if entropy is None else (logprob * g).sum() + (entropy * h).sum()
        return list(torch.autograd.grad(loss, (hidden, weight)))

    return step


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of both gradients at a size whose float64 truth fits."""
    if provider == "three products":
        return 0.0
    hidden, weight, target, g, h = _inputs(mode, device, (64, 64, 4096))
    wide = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    logprob, entropy = reference.linear_logprob(*wide, target)
    loss = (logprob * g).sum() + (0 if provider.startswith("Liger") else (entropy * h).sum())
    truth = torch.autograd.grad(loss, wide)
    ours = make(provider, mode, device, (64, 64, 4096))()
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(ours, truth, strict=True))


def _function(provider: str) -> Callable:
    if provider == "TRL, chunked":
        from trl.kernels.chunked_logprob import ChunkedLogProbFunction
        from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE as chunk

        return lambda x, w, t: ChunkedLogProbFunction.apply(x, w, None, t, 1.0, chunk, None, 1.0, ("entropy",))[:2]
    if provider == "Liger, no entropy":
        from liger_kernel.chunked_loss import fused_linear_ppo as liger

        chunk = liger._SELECTIVE_LOGPROB_VOCAB_CHUNK_SIZE
        return lambda x, w, t: (liger._ChunkedSelectiveLogProbFunction.apply(x, w, t, None, 1.0, chunk), None)
    if provider == KEPT:
        return lambda x, w, t: ops.linear_logprob(x, w, t, keep_logits=True)
    return ops.linear_logprob if provider == "videostr" else reference.linear_logprob


def _inputs(mode: str, device: str, size: tuple[int, int, int] | str) -> tuple[torch.Tensor, ...]:
    rows, width, vocabulary = TINY if size == "tiny" else size
    dtype, generator = getattr(torch, mode), torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, width, generator=generator).to(device, dtype).requires_grad_()
    weight = (torch.randn(vocabulary, width, generator=generator) * width**-0.5).to(device, dtype).requires_grad_()
    target = torch.randint(0, vocabulary, (rows,), generator=generator).to(device)
    g, h = torch.randn(2, rows, generator=generator).to(device)
    return hidden, weight, target, g, 0.1 * h


def _products(hidden, weight) -> list[torch.Tensor]:
    logits = hidden @ weight.T
    return [logits @ weight, logits.T @ hidden]
