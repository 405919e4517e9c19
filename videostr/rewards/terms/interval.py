"""One interval in time: its overlap with the true one, and whether it was written as asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.interval import Mode, ParsedInterval, find_interval, parse_interval
from videostr.rewards.parse.intervals import ParsedIntervals, find_intervals, parse_intervals
from videostr.rewards.terms.overlap import as_durations, as_span_sets, best_overlap


@dataclass(frozen=True)
class IntervalTerm:
    """kind "iou": |P ∩ G| / |hull(P, G)|, the best over the true intervals (TVG-R1's, C); "time_r1": Time-R1's, in
    which the ends count (needs the column "duration").

    where: "time": <time>[start, end]</time>; "words": "… in 5.2 - 7 seconds", TimeLens' form. mode, think: of
    `parse_interval`. Columns: spans, (start, end) pairs in seconds or one such pair.
    """

    kind: Literal["iou", "time_r1"] = "iou"
    mode: Mode = "strict"
    think: bool = True
    where: Literal["time", "words"] = "time"
    columns: ClassVar = ("spans",)
    optional: ClassVar = ("duration",)

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = self.parsed(batch)
        spans = as_span_sets(batch.column("spans"))
        durations = as_durations(batch.column("duration")) if self.kind == "time_r1" else None
        missing_N = parsed.span_N2[:, 0].isnan()
        return Score(best_overlap(parsed.span_N2, spans, durations), _reasons(parsed, missing_N))

    def parsed(self, batch: Completions) -> ParsedIntervals:
        if self.where == "words":
            return batch.once(find_intervals, lambda: find_intervals(batch.texts))
        return _parsed(batch, self.mode, self.think)

    def parse(self, text: str) -> ParsedInterval:
        """The interval of one text."""
        return find_interval(text) if self.where == "words" else parse_interval(text, self.mode, self.think)


@dataclass(frozen=True)
class IntervalFormatTerm:
    """1 where `parse_interval` finds the format right: TVG-R1's <think>…</think>…<time>[start, end]</time>… (C), or
    without the thinking. strict gives nothing for an interval that is none; paper does (a fault of the released code).
    """

    mode: Mode = "strict"
    think: bool = True
    columns: ClassVar = ()
    optional: ClassVar = ()

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = _parsed(batch, self.mode, self.think)
        return Score(parsed.format_N.double(), _reasons(parsed, ~parsed.format_N))


def _reasons(parsed: ParsedIntervals, wrong_N: torch.Tensor) -> list[str]:
    reasons = ["ok"] * len(parsed)
    for row in wrong_N.nonzero()[:, 0].tolist():
        reasons[row] = parsed.reasons[row]
    return reasons


def _parsed(batch: Completions, mode: Mode, think: bool) -> ParsedIntervals:
    return batch.once((parse_intervals, mode, think), lambda: parse_intervals(batch.texts, mode, think))
