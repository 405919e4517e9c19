"""The terms of a reward: each a frozen dataclass of its options that gives each completion a number in [0, 1]."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.terms.answer import AnswerTerm
from videostr.rewards.terms.boxes import BoxTerm, TubeTerm
from videostr.rewards.terms.choice import ChoiceTerm
from videostr.rewards.terms.format import FormatTerm
from videostr.rewards.terms.graph import GraphTerm
from videostr.rewards.terms.interval import IntervalFormatTerm, IntervalTerm
from videostr.rewards.terms.length import LengthTerm
from videostr.rewards.terms.number import NumberTerm
from videostr.rewards.terms.segments import SegmentsFormatTerm, SegmentsTerm
from videostr.rewards.terms.written_edges import WrittenEdgesTerm


class Term(Protocol):
    """columns: what it needs to know of the samples; optional: what it can use."""

    columns: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]]

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        """values: float64 (N,) of the terms before this one, gated. Raises ValueError for a truth that is none."""
        ...


TERMS: dict[str, type[Term]] = {
    "format": FormatTerm,
    "interval": IntervalTerm,
    "interval_format": IntervalFormatTerm,
    "segments": SegmentsTerm,
    "segments_format": SegmentsFormatTerm,
    "choice": ChoiceTerm,
    "number": NumberTerm,
    "box": BoxTerm,
    "tube": TubeTerm,
    "answer": AnswerTerm,
    "graph": GraphTerm,
    "written_edges": WrittenEdgesTerm,
    "length": LengthTerm,
}
"""The types that a `RewardSpec` knows."""
