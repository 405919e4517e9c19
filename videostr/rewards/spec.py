"""A reward as a weighted sum of terms, from YAML. One object for our trainer and, by videostr.integrations, for others.

task: [answer]                # the terms whose spread within a group says whether it teaches
terms:
  answer: {type: answer}
  format: {type: format, weight: 0.5}
  node: {type: graph, weight: 0.5, gate: {term: answer, above: 0.5}, options: {part: node}}
columns: {answer: solution}   # what the data set calls our columns
"""

import difflib
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import torch

from videostr.config import ConfigError, from_dict, load_config
from videostr.rewards.batch import Completions, RewardBatch
from videostr.rewards.parse import ParsedInterval
from videostr.rewards.terms import TERMS, Term
from videostr.rewards.terms.interval import IntervalTerm

_FOLDER = Path(__file__).with_name("specs")
NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""The specs that come with the package, for `load_reward`."""


_TAKEN = ("score", "reason")
_FINE = frozenset(("ok", "not_asked"))


@dataclass(frozen=True)
class Gate:
    """The term counts only where the earlier term `term` is above `above`; elsewhere it is 0."""

    term: str
    above: float = 0.5


@dataclass(frozen=True)
class TermSpec:
    """type: of `TERMS`; options: that type's fields. weight: finite, 0 for a term that is only logged."""

    type: str
    weight: float = 1.0
    gate: Gate | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RewardSpec:
    """terms: name -> what it is, in the order they are computed. task: the names of those that make up the task reward.
    columns: our column names -> those of the data, where they differ.

    Raises ValueError naming the key: no or unknown terms, types and options, a weight that is negative or not finite, a
    gate on a term that does not come before, a task without weight.
    """

    terms: dict[str, TermSpec]
    task: list[str]
    columns: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("terms: expected at least one term, got none")
        built: dict[str, Term] = {}
        for name, spec in self.terms.items():
            if name in _TAKEN:
                raise ValueError(f"terms.{name}: this name is what trainers call the sum or the reason; choose another")
            built[name] = _build(name, spec, before=tuple(built))
        for name in self.task:
            if name not in self.terms:
                raise ValueError(
                    f"task: {name!r} is none of the terms {', '.join(self.terms)}{_near(name, self.terms)}"
                )
        if not any(self.terms[name].weight > 0 for name in self.task):
            raise ValueError(f"task: expected terms with a weight above 0, got {self.task}")
        needed = {name for term in built.values() for name in (*term.columns, *term.optional)}
        for name in self.columns:
            if name not in needed:
                raise ValueError(
                    f"columns: {name!r} is no column of these terms, which are {', '.join(sorted(needed))}"
                )
        object.__setattr__(self, "_built", built)  # no field: configurations have no such key

    @property
    def highest(self) -> float:
        """The largest reward there is."""
        return sum(spec.weight for spec in self.terms.values())

    @property
    def needs(self) -> tuple[str, ...]:
        """The data's columns that the terms read."""
        return tuple(sorted({self.columns.get(name, name) for name in self._read()}))

    def _read(self) -> set[str]:
        return {name for term in self._built.values() for name in (*term.columns, *term.optional)}

    @property
    def must_have(self) -> tuple[str, ...]:
        """Those of `needs` without which it cannot score."""
        names = {name for term in self._built.values() for name in term.columns}
        return tuple(sorted(self.columns.get(name, name) for name in names))

    def __call__(
        self,
        completions: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        tokens: Sequence[int] | None = None,
        groups: Sequence[Hashable] | None = None,
    ) -> RewardBatch:
        """Score N completions.

        Args:
            completions: N texts; whatever they hold earns a number, never an exception.
            columns: the data's columns, N values each; those that no term reads are not looked at.
            tokens: each completion's number of tokens, end-of-answer id included; only "length" needs them.
            groups: which completions answer one prompt; default: all of them. Only "length" looks at them.

        Raises:
            ValueError: lengths that differ, a column that is missing, a truth that is none.
            TypeError: a completion that is not a str.
        """
        if not all(issubclass(kind, str) for kind in set(map(type, completions))):
            wrong = next(row for row, text in enumerate(completions) if not isinstance(text, str))
            raise TypeError(f"completions[{wrong}]: expected str, got {type(completions[wrong]).__name__}")
        theirs = {name: self.columns.get(name, name) for name in self._read()}
        known = {ours: list(columns[name]) for ours, name in theirs.items() if columns.get(name) is not None}
        batch = Completions(list(completions), known, tokens, groups)
        total_N = torch.zeros(len(batch), dtype=torch.float64)
        values: dict[str, torch.Tensor] = {}
        reasons: dict[str, list[str]] = {}
        for name, spec in self.terms.items():
            values[name], reasons[name] = self._built[name](batch, values)
            if spec.gate is not None:
                closed_N = values[spec.gate.term] <= spec.gate.above
                values[name] = values[name].masked_fill(closed_N, 0.0)
                reasons[name] = ["ok" if c else r for c, r in zip(closed_N.tolist(), reasons[name], strict=True)]
            total_N += spec.weight * values[name]
        terms = {name: value_N.float() for name, value_N in values.items()}
        task = {name: self.terms[name].weight for name in self.task}
        return RewardBatch(total_N.float(), terms, self._first_reasons(reasons), self._parsed(batch), task)

    def _first_reasons(self, reasons: dict[str, list[str]]) -> list[str]:
        order = [*self.task, *(name for name in self.terms if name not in self.task)]
        first = ["ok"] * len(reasons[order[0]])
        for name in reversed(order):
            wrong = set(reasons[name]) - _FINE
            if wrong:
                for row in compress(range(len(first)), map(wrong.__contains__, reasons[name])):
                    first[row] = f"{name}/{reasons[name][row]}"
        return first

    def _parsed(self, batch: Completions) -> Sequence[Any]:
        return self.interval.parsed(batch) if self.interval else []

    @property
    def interval(self) -> IntervalTerm | None:
        """The term that reads one interval in time, if there is one: what temporal metrics are computed from."""
        return next((term for term in self._built.values() if isinstance(term, IntervalTerm)), None)

    def parse(self, text: str) -> ParsedInterval:
        """The interval of one text. Raises ValueError where no term reads one."""
        if self.interval is None:
            raise ValueError(f"terms: none of type 'interval' among {', '.join(self.terms)}")
        return self.interval.parse(text)


def load_reward(name: str | os.PathLike) -> RewardSpec:
    """A spec that comes with the package, by name (`NAMES`), or of a YAML file.

    Raises ConfigError naming the file and the key.
    """
    path = _FOLDER / f"{name}.yaml" if str(name) in NAMES else Path(name)
    if not path.suffix and not path.exists():
        known = ", ".join(NAMES)
        raise ConfigError(f"reward {str(name)!r}: neither a file nor one of {known}{_near(str(name), NAMES)}")
    return load_config(RewardSpec, path)


def _build(name: str, spec: TermSpec, before: tuple[str, ...]) -> Term:
    if spec.type not in TERMS:
        raise ValueError(
            f"terms.{name}.type: expected one of {', '.join(TERMS)}, got {spec.type!r}{_near(spec.type, TERMS)}"
        )
    if not 0 <= spec.weight < float("inf"):
        raise ValueError(f"terms.{name}.weight: expected a finite number >= 0, got {spec.weight!r}")
    try:
        term = from_dict(TERMS[spec.type], spec.options, f"terms.{name}.options", f"type {spec.type}")
    except ConfigError as error:
        raise ValueError(str(error)) from error
    wanted = {f"terms.{name}.options.term": other for other in getattr(term, "needs_terms", ())}
    if spec.gate is not None:
        if not math.isfinite(spec.gate.above):
            raise ValueError(f"terms.{name}.gate.above: expected a finite number, got {spec.gate.above!r}")
        wanted[f"terms.{name}.gate.term"] = spec.gate.term
    for key, other in wanted.items():
        if other not in before:
            raise ValueError(
                f"{key}: expected a term that comes before, of {', '.join(before) or 'none'}, got {other!r}"
            )
    return term


def _near(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
