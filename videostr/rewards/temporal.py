"""Rewards of temporal grounding: completions and true intervals -> numbers, a whole batch in one operator call.

R = iou_weight * R_iou + format_weight * R_fmt           0.9 and 0.1: TVG-R1's (arXiv 2507.18100), grade C
R_iou = |P ∩ G| / |hull(P, G)|                           the IoU of two intervals that overlap, 0 of two that do not (C)
time_r1:  IoU * (1 - |Δstart| / T) * (1 - |Δend| / T)    Time-R1's, in which the ends count; T the video's duration;
                                                         each factor at least 0 (`ops.temporal_iou`)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from videostr import ops
from videostr.rewards.parse import MODES, Mode, ParsedInterval, parse_interval

Kind = Literal["tvg", "tvg_no_think", "time_r1"]
KINDS = ("tvg", "tvg_no_think", "time_r1")
Span = Sequence[float]


@dataclass
class RewardBatch:
    """Rewards of N completions.

    total_N: float32, what the trainer maximises. terms: name -> float32 (N,), each in [0, 1], before its weight; "iou"
    is the task reward, whose standard deviation within a group says whether the group teaches anything. reasons: N
    codes of `parse.REASONS`.
    parsed: the N intervals as they were read.
    """

    total_N: torch.Tensor
    terms: dict[str, torch.Tensor]
    reasons: list[str]
    parsed: list[ParsedInterval] = field(repr=False)


@dataclass(frozen=True)
class TemporalReward:
    """Reward of an interval in time.

    kind: "tvg" wants <think> … </think> and <time>[start, end]</time>; "tvg_no_think" the interval alone (the paper
    trains both with 0.9 and 0.1: C); "time_r1" is "tvg" with the task reward of Time-R1, under the same weights (ours:
    O; Time-R1 adds the two).
    mode: how the text is read, see `parse_interval`.

    Raises ValueError for an unknown kind or mode and for a weight that is negative or not finite.
    """

    kind: Kind = "tvg"
    mode: Mode = "strict"
    iou_weight: float = 0.9
    format_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {KINDS}, got {self.kind!r}")
        if self.mode not in MODES:
            raise ValueError(f"mode: expected one of {MODES}, got {self.mode!r}")
        for name in ("iou_weight", "format_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected a finite number >= 0, got {getattr(self, name)!r}")

    def __call__(
        self,
        completions: Sequence[str],
        spans: Sequence[Sequence[Span]],
        durations: Sequence[float | None] | None = None,
    ) -> RewardBatch:
        """Score N completions.

        Args:
            completions: N texts; whatever they hold earns a number, never an exception.
            spans: for each completion the true intervals of its sample, (start, end) in seconds; the best one counts.
            durations: for each completion the video's length in seconds; needed by "time_r1" only.

        Raises:
            ValueError: lengths that differ, a completion without a true interval, a duration missing or not positive
            where needed.
            TypeError: a completion that is not a str.
        """
        if len(spans) != len(completions):
            raise ValueError(f"spans: expected one entry a completion ({len(completions)}), got {len(spans)}")
        parsed = [parse_interval(text, self.mode, think=self.kind != "tvg_no_think") for text in completions]
        task = _best_overlap([p.span for p in parsed], spans, self._durations(durations, len(completions)))
        terms = {
            "iou": task.to(torch.float32),
            "format": torch.tensor([float(p.format_ok) for p in parsed], dtype=torch.float32),
        }
        total = self.iou_weight * terms["iou"] + self.format_weight * terms["format"]
        return RewardBatch(total, terms, [p.reason for p in parsed], parsed)

    def _durations(self, durations: Sequence[float | None] | None, count: int) -> torch.Tensor | None:
        if self.kind != "time_r1":
            return None
        if durations is None or len(durations) != count:
            got = "None" if durations is None else str(len(durations))
            raise ValueError(f"durations: kind 'time_r1' expects one a completion ({count}), got {got}")
        for index, duration in enumerate(durations):
            if duration is None or not 0 < duration < float("inf"):
                raise ValueError(f"durations[{index}]: kind 'time_r1' expects seconds > 0, got {duration!r}")
        return torch.tensor(list(durations), dtype=torch.float64)


def _best_overlap(
    preds: Sequence[Span | None], spans: Sequence[Sequence[Span]], duration_N: torch.Tensor | None
) -> torch.Tensor:
    """(N,) float64: for each prediction its best score over its sample's true intervals; 0 without a prediction."""
    for index, truth in enumerate(spans):
        if len(truth) == 0:
            raise ValueError(f"spans[{index}]: expected at least one true interval, got none")
    row_M = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor([len(t) for t in spans], dtype=torch.int64))
    true_M2 = torch.tensor([tuple(s) for truth in spans for s in truth], dtype=torch.float64).reshape(-1, 2)
    # A NaN interval scores 0 in temporal_iou, as a missing one must.
    pred_N2 = torch.tensor([p if p is not None else (float("nan"),) * 2 for p in preds], dtype=torch.float64)
    pred_M2 = pred_N2.reshape(-1, 2)[row_M]
    if duration_N is None:
        score_M = ops.temporal_iou(pred_M2, true_M2, kind="iou")
    else:
        score_M = ops.temporal_iou(pred_M2, true_M2, kind="time_r1", duration=duration_N[row_M])
    return torch.zeros(len(spans), dtype=torch.float64).scatter_reduce(0, row_M, score_M, "amax")
