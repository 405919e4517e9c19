"""OUT/index.html: a run on one self-contained page."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from videostr import atomic
from videostr.eval.metrics import paired_bootstrap
from videostr.report.cards import bar, data_uri, film_of, render
from videostr.report.choose import choose_samples, comparable
from videostr.report.measures import SPATIAL
from videostr.report.plots import CURVES, save_plots, stage_interval, stage_value
from videostr.report.run import Run, is_number, is_span, read_run
from videostr.report.style import MUTED, TRUTH, stage_colour, stage_label


def write_report(out: str | os.PathLike) -> Path:
    """Draw the plots of the run in `out` (OUT/plots/*.png) and write OUT/index.html; returns the page's path.

    The page needs nothing beside it: style and pictures are inside. It can be made of an unfinished or killed run, from
    what is there.

    Raises:
        FileNotFoundError: no run in `out`. ValueError: summary.json is damaged. OSError: the page cannot be written.
    """
    run = read_run(out)
    images = {name: data_uri(png, "png") for name, png in save_plots(run).items()}
    summary = run.summary
    html = render(
        "page.html",
        title=run.out.resolve().name,
        seed=summary.get("seed"),
        minutes=summary["seconds"] / 60 if is_number(summary.get("seconds")) else None,
        columns=list(run.measures.columns.values()),
        table=[*_constant_row(run), *(_table_row(run, stage, index) for index, stage in enumerate(run.stages))],
        gains=_gains(run),
        headline=[images.pop(name) for name in ("stages", "learning_curve") if name in images],
        plots=_plot_figures(images),
        groups=_sample_groups(run),
        truth_colour=TRUTH,
        failures=_failures(run),
        reports={
            name: _flat(summary[name]) for name in ("cold_start", "difficulty") if isinstance(summary.get(name), dict)
        },
        skipped=_skipped(summary.get("skipped")),
        unread=run.unread,
        config=run.config,
        versions=summary.get("versions") if isinstance(summary.get("versions"), dict) else {},
    )
    path = run.out / "index.html"
    atomic.write_text(path, html)
    return path


def _table_row(run: Run, stage: str, index: int) -> dict[str, Any]:
    info = (run.summary.get("stages") or {}).get(stage) or {}
    cells = []
    for key in run.measures.columns:
        value = stage_value(run, stage, key)
        interval = stage_interval(run, stage, key)
        cells.append(
            {
                "value": f"{value:.3f}" if value == value else "–",
                "interval": f"{interval[0]:.2f} – {interval[1]:.2f}" if interval else "",
            }
        )
    samples = info.get("samples", len(run.evals.get(stage, ())))
    return {
        "label": stage_label(stage),
        "colour": stage_colour(stage, index),
        "cells": cells,
        "samples": samples,
        "seconds": f"{info['seconds']:.0f} s" if is_number(info.get("seconds")) else "–",
    }


def _constant_row(run: Run) -> list[dict[str, Any]]:
    """What one interval for every clip would score: a model below this row has not looked at its video."""
    scores = run.summary.get("constant")
    if not isinstance(scores, dict):
        return []
    cells = [
        {"value": f"{scores[key]:.3f}" if is_number(scores.get(key)) else "–", "interval": ""}
        for key in run.measures.columns
    ]
    row = {"label": "best constant interval", "colour": MUTED, "cells": cells}
    return [row | {"samples": scores.get("samples", "–"), "seconds": "–"}]


def _gains(run: Run) -> list[dict[str, str]]:
    """Each stage against the one before it, on the samples both scored."""
    gains, key = [], run.measures.row
    stages = [stage for stage in run.stages if run.scores(stage)]
    for first, second in zip(stages, stages[1:], strict=False):
        a, b = (
            {str(r["id"]): r[key] for r in run.evals[s] if "id" in r and is_number(r.get(key))} for s in (first, second)
        )
        shared = sorted(a.keys() & b.keys())
        if not shared:
            continue
        result = paired_bootstrap([a[name] for name in shared], [b[name] for name in shared], resamples=4000)
        gains.append(
            {
                "name": f"{stage_label(first)} → {stage_label(second)}",
                "difference": f"{result.difference:+.3f} {run.measures.label}",
                "interval": f"{result.low:+.3f} to {result.high:+.3f}",
                "p": "p < 0.001" if result.p_value < 0.001 else f"p = {result.p_value:.3f}",
            }
        )
    return gains


def _plot_figures(images: dict[str, str]) -> list[dict[str, str]]:
    notes = {curve.name: curve.note for curve in CURVES}
    return [{"name": name, "image": image, "note": notes.get(name, "")} for name, image in images.items()]


def _sample_groups(run: Run) -> list[dict[str, Any]]:
    rows = comparable(run)
    return [
        {"name": group, "samples": [_sample(run, name, rows[name]) for name in names]}
        for group, names in choose_samples(run).items()
    ]


def _sample(run: Run, name: str, by_stage: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row = list(by_stage.values())[-1]
    film = film_of(resolve_video(run, row.get("video")), row.get("duration"), row["spans"])
    duration = film.duration
    key, spatial = run.measures.row, run.measures is SPATIAL
    tracks = [
        {
            "label": "truth",
            "colour": TRUTH,
            "bars": [bar(span, duration) for span in row["spans"]],
            "value": ", ".join(f"{start:g} – {end:g} s" for start, end in row["spans"]),
            "note": f"{row.get('task')}: {row.get('truth')}" if spatial else "",
        }
    ]
    answers = []
    for stage, answer in by_stage.items():
        colour = stage_colour(stage, run.stages.index(stage))
        pred = answer.get("pred") if is_span(answer.get("pred")) else None
        tracks.append(
            {
                "label": stage_label(stage),
                "colour": colour,
                "bars": [bar(pred, duration)] if pred else [],
                "value": f"{'score' if spatial else 'IoU'} {answer[key]:.2f}" if pred or spatial else "",
                "note": _note(answer, pred, spatial),
            }
        )
        text = answer.get("text")
        answers.append(
            {"label": stage_label(stage), "colour": colour, "text": "" if text is None else str(text)[:4000]}
        )
    return {
        "id": name,
        "query": str(row.get("query", "")),
        "video": Path(str(row.get("video", ""))).name,
        "duration": duration,
        "strip": film.strip,
        "problem": film.problem,
        "tracks": tracks,
        "ticks": film.ticks,
        "answers": answers,
    }


def _note(answer: dict[str, Any], pred: Any, spatial: bool) -> str:
    if spatial:
        text = str(answer.get("text"))
        return text[text.rfind("<answer>") :][:80] if "<answer>" in text else "no answer"
    return "" if pred else f"no interval: {str(answer.get('reason') or 'unknown').replace('_', ' ')}"


def resolve_video(run: Run, video: Any) -> str:
    """A path as an evaluation row has it; a relative one is relative to the output directory, else to the working
    directory."""
    path = Path(str(video))
    inside = run.out / path
    return str(inside if not path.is_absolute() and inside.exists() else path)


def _failures(run: Run) -> list[dict[str, Any]]:
    table = []
    for index, stage in enumerate(run.stages):
        counts = Counter(
            str(row.get("reason")) for row in run.evals.get(stage, ()) if row.get("reason") not in (None, "ok")
        )
        if run.evals.get(stage):
            table.append(
                {"label": stage_label(stage), "colour": stage_colour(stage, index), "counts": counts.most_common()}
            )
    return table if any(row["counts"] for row in table) else []


def _flat(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The scalars of a report, and of the dicts in it, as rows of text."""
    rows = []
    for key, value in report.items():
        if key == "histogram":
            continue
        if isinstance(value, dict):
            rows += [(f"{key.replace('_', ' ')}: {name.replace('_', ' ')}", text) for name, text in _flat(value)]
        else:
            text = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            rows.append((key.replace("_", " "), f"{value:,}" if isinstance(value, int) and key != "seed" else text))
    return rows


def _skipped(skipped: Any) -> list[tuple[str, str]]:
    return [(str(s.get("path")), str(s.get("reason"))) for s in skipped or () if isinstance(s, dict)]
