"""What a recipe left in its output directory, read so that a run killed at any moment can still be looked at."""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videostr.report.measures import GROUNDING, SPATIAL, Measures

KNOWN_STAGES = ("base", "sft", "rl")


@dataclass(frozen=True)
class Run:
    """One output directory. What is missing in it is empty here.

    summary: of summary.json. metrics: "sft", "rl" -> rows, one a step, ascending. evals: stage -> rows, one a sample.
    config: the text of config.yaml. unread: lines that are not JSON objects, as "FILE: n lines".
    """

    out: Path
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    evals: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    config: str = ""
    unread: tuple[str, ...] = ()

    @property
    def stages(self) -> list[str]:
        """Names of the stages that were scored: base, sft, rl, then any others as the summary has them."""
        scored = self.summary.get("stages") or {}
        names = list(dict.fromkeys([*scored, *self.evals]))
        return [n for n in KNOWN_STAGES if n in names] + [n for n in names if n not in KNOWN_STAGES]

    @property
    def measures(self) -> Measures:
        """What its evaluations measure: as the summary says, else as their rows look."""
        rows = [row for rows in self.evals.values() for row in rows[:1]]
        spatial = self.summary.get("task") == "spatial" or any("kind" in row for row in rows)
        return SPATIAL if spatial else GROUNDING

    def scores(self, stage: str) -> list[float]:
        """Per-sample scores of a stage's evaluation, `measures.row`."""
        key = self.measures.row
        return [row[key] for row in self.evals.get(stage, ()) if is_number(row.get(key))]


def read_run(out: str | os.PathLike) -> Run:
    """Read an output directory (layout: docs/report.md).

    Raises:
        FileNotFoundError: `out` is no directory, or holds neither a summary, nor metrics, nor an evaluation.
        ValueError: summary.json is there but is not a JSON object (it is written whole or not at all, so something else
        wrote it).
    """
    out = Path(out)
    unread: list[str] = []
    metrics = {path.stem: _one_row_a_step(_read_jsonl(path, unread)) for path in sorted(out.glob("metrics/*.jsonl"))}
    evals = {path.stem: _read_jsonl(path, unread) for path in sorted(out.glob("eval/*.jsonl"))}
    summary = _read_summary(out / "summary.json")
    config = out / "config.yaml"
    if not (summary or metrics or evals):
        raise FileNotFoundError(f"{out}: no run here: expected summary.json, metrics/*.jsonl or eval/*.jsonl")
    text = config.read_text(encoding="utf-8", errors="replace") if config.exists() else ""
    return Run(out, summary, metrics, {stage: rows for stage, rows in evals.items() if rows}, text, tuple(unread))


def is_number(value: Any) -> bool:
    """A finite int or float (bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_span(value: Any) -> bool:
    """A pair of finite numbers."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_number, value))


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(summary, dict):
        raise ValueError(f"{path}: expected a JSON object, got a {type(summary).__name__}")
    return summary


def _read_jsonl(path: Path, unread: list[str]) -> list[dict[str, Any]]:
    rows, bad = [], 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:  # as a rule the last line of a run that was killed while writing it
                row = None
            if isinstance(row, dict):
                rows.append(row)
            else:
                bad += 1
    if bad:
        unread.append(f"{path.parent.name}/{path.name}: {bad} line{'s' if bad > 1 else ''}")
    return rows


def _one_row_a_step(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A resumed run repeats the steps since its last checkpoint; the later row of a step is the one the model went on
    from."""
    by_step = {row["step"]: row for row in rows if is_number(row.get("step"))}
    return [by_step[step] for step in sorted(by_step)]
