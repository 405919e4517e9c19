"""torch's flash-attention kernels on stretches of a packed row: out and logsumexp, and gradients from any given ones.

States are (T, H, D) of the whole row. Results are of the part's queries, in the order of `part.queries.at_T`; gradients
of keys and values in that of `part.keys.at_T`.
"""

from typing import Protocol

import torch
from torch import Tensor

from .prefix_layout import Part, Rectangle
from .reference import wide_dtype

MOST_WIDTH, MOST_WIDTH_SMALL = 256, 192  # of a head, in flash-attention's CUDA kernels; on GPUs with less shared memory


class Kernel(Protocol):
    """lse is natural logarithms, float32 (float64 for float64), (T', H)."""

    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor, part: Part, scale: float) -> tuple[Tensor, Tensor]:
        """out (T', H, D), lse."""

    @staticmethod
    def backward(
        grad_out: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        out: Tensor,
        lse: Tensor,
        part: Part,
        scale: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """grad_out, out, lse: of the whole row. Gradients of the queries, keys and values of the part."""


def choose(query: Tensor) -> type[Kernel] | None:
    """The kernel for states like `query`, None where there is none."""
    if query.device.type == "cpu":
        return Padded
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type == "cuda" and half and query.shape[-1] % 8 == 0 and query.shape[-1] <= MOST_WIDTH:
        capability = torch.cuda.get_device_capability(query.device)
        # torch refuses the backward of wider heads there
        fits = query.shape[-1] <= MOST_WIDTH_SMALL or capability not in ((8, 6), (8, 9), (12, 0), (12, 1))
        return Varlen if capability >= (8, 0) and fits else None
    return None


class Varlen:
    """CUDA: flash-attention's kernels for sequences of different lengths. Nothing is padded, key heads are shared.

    Where the process has chosen another implementation (torch.nn.attention.activate_flash_attention_impl), it runs.
    """

    @staticmethod
    def forward(query, key, value, part, scale):
        states = query[part.queries.at_T], key[part.keys.at_T], value[part.keys.at_T]
        out, lse_HT, *_ = torch.ops.aten._flash_attention_forward(
            *states, *_lengths(part), 0.0, part.causal, False, scale=scale
        )
        return out, lse_HT.T

    @staticmethod
    def backward(grad_out, query, key, value, out, lse, part, scale):
        asking, asked = part.queries.at_T, part.keys.at_T
        no_dropout = query.new_empty(2, dtype=torch.uint64), query.new_empty((), dtype=torch.uint64)
        return torch.ops.aten._flash_attention_backward(
            grad_out[asking],
            *(query[asking], key[asked], value[asked]),
            out[asking],
            lse[asking].T.contiguous(),
            *_lengths(part),
            0.0,
            part.causal,
            *no_dropout,
            scale=scale,
        )


def _lengths(part: Part) -> tuple[Tensor, Tensor, int, int]:
    return part.queries.cu_seqlens_S1, part.keys.cu_seqlens_S1, part.queries.longest, part.keys.longest


class Padded:
    """CPU: torch's flash kernel on rectangles. Padding is behind each stretch, so a causal call never looks at it.

    Without causality the queries that share a key head become more queries of it; with it each gets a copy of the head.
    """

    @staticmethod
    def forward(query, key, value, part, scale):
        repeat = _sharing(query, key, part.causal)
        total = len(part.queries.at_T)
        result = (
            query.new_empty(total, *query.shape[1:]),
            query.new_empty(total, query.shape[1], dtype=wide_dtype(query.dtype)),
        )
        for queries, keys in part.blocks:
            states, options = (
                _states(query, key, value, queries, keys, part.causal),
                _options(query, keys, part.causal, scale),
            )
            found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*states, **options)
            for whole, x in zip(result, found, strict=True):
                whole.index_copy_(0, queries.place_T, _tokens(_unfold(x, repeat), queries))
        return result

    @staticmethod
    def backward(grad_out, query, key, value, out, lse, part, scale):
        repeat = _sharing(query, key, part.causal)
        asking, asked = len(part.queries.at_T), len(part.keys.at_T)
        totals = [x.new_zeros(n, *x.shape[1:]) for x, n in ((query, asking), (key, asked), (value, asked))]
        for queries, keys in part.blocks:
            options = _options(query, keys, part.causal, scale)
            # lse = inf at padding: its P is 0, and so is all that it would add
            given = (_padded(x, queries, fill) for x, fill in ((grad_out, 0.0), (out, 0.0), (lse, torch.inf)))
            grad_block, *forward = (_fold(x, repeat) for x in given)
            dropout, options["attn_mask"] = options.pop("dropout_p"), options.get("attn_mask")
            grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                *(grad_block, *_states(query, key, value, queries, keys, part.causal), *forward), dropout, **options
            )
            shared = (x if x.shape[1] == key.shape[1] else x.unflatten(1, (key.shape[1], -1)).sum(2) for x in grads[1:])
            of = queries, keys, keys
            for total, grad, where in zip(totals, (_unfold(grads[0], repeat), *shared), of, strict=True):
                total.index_copy_(0, where.place_T, _tokens(grad, where))
        return tuple(totals)


def _sharing(query: Tensor, key: Tensor, causal: bool) -> int:
    """How many query heads are folded into one."""
    return 1 if causal else query.shape[1] // key.shape[1]


def _options(query: Tensor, keys: Rectangle, causal: bool, scale: float) -> dict:
    options = {"dropout_p": 0.0, "is_causal": causal, "scale": scale}
    if not causal and keys.mask_SL is not None:
        bias_SL = query.new_zeros(keys.mask_SL.shape).masked_fill_(~keys.mask_SL, -torch.inf)
        options["attn_mask"] = bias_SL[:, None, None]
    return options


def _states(query, key, value, queries: Rectangle, keys: Rectangle, causal: bool) -> list[Tensor]:
    repeat = query.shape[1] // key.shape[1]
    folded = _fold(_rows(query, queries), 1 if causal else repeat)
    shared = [_rows(x, keys) for x in (key, value)]
    return [folded, *(x.repeat_interleave(repeat, 1) if causal and repeat > 1 else x for x in shared)]


def _rows(states_THD: Tensor, rectangle: Rectangle) -> Tensor:
    """(T, H, …) -> (S, H, L, …); padding holds some token's values."""
    index_SL = rectangle.index_SL
    return states_THD.index_select(0, index_SL.flatten()).unflatten(0, index_SL.shape).transpose(1, 2)


def _padded(states: Tensor, rectangle: Rectangle, fill: float) -> Tensor:
    """(T, H, …) -> (S, H, L, …) with `fill` at padding."""
    rows = _rows(states, rectangle)
    if rectangle.mask_SL is None:
        return rows
    mask = rectangle.mask_SL[:, None].unflatten(-1, (-1, *[1] * (states.ndim - 2)))
    return rows.masked_fill(~mask, fill)


def _tokens(states: Tensor, rectangle: Rectangle) -> Tensor:
    """(S, H, L, …) -> (T', H, …), padding left out."""
    return states.transpose(1, 2).flatten(0, 1).index_select(0, rectangle.inside_T)


def _fold(states: Tensor, repeat: int) -> Tensor:
    """(S, H, L, …) -> (S, H / repeat, repeat * L, …)."""
    return states if repeat == 1 else states.unflatten(1, (-1, repeat)).flatten(2, 3)


def _unfold(states: Tensor, repeat: int) -> Tensor:
    return states if repeat == 1 else states.unflatten(2, (repeat, -1)).flatten(1, 2)
