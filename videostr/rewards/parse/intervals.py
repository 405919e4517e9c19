"""`parse_interval` of a whole batch: one operator call for the texts written as asked, the function for the others."""

from collections.abc import Sequence

import torch

from videostr import ops
from videostr.ops.parse_interval import CODES
from videostr.rewards.parse.interval import Mode, ParsedInterval, find_interval, parse_interval
from videostr.text.packed import pack_texts


class ParsedIntervals(Sequence):
    """N `ParsedInterval`s. span_N2: (N, 2) float64 in seconds, NaN where there is none; format_N: bool; reasons: N."""

    def __init__(self, span_N2: torch.Tensor, format_N: torch.Tensor, reasons: list[str]):
        self.span_N2, self.format_N, self.reasons = span_N2, format_N, reasons

    def __len__(self) -> int:
        return len(self.reasons)

    def __getitem__(self, index: int) -> ParsedInterval:
        start, end = self.span_N2[index].tolist()
        return ParsedInterval((start, end) if start == start else None, bool(self.format_N[index]), self.reasons[index])

    @classmethod
    def of(cls, parsed: Sequence[ParsedInterval]) -> "ParsedIntervals":
        spans = [_NONE if p.span is None else p.span for p in parsed]
        span_N2 = torch.tensor(spans, dtype=torch.float64).reshape(-1, 2)
        format_N = torch.tensor([p.format_ok for p in parsed], dtype=torch.bool)
        return cls(span_N2, format_N, [p.reason for p in parsed])


_NONE = (float("nan"), float("nan"))


def find_intervals(texts: Sequence[str]) -> ParsedIntervals:
    """`find_interval` of every text. Raises as it."""
    return ParsedIntervals.of([find_interval(text) for text in texts])


def parse_intervals(texts: Sequence[str], mode: Mode = "strict", think: bool = True) -> ParsedIntervals:
    """`parse_interval(text, mode, think)` of every text. Raises as it."""
    if mode != "strict":
        return ParsedIntervals.of([parse_interval(text, mode, think) for text in texts])
    span_N2, code_N = ops.parse_interval(*pack_texts(texts), think)
    reasons = [CODES[code] for code in code_N.tolist()]  # -1, the last one, for the moment
    format_N = code_N == 0
    for row in (code_N < 0).nonzero()[:, 0].tolist():
        span, format_N[row], reasons[row] = parse_interval(texts[row], mode, think)
        if span is not None:
            span_N2[row, 0], span_N2[row, 1] = span
    return ParsedIntervals(span_N2, format_N, reasons)
