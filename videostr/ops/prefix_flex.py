"""Packed groups' attention by flex_attention: for devices and dtypes without a flash kernel."""

from functools import lru_cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from .prefix_layout import PrefixLayout

_masks: WeakKeyDictionary[PrefixLayout, BlockMask] = WeakKeyDictionary()  # one serves every layer


def flex_prefix_attention(query: Tensor, key: Tensor, value: Tensor, layout: PrefixLayout, scale: float) -> Tensor:
    """(T, H, D) and (T, Hk, D) -> (T, H, D). Compiled on CUDA; elsewhere torch makes all T x T scores."""
    attention, make_mask = _compiled() if query.device.type == "cuda" else (flex_attention, create_block_mask)
    mask = _masks.get(layout)
    if mask is None:
        mask = _masks[layout] = make_mask(
            _visible(layout.group_T, layout.answer_T), None, None, layout.tokens, layout.tokens, device=query.device
        )
    states = (x.transpose(0, 1)[None] for x in (query, key, value))
    out = attention(*states, block_mask=mask, scale=scale, enable_gqa=query.shape[1] != key.shape[1])
    return out[0].transpose(0, 1)


def _visible(group_T: Tensor, answer_T: Tensor):
    def visible(batch, head, q, k):
        inside = (answer_T[k] < 0) | (answer_T[k] == answer_T[q])
        return (k <= q) & (group_T[k] == group_T[q]) & inside

    return visible


@lru_cache(maxsize=1)
def _compiled():
    return torch.compile(flex_attention, dynamic=True), torch.compile(create_block_mask, dynamic=True)
