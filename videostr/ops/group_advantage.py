"""group_advantage: rewards and groups -> advantages, and what each group can teach."""

import numbers
from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor, on_cuda
from .reference import GroupAdvantage, wide_dtype

SCALES = ("std", "none", "batch", "loo")


def group_advantage(
    reward: Tensor,
    group_N: Tensor | None = None,
    *,
    offsets: Tensor | None = None,
    weights: Tensor | Sequence[float] | None = None,
    task_reward: Tensor | None = None,
    scale: str = "std",
    eps: float = 1e-6,
    min_std: float = 0.0,
    num_groups: int | None = None,
) -> GroupAdvantage:
    """Advantage of each answer over its group (the answers to one prompt), r the weighted sum of its rewards.

        std    (r - mean) / (std + eps), std unbiased over the group: GRPO, and the paper's (papers A3, grade C)
        none   r - mean: Dr. GRPO
        batch  (r - mean) / (std of all N rewards + eps)
        loo    r - mean of the group's other answers: RLOO

    A group is informative where the std of its task reward exceeds `min_std`. The answers of the others get
    advantage 0: where the task reward is the same for all, one badly formatted answer would otherwise become a
    full-size "phantom" advantage.

    Args:
        reward: (N,) or (N, K) for K rewards, any real dtype, finite.
        group_N: integer ids in [0, B), in any order; groups may differ in size. An id without answers is a group of
            statistics 0. Or else:
        offsets: (B + 1,) integers from 0 to N that do not fall, as `cu_seqlens`: group b is the answers from offsets[b]
            to offsets[b + 1].
        weights: (K,) of the rewards; default: 1 each.
        task_reward: (N,) the part of the reward that is the task (e.g. IoU); default: r itself.
        scale: one of the four above.
        eps: >= 0, added to a std that divides.
        min_std: >= 0.
        num_groups: B, with ids. Default: largest id + 1, which on a GPU waits for the device and breaks a compiled
            graph.

    Returns:
        GroupAdvantage(advantage_N, mean_B, std_B, min_B, max_B, count_B, informative_B): float32 (float64 for float64
        rewards), the last two int64 and bool; statistics of r. std of a group of one is 0. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (values are checked on the CPU only).
    """
    check_tensor("reward", reward)
    if reward.ndim not in (1, 2) or (reward.ndim == 2 and reward.shape[1] == 0):
        raise ValueError(f"reward must have shape (N,) or (N, K) with K > 0, got {tuple(reward.shape)}")
    if (group_N is None) == (offsets is None):
        raise ValueError("give either group or offsets, " + ("got neither" if group_N is None else "got both"))
    if reward.is_complex():
        raise TypeError(f"reward must be real, got {reward.dtype}")
    if num_groups is not None:
        if isinstance(num_groups, bool) or not isinstance(num_groups, numbers.Integral | torch.SymInt):
            raise TypeError(f"num_groups must be an integer, got {type(num_groups).__name__}")
        check_number("num_groups", num_groups, at_least=0)
    rows, wide = reward.shape[:1], wide_dtype(reward.dtype)
    reward_NK = reward.detach().to(wide)
    if reward.ndim == 1:
        reward_NK = reward_NK[:, None]
    if group_N is not None:
        check_tensor("group", group_N, ndim=1, floating=False)
        check_shape("group", group_N, tuple(rows), "one id an answer")
        check_device("group", group_N, reward.device, "reward")
        group_N = group_N.long()
        if num_groups is None:
            num_groups = int(group_N.max()) + 1 if group_N.numel() else 0
    else:
        check_tensor("offsets", offsets, ndim=1, floating=False)
        check_device("offsets", offsets, reward.device, "reward")
        if offsets.shape[0] == 0 or num_groups not in (None, offsets.shape[0] - 1):
            raise ValueError(f"offsets must have shape (B + 1,), got {tuple(offsets.shape)} with {num_groups=}")
        offsets, num_groups = offsets.long(), offsets.shape[0] - 1
    check_choice("scale", scale, SCALES)
    check_number("eps", eps, at_least=0)
    check_number("min_std", min_std, at_least=0)
    if weights is not None:
        weights = torch.as_tensor(weights, dtype=wide, device=reward.device).detach()
        check_shape("weights", weights, (reward_NK.shape[1],), "one a reward")
    if task_reward is not None:
        check_tensor("task_reward", task_reward, ndim=1)
        check_shape("task_reward", task_reward, tuple(rows), "one an answer")
        check_device("task_reward", task_reward, reward.device, "reward")
        task_reward = task_reward.detach().to(wide)
    arguments = (reward_NK, group_N, offsets, weights, task_reward, num_groups, scale, float(eps), float(min_std))
    if torch.compiler.is_compiling():
        return GroupAdvantage(*torch.ops.videostr.group_advantage(*arguments))
    try:
        return GroupAdvantage(*torch.ops.videostr.group_advantage(*arguments))
    except RuntimeError as error:  # the kernel's own look at the values
        message = str(error).partition("group_advantage: ")[2]
        if not message:
            raise
        raise ValueError(message.partition("\n")[0]) from None


@torch.library.register_fake("videostr::group_advantage")
def _fake(reward, group, offsets, weights, task_reward, num_groups, *_):
    mean, std, low, high = (reward.new_empty(num_groups) for _ in range(4))
    count, informative = (reward.new_empty(num_groups, dtype=dtype) for dtype in (torch.int64, torch.bool))
    return reward.new_empty(reward.shape[:1]), mean, std, low, high, count, informative


@any_device("group_advantage")
def _torch(reward_NK, group, offsets, weights, task_reward, num_groups, scale, eps, min_std):
    reward = reward_NK.sum(1) if weights is None else reward_NK @ weights
    if group is None:
        group = torch.repeat_interleave(offsets.diff(), output_size=reward.shape[0])

    def spread(value):
        """Sums by scatter, so that no group is visited one by one and nothing waits for the device."""
        zero = value.new_zeros(num_groups)
        count = zero.index_add(0, group, torch.ones_like(value))
        mean = zero.index_add(0, group, value) / count.clamp(min=1)
        squares = zero.index_add(0, group, (value - mean[group]).square())
        low = zero.scatter_reduce(0, group, value, "amin", include_self=False)
        high = zero.scatter_reduce(0, group, value, "amax", include_self=False)
        std = torch.where((count < 2) | (low == high), zero, (squares / (count - 1).clamp(min=1)).sqrt())
        return count, mean, std, low, high

    count, mean, std, low, high = spread(reward)
    informative = (std if task_reward is None else spread(task_reward)[2]) > min_std
    factor = torch.where(informative & (std > 0), 1.0, 0.0).to(reward.dtype)
    if scale == "std":
        factor = factor / (std + eps)
    elif scale == "batch":
        factor = factor / (reference.spread(reward) + eps)
    elif scale == "loo":
        factor = factor * (count / (count - 1).clamp(min=1))
    # a group without spread under eps = 0 would divide 0 by 0
    factor = torch.where(informative & (std > 0), factor, 0.0)
    return (reward - mean[group]) * factor[group], mean, std, low, high, count.long(), informative


@on_cuda("group_advantage")
def _triton(*arguments):
    from videostr.kernels.group_advantage import group_advantage  # imports triton, which only a GPU needs

    return group_advantage(*(x.contiguous() if isinstance(x, Tensor) else x for x in arguments))
