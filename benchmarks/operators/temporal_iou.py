"""temporal_iou, matched and pairwise, against vectorised torch and numpy and the per-sample Python that reward code
ships."""

import platform
from collections.abc import Callable

import numpy as np
import torch

import videostr
from benchmarks import costs
from videostr import ops
from videostr.ops import reference

MOST_FOR_A_LOOP = 300_000  # pairs: the loop takes about a microsecond each


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    if quick:
        return [("matched iou", 4096), ("pairwise giou", 128)]
    sizes = [("matched iou", 65_536), ("matched giou", 65_536), ("pairwise giou", 512)]
    if device.type == "cuda":  # a hundredth of the memory: 20 bytes a matched pair, 4 a pair of lists
        memory = torch.cuda.get_device_properties(device).total_memory // 100
        sizes += [("matched iou", memory // 20), ("pairwise giou", int((memory // 4) ** 0.5) // 4 * 4)]
    return sizes


def shape(size: int) -> str:
    return f"n={size}"


def cost(mode: str, size: int) -> costs.Cost:
    matched = mode.startswith("matched")
    return costs.temporal_iou(size) if matched else costs.temporal_iou_pairwise(size, size)


def providers(mode: str, size: int) -> dict[str, str]:
    pairs = size if mode.startswith("matched") else size * size
    loop = {"python loop": platform.python_version()} if pairs <= MOST_FOR_A_LOOP else {}
    return {"videostr": videostr.__version__, "torch": torch.__version__, "numpy": np.__version__} | loop


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], torch.Tensor]:
    form, kind = mode.split()
    pred, target = _inputs(device, size)
    if provider == "videostr":
        function = ops.temporal_iou if form == "matched" else ops.temporal_iou_pairwise
        return lambda: function(pred, target, kind)
    if provider == "torch":
        function = reference.temporal_iou if form == "matched" else reference.temporal_iou_pairwise
        return lambda: function(pred, target, kind)
    if provider == "numpy":
        arrays = pred.cpu().numpy(), target.cpu().numpy()
        if form == "pairwise":
            arrays = arrays[0][:, None], arrays[1][None]
        return lambda: _vectorised(*arrays, kind)
    rows = pred.tolist(), target.tolist()
    return lambda: _loop(*rows, form, kind)


def error(provider: str, mode: str, device: str, size: int) -> float:
    form, kind = mode.split()
    pred, target = (x[:2048] for x in _inputs(device, size))
    truth = getattr(reference, "temporal_iou" + "_pairwise" * (form == "pairwise"))(
        pred.double(), target.double(), kind
    )
    result = torch.as_tensor(make(provider, mode, device, size)(), device=device).double()
    result = result[:2048] if form == "matched" else result[:2048, :2048]
    return float((result - truth).abs().max())


def _inputs(device: str, size: int | str) -> tuple[torch.Tensor, torch.Tensor]:
    count = 8 if size == "tiny" else size
    generator = torch.Generator().manual_seed(0)
    pred, target = (torch.rand(count, 2, generator=generator).sort(-1).values.to(device) for _ in range(2))
    return pred, target


def _vectorised(p: np.ndarray, t: np.ndarray, kind: str) -> np.ndarray:
    """In the dtype given, and without a look at what is no interval: less than videostr does."""
    inter = np.maximum(np.minimum(p[..., 1], t[..., 1]) - np.maximum(p[..., 0], t[..., 0]), 0)
    union = p[..., 1] - p[..., 0] + t[..., 1] - t[..., 0] - inter
    if kind == "iou":
        return inter / union
    hull = np.maximum(p[..., 1], t[..., 1]) - np.minimum(p[..., 0], t[..., 0])
    return inter / union - (hull - union) / hull


def _loop(pred: list[list[float]], target: list[list[float]], form: str, kind: str) -> list:
    if form == "matched":
        return [_one(p, t, kind) for p, t in zip(pred, target, strict=True)]
    return [[_one(p, t, kind) for t in target] for p in pred]


def _one(p: list[float], t: list[float], kind: str) -> float:
    inter = max(0.0, min(p[1], t[1]) - max(p[0], t[0]))
    union = p[1] - p[0] + t[1] - t[0] - inter
    iou = inter / union if union > 0 else 0.0
    if kind == "iou":
        return iou
    hull = max(p[1], t[1]) - min(p[0], t[0])
    return iou - (hull - union) / hull
