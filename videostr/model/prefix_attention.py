"""Attention of a packed group: the prompt with itself, every answer with its prompt and itself."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from videostr.model.attention import repeat_heads
from videostr.model.packing import PackedLayout
from videostr.model.prefix_flash import PrefixFlash


@dataclass
class PrefixAttention:
    """An `Attend` (see attention.py) for one packed row: (1, H, T, D) queries, (1, Hk, T, D) keys and values."""

    layout: PackedLayout

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        if query.device.type == "cpu":
            rows = (states[0].transpose(0, 1) for states in (query, key, value))
            return PrefixFlash.apply(*rows, self.layout, scaling)[None]
        return self.with_mask(query, key, value, scaling)

    def with_mask(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """The same by two SDPA calls, on any device: every answer gets a copy of its prompt's keys and values."""
        layout, heads = self.layout, query.shape[1]
        prompt = [gather_padded(states, layout.prompt_index_BP) for states in (query, key, value)]
        prompt_key, prompt_value = (repeat_heads(states, heads) for states in prompt[1:])
        # Padding is on the right, so no real query looks at it.
        out = scaled_dot_product_attention(prompt[0], prompt_key, prompt_value, is_causal=True, scale=scaling)
        rows = out.transpose(1, 2).flatten(0, 1).index_select(0, layout.prompt_rows_T1)
        result_THD = torch.zeros_like(query[0].transpose(0, 1)).index_copy(0, layout.prompt_at_T1, rows)
        if layout.answer_index_KL is None:
            return result_THD[None]

        answer = [gather_padded(states, layout.answer_index_KL) for states in (query, key, value)]
        keys = torch.cat([prompt_key[layout.owner_K], repeat_heads(answer[1], heads)], dim=2)
        values = torch.cat([prompt_value[layout.owner_K], repeat_heads(answer[2], heads)], dim=2)
        count, length = layout.answer_index_KL.shape
        causal_LL = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
        mask = torch.ones(count, 1, length, keys.shape[2], dtype=torch.bool, device=query.device)
        mask[..., -length:] = causal_LL
        if layout.prompt_mask_BP is not None:
            mask[..., :-length] = layout.prompt_mask_BP[layout.owner_K][:, None, None]
        out = scaled_dot_product_attention(answer[0], keys, values, attn_mask=mask, scale=scaling)
        rows = out.transpose(1, 2).flatten(0, 1).index_select(0, layout.answer_rows_T2)
        return result_THD.index_copy(0, layout.tail_at_T2, rows)[None]


def gather_padded(states: Tensor, index: Tensor) -> Tensor:
    """Take (rows, columns) tokens of a packed (1, H, T, D) -> (rows, H, columns, D)."""
    states_THD = states[0].transpose(0, 1)
    return states_THD.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2)
