"""Several intervals against several true ones, MUSEG's way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Literal

import torch

from videostr import ops
from videostr.ops.temporal_set_scores import SetScores
from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.segments import parse_segments
from videostr.rewards.terms.overlap import Span, as_span_sets


@dataclass(frozen=True)
class SegmentsTerm:
    """part "f1": F1 of the total overlap. "match": the mean of (1 + GIoU) / 2 over the pairs of the i-th answered and
    the i-th true interval. Both as `ops.temporal_set_scores` has them; MUSEG adds the two (C).

    Columns: spans, (start, end) pairs in seconds.
    """

    part: Literal["f1", "match"] = "f1"
    columns: ClassVar = ("spans",)
    optional: ClassVar = ()

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        parsed = batch.parse(parse_segments)
        scores = batch.once(SegmentsTerm, lambda: _score([p.spans for p in parsed], batch.column("spans")))
        reasons = ["ok" if p.spans else p.reason for p in parsed]
        return Score(scores.f1_B if self.part == "f1" else scores.matching_B, reasons)


def _score(preds: Sequence[Sequence[Span]], spans: list) -> SetScores:
    return ops.temporal_set_scores(*_ragged(preds), *_ragged(as_span_sets(spans)), pairing="written")


def _ragged(sets: Sequence[Sequence[Span]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, 2) float64 and offsets (N + 1,)."""
    flat_K2 = torch.tensor([span for spans in sets for span in spans], dtype=torch.float64).reshape(-1, 2)
    return flat_K2, torch.tensor([0, *accumulate(map(len, sets))])


@dataclass(frozen=True)
class SegmentsFormatTerm:
    """1 for <think>…</think><answer>1.5-3 7-9</answer> and nothing else, whose thinking mentions the answer's times;
    0.6 where it does not (MUSEG's first phase, C). timestamps=False: they are not asked for (its second phase, C).

    Departs: MUSEG gives 0.2 for the tags with anything unreadable in them, and 1 for an empty answer; here that is 0.
    """

    timestamps: bool = True
    columns: ClassVar = ()
    optional: ClassVar = ()

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        value, reasons = [], []
        for parsed in batch.parse(parse_segments):
            complete = parsed.format_ok and (parsed.timestamps_ok or not self.timestamps)
            value.append(1.0 if complete else 0.6 if parsed.format_ok else 0.0)
            reasons.append("ok" if complete else parsed.reason)
        return Score(torch.tensor(value, dtype=torch.float64), reasons)
