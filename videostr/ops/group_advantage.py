"""group_advantage: rewards and groups -> advantages, and what each group can teach."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor, on_cuda, readable
from .reference import GroupAdvantage, wide_dtype

SCALES = ("std", "none", "batch", "loo")


def group_advantage(
    reward_N: Tensor,
    group_N: Tensor,
    scale: str = "std",
    eps: float = 1e-6,
    min_std: float = 0.0,
    task_reward: Tensor | None = None,
    num_groups: int | None = None,
) -> GroupAdvantage:
    """Advantage of each answer over its group (the answers to one prompt).

        std    (r - mean) / (std + eps), std unbiased over the group: GRPO, and the paper's (papers A3, grade C)
        none   r - mean: Dr. GRPO
        batch  (r - mean) / (std of all N rewards + eps)
        loo    r - mean of the group's other answers: RLOO

    A group is informative where the std of its task reward exceeds `min_std`. The answers of the others get
    advantage 0: where the task reward is the same for all, one badly formatted answer would otherwise become a
    full-size "phantom" advantage.

    Args:
        reward_N: rewards, any real dtype, finite.
        group_N: integer ids in [0, B), in any order; groups may differ in size. An id without answers is a group of
            mean 0 and std 0.
        scale: one of the four above.
        eps: >= 0, added to a std that divides.
        min_std: >= 0.
        task_reward: (N,) the part of the reward that is the task (e.g. IoU); default: reward_N itself.
        num_groups: B. Default: largest id + 1, which on a GPU waits for the device and breaks a compiled graph.

    Returns:
        GroupAdvantage(advantage_N, mean_B, std_B, informative_B): float32 (float64 for float64 rewards), the last
        bool. std of a group of one is 0. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (values are checked on the CPU only).
    """
    check_tensor("reward", reward_N, ndim=1)
    check_tensor("group", group_N, ndim=1, floating=False)
    check_shape("group", group_N, tuple(reward_N.shape), "as reward")
    check_device("group", group_N, reward_N.device, "reward")
    check_choice("scale", scale, SCALES)
    check_number("eps", eps, at_least=0)
    check_number("min_std", min_std, at_least=0)
    reward_N, group_N = reward_N.detach().to(wide_dtype(reward_N.dtype)), group_N.long()
    if task_reward is not None:
        check_tensor("task_reward", task_reward, ndim=1)
        check_shape("task_reward", task_reward, tuple(reward_N.shape), "as reward")
        check_device("task_reward", task_reward, reward_N.device, "reward")
        task_reward = task_reward.detach().to(reward_N.dtype)
    if num_groups is None:
        num_groups = int(group_N.max()) + 1 if group_N.numel() else 0
    if readable(reward_N, group_N) and reward_N.numel():
        if int(group_N.min()) < 0 or int(group_N.max()) >= num_groups:
            bad = int(group_N.min()) if int(group_N.min()) < 0 else int(group_N.max())
            raise ValueError(f"group must hold ids in [0, {num_groups}), got {bad}")
        for name, value in (("reward", reward_N), ("task_reward", task_reward)):
            if value is not None and not bool(torch.isfinite(value).all()):
                i = int((~torch.isfinite(value)).nonzero()[0])
                raise ValueError(f"{name} must be finite, got {float(value[i])} at index {i}")
    return GroupAdvantage(
        *torch.ops.videostr.group_advantage(
            reward_N, group_N, num_groups, scale, float(eps), float(min_std), task_reward
        )
    )


@torch.library.register_fake("videostr::group_advantage")
def _fake(reward, group, num_groups, scale, eps, min_std, task_reward):
    mean = reward.new_empty(num_groups)
    return torch.empty_like(reward), mean, torch.empty_like(mean), mean.new_empty(num_groups, dtype=torch.bool)


@any_device("group_advantage")
def _torch(reward, group, num_groups, scale, eps, min_std, task_reward):
    def spread(value):
        """Sums by scatter, so that no group is visited one by one and nothing waits for the device."""
        zero = value.new_zeros(num_groups)
        count = zero.index_add(0, group, torch.ones_like(value))
        mean = zero.index_add(0, group, value) / count.clamp(min=1)
        squares = zero.index_add(0, group, (value - mean[group]).square())
        low = zero.scatter_reduce(0, group, value, "amin", include_self=False)
        high = zero.scatter_reduce(0, group, value, "amax", include_self=False)
        std = torch.where((count < 2) | (low == high), zero, (squares / (count - 1).clamp(min=1)).sqrt())
        return count, mean, std

    count, mean, std = spread(reward)
    informative = (std if task_reward is None else spread(task_reward)[2]) > min_std
    factor = torch.where(informative & (std > 0), 1.0, 0.0).to(reward.dtype)
    if scale == "std":
        factor = factor / (std + eps)
    elif scale == "batch":
        factor = factor / (reference._spread(reward) + eps)
    elif scale == "loo":
        factor = factor * (count / (count - 1).clamp(min=1))
    # a group without spread under eps = 0 would divide 0 by 0
    factor = torch.where(informative & (std > 0), factor, 0.0)
    return (reward - mean[group]) * factor[group], mean, std, informative


@on_cuda("group_advantage")
def _triton(reward, group, num_groups, scale, eps, min_std, task_reward):
    from videostr.kernels.group_advantage import group_advantage  # imports triton, which only a GPU needs

    task_reward = None if task_reward is None else task_reward.contiguous()
    return group_advantage(reward.contiguous(), group.contiguous(), num_groups, scale, eps, min_std, task_reward)
