"""group_advantage against vectorised torch (scatter sums) and the loop over groups that trainers ship."""

from collections.abc import Callable

import torch

import videostr
from benchmarks import costs
from videostr import ops
from videostr.ops.group_advantage import _torch

TINY = (16, 2)


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int]]]:
    sizes = [(2048, 256)] if quick else [(2048, 256), (16_384, 2048)]
    return [(scale, size) for scale in ("std", "loo") for size in sizes]


def shape(size: tuple[int, int]) -> str:
    return f"N={size[0]} B={size[1]}"


def cost(mode: str, size: tuple[int, int]) -> costs.Cost:
    return costs.group_advantage(*size)


def providers(mode: str, size: tuple[int, int]) -> dict[str, str]:
    return {
        "videostr": videostr.__version__,
        "torch": torch.__version__,
        "loop over groups": torch.__version__,
    }


def make(provider: str, mode: str, device: str, size: tuple[int, int] | str) -> Callable[[], torch.Tensor]:
    reward, group, groups = _inputs(device, size)
    if provider == "videostr":
        return lambda: ops.group_advantage(reward, group, scale=mode, num_groups=groups).advantage_N
    if provider == "torch":
        return lambda: _torch(reward[:, None], group, None, None, None, groups, mode, 1e-6, 0.0)[0]
    return lambda: _loop(reward, group, groups, mode)


def error(provider: str, mode: str, device: str, size: tuple[int, int]) -> float:
    reward, group, groups = _inputs(device, size)
    truth = _loop(reward.double(), group, groups, mode)
    return float((make(provider, mode, device, size)().double() - truth).abs().max() / truth.abs().max())


def _inputs(device: str, size: tuple[int, int] | str) -> tuple[torch.Tensor, torch.Tensor, int]:
    answers, groups = TINY if size == "tiny" else size
    generator = torch.Generator().manual_seed(0)
    # Ragged groups, every one with answers, in no order.
    group = torch.cat([torch.arange(groups), torch.randint(0, groups, (answers - groups,), generator=generator)])
    group = group[torch.randperm(answers, generator=generator)]
    return torch.rand(answers, generator=generator).to(device), group.to(device), groups


def _loop(reward: torch.Tensor, group: torch.Tensor, groups: int, scale: str) -> torch.Tensor:
    advantage = torch.zeros_like(reward)
    for b in range(groups):
        mine = group == b
        members = reward[mine]
        if len(members) > 1:
            away = members - members.mean()
            factor = len(members) / (len(members) - 1) if scale == "loo" else 1 / (members.std() + 1e-6)
            advantage[mine] = away * factor
    return advantage
