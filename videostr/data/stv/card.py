"""The data card of a built set, and the report as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from videostr.data.stv.baseline import to_text as blind_text
from videostr.data.stv.question import FILTERS, TASKS
from videostr.data.stv.select import LEFT_OUT

PAPER = 205_000
"""STV-205k's number of question-answer pairs (C); how they spread over sources, tasks and kinds is not public."""

_MORE = {
    "no_graph": "no object near enough to draw, or more than 16 of the classes asked about",
    "duplicate": "the same question about the same video was there before",
}
_KINDS = {"choice": "multiple choice", "number": "numerical", "box": "IoU"}


def card(report: Mapping[str, Any]) -> str:
    """Markdown."""
    counts = report["counts"]
    lines = [
        "# STV data card",
        "",
        f"{report['written']:,} question-answer pairs; STV-205k (arXiv 2510.10976): {PAPER:,}.",
    ]
    lines += ["The paper's data are not public: its counts by source, task and kind are not known. Built by", ""]
    lines += [f"    videostr data stv, seed {report['options']['seed']}", ""]
    for title, name, labels in (
        ("Source", "source", {}),
        ("Task", "task", {}),
        ("Answer", "kind", _KINDS),
        ("Split", "split", {}),
    ):
        total: Counter[str] = Counter()
        for row in counts:
            total[row[name]] += row["count"]
        order = [task for task in TASKS if task in total] if name == "task" else sorted(total)
        lines += [f"| {title} | pairs | share | the paper |", "|---|---|---|---|"]
        share = max(report["written"], 1)
        lines += [f"| {labels.get(k, k)} | {total[k]:,} | {100 * total[k] / share:.1f} % | not public |" for k in order]
        lines.append("")
    lines += ["| Source | Task | Answer | train | val |", "|---|---|---|---|---|"]
    cells: dict[tuple, Counter] = {}
    for row in counts:
        cells.setdefault((row["source"], row["task"], row["kind"]), Counter())[row["split"]] += row["count"]
    lines += [f"| {s} | {t} | {_KINDS[k]} | {c['train']:,} | {c['val']:,} |" for (s, t, k), c in sorted(cells.items())]
    lines += ["", "## What was left out", "", "| reason | count | |", "|---|---|---|"]
    meanings = FILTERS | _MORE | LEFT_OUT
    lines += [f"| {name} | {n:,} | {meanings[name]} |" for name, n in (report["dropped"] | report["left_out"]).items()]
    lines += [f"| malformed annotations | {report['problems']:,} | problems.jsonl: file and line |", ""]
    lines += ["| scenes | count |", "|---|---|", *(f"| {name} | {n:,} |" for name, n in report["scenes"].items()), ""]
    lines += ["## Blind baseline", "", "What a guess scores that has not seen the video:", "", "```"]
    lines += [blind_text(report["blind"]["table"]), "```", ""]
    return "\n".join(lines)


def to_text(report: Mapping[str, Any]) -> str:
    """What the command prints."""
    lines = [f"{report['written']:,} of {report['candidates']:,} candidates; STV-205k: {PAPER:,}"]
    for name in ("source", "task", "kind", "split"):
        total: Counter[str] = Counter()
        for row in report["counts"]:
            total[row[name]] += row["count"]
        lines.append(f"  by {name:<7} " + ", ".join(f"{_KINDS.get(k, k)} {n:,}" for k, n in total.most_common()))
    lines += [f"  {name:<28}{n:>9,}" for name, n in report["scenes"].items()]
    lines += [f"  {name:<28}{n:>9,}" for name, n in report["notes"].items()]
    meanings = FILTERS | _MORE | LEFT_OUT
    lines += [
        f"- {name:<28}{n:>9,}  {meanings[name]}" for name, n in (report["dropped"] | report["left_out"]).items() if n
    ]
    lines.append(f"- {'malformed annotations':<28}{report['problems']:>9,}  problems.jsonl: file and line")
    lines += [blind_text(report["blind"]["table"])]
    return "\n".join(lines)
