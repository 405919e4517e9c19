"""Boxes and tubes: IoU, and its mean over the annotated timestamps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.boxes import Box, parse_box, parse_tube, read_box, read_tube


@dataclass(frozen=True)
class BoxTerm:
    """IoU of the box that is answered with the true one; 0 without one.

    where: "answer" or "boxed". Columns: answer, [x1, y1, x2, y2], in the unit that the prompt asks for.
    """

    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer",)
    optional: ClassVar = ()

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = batch.parse(parse_box, where=self.where)
        truth = [_box(value, f"answer[{row}]") for row, value in enumerate(batch.column("answer"))]
        return Score(_iou([p.box for p in parsed], truth), [p.reason for p in parsed])


@dataclass(frozen=True)
class TubeTerm:
    """vIoU: the mean over the annotated timestamps of the boxes' IoU, 0 where none is answered (V-STaR's, C).

    tolerance: an annotated time takes the answered box nearest to it in time, at most so many seconds away (O).
    where: "answer" or "boxed". Columns: answer, {seconds: [x1, y1, x2, y2]} or [{"timestamp": …, "bbox": …}, …].
    """

    tolerance: float = 0.25
    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer",)
    optional: ClassVar = ()

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance: expected seconds >= 0, got {self.tolerance!r}")

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = batch.parse(parse_tube, where=self.where)
        preds, trues, rows = [], [], []
        for row, (tube, value) in enumerate(zip(parsed, batch.column("answer"), strict=True)):
            truth = _tube(value, row)
            preds += _at_times(tube.boxes, list(truth), self.tolerance)
            trues += truth.values()
            rows += [row] * len(truth)
        row_M = torch.tensor(rows, dtype=torch.int64)
        total_N = torch.zeros(len(batch), dtype=torch.float64).index_add(0, row_M, _iou(preds, trues))
        return Score(total_N / row_M.bincount(minlength=len(batch)), [p.reason for p in parsed])


def _at_times(boxes: dict[float, Box], times: list[float], tolerance: float) -> list[Box | None]:
    """For each time the box nearest to it."""
    if not boxes:
        return [None] * len(times)
    known_K, time_T = torch.tensor(sorted(boxes), dtype=torch.float64), torch.tensor(times, dtype=torch.float64)
    after_T = torch.searchsorted(known_K, time_T).clamp(max=len(boxes) - 1)
    before_T = (after_T - 1).clamp(min=0)
    closer = (known_K[before_T] - time_T).abs() <= (known_K[after_T] - time_T).abs()
    nearest_T = known_K[torch.where(closer, before_T, after_T)]
    near = ((nearest_T - time_T).abs() <= tolerance).tolist()
    return [boxes[time] if ok else None for time, ok in zip(nearest_T.tolist(), near, strict=True)]


def _iou(preds: list[Box | None], trues: list[Box]) -> torch.Tensor:
    """(M,) float64, 0 for a missing prediction."""
    pred_M4 = torch.tensor([(0.0,) * 4 if p is None else p for p in preds], dtype=torch.float64).reshape(-1, 4)
    true_M4 = torch.tensor(trues, dtype=torch.float64).reshape(-1, 4)
    low_M2, high_M2 = torch.maximum(pred_M4[:, :2], true_M4[:, :2]), torch.minimum(pred_M4[:, 2:], true_M4[:, 2:])
    # Shares of the true box: coordinates of 1e200 must not overflow an area.
    size_M2 = true_M4[:, 2:] - true_M4[:, :2]
    inter_M = ((high_M2 - low_M2).clamp_min(0) / size_M2).prod(1)
    area_M = ((pred_M4[:, 2:] - pred_M4[:, :2]) / size_M2).prod(1)
    return (inter_M / (area_M + 1 - inter_M)).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)


def _box(value: Any, where: str) -> Box:
    box = read_box(list(value) if isinstance(value, tuple) else value).box
    if box is None:
        raise ValueError(f"{where}: expected [x1, y1, x2, y2] with x1 < x2 and y1 < y2, got {value!r:.80}")
    return box


def _tube(value: Any, row: int) -> dict[float, Box]:
    """The true boxes, by time. Datasets that go through Arrow fill missing keys with None, and so does this."""
    if isinstance(value, dict):
        value = {key: list(item) for key, item in value.items() if item is not None}
    tube = read_tube(value)
    count = len(value) if isinstance(value, dict | list) else -1
    if len(tube.boxes) != count:
        raise ValueError(
            f"answer[{row}]: expected {{seconds: [x1, y1, x2, y2]}} or a list of {{timestamp, bbox}}, got {value!r:.80}"
        )
    return tube.boxes
