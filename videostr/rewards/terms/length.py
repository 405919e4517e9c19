"""A bonus for answers that are right and neither short nor long, which looks at the whole group."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from videostr.rewards.batch import Completions, Score


@dataclass(frozen=True)
class LengthTerm:
    """1 for `least` to `most` tokens where `term` is above `above`, if it is for more than one completion of the group.

    SpaceR's (C for SpaceR, whose weight is 0.2; O here). Needs the completions' numbers of tokens.
    """

    term: str = "answer"
    above: float = 0.1
    least: int = 320
    most: int = 512
    columns: ClassVar = ()
    optional: ClassVar = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.above):
            raise ValueError(f"above: expected a finite number, got {self.above!r}")
        if not 0 < self.least <= self.most:
            raise ValueError(f"least, most: expected 0 < least <= most, got {self.least} and {self.most}")

    @property
    def needs_terms(self) -> tuple[str, ...]:
        return (self.term,)

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        if batch.tokens is None:
            raise ValueError("tokens: the length term needs each completion's number of tokens, got None")
        good = (values[self.term] > self.above).tolist()
        groups = batch.groups if batch.groups is not None else [0] * len(batch)
        count = Counter(group for group, is_good in zip(groups, good, strict=True) if is_good)
        earned = [
            is_good and count[group] > 1 and self.least <= tokens <= self.most
            for is_good, group, tokens in zip(good, groups, batch.tokens, strict=True)
        ]
        return Score(torch.tensor(earned, dtype=torch.float64), ["ok"] * len(batch))
