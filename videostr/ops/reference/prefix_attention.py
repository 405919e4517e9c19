"""Attention of packed groups, by one dense mask."""

import torch
from torch import Tensor


def prefix_mask(group_T: Tensor, answer_T: Tensor) -> Tensor:
    """(T, T), True where the row's token may look at the column's: its own prompt and answer, not ahead of itself."""
    place_T = torch.arange(len(group_T), device=group_T.device)
    behind_TT = place_T[None] <= place_T[:, None]
    same_group_TT = group_T[None] == group_T[:, None]
    return behind_TT & same_group_TT & ((answer_T[None] < 0) | (answer_T[None] == answer_T[:, None]))


def prefix_attention(
    query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, group_T: Tensor, answer_T: Tensor, scale: float
) -> Tensor:
    repeat = query_THD.shape[1] // key_TKD.shape[1]
    key_THD, value_THD = key_TKD.repeat_interleave(repeat, 1), value_TKD.repeat_interleave(repeat, 1)
    score_HTT = torch.einsum("qhd,khd->hqk", query_THD, key_THD) * scale
    score_HTT = score_HTT.masked_fill(~prefix_mask(group_T, answer_T), -torch.inf)
    return torch.einsum("hqk,khd->qhd", score_HTT.softmax(-1), value_THD)
