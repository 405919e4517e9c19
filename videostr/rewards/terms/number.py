"""Numerical answers by mean relative accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.number import UNIT_NAMES, parse_number
from videostr.text.json_boxes import number

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # as VSI-Bench's code makes them, to the last bit


def mean_relative_accuracy(pred_N: torch.Tensor, true_N: torch.Tensor) -> torch.Tensor:
    """(N,) float64: MRA = mean over θ in {.50, .55, …, .95} of [ |ŷ - y| / |y| <= 1 - θ ] (VSI-Bench's, C).

    In float64 as its code has it, where 1 - 0.8 is a little less than 0.2: 12 for 10 scores 0.6, not 0.7.
    A prediction that is not finite scores 0. Where y = 0, for which it is not defined, only 0 itself scores (O).
    pred_N, true_N: (N,) float64.
    """
    gap_N = (pred_N - true_N).abs() / true_N.abs()
    gap_N = torch.where((pred_N == true_N) & true_N.isfinite(), 0.0, gap_N)  # 0 / 0
    limits = 1 - torch.from_numpy(THRESHOLDS)
    return (gap_N[:, None] <= limits).double().mean(1)


@dataclass(frozen=True)
class NumberTerm:
    """MRA of the number that is answered.

    where: "answer" or "boxed". Columns: answer, a finite number (or its text); unit, that of the question ("m", "s",
    "deg", …): an answer in another unit of the kind is converted.
    """

    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer",)
    optional: ClassVar = ("unit",)

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        units = batch.optional("unit")
        for row, unit in enumerate(units):
            if unit is not None and not (isinstance(unit, str) and unit in UNIT_NAMES):
                raise ValueError(f"unit[{row}]: expected one of {', '.join(UNIT_NAMES)}, or None, got {unit!r:.80}")
        rows = zip(batch.texts, units, strict=True)
        parsed = [parse_number(text, unit=unit, where=self.where) for text, unit in rows]
        true_N = torch.tensor([_truth(a, row) for row, a in enumerate(batch.column("answer"))], dtype=torch.float64)
        pred_N = torch.tensor([float("nan") if p.value is None else p.value for p in parsed], dtype=torch.float64)
        return Score(mean_relative_accuracy(pred_N, true_N), [p.reason for p in parsed])


def _truth(answer: object, row: int) -> float:
    try:
        value = float(answer) if isinstance(answer, str) else number(answer)
    except ValueError:
        value = None
    if value is None or not abs(value) < float("inf"):
        raise ValueError(f"answer[{row}]: expected a finite number, got {answer!r:.80}")
    return value
