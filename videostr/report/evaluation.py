"""OUT/index.html of an evaluation (`videostr eval`): scores, where they come from, and answers to look at."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from videostr import atomic
from videostr.eval import bootstrap_interval
from videostr.eval.results import Row, read_results
from videostr.eval.summary import settings
from videostr.report.cards import bar, data_uri, film_of, render
from videostr.report.plots import to_png
from videostr.report.run import is_number, is_span
from videostr.report.style import LINE_COLOURS, MUTED, TRUTH, dress, new_axes

SHOWN = 4  # best and worst samples
FAILURES = 25  # unread answers shown with their text
DURATIONS = (0, 15, 30, 60, 120, 300, float("inf"))
WORDS = (0, 5, 9, 13, 21, float("inf"))
_ANSWER = LINE_COLOURS[0]
_MOST_TEXT = 4000


def write_evaluation_page(out: str | os.PathLike) -> Path:
    """Write OUT/index.html of a finished evaluation; returns its path. The page needs nothing beside it.

    Raises EvalError where there is no finished evaluation, OSError where the page cannot be written.
    """
    out = Path(out)
    rows, summary = read_results(out)
    counts = summary["counts"]
    readable = [row for row in rows if not row["error"]]
    order = sorted(readable, key=lambda row: (-row["score"], row["id"]))
    chosen = {"best": order[:SHOWN], "worst": _spread_out(order[SHOWN:][::-1])}
    html = render(
        "evaluation.html",
        title=summary["title"],
        name=out.resolve().name,
        counts=counts,
        metrics=_metrics(summary),
        unreadable=sum(counts["unreadable"].values()),
        settings=settings(summary),
        source=summary["metrics_source"],
        plots=[data_uri(to_png(figure), "png") for figure in draw_figures(rows, summary["score_name"])],
        groups=[
            {"name": name, "samples": [_sample(row, summary) for row in some]} for name, some in chosen.items() if some
        ],
        failures=_failures(readable),
        all_failures=sum(counts["unread"].values()),
        missing=sorted(
            {(row["video"], row["error"]["reason"], row["error"]["detail"]) for row in rows if row["error"]}
        ),
        seconds=summary["seconds"],
    )
    path = out / "index.html"
    atomic.write_text(path, html)
    return path


def draw_figures(rows: Sequence[Row], score_name: str) -> list[Figure]:
    """The score by duration and by query length, with 95 % intervals, and its histogram; unreadable videos count 0."""
    figures = [
        _by_bucket(rows, score_name, "duration of the video, s", DURATIONS, _seconds),
        _by_bucket(rows, score_name, "words of the query", WORDS, lambda row: len(str(row["query"]).split())),
    ]
    figure, axes = new_axes(5.0, 2.6)
    numbers, edges = np.histogram([row["score"] for row in rows], bins=20, range=(0, 1))
    axes.stairs(numbers / max(1, numbers.sum()), edges, color=_ANSWER, fill=True, alpha=0.6)
    dress(axes, f"{score_name} of the samples", score_name, "share of samples")
    axes.set_xlim(0, 1)
    return [*(figure for figure in figures if figure is not None), figure]


def buckets(
    rows: Sequence[Row], edges: Sequence[float], value: Callable[[Row], float | None]
) -> list[tuple[str, list[float]]]:
    """(name, scores) of the rows whose value is in [edge, next edge), without empty ones; rows without a value are in
    none."""
    found = []
    for low, high in zip(edges, edges[1:], strict=False):
        scores = [row["score"] for row in rows if value(row) is not None and low <= value(row) < high]
        if scores:
            found.append((f"{low:g}+" if high == float("inf") else f"{low:g}–{high:g}", scores))
    return found


def _by_bucket(rows, score_name, label, edges, value) -> Figure | None:
    found = buckets(rows, edges, value)
    if not found:
        return None
    figure, axes = new_axes(5.0, 2.6)
    for place, (_, scores) in enumerate(found):
        mean = float(np.mean(scores))
        low, high = bootstrap_interval(scores, resamples=2000)
        axes.bar(place, mean, 0.62, color=_ANSWER, alpha=0.6)
        axes.plot([place, place], [low, high], color=MUTED, linewidth=1.2)
        axes.text(place, max(high, mean), f"{len(scores):,}", ha="center", va="bottom", fontsize=7.5, color=MUTED)
    axes.set_xticks(range(len(found)), [name for name, _ in found])
    axes.set_ylim(0, min(1.1, max(0.1, axes.dataLim.ymax * 1.2)))
    dress(axes, f"By {label.split(',')[0]}", label, f"mean {score_name}" if len(score_name) < 12 else "mean score")
    return figure


def _seconds(row: Row) -> float | None:
    if is_number(row.get("duration")):
        return row["duration"]
    return row["input"]["seconds"] if row["input"] else None


def _metrics(summary: Row) -> list[dict[str, Any]]:
    names = [*summary["headline"], *(name for name in summary["metrics"] if name not in summary["headline"])]
    table = []
    for name in names:
        metric = summary["metrics"][name]
        spread = "–" if metric["low"] is None else f"{metric['low']:.3f} – {metric['high']:.3f}"
        table.append(
            {
                "name": name,
                "lead": name in summary["headline"],
                "value": _shown(metric["value"]),
                "interval": spread,
                "readable": _shown(summary["readable_metrics"].get(name)),
            }
        )
    return table


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _spread_out(rows: Sequence[Row]) -> list[Row]:
    """The first rows, of different videos as far as there are any."""
    seen: set[str] = set()
    fresh = [row for row in rows if row["video"] not in seen and not seen.add(row["video"])]
    return [*fresh, *(row for row in rows if row not in fresh[:SHOWN])][:SHOWN]


def _sample(row: Row, summary: Row) -> dict[str, Any]:
    film = film_of(row["video"], row["duration"], row["spans"])
    tracks = []
    if row["spans"]:
        shown = ", ".join(f"{start:g} – {end:g} s" for start, end in row["spans"])
        tracks.append(_track("truth", TRUTH, row["spans"], film.duration, shown))
    for name, answer in row["answers"].items():
        spans = _spans(answer["parsed"])
        if spans is not None:
            note = "" if spans else f"no interval: {str(answer['reason']).replace('_', ' ')}"
            value = ", ".join(f"{start:g} – {end:g} s" for start, end in spans)
            tracks.append(_track(_label(name, row), _ANSWER, spans, film.duration, value, note))
    about = f"{summary['score_name']} {row['score']:.2f}"
    truth = row["meta"].get("answer")
    return {
        "id": f"{row['id']} · {about}" + ("" if truth is None else f" · true answer: {truth}"),
        "query": row["query"],
        "video": Path(row["video"]).name,
        "duration": film.duration,
        "strip": film.strip,
        "problem": film.problem,
        "tracks": tracks,
        "ticks": film.ticks,
        "answers": [
            {"label": _label(name, row), "colour": _ANSWER, "text": answer["text"][:_MOST_TEXT]}
            for name, answer in row["answers"].items()
        ],
    }


def _label(name: str, row: Row) -> str:
    return "answer" if len(row["answers"]) == 1 else name.replace("_", " ")


def _spans(parsed: Any) -> list[list[float]] | None:
    """The intervals of what was read; [] where there are none, None where the question does not ask for one."""
    parsed = parsed["interval"] if isinstance(parsed, dict) and "interval" in parsed else parsed
    if parsed is None:
        return []
    if is_span(parsed):
        return [parsed]
    return list(parsed) if isinstance(parsed, list) and parsed and all(map(is_span, parsed)) else None


def _track(label: str, colour: str, spans, duration: float, value: str, note: str = "") -> dict[str, Any]:
    bars = [bar(span, duration) for span in spans]
    return {"label": label, "colour": colour, "bars": bars, "value": value, "note": note}


def _failures(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The first answers that could not be read, with their raw text."""
    found = [
        {
            "id": row["id"],
            "question": _label(name, row),
            "reason": str(answer["reason"]).replace("_", " "),
            "text": answer["text"][:_MOST_TEXT],
            "cut": "" if answer["finished"] else "cut off",
        }
        for row in rows
        for name, answer in row["answers"].items()
        if answer["reason"] not in (None, "ok")
    ]
    return found[:FAILURES]
