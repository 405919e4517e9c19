"""prefix_attention of one group, forward and backward, against torch's SDPA: with a dense mask, and answer by answer.

Answer by answer is what a trainer does that repeats the prompt: G causal rows of P + L tokens.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

import videostr
from benchmarks import costs
from videostr import ops

HEADS, KV_HEADS, WIDTH = 8, 2, 64
MASKED, REPEATED = "torch SDPA, dense mask", "torch SDPA, answer by answer"


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    if quick:
        return [("float32", (128, 4, 16))]
    mode = "bfloat16" if device.type == "cuda" else "float32"
    return [(mode, size) for size in ((1024, 8, 64), (4096, 16, 128))]


def shape(size: tuple[int, int, int]) -> str:
    return "P={} G={} L={}".format(*size)


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    prompt, group, length = size
    itemsize = 2 if mode == "bfloat16" else 4
    return costs.prefix_attention(prompt, group, length, HEADS, KV_HEADS, WIDTH, itemsize)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    return {"videostr": videostr.__version__, MASKED: torch.__version__, REPEATED: torch.__version__}


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], list[Tensor]]:
    size = (8, 2, 4) if size == "tiny" else size
    states = [x.to(device, getattr(torch, mode)).requires_grad_() for x in _states(size)]
    attention = {"videostr": _ours, MASKED: _masked, REPEATED: _answer_by_answer}[provider](size, device)

    def step() -> list[Tensor]:
        out = attention(*states)
        return [out.detach(), *torch.autograd.grad(out, states, out.detach())]

    return step


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of output and gradients, from the specification in float64, at a small size."""
    size = (96, 4, 12)
    layout = ops.PrefixLayout.from_lengths([size[0]], [[size[2]] * size[1]])
    leaves = [x.double().requires_grad_() for x in _states(size)]
    out = ops.reference.prefix_attention(*leaves, layout.group_T, layout.answer_T, WIDTH**-0.5)
    truth = [out.detach(), *torch.autograd.grad(out, leaves, out.detach())]
    found = make(provider, mode, device, size)()
    if provider == REPEATED:  # its rows repeat the prompt, so only the answers' outputs are one number each
        found, truth = [found[0][size[0] :]], [truth[0][size[0] :]]
    return max(float((a.cpu().double() - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True))


def _states(size: tuple[int, int, int]) -> list[Tensor]:
    prompt, group, length = size
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(prompt + group * length, heads, WIDTH, generator=rng) for heads in (HEADS, KV_HEADS, KV_HEADS)]


def _ours(size: tuple[int, int, int], device: str) -> Callable[..., Tensor]:
    layout = ops.PrefixLayout.from_lengths([size[0]], [[size[2]] * size[1]]).to(device)
    return lambda *states: ops.prefix_attention(*states, layout)


def _masked(size: tuple[int, int, int], device: str) -> Callable[..., Tensor]:
    layout = ops.PrefixLayout.from_lengths([size[0]], [[size[2]] * size[1]])
    mask = ops.reference.prefix_mask(layout.group_T, layout.answer_T).to(device)

    def attention(*states: Tensor) -> Tensor:
        rows = (x.transpose(0, 1)[None] for x in states)
        return scaled_dot_product_attention(*rows, attn_mask=mask, enable_gqa=True)[0].transpose(0, 1)

    return attention


def _answer_by_answer(size: tuple[int, int, int], device: str) -> Callable[..., Tensor]:
    prompt, group, length = size
    own = prompt + torch.arange(group * length).view(group, length)
    index_GT = torch.cat([torch.arange(prompt).expand(group, -1), own], dim=1).to(device)

    def attention(*states: Tensor) -> Tensor:
        rows = (x[index_GT].transpose(1, 2) for x in states)
        out = scaled_dot_product_attention(*rows, is_causal=True, enable_gqa=True).transpose(1, 2)
        return torch.cat([out[0, :prompt], out[:, prompt:].flatten(0, 1)])

    return attention
