"""Advantages, group by group."""

from typing import NamedTuple

import torch
from torch import Tensor


class GroupAdvantage(NamedTuple):
    """What `group_advantage` returns; N answers in B groups."""

    advantage_N: Tensor
    mean_B: Tensor
    std_B: Tensor
    min_B: Tensor
    max_B: Tensor
    count_B: Tensor
    informative_B: Tensor


def group_advantage(
    reward: Tensor,
    group_N: Tensor,
    num_groups: int,
    weights: Tensor | None = None,
    task_reward: Tensor | None = None,
    scale: str = "std",
    eps: float = 1e-6,
    min_std: float = 0.0,
) -> GroupAdvantage:
    reward_NK = reward if reward.ndim == 2 else reward[:, None]
    reward_N = reward_NK.sum(1) if weights is None else reward_NK @ weights
    advantage_N = torch.zeros_like(reward_N)
    mean_B, std_B, min_B, max_B = reward_N.new_zeros(4, num_groups).unbind()
    count_B = torch.bincount(group_N, minlength=num_groups)
    informative_B = torch.zeros(num_groups, dtype=torch.bool, device=reward.device)
    batch_std = spread(reward_N)
    for b in range(num_groups):
        member_N = group_N == b
        reward_G = reward_N[member_N]
        if reward_G.numel() == 0:
            continue
        mean_B[b], min_B[b], max_B[b] = reward_G.mean(), reward_G.min(), reward_G.max()
        std_B[b] = spread(reward_G)
        gate = std_B[b] if task_reward is None else spread(task_reward[member_N])
        informative_B[b] = gate > min_std
        if not informative_B[b] or std_B[b] == 0:
            continue
        centred_G = reward_G - mean_B[b]
        if scale == "std":
            centred_G = centred_G / (std_B[b] + eps)
        elif scale == "batch":
            centred_G = centred_G / (batch_std + eps)
        elif scale == "loo":
            centred_G = centred_G * (reward_G.numel() / (reward_G.numel() - 1))
        advantage_N[member_N] = centred_G
    return GroupAdvantage(advantage_N, mean_B, std_B, min_B, max_B, count_B, informative_B)


def spread(reward_G: Tensor) -> Tensor:
    """Unbiased standard deviation; exactly 0 for fewer than two values and for equal ones, whatever the rounding."""
    if reward_G.numel() < 2 or bool((reward_G == reward_G[0]).all()):
        return reward_G.new_zeros(())
    return reward_G.std(unbiased=True)
