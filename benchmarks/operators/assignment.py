"""assignment of many small problems against lapx's batch solver, torch-linear-assignment and scipy in a loop."""

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

import videostr
from benchmarks import costs
from videostr import ops

TINY = (4, 3)


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int]]]:
    """(problems, side)"""
    chosen = [(64, 8)] if quick else [(4096, 8), (4096, 16), (4096, 32)]
    return [(mode, size) for size in chosen for mode in ("uniform", "1 - IoU")]


def shape(size: tuple[int, int]) -> str:
    return f"B={size[0]} n={size[1]}"


def cost(mode: str, size: tuple[int, int]) -> costs.Cost:
    return costs.assignment(*size)


def providers(mode: str, size: tuple[int, int]) -> dict[str, str]:
    peers = {"lapx": "lapx", "torch-linear-assignment": "torch-linear-assignment", "scipy loop": "scipy"}
    return {"videostr": videostr.__version__} | {name: version(package) for name, package in peers.items()}


def make(provider: str, mode: str, device: str, size: tuple[int, int] | str) -> Callable[[], object]:
    problems, side = TINY if size == "tiny" else size
    cost_BRC = _costs(mode, problems, side).to(device)
    if provider == "videostr":
        return lambda: ops.assignment(cost_BRC).column
    if provider == "torch-linear-assignment":
        from torch_linear_assignment import batch_linear_assignment

        return lambda: batch_linear_assignment(cost_BRC)
    array, threads = cost_BRC.cpu().numpy(), torch.get_num_threads()
    if provider == "lapx":
        import lap

        return lambda: lap.lapjvh_batch(array, return_cost=False, n_threads=threads)[1]
    return lambda: [linear_sum_assignment(x)[1] for x in array]


def error(provider: str, mode: str, device: str, size: tuple[int, int]) -> float:
    """Of the totals, relative to the least."""
    column = np.stack([np.asarray(x) for x in make(provider, mode, device, size)()])
    wide = _costs(mode, *size).double().numpy()
    best = np.array([x[linear_sum_assignment(x)].sum() for x in wide])
    total = np.take_along_axis(wide, column[:, :, None], 2).sum((1, 2))
    return float((np.abs(total - best) / np.maximum(best, 1e-3)).max())


def _costs(mode: str, problems: int, side: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    if mode == "uniform":
        return torch.rand(problems, side, side, generator=rng)
    corner, extent = torch.rand(2, problems, 2 * side, 2, generator=rng)
    low, high = (0.7 * corner, 0.7 * corner + 0.05 + 0.3 * extent)
    a, b = (slice(None), slice(side), None), (slice(None), None, slice(side, None))
    shared = (torch.minimum(high[a], high[b]) - torch.maximum(low[a], low[b])).clamp(min=0).prod(-1)
    area = (high - low).prod(-1)
    return 1 - shared / (area[a] + area[b] - shared)
