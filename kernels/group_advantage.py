"""group_advantage in one launch: a program a group, which reads the ids three times and picks its own.

The ids of a step fit into the second-level cache, so reading them once a group costs less than sorting them; nothing
is added by atomics, and the result does not depend on the order in which programs run.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

NUM_WARPS = 8  # with four, some configurations spill
SCALES = {"std": 0, "none": 1, "batch": 2, "loo": 3}


@triton.jit
def _extremes(values, mine, low, high, BLOCK: tl.constexpr):
    low = tl.minimum(low, tl.min(tl.where(mine, values, float("inf")), axis=0))
    high = tl.maximum(high, tl.max(tl.where(mine, values, float("-inf")), axis=0))
    return low, high


@triton.jit
def _std(squares, count, low, high):
    """Unbiased; exactly 0 for fewer than two values and for equal ones, whatever the rounding."""
    return tl.where((count < 2) | (low == high), 0.0, tl.sqrt(squares / tl.maximum(count - 1, 1)))


@triton.jit
def group_advantage_kernel(
    reward_ptr,  # [N]
    group_ptr,  # [N] int64
    task_ptr,  # [N], the reward itself without HAS_TASK
    advantage_ptr,  # [N]
    mean_ptr,  # [B]
    std_ptr,  # [B]
    informative_ptr,  # [B] bool
    N,
    EPS: tl.constexpr,  # not arguments, which would be rounded to float32
    MIN_STD: tl.constexpr,
    SCALE: tl.constexpr,
    HAS_TASK: tl.constexpr,
    BLOCK: tl.constexpr,
):
    b = tl.program_id(0)
    offset = tl.arange(0, BLOCK)
    zero = tl.load(reward_ptr + offset, mask=offset < 0, other=0.0)  # BLOCK zeros in the dtype of the sums
    count, total, task_total, all_total = tl.sum(zero), tl.sum(zero), tl.sum(zero), tl.sum(zero)
    low = total + float("inf")
    high = total - float("inf")
    task_low, task_high, all_low, all_high = low, high, low, high
    for start in range(0, N, BLOCK):
        at = start + offset
        inside = at < N
        mine = inside & (tl.load(group_ptr + at, mask=inside, other=-1) == b)
        reward = tl.load(reward_ptr + at, mask=inside, other=0.0)  # [BLOCK]
        count += tl.sum(tl.where(mine, zero + 1, 0.0))
        total += tl.sum(tl.where(mine, reward, 0.0))
        low, high = _extremes(reward, mine, low, high, BLOCK)
        if HAS_TASK:
            task = tl.load(task_ptr + at, mask=mine, other=0.0)
            task_total += tl.sum(task)
            task_low, task_high = _extremes(task, mine, task_low, task_high, BLOCK)
        if SCALE == 2:
            all_total += tl.sum(reward)
            all_low, all_high = _extremes(reward, inside, all_low, all_high, BLOCK)

    members = tl.maximum(count, 1)
    mean, task_mean, all_mean = total / members, task_total / members, all_total / N
    squares, task_squares, all_squares = tl.sum(zero), tl.sum(zero), tl.sum(zero)
    for start in range(0, N, BLOCK):
        at = start + offset
        inside = at < N
        mine = inside & (tl.load(group_ptr + at, mask=inside, other=-1) == b)
        reward = tl.load(reward_ptr + at, mask=inside, other=0.0)
        away = tl.where(mine, reward - mean, 0.0)
        squares += tl.sum(away * away)
        if HAS_TASK:
            away = tl.where(mine, tl.load(task_ptr + at, mask=mine, other=0.0) - task_mean, 0.0)
            task_squares += tl.sum(away * away)
        if SCALE == 2:
            away = tl.where(inside, reward - all_mean, 0.0)
            all_squares += tl.sum(away * away)

    std = _std(squares, count, low, high)
    gate = std
    if HAS_TASK:
        gate = _std(task_squares, count, task_low, task_high)
    informative = gate > MIN_STD
    factor = std * 0 + 1.0
    if SCALE == 0:
        factor = 1.0 / (std + EPS)
    if SCALE == 2:
        factor = 1.0 / (_std(all_squares, all_total * 0 + N, all_low, all_high) + EPS)
    if SCALE == 3:
        factor = count / tl.maximum(count - 1, 1)
    factor = tl.where(informative & (std > 0), factor, 0.0)  # a group without spread under eps = 0 would divide by 0
    tl.store(mean_ptr + b, mean)
    tl.store(std_ptr + b, std)
    tl.store(informative_ptr + b, informative)
    for start in range(0, N, BLOCK):
        at = start + offset
        inside = at < N
        mine = inside & (tl.load(group_ptr + at, mask=inside, other=-1) == b)
        reward = tl.load(reward_ptr + at, mask=mine, other=0.0)
        tl.store(advantage_ptr + at, (reward - mean) * factor, mask=mine)


def group_advantage(
    reward: Tensor,
    group: Tensor,
    num_groups: int,
    scale: str,
    eps: float,
    min_std: float,
    task_reward: Tensor | None,
    block: int = 1024,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The operator `videostr::group_advantage` on contiguous (N,) tensors of one device."""
    advantage = torch.empty_like(reward)
    mean = reward.new_empty(num_groups)
    std, informative = torch.empty_like(mean), mean.new_empty(num_groups, dtype=torch.bool)
    if num_groups:
        group_advantage_kernel[(num_groups,)](
            reward,
            group,
            reward if task_reward is None else task_reward,
            advantage,
            mean,
            std,
            informative,
            reward.numel(),
            EPS=eps,
            MIN_STD=min_std,
            SCALE=SCALES[scale],
            HAS_TASK=task_reward is not None,
            BLOCK=block,
            num_warps=NUM_WARPS,
        )
    return advantage, mean, std, informative
