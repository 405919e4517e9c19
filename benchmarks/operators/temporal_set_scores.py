"""temporal_set_scores against the per-answer Python that reward code ships: global F1 and matched segments (MUSEG)."""

import platform
from collections.abc import Callable

import torch

import videostr
from benchmarks import costs, overlap_loops
from videostr import ops
from videostr.ops import reference

PRED, TARGET = 8, 6  # segments an answer
CHECKED = 32  # answers whose error is looked at


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    sizes = [512] if quick else [4096]
    return [(pairing, size) for pairing in ("written", "ordered") for size in sizes]


def shape(size: int) -> str:
    return f"answers={size} pred={PRED} target={TARGET}"


def cost(mode: str, size: int) -> costs.Cost:
    return costs.temporal_set_scores(size, PRED, TARGET)


def providers(mode: str, size: int) -> dict[str, str]:
    return {"videostr": videostr.__version__, "python loop": platform.python_version()}


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], torch.Tensor]:
    """The reward of each answer: f1 + matching."""
    arguments = _inputs(device, 8 if size == "tiny" else size)
    if provider == "videostr":
        return lambda: _reward(ops.temporal_set_scores(*arguments, mode))
    pred, target = (arguments[k].reshape(-1, n, 2).tolist() for k, n in ((0, PRED), (2, TARGET)))
    matching = overlap_loops.written_matching if mode == "written" else overlap_loops.ordered_matching
    return lambda: [overlap_loops.global_f1(p, t) + matching(p, t) for p, t in zip(pred, target, strict=True)]


def error(provider: str, mode: str, device: str, size: int) -> float:
    result = torch.as_tensor(make(provider, mode, device, size)(), device=device).double()[:CHECKED]
    pred, p_offsets, target, t_offsets = _inputs(device, size)
    truth = reference.temporal_set_scores(
        pred[: CHECKED * PRED].double(),
        p_offsets[: CHECKED + 1],
        target[: CHECKED * TARGET].double(),
        t_offsets[: CHECKED + 1],
        mode,
    )
    return float((result - truth[3] - truth[4]).abs().max())


def _reward(scores: ops.SetScores) -> torch.Tensor:
    return scores.f1_B + scores.matching_B


def _inputs(device: str, answers: int) -> tuple[torch.Tensor, ...]:
    """Predictions anywhere in 150 s, in order of time; true segments apart."""
    generator = torch.Generator().manual_seed(0)
    start = (torch.rand(answers, PRED, generator=generator) * 140).sort(-1).values
    pred = torch.stack([start, start + 10 * torch.rand(answers, PRED, generator=generator)], -1)
    target = (torch.rand(answers, 2 * TARGET, generator=generator) * 150).sort(-1).values
    offsets = torch.arange(answers + 1)
    arguments = pred.reshape(-1, 2), offsets * PRED, target.reshape(-1, 2), offsets * TARGET
    return tuple(x.to(device) for x in arguments)
