"""The files of an evaluation.

    OUT/config.yaml      the settings
    OUT/samples.jsonl    the benchmark's samples, beside it what the conversion left out (docs/data.md)
    OUT/run.json         what the answers depend on; another run in the same folder must agree with it
    OUT/answers/N.jsonl  process N's answers, a line a sample, as they come: what a killed run goes on from
    OUT/skipped.jsonl    videos that could not be read; gone when the evaluation is done
    OUT/patches/         decoded videos, unless `store` names another folder
    OUT/results.jsonl    a line a sample: the sample, the answers, what was read, the scores
    OUT/summary.json     metrics with intervals, counts, settings, versions
    OUT/index.html       the page

An answer is paid for once and read as often as one likes: with results there, the same command with another parser
scores the kept answers anew.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from videostr import atomic

FORMAT = 1
Row = dict[str, Any]


class EvalError(ValueError):
    """An evaluation that cannot go on; the message says what to do."""


def read_answers(out: Path) -> dict[str, Row]:
    """Sample id -> its answers, of all processes there ever were, without lines that a kill cut short.

    A later line of a sample counts: a video that could not be read is tried again. Raises EvalError for a line that a
    kill cannot have left, so that nobody loses what stands behind it.
    """
    found: dict[str, Row] = {}
    for path in sorted((out / "answers").glob("*.jsonl")):
        for row in _rows(path, ("id",)):
            if row["id"] not in found or found[row["id"]].get("error"):
                found[row["id"]] = row
    return found


class AnswerLog:
    """Appends the answers of one process. A batch's lines are on the disk when `add` returns. Raises EvalError as
    `read_answers`."""

    def __init__(self, out: Path, process: int):
        self.path = out / "answers" / f"{process}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():  # without a last line that a kill cut short
            kept = _rows(self.path, ("id",))
            atomic.write_text(self.path, "".join(_line(row) for row in kept))

    def add(self, rows: Iterable[Row]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, rows)))
            file.flush()
            os.fsync(file.fileno())


def write_results(out: Path, rows: Iterable[Row], summary: Row) -> None:
    """results.jsonl, then summary.json, each whole or not at all."""
    with atomic.atomic_file(out / "results.jsonl") as file:
        for row in rows:
            file.write(_line(row).encode("utf-8"))
    atomic.write_json(out / "summary.json", summary)


def read_results(out: str | os.PathLike) -> tuple[list[Row], Row]:
    """(rows, summary) of a finished evaluation. Raises EvalError where there is none, or one of another format."""
    out = Path(out)
    try:
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        rows = _rows(out / "results.jsonl", _RESULT, growing=False)
    except EvalError:
        raise
    except FileNotFoundError as error:
        raise EvalError(f"{out}: no finished evaluation here ({Path(error.filename).name} is missing)") from None
    except (OSError, ValueError) as error:
        raise EvalError(f"{out}: cannot be read: {error}") from error
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise EvalError(f"{out}/summary.json: not an evaluation of format {FORMAT}")
    return rows, summary


def check_same_run(out: Path, identity: Row) -> None:
    """Keep what the answers depend on, or raise EvalError where the folder holds answers to something else."""
    path = out / "run.json"
    if path.exists():
        try:
            kept = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise EvalError(f"{path}: cannot be read: {error}: give another --out, or remove {out}") from error
        changed = [name for name in {**kept, **identity} if kept.get(name) != identity.get(name)]
        if changed and read_answers(out):
            told = "; ".join(f"{name} was {kept.get(name)!r:.160}, is {identity.get(name)!r:.160}" for name in changed)
            raise EvalError(f"{out} holds answers of another evaluation ({told}): give another --out, or remove it")
    atomic.write_json(path, identity)


_RESULT = ("id", "video", "query", "spans", "meta", "error", "answers", "score", "cells")


def _rows(path: Path, fields: Sequence[str], growing: bool = True) -> list[Row]:
    """The lines, as objects with these fields. growing: a last line without an end was cut by a kill, and is none."""
    *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines if growing or not last else [*lines, last], start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not all(name in row for name in fields):
            raise EvalError(f"{path}, line {number}: expected an object with {', '.join(fields)}, got {line[:80]!r}")
        rows.append(row)
    return rows


def _line(row: Row) -> str:
    # ASCII: a lone half of a surrogate pair, which a model may write, stays what it is.
    return json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n"
