"""A packed group's attention in three flash calls, merged by log-sum-exp: no mask, no copy of the prompt per answer.

An answer token's softmax runs over two sets of keys, its prompt's and its own answer's. With out_i, lse_i of each set,

    lse = log(exp(lse_1) + exp(lse_2)),   out = exp(lse_1 - lse) out_1 + exp(lse_2 - lse) out_2.

Of the forward, the flash backward needs only P = exp(S - lse) and D = rowsum(dO * O). Given the merged out and lse
it makes each set's exact share of the gradients (as ring attention, arXiv 2310.01889, does for keys elsewhere).
"""

import torch
from torch import Tensor

from videostr.model.attention import repeat_heads
from videostr.model.packing import PackedLayout

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class PrefixFlash(torch.autograd.Function):
    """query (T, H, D), key and value (T, Hk, D) of a packed row, on the CPU -> (T, H, D)."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scaling: float) -> Tensor:
        parts = _Parts(layout, query.shape[1] // key.shape[1], scaling)
        out, lse = torch.empty_like(query), query.new_empty(query.shape[:2], dtype=_lse_dtype(query))
        states = query, key, value
        out_T1, lse_T1 = parts.take(_forward(*parts.prompt(*states), **parts.causal), layout.prompt_rows_T1)
        out[layout.prompt_at_T1], lse[layout.prompt_at_T1] = out_T1, lse_T1
        if layout.answer_index_KL is not None:
            folded = _forward(*parts.tail(*states), **parts.to_prompt)
            out_1, lse_1 = parts.take([parts.unfold(part) for part in folded], layout.tail_rows_T2)
            out_2, lse_2 = parts.take(_forward(*parts.answer(*states), **parts.causal), layout.answer_rows_T2)
            merged = torch.logaddexp(lse_1, lse_2)
            lse[layout.tail_at_T2] = merged
            weight_1, weight_2 = (torch.exp(part - merged)[..., None] for part in (lse_1, lse_2))
            out[layout.tail_at_T2] = (weight_1 * out_1 + weight_2 * out_2).to(out.dtype)
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.layout, ctx.scaling = layout, scaling
        return out

    @staticmethod
    def backward(ctx, grad_out: Tensor):
        query, key, value, out, lse = ctx.saved_tensors
        layout = ctx.layout
        parts = _Parts(layout, query.shape[1] // key.shape[1], ctx.scaling)
        grads = [torch.zeros_like(states) for states in (query, key, value)]
        index = layout.prompt_index_BP
        rows = [states.index_select(0, layout.prompt_at_T1) for states in (grad_out, out, lse)]
        grad_BHPD, out_BHPD, lse_BHP = parts.pad(rows, layout.prompt_rows_T1, index)
        of_prompt = _backward(
            grad_BHPD, *parts.prompt(query, key, value), out_BHPD, lse_BHP, 0.0, True, scale=ctx.scaling
        )
        for total, part in zip(grads, of_prompt, strict=True):
            part = parts.join(part) if part.shape[1] != total.shape[1] else part
            total[layout.prompt_at_T1] += _rows(part, layout.prompt_rows_T1)
        if layout.answer_index_KL is None:
            return *grads, None, None

        rows = [states.index_select(0, layout.tail_at_T2) for states in (grad_out, out, lse)]
        padded = parts.pad(rows, layout.tail_rows_T2, layout.tail_index_BA)
        grad_q, grad_k, grad_v = _backward(
            *(parts.fold(padded[0]), *parts.tail(query, key, value), parts.fold(padded[1]), parts.fold(padded[2])),
            0.0,
            False,
            attn_mask=parts.to_prompt["attn_mask"],
            scale=ctx.scaling,
        )
        grads[0][layout.tail_at_T2] += _rows(parts.unfold(grad_q), layout.tail_rows_T2)
        grads[1][layout.prompt_at_T1] += _rows(grad_k, layout.prompt_rows_T1)
        grads[2][layout.prompt_at_T1] += _rows(grad_v, layout.prompt_rows_T1)

        grad_KHLD, out_KHLD, lse_KHL = parts.pad(rows, layout.answer_rows_T2, layout.answer_index_KL)
        of_answer = _backward(
            grad_KHLD, *parts.answer(query, key, value), out_KHLD, lse_KHL, 0.0, True, scale=ctx.scaling
        )
        for total, part in zip(grads, of_answer, strict=True):
            part = parts.join(part) if part.shape[1] != total.shape[1] else part
            total[layout.tail_at_T2] += _rows(part, layout.answer_rows_T2)
        return *grads, None, None


class _Parts:
    """Padded inputs of the three calls. `repeat` query heads share a key head."""

    def __init__(self, layout: PackedLayout, repeat: int, scaling: float):
        self.layout, self.repeat = layout, repeat
        self.causal = {"dropout_p": 0.0, "is_causal": True, "scale": scaling}
        self.to_prompt = {"dropout_p": 0.0, "is_causal": False, "scale": scaling, "attn_mask": None}

    def prompt(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Every prompt by itself; the padding is behind it, so causality hides it."""
        return self._alone(query, key, value, self.layout.prompt_index_BP)

    def answer(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Every answer by itself."""
        return self._alone(query, key, value, self.layout.answer_index_KL)

    def tail(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """All answer tokens of a group against its prompt; query heads that share a key become more queries of it."""
        mask_BP = self.layout.prompt_mask_BP
        if mask_BP is not None:
            bias_BP = query.new_zeros(mask_BP.shape).masked_fill_(~mask_BP, float("-inf"))
            self.to_prompt["attn_mask"] = bias_BP[:, None, None]
        prompt = [_gather(states, self.layout.prompt_index_BP) for states in (key, value)]
        return [self.fold(_gather(query, self.layout.tail_index_BA)), *prompt]

    def _alone(self, query: Tensor, key: Tensor, value: Tensor, index: Tensor) -> list[Tensor]:
        keys = (repeat_heads(_gather(states, index), query.shape[1]) for states in (key, value))
        return [_gather(query, index), *keys]

    def fold(self, states: Tensor) -> Tensor:
        """(B, H, A, …) -> (B, Hk, repeat * A, …)."""
        return states.unflatten(1, (-1, self.repeat)).flatten(2, 3)

    def unfold(self, states: Tensor) -> Tensor:
        return states.unflatten(2, (self.repeat, -1)).flatten(1, 2)

    def join(self, grad: Tensor) -> Tensor:
        """Sum the gradients of a key head's copies."""
        return grad.unflatten(1, (-1, self.repeat)).sum(2)

    @staticmethod
    def take(padded, rows: Tensor) -> list[Tensor]:
        """(out, lse) of a call, the rows that are tokens: (T', H, D) and (T', H)."""
        return [_rows(states, rows) for states in padded]

    @staticmethod
    def pad(token_rows: list[Tensor], rows: Tensor, index: Tensor) -> list[Tensor]:
        """grad, out, lse (T', H, …) -> padded (rows, H, columns, …). Padding's lse is +inf, so that its P is 0."""
        fills = (0.0, 0.0, float("inf"))
        padded = []
        for states, fill in zip(token_rows, fills, strict=True):
            flat = states.new_full((index.numel(), *states.shape[1:]), fill).index_copy_(0, rows, states)
            padded.append(flat.unflatten(0, index.shape).transpose(1, 2))
        return padded


def _gather(states: Tensor, index: Tensor) -> Tensor:
    """(T, H, D) at (rows, columns) -> (rows, H, columns, D)."""
    return states.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2)


def _rows(states: Tensor, rows: Tensor) -> Tensor:
    """(R, H, C, …) -> the given rows of (R * C, H, …)."""
    return states.transpose(1, 2).flatten(0, 1).index_select(0, rows)


def _lse_dtype(query: Tensor) -> torch.dtype:
    return torch.float64 if query.dtype == torch.float64 else torch.float32
