"""Rewards of temporal grounding: completions and true intervals -> numbers, a whole batch in one operator call.

R = iou_weight * R_iou + format_weight * R_fmt           0.9 and 0.1: TVG-R1's (arXiv 2507.18100), grade C
R_iou = |P ∩ G| / |hull(P, G)|                           the IoU of two intervals that overlap, 0 of two that do not (C)
time_r1:  IoU * (1 - |Δstart| / T) * (1 - |Δend| / T)    Time-R1's, in which the ends count; T the video's duration;
                                                         each factor at least 0 (`ops.temporal_iou`)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from videostr.rewards.batch import RewardBatch
from videostr.rewards.parse import MODES, Mode, ParsedInterval, parse_interval, parse_intervals
from videostr.rewards.terms.overlap import as_durations, as_span_sets, best_overlap

Kind = Literal["tvg", "tvg_no_think", "time_r1"]
KINDS = ("tvg", "tvg_no_think", "time_r1")


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
        spans: Sequence[Sequence[Sequence[float]]],
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
        parsed = parse_intervals(completions, self.mode, self._think)
        durations = as_durations(durations, len(completions)) if self.kind == "time_r1" else None
        task = best_overlap(parsed.span_N2, as_span_sets(list(spans)), durations)
        terms = {
            "iou": task.to(torch.float32),
            "format": parsed.format_N.to(torch.float32),
        }
        total = self.iou_weight * terms["iou"] + self.format_weight * terms["format"]
        return RewardBatch(total, terms, parsed.reasons, parsed)

    def parse(self, text: str) -> ParsedInterval:
        """The interval of one text, read as this reward reads it."""
        return parse_interval(text, self.mode, self._think)

    @property
    def _think(self) -> bool:
        return self.kind != "tvg_no_think"
