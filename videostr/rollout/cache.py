"""The groups' key/value cache: each prompt's once, each answer's own beside it, and attention over both."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from videostr.model.packing import PackedLayout
from videostr.model.prefix_attention import PrefixAttention, gather_padded


@dataclass
class Prefill(PrefixAttention):
    """Attention over the prompts of a packed row that also keeps every layer's keys and values, (B, Hk, P, D) each."""

    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        self.kept.append(tuple(gather_padded(states, self.layout.prompt_index_BP) for states in (key, value)))
        return super().__call__(module, query, key, value, scaling)


class GroupCache:
    """An `Attend` for decode steps: N rows, each one new token of one answer, all at the same step.

    A group's rows read their prompt's keys and values together, so these exist once however large the group is.
    """

    def __init__(self, prefill: list[tuple[Tensor, Tensor]], layout: PackedLayout, group_size: int, steps: int):
        groups = layout.prompt_index_BP.shape[0]
        self.prefix = prefill
        key = prefill[0][0]
        self.bias_BP = None
        if layout.prompt_mask_BP is not None:
            self.bias_BP = torch.zeros(layout.prompt_mask_BP.shape, device=key.device)
            self.bias_BP.masked_fill_(~layout.prompt_mask_BP, float("-inf"))
        rows = groups * group_size
        shape = (rows, key.shape[1], steps, key.shape[3])
        self.suffix = [(key.new_empty(shape), key.new_empty(shape)) for _ in prefill]
        self.length = 0
        self.owner_N = torch.arange(groups, device=key.device).repeat_interleave(group_size)
        self._arrange()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows (sorted indices) only; prompts without a row left are dropped too."""
        for layer, (key, value) in enumerate(self.suffix):
            self.suffix[layer] = (key.index_select(0, rows), value.index_select(0, rows))
        owner_N = self.owner_N.index_select(0, rows)
        groups, self.owner_N = owner_N.unique(return_inverse=True)
        if len(groups) < len(self.prefix[0][0]):
            for layer, (key, value) in enumerate(self.prefix):
                self.prefix[layer] = (key.index_select(0, groups), value.index_select(0, groups))
            if self.bias_BP is not None:
                self.bias_BP = self.bias_BP.index_select(0, groups)
        self._arrange()

    def _arrange(self) -> None:
        """Give each row a slot among its group's, padded to the largest group that is left."""
        groups = len(self.prefix[0][0])
        sizes_B = torch.bincount(self.owner_N, minlength=groups)
        self.slots = int(sizes_B.max())
        first_B = sizes_B.cumsum(0) - sizes_B
        place_N = torch.arange(len(self.owner_N), device=self.owner_N.device) - first_B[self.owner_N]
        dense = len(self.owner_N) == groups * self.slots
        self.slot_N = None if dense else self.owner_N * self.slots + place_N

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        prefix_key, prefix_value = self.prefix[module.layer_idx]
        suffix_key, suffix_value = self.suffix[module.layer_idx]
        suffix_key[:, :, self.length] = key[0].transpose(0, 1)
        suffix_value[:, :, self.length] = value[0].transpose(0, 1)
        used = self.length + 1
        heads, rows, width = query.shape[1:]
        kv_heads = key.shape[1]
        query_NKRD = (query[0] * scaling).transpose(0, 1).unflatten(1, (kv_heads, heads // kv_heads))

        own = query_NKRD @ suffix_key[:, :, :used].transpose(-1, -2)
        shared = self._by_group(query_NKRD) @ prefix_key.transpose(-1, -2)
        if self.bias_BP is not None:
            shared = shared + self.bias_BP[:, None, None]
        weights = torch.cat([shared, self._by_group(own)], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
        prompt = prefix_key.shape[2]
        out = self._by_row(weights[..., :prompt] @ prefix_value)
        out = out + self._by_row(weights[..., prompt:]) @ suffix_value[:, :, :used]
        return out.reshape(1, rows, heads, width)

    def _by_group(self, states_NKRX: Tensor) -> Tensor:
        """(N, Hk, rep, X) rows -> (B, Hk, slots * rep, X), zeros where a group has fewer rows."""
        if self.slot_N is not None:
            padded = states_NKRX.new_zeros(len(self.prefix[0][0]) * self.slots, *states_NKRX.shape[1:])
            states_NKRX = padded.index_copy_(0, self.slot_N, states_NKRX)
        return states_NKRX.unflatten(0, (-1, self.slots)).transpose(1, 2).flatten(2, 3)

    def _by_row(self, states_BKSX: Tensor) -> Tensor:
        """The way back."""
        states_NKRX = states_BKSX.unflatten(2, (self.slots, -1)).transpose(1, 2).flatten(0, 1)
        return states_NKRX if self.slot_N is None else states_NKRX.index_select(0, self.slot_N)
