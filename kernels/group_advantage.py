"""group_advantage in one launch: a program a group. With offsets it reads its own rows; with ids it reads all ids three
times and picks its own.

The ids of a step fit into the second-level cache, so reading them once a group costs less than sorting them; nothing
is added by atomics, and the result does not depend on the order in which programs run.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

NUM_WARPS = 8  # with four, some configurations spill
MOST_REGISTERS = 96  # what ptxas takes by itself, 64 at most, makes one spill
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
def _reward(reward_ptr, weights_ptr, at, mask, K: tl.constexpr, HAS_WEIGHTS: tl.constexpr):
    """The weighted sum of an answer's rewards: [BLOCK]."""
    total = tl.load(reward_ptr + at * K, mask=mask, other=0.0)
    if HAS_WEIGHTS:
        total *= tl.load(weights_ptr)
    for k in tl.static_range(1, K):
        one = tl.load(reward_ptr + at * K + k, mask=mask, other=0.0)
        if HAS_WEIGHTS:
            one *= tl.load(weights_ptr + k)
        total += one
    return total


@triton.jit
def _mine(index_ptr, at, end, b, HAS_OFFSETS: tl.constexpr):
    inside = at < end
    if HAS_OFFSETS:
        return inside
    return inside & (tl.load(index_ptr + at, mask=inside, other=-1) == b)


@triton.jit
def _batch_std(reward_ptr, weights_ptr, zero, N, K: tl.constexpr, HAS_WEIGHTS: tl.constexpr, BLOCK: tl.constexpr):
    total = tl.sum(zero)
    low = total + float("inf")
    high = total - float("inf")
    for start in range(0, N, BLOCK):
        at = start + tl.arange(0, BLOCK).to(tl.int64)
        inside = at < N
        reward = _reward(reward_ptr, weights_ptr, at, inside, K, HAS_WEIGHTS)
        total += tl.sum(reward)
        low, high = _extremes(reward, inside, low, high, BLOCK)
    mean, squares = total / N, tl.sum(zero)
    for start in range(0, N, BLOCK):
        at = start + tl.arange(0, BLOCK).to(tl.int64)
        inside = at < N
        away = tl.where(inside, _reward(reward_ptr, weights_ptr, at, inside, K, HAS_WEIGHTS) - mean, 0.0)
        squares += tl.sum(away * away)
    return _std(squares, total * 0 + N, low, high)


@triton.jit
def group_advantage_kernel(
    reward_ptr,  # [N, K]
    weights_ptr,  # [K], anything without HAS_WEIGHTS
    task_ptr,  # [N], anything without HAS_TASK
    index_ptr,  # int64: [B + 1] with HAS_OFFSETS, else ids [N]
    advantage_ptr,  # [N]
    mean_ptr,  # [B], as all that follows
    std_ptr,
    min_ptr,
    max_ptr,
    count_ptr,  # int64
    informative_ptr,  # bool
    N,
    EPS: tl.constexpr,  # not arguments, which would be rounded to float32
    MIN_STD: tl.constexpr,
    SCALE: tl.constexpr,
    K: tl.constexpr,
    HAS_WEIGHTS: tl.constexpr,
    HAS_TASK: tl.constexpr,
    HAS_OFFSETS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    offset = tl.arange(0, BLOCK).to(tl.int64)
    zero = tl.load(reward_ptr + offset, mask=offset < 0, other=0.0)  # BLOCK zeros in the dtype of the sums
    begin, end = b * 0, b * 0 + N
    if HAS_OFFSETS:
        begin, end = tl.load(index_ptr + b), tl.load(index_ptr + b + 1)
    count, total, task_total = tl.sum(zero), tl.sum(zero), tl.sum(zero)
    low = total + float("inf")
    high = total - float("inf")
    task_low, task_high = low, high
    for start in range(begin, end, BLOCK):
        at = start + offset
        mine = _mine(index_ptr, at, end, b, HAS_OFFSETS)
        reward = _reward(reward_ptr, weights_ptr, at, mine, K, HAS_WEIGHTS)
        count += tl.sum(tl.where(mine, zero + 1, 0.0))
        total += tl.sum(reward)
        low, high = _extremes(reward, mine, low, high, BLOCK)
        if HAS_TASK:
            task = tl.load(task_ptr + at, mask=mine, other=0.0)
            task_total += tl.sum(task)
            task_low, task_high = _extremes(task, mine, task_low, task_high, BLOCK)

    members = tl.maximum(count, 1)
    mean, task_mean = total / members, task_total / members
    squares, task_squares = tl.sum(zero), tl.sum(zero)
    for start in range(begin, end, BLOCK):
        at = start + offset
        mine = _mine(index_ptr, at, end, b, HAS_OFFSETS)
        away = tl.where(mine, _reward(reward_ptr, weights_ptr, at, mine, K, HAS_WEIGHTS) - mean, 0.0)
        squares += tl.sum(away * away)
        if HAS_TASK:
            away = tl.where(mine, tl.load(task_ptr + at, mask=mine, other=0.0) - task_mean, 0.0)
            task_squares += tl.sum(away * away)

    std = _std(squares, count, low, high)
    gate = std
    if HAS_TASK:
        gate = _std(task_squares, count, task_low, task_high)
    informative = gate > MIN_STD
    factor = std * 0 + 1.0
    if SCALE == 0:
        factor = 1.0 / (std + EPS)
    if SCALE == 2:
        factor = 1.0 / (_batch_std(reward_ptr, weights_ptr, zero, N, K, HAS_WEIGHTS, BLOCK) + EPS)
    if SCALE == 3:
        factor = count / tl.maximum(count - 1, 1)
    factor = tl.where(informative & (std > 0), factor, 0.0)  # a group without spread under eps = 0 would divide by 0
    tl.store(mean_ptr + b, mean)
    tl.store(std_ptr + b, std)
    tl.store(min_ptr + b, tl.where(count > 0, low, 0.0))
    tl.store(max_ptr + b, tl.where(count > 0, high, 0.0))
    tl.store(count_ptr + b, count.to(tl.int64))
    tl.store(informative_ptr + b, informative)
    for start in range(begin, end, BLOCK):
        at = start + offset
        mine = _mine(index_ptr, at, end, b, HAS_OFFSETS)
        reward = _reward(reward_ptr, weights_ptr, at, mine, K, HAS_WEIGHTS)
        tl.store(advantage_ptr + at, (reward - mean) * factor, mask=mine)


def group_advantage(
    reward: Tensor,
    group: Tensor | None,
    offsets: Tensor | None,
    weights: Tensor | None,
    task_reward: Tensor | None,
    num_groups: int,
    scale: str,
    eps: float,
    min_std: float,
    block: int = 512,
) -> tuple[Tensor, ...]:
    """The operator `videostr::group_advantage` on contiguous tensors of one device."""
    rows, columns = reward.shape
    advantage = reward.new_empty(rows)
    mean, std, low, high = (reward.new_empty(num_groups) for _ in range(4))
    count, informative = (reward.new_empty(num_groups, dtype=dtype) for dtype in (torch.int64, torch.bool))
    if num_groups:
        group_advantage_kernel[(num_groups,)](
            reward,
            reward if weights is None else weights,
            reward if task_reward is None else task_reward,
            group if offsets is None else offsets,
            advantage,
            mean,
            std,
            low,
            high,
            count,
            informative,
            rows,
            EPS=eps,
            MIN_STD=min_std,
            SCALE=SCALES[scale],
            K=columns,
            HAS_WEIGHTS=weights is not None,
            HAS_TASK=task_reward is not None,
            HAS_OFFSETS=offsets is not None,
            BLOCK=block,
            num_warps=NUM_WARPS,
            maxnreg=MOST_REGISTERS,
        )
    return advantage, mean, std, low, high, count, informative
