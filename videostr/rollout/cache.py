"""The groups' key/value cache: each prompt's once, each answer's own beside it, and attention over both."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from videostr.model.prefix_attention import PrefixAttention
from videostr.ops.prefix_layout import Rectangle


@dataclass
class Prefill(PrefixAttention):
    """Attention over a packed row's prompts that keeps each layer's keys (B, Hk, D, P) and values (B, Hk, P, D)."""

    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @cached_property
    def prompts(self) -> Rectangle:
        return self.layout.prompts.rectangle()

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        # Contiguous, or every later product over (B, Hk) would copy them first; keys transposed, which the CPU's small
        # products read three times as fast.
        index_BP = self.prompts.index_SL
        key_BHPD, value_BHPD = (x[0][:, index_BP].transpose(0, 1) for x in (key, value))
        self.kept.append((key_BHPD.mT.contiguous(), value_BHPD.contiguous()))
        return super().__call__(module, query, key, value, scaling)


class GroupCache:
    """An `Attend` for decode steps: B groups of S answers each, one new token of every answer, all at the same step.

    A group's answers read their prompt's keys and values together, so these exist once however large the group is. Rows
    are ordered by group.
    """

    def __init__(self, prefill: list[tuple[Tensor, Tensor]], prompts: Rectangle, group_size: int, steps: int):
        self.prefix = prefill  # per layer: keys (B, Hk, D, P), values (B, Hk, P, D)
        key = prefill[0][0]
        groups, kv_heads, width, _ = key.shape
        answers = (groups, kv_heads, group_size)
        self.suffix = [(key.new_empty(*answers, width, steps), key.new_empty(*answers, steps, width)) for _ in prefill]
        self.length = 0
        self.bias_BP = None
        if prompts.mask_SL is not None:
            self.bias_BP = torch.zeros(prompts.mask_SL.shape, device=key.device)
            self.bias_BP.masked_fill_(~prompts.mask_SL, float("-inf"))

    def keep(self, group_B: Tensor, slot_BS: Tensor) -> None:
        """Go on with these groups (B' indices) and, of each, these answers (B', S' indices)."""

        def pick(states: Tensor) -> Tensor:
            return states.index_select(0, group_B)

        for layer, (key, value) in enumerate(self.suffix):
            index = slot_BS[:, None, :, None, None].expand(-1, key.shape[1], -1, 1, 1)
            self.suffix[layer] = tuple(pick(s).gather(2, index.expand(-1, -1, -1, *s.shape[3:])) for s in (key, value))
        if len(group_B) < len(self.prefix[0][0]):
            self.prefix = [(pick(key), pick(value)) for key, value in self.prefix]
            self.bias_BP = None if self.bias_BP is None else pick(self.bias_BP)

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        prefix_key, prefix_value = self.prefix[module.layer_idx]
        suffix_key, suffix_value = self.suffix[module.layer_idx]
        groups, kv_heads, slots = suffix_key.shape[:3]
        prompt, used = prefix_key.shape[3], self.length + 1
        suffix_key[..., self.length] = key[0].unflatten(1, (groups, slots)).transpose(0, 1)
        suffix_value[:, :, :, self.length] = value[0].unflatten(1, (groups, slots)).transpose(0, 1)

        # (H, N, D) -> (B, Hk, S, heads that share a key, D)
        query_BKSRD = (query[0] * scaling).view(kv_heads, -1, groups, slots, query.shape[-1]).permute(2, 0, 3, 1, 4)
        query_BKSRD = query_BKSRD.contiguous()
        shared = query_BKSRD.flatten(2, 3) @ prefix_key
        if self.bias_BP is not None:
            shared = shared + self.bias_BP[:, None, None]
        own = query_BKSRD @ suffix_key[..., :used]
        weights = torch.cat([shared, own.flatten(2, 3)], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
        out = (weights[..., :prompt] @ prefix_value).unflatten(2, (slots, -1))
        out = out + weights[..., prompt:].unflatten(2, (slots, -1)) @ suffix_value[:, :, :, :used]
        return out.transpose(1, 2).reshape(1, groups * slots, -1, query.shape[-1])
