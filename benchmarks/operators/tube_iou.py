"""tube_iou against the per-answer Python that evaluation and reward code ships: a dictionary of boxes by frame."""

import platform
from collections.abc import Callable

import torch

import videostr
from benchmarks import costs, overlap_loops
from videostr import ops
from videostr.ops import reference

FRAMES = 32
CHECKED = 32  # answers whose error is looked at


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    return [("over target", 512 if quick else 4096)]


def shape(size: int) -> str:
    return f"answers={size} frames={FRAMES}"


def cost(mode: str, size: int) -> costs.Cost:
    return costs.tube_iou(size, FRAMES)


def providers(mode: str, size: int) -> dict[str, str]:
    return {"videostr": videostr.__version__, "python loop": platform.python_version()}


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], torch.Tensor]:
    answers = 8 if size == "tiny" else size
    arguments = _inputs(device, answers)
    if provider == "videostr":
        return lambda: ops.tube_iou(*arguments)
    tubes = []
    for boxes, frames in ((arguments[0], arguments[1]), (arguments[3], arguments[4])):
        rows = zip(boxes.reshape(answers, FRAMES, 4).tolist(), frames.reshape(answers, FRAMES).tolist(), strict=True)
        tubes.append([dict(zip(frame, box, strict=True)) for box, frame in rows])
    return lambda: [overlap_loops.tube_viou(p, t) for p, t in zip(*tubes, strict=True)]


def error(provider: str, mode: str, device: str, size: int) -> float:
    result = torch.as_tensor(make(provider, mode, device, size)(), device=device).double()[:CHECKED]
    pred, p_frame, offsets, target, t_frame, _ = _inputs(device, size)
    rows, offsets = CHECKED * FRAMES, offsets[: CHECKED + 1]
    truth = reference.tube_iou(
        pred[:rows].double(), p_frame[:rows], offsets, target[:rows].double(), t_frame[:rows], offsets
    )
    return float((result - truth).abs().max())


def _inputs(device: str, answers: int) -> tuple[torch.Tensor, ...]:
    """The true box drifts; the predicted one is near it, in frames of which a quarter is not annotated."""
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(2, answers, FRAMES, 2, generator=generator).mul(200).unbind()
    target = torch.cat([corner, corner + size], -1)
    pred = target + 30 * torch.rand(answers, FRAMES, 4, generator=generator) * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    t_frame = torch.arange(FRAMES).mul(4).expand(answers, -1)
    p_frame = t_frame + (torch.rand(answers, FRAMES, generator=generator) < 0.25).long()
    offsets = torch.arange(answers + 1) * FRAMES
    arguments = pred.reshape(-1, 4), p_frame.reshape(-1), offsets, target.reshape(-1, 4), t_frame.reshape(-1), offsets
    return tuple(x.to(device) for x in arguments)
