"""torch's flash-attention kernels on stretches of a packed row: out and logsumexp, and gradients from any given ones.

States are (T, H, D) of the whole row. A call takes the S stretches of `queries`, each of which looks at the stretch of
`keys` with the same number; results are of the queries' tokens, in the order of `queries.at_T`.
"""

from typing import Protocol

import torch
from torch import Tensor

from .prefix_layout import Sequences

MOST_WIDTH, MOST_WIDTH_SMALL = 256, 192  # of a head, in flash-attention's CUDA kernels; on GPUs with less shared memory


class Kernel(Protocol):
    """lse is natural logarithms, float32 (float64 for float64), (T', H)."""

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, queries: Sequences, keys: Sequences, causal: bool, scale: float
    ) -> tuple[Tensor, Tensor]:
        """out (T', H, D), lse."""

    @staticmethod
    def backward(
        grad_out: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        out: Tensor,
        lse: Tensor,
        queries: Sequences,
        keys: Sequences,
        causal: bool,
        scale: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """grad_out, out, lse: of the whole row. Gradients of the queries' and the keys' tokens."""


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
    def forward(query, key, value, queries, keys, causal, scale):
        states = query[queries.at_T], key[keys.at_T], value[keys.at_T]
        out, lse_HT, *_ = torch.ops.aten._flash_attention_forward(
            *states, *_lengths(queries, keys), 0.0, causal, False, scale=scale
        )
        return out, lse_HT.T

    @staticmethod
    def backward(grad_out, query, key, value, out, lse, queries, keys, causal, scale):
        states = query[queries.at_T], key[keys.at_T], value[keys.at_T]
        no_dropout = query.new_empty(2, dtype=torch.uint64), query.new_empty((), dtype=torch.uint64)
        return torch.ops.aten._flash_attention_backward(
            grad_out[queries.at_T],
            *states,
            out[queries.at_T],
            lse[queries.at_T].T.contiguous(),
            *_lengths(queries, keys),
            0.0,
            causal,
            *no_dropout,
            scale=scale,
        )


def _lengths(queries: Sequences, keys: Sequences) -> tuple[Tensor, Tensor, int, int]:
    return queries.cu_seqlens_S1, keys.cu_seqlens_S1, queries.longest, keys.longest


class Padded:
    """CPU: torch's flash kernel on rectangles. Padding is behind each stretch, so a causal call never looks at it.

    Without causality the queries that share a key head become more queries of it; with it each gets a copy of the head.
    """

    @staticmethod
    def forward(query, key, value, queries, keys, causal, scale):
        repeat, options = _sharing(query, key, causal), _options(query, keys, causal, scale)
        states = _states(query, key, value, queries, keys, causal)
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*states, **options)
        return tuple(_tokens(_unfold(x, repeat), queries.rows_T) for x in (out, lse))

    @staticmethod
    def backward(grad_out, query, key, value, out, lse, queries, keys, causal, scale):
        repeat, options = _sharing(query, key, causal), _options(query, keys, causal, scale)
        # lse = inf at padding: its P is 0, and so is all that it would add
        given = (_padded(x, queries, fill) for x, fill in ((grad_out, 0.0), (out, 0.0), (lse, torch.inf)))
        grad_out, out, lse = (_fold(x, repeat) for x in given)
        dropout, options["attn_mask"] = options.pop("dropout_p"), options.get("attn_mask")
        grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            *(grad_out, *_states(query, key, value, queries, keys, causal), out, lse),
            dropout,
            **options,
        )
        grad_query = _unfold(grads[0], repeat)
        grad_key, grad_value = (
            x if x.shape[1] == key.shape[1] else x.unflatten(1, (key.shape[1], -1)).sum(2) for x in grads[1:]
        )
        return tuple(_tokens(x, s.rows_T) for x, s in ((grad_query, queries), (grad_key, keys), (grad_value, keys)))


def _sharing(query: Tensor, key: Tensor, causal: bool) -> int:
    """How many query heads are folded into one."""
    return 1 if causal else query.shape[1] // key.shape[1]


def _options(query: Tensor, keys: Sequences, causal: bool, scale: float) -> dict:
    options = {"dropout_p": 0.0, "is_causal": causal, "scale": scale}
    if not causal and keys.mask_SL is not None:
        bias_SL = query.new_zeros(keys.mask_SL.shape).masked_fill_(~keys.mask_SL, -torch.inf)
        options["attn_mask"] = bias_SL[:, None, None]
    return options


def _states(query, key, value, queries: Sequences, keys: Sequences, causal: bool) -> list[Tensor]:
    repeat = query.shape[1] // key.shape[1]
    folded = _fold(rectangle(query, queries), 1 if causal else repeat)
    shared = [rectangle(x, keys) for x in (key, value)]
    return [folded, *(x.repeat_interleave(repeat, 1) if causal and repeat > 1 else x for x in shared)]


def rectangle(states_THD: Tensor, sequences: Sequences) -> Tensor:
    """(T, H, …) -> (S, H, L, …); padding holds some token's values."""
    index = sequences.index_SL
    return states_THD.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2)


def _padded(states: Tensor, sequences: Sequences, fill: float) -> Tensor:
    """(T, H, …) -> (S, H, L, …) with `fill` at padding."""
    flat = states.new_full((sequences.index_SL.numel(), *states.shape[1:]), fill)
    flat = flat.index_copy_(0, sequences.rows_T, states.index_select(0, sequences.at_T))
    return flat.unflatten(0, sequences.index_SL.shape).transpose(1, 2)


def _tokens(states: Tensor, rows_T: Tensor) -> Tensor:
    """(S, H, L, …) -> (T', H, …), padding left out."""
    return states.transpose(1, 2).flatten(0, 1).index_select(0, rows_T)


def _fold(states: Tensor, repeat: int) -> Tensor:
    """(S, H, L, …) -> (S, H / repeat, repeat * L, …)."""
    return states if repeat == 1 else states.unflatten(1, (-1, repeat)).flatten(2, 3)


def _unfold(states: Tensor, repeat: int) -> Tensor:
    return states if repeat == 1 else states.unflatten(2, (repeat, -1)).flatten(1, 2)
