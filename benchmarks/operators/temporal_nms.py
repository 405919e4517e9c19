"""temporal_nms against the numpy loop that evaluation code ships."""

from collections.abc import Callable

import numpy as np
import torch

import videostr
from benchmarks import costs, overlap_loops
from videostr import ops
from videostr.ops import reference

SPANS, THRESHOLD = 200, 0.5


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    return [(f"threshold {THRESHOLD}", 64 if quick else 1024)]


def shape(size: int) -> str:
    return f"problems={size} spans={SPANS}"


def cost(mode: str, size: int) -> costs.Cost:
    return costs.temporal_nms(size, SPANS, 40)


def providers(mode: str, size: int) -> dict[str, str]:
    return {"videostr": videostr.__version__, "numpy loop": np.__version__}


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], object]:
    spans, scores, offsets = _inputs(device, 8 if size == "tiny" else size)
    if provider == "videostr":
        return lambda: ops.temporal_nms(spans, scores, offsets, THRESHOLD)
    problems = list(
        zip(spans.cpu().reshape(-1, SPANS, 2).numpy(), scores.cpu().reshape(-1, SPANS).numpy(), strict=True)
    )
    return lambda: [overlap_loops.nms(*problem, THRESHOLD) for problem in problems]


def error(provider: str, mode: str, device: str, size: int) -> float:
    """The share of intervals of the first 8 problems that are kept or dropped wrongly."""
    spans, scores, offsets = _inputs(device, size)
    truth = reference.temporal_nms(spans[: 8 * SPANS].double(), scores[: 8 * SPANS], offsets[:9], THRESHOLD)
    result = make(provider, mode, device, size)()
    if provider != "videostr":
        kept = torch.zeros(8 * SPANS, dtype=torch.bool, device=device)
        kept[[SPANS * b + i for b in range(8) for i in result[b]]] = True
        result = kept
    return float((result[: 8 * SPANS] != truth).double().mean())


def _inputs(device: str, problems: int) -> tuple[torch.Tensor, ...]:
    """Intervals of 5 to 50 s anywhere in 150 s, as a proposal model writes them."""
    generator = torch.Generator().manual_seed(0)
    start, length, scores = torch.rand(3, problems * SPANS, generator=generator)
    start, length = 120 * start, 5 + 45 * length
    spans = torch.stack([start, start + length], -1)
    return tuple(x.to(device) for x in (spans, scores, torch.arange(problems + 1) * SPANS))
