"""temporal_average_precision against the loop of the released evaluations (QVHighlights' and ActivityNet's)."""

from collections.abc import Callable

import numpy as np
import torch

import videostr
from benchmarks import costs, overlap_loops
from videostr import ops
from videostr.ops import reference
from videostr.ops.temporal_average_precision import THRESHOLDS

PRED, TARGET = 10, 2  # QVHighlights: ten predictions a query count; 1.8 true windows on average


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    return [("per query", 64 if quick else 1550)]  # 1,550: the queries of its validation set


def shape(size: int) -> str:
    return f"queries={size} pred={PRED} target={TARGET}"


def cost(mode: str, size: int) -> costs.Cost:
    return costs.temporal_average_precision(size, PRED, TARGET, len(THRESHOLDS))


def providers(mode: str, size: int) -> dict[str, str]:
    return {"videostr": videostr.__version__, "numpy loop": np.__version__}


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], object]:
    arguments = _inputs(device, 8 if size == "tiny" else size)
    if provider == "videostr":
        return lambda: ops.temporal_average_precision(*arguments)
    pred, score, _, target, _ = (x.cpu().double().numpy() for x in arguments)
    queries = list(zip(pred.reshape(-1, PRED, 2), score.reshape(-1, PRED), target.reshape(-1, TARGET, 2), strict=True))
    return lambda: [overlap_loops.average_precision(*query, THRESHOLDS) for query in queries]


def error(provider: str, mode: str, device: str, size: int) -> float:
    pred, score, p_offsets, target, t_offsets = _inputs(device, size)
    truth = reference.temporal_average_precision(
        *(pred[: 32 * PRED].double(), score[: 32 * PRED], p_offsets[:33]),
        *(target[: 32 * TARGET].double(), t_offsets[:33], list(THRESHOLDS)),
    )
    result = make(provider, mode, device, size)()
    if provider != "videostr":
        result = torch.as_tensor(np.stack(result), device=device)
    return float((result.double()[:32] - truth).abs().max())


def _inputs(device: str, queries: int) -> tuple[torch.Tensor, ...]:
    """Windows on a grid of 2 s in 150 s; predictions are true ones moved by a few seconds, or anywhere."""
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(queries, 2 * TARGET, generator=generator) * 73).long().sort(-1).values.reshape(-1, TARGET, 2)
    target = (2 * target + torch.tensor([0, 2])).float()
    pred = target.repeat(1, PRED // TARGET, 1) + 8 * torch.randn(queries, PRED, 2, generator=generator)
    pred = pred.sort(-1).values
    score = torch.rand(queries * PRED, generator=generator)
    offsets = torch.arange(queries + 1)
    arguments = pred.reshape(-1, 2), score, offsets * PRED, target.reshape(-1, 2), offsets * TARGET
    return tuple(x.to(device) for x in arguments)
