"""Boxes and tubes: IoU, and its mean over the annotated timestamps."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Literal

import torch

from videostr import ops
from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.boxes import parse_box, parse_tube, read_tube
from videostr.text.json_boxes import Box, read_box
from videostr.text.tolerant_json import read_json


@dataclass(frozen=True)
class BoxTerm:
    """IoU of the box that is answered with the true one; 0 without one.

    where: "answer" or "boxed". Columns: answer, [x1, y1, x2, y2] or JSON text of
    it, in the unit that the prompt asks for.
    """

    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer",)
    optional: ClassVar = ()

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = batch.parse(parse_box, where=self.where)
        truth = [_box(value, f"answer[{row}]") for row, value in enumerate(batch.column("answer"))]
        pred_N4 = torch.tensor([_NONE if p.box is None else p.box for p in parsed], dtype=torch.float64)
        true_N4 = torch.tensor(truth, dtype=torch.float64)
        value_N = ops.box_iou(pred_N4.reshape(-1, 4), true_N4.reshape(-1, 4))
        return Score(value_N, [p.reason for p in parsed])


_NONE = (float("nan"),) * 4  # scores 0 in box_iou, as a missing box must


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
        truth = [_tube(value, row) for row, value in enumerate(batch.column("answer"))]
        # An annotated time's place among its tube's is the frame number.
        answered = [_at_times(tube.boxes, list(true), self.tolerance) for tube, true in zip(parsed, truth, strict=True)]
        value_N = ops.tube_iou(*_ragged(answered), *_ragged([dict(enumerate(true.values())) for true in truth]))
        return Score(value_N, [p.reason for p in parsed])


def _ragged(tubes: list[dict[int, Box]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes (K, 4), their frames (K,), offsets (N + 1,)."""
    box_K4 = torch.tensor([box for tube in tubes for box in tube.values()], dtype=torch.float64).reshape(-1, 4)
    frame_K = torch.tensor([frame for tube in tubes for frame in tube], dtype=torch.int64)
    return box_K4, frame_K, torch.tensor([0, *accumulate(map(len, tubes))])


def _at_times(boxes: dict[float, Box], times: list[float], tolerance: float) -> dict[int, Box]:
    """The box nearest to each time, by the time's index; none where none is near."""
    known = sorted(boxes)
    near = {}
    for index, time in enumerate(times):
        at = bisect.bisect(known, time)
        closest = min(known[max(at - 1, 0) : at + 1], key=lambda other: abs(other - time), default=None)
        if closest is not None and abs(closest - time) <= tolerance:
            near[index] = boxes[closest]
    return near


def _box(value: Any, where: str) -> Box:
    written = read_json(value).value if isinstance(value, str) else value
    box = read_box(list(written) if isinstance(written, tuple) else written).box
    if box is None:
        raise ValueError(f"{where}: expected [x1, y1, x2, y2] with x1 < x2 and y1 < y2, got {value!r:.80}")
    return box


def _tube(value: Any, row: int) -> dict[float, Box]:
    """The true boxes, by time. Datasets that go through Arrow fill missing keys with None, and so does this."""
    if isinstance(value, dict):
        value = {
            key: list(item) if isinstance(item, tuple) else item for key, item in value.items() if item is not None
        }
    tube = read_tube(value)
    count = len(value) if isinstance(value, dict | list) else -1
    if not tube.boxes or len(tube.boxes) != count:
        raise ValueError(
            f"answer[{row}]: expected {{seconds: [x1, y1, x2, y2]}} or a list of {{timestamp, bbox}}, got {value!r:.80}"
        )
    return tube.boxes
