"""What a reward returns, and the completions that its terms read."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch


@dataclass
class RewardBatch:
    """Rewards of N completions.

    total_N: float32, what the trainer maximises. terms: name -> float32 (N,), each in [0, 1], before its weight.
    reasons: N codes of `parse.REASONS`; of a `RewardSpec` "TERM/CODE", the first that is not ok, task terms before
    others. parsed: the intervals that were read, one a completion, where a term reads any.
    task: the terms, with their weights, that make up the task reward. Its standard deviation within a group says
    whether the group teaches anything; that of total_N would let a badly formatted answer teach.
    """

    total_N: torch.Tensor
    terms: dict[str, torch.Tensor]
    reasons: list[str]
    parsed: Sequence[Any] = field(repr=False)
    task: Mapping[str, float]

    @property
    def task_N(self) -> torch.Tensor:
        """The task reward, float32 (N,)."""
        return sum(weight * self.terms[name] for name, weight in self.task.items())


class Score(NamedTuple):
    """value_N: float64 in [0, 1]; reasons: N codes of `parse.REASONS`."""

    value_N: torch.Tensor
    reasons: list[str]


class Completions:
    """N texts with what is known of their samples. What a term parses or computes is there for the next one too.

    columns: name -> N values. tokens: each text's number of tokens, or None where nobody knows. groups: which of them
    answer one prompt; None: all of them do.
    """

    def __init__(
        self,
        texts: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        tokens: Sequence[int] | None = None,
        groups: Sequence[Hashable] | None = None,
    ):
        self.texts, self.columns, self.tokens, self.groups = texts, columns, tokens, groups
        self._known: dict[Hashable, Any] = {}
        for name, values in (*columns.items(), ("tokens", tokens), ("groups", groups)):
            if values is not None and len(values) != len(texts):
                raise ValueError(f"{name}: expected one entry a completion ({len(texts)}), got {len(values)}")

    def __len__(self) -> int:
        return len(self.texts)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """`make()`, called for the first term that asks."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def parse(self, parser: Callable[..., Any], **options: Hashable) -> list[Any]:
        """`parser(text, **options)` of every text."""
        key = (parser, tuple(options.items()))
        return self.once(key, lambda: [parser(text, **options) for text in self.texts])

    def column(self, name: str) -> Sequence[Any]:
        """N values. Raises ValueError where the column is missing."""
        if name not in self.columns:
            raise ValueError(f"column {name!r} is needed and missing; there are {sorted(self.columns) or 'none'}")
        return self.columns[name]

    def optional(self, name: str) -> Sequence[Any]:
        """N values; None for each where the column is missing."""
        return self.columns[name] if name in self.columns else [None] * len(self)

    def take(self, rows: Sequence[int]) -> "Completions":
        """Some of the completions, anew."""

        def some(values):
            return None if values is None else [values[row] for row in rows]

        columns = {name: some(values) for name, values in self.columns.items()}
        return Completions(some(self.texts), columns, some(self.tokens), some(self.groups))
