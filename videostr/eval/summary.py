"""Rows of results -> one summary: metrics with intervals beside everything they depend on, as JSON and as text."""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from videostr.eval.config import EvalConfig
from videostr.eval.resampling import Interval, Table, intervals
from videostr.eval.results import FORMAT, Row
from videostr.versions import software_versions


def summarise(config: EvalConfig, rows: Sequence[Row], conversion: Row, identity: Row, seconds: float) -> Row:
    """The summary of an evaluation; see docs/evaluation.md for its keys."""
    spec = config.spec
    readable = [row for row in rows if not row["error"]]
    scores = _intervals(rows, config)
    answers = [answer for row in readable for answer in row["answers"].values()]
    return {
        "format": FORMAT,
        "benchmark": spec.name,
        "title": spec.title,
        "metrics_source": spec.source,
        "score_name": spec.score_name,
        "headline": [name for name in spec.headline if name in scores],
        "metrics": {name: interval._asdict() for name, interval in scores.items()},
        "readable_metrics": {name: interval.value for name, interval in _intervals(readable, config, 1).items()},
        "counts": {
            "samples": len(rows),
            "videos": len({row["video"] for row in rows}),
            "unreadable": dict(Counter(row["error"]["reason"] for row in rows if row["error"]).most_common()),
            "unreadable_videos": len({row["video"] for row in rows if row["error"]}),
            "answers": len(answers),
            "cut_off": sum(not answer["finished"] for answer in answers),
            "unrated": sum(value == -1 for row in readable for value in row["judged"].values()),
            "unread": dict(Counter(a["reason"] for a in answers if a["reason"] not in (None, "ok")).most_common()),
            "left_out": conversion["rejected"],
            "notes": conversion["notes"],
        },
        "judge": {"model": config.judge.model} if config.judge.url and spec.judged else None,
        "run": identity | {"parser": config.read_with, "thinking": config.thinking, "limit": config.limit},
        "input": {
            name: _spread([row["input"][name] for row in readable if row["input"][name] is not None])
            for name in ("frames", "fps", "height", "width", "video_tokens")
        }
        | {name: _spread([answer[name] for answer in answers]) for name in ("prompt_tokens", "tokens")},
        "bootstrap": {"resamples": config.resamples, "level": 0.95, "unit": "video", "seed": 0},
        "versions": software_versions(),
        "seconds": round(seconds, 1),
    }


def _intervals(rows: Sequence[Row], config: EvalConfig, resamples: int | None = None) -> dict[str, Interval]:
    if not rows:
        return {}
    table = Table([row["cells"] for row in rows], [row["video"] for row in rows])
    return intervals(table, config.spec.aggregate, resamples=resamples or config.resamples)


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """{"least", "mean", "most"} of some numbers, None where there are none."""
    if not values:
        return None
    return {"least": min(values), "mean": round(statistics.fmean(values), 4), "most": max(values)}


def to_text(summary: Row) -> str:
    """The summary for people; every score with what it depends on."""
    counts = summary["counts"]
    lines = [f"{summary['title']}: {counts['samples']:,} samples of {counts['videos']:,} videos"]
    names = [*summary["headline"], *(name for name in summary["metrics"] if name not in summary["headline"])]
    without = counts["unreadable"] and summary["readable_metrics"]
    width = max(map(len, names))
    for name in names:
        value = summary["metrics"][name]
        line = f"  {name:<{width}}  {_shown(value['value'])}  [{_shown(value['low'])}, {_shown(value['high'])}]"
        lines.append(line + (f"  without unreadable videos {_shown(without.get(name))}" if without else ""))
    gone, unread = counts["unreadable"], counts["unread"]
    facts = [
        (
            "unreadable",
            f"{_total(gone)} samples, {counts['unreadable_videos']:,} videos; counted as 0{_causes(gone)}",
        ),
        ("unread", f"{_total(unread)} of {counts['answers']:,} answers{_causes(unread)}"),
        ("cut off", f"{counts['cut_off']:,} answers at the length limit"),
        ("left out", f"{_total(counts['left_out'])} entries of the data{_causes(counts['left_out'])}"),
    ]
    if counts["unrated"]:
        facts.append(("unrated", f"{counts['unrated']:,} answers whose judge gave no rating; counted as 0"))
    lines += [f"  {name:<11} {text}" for name, text in (*facts, *settings(summary))]
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def settings(summary: Row) -> list[tuple[str, str]]:
    """What the scores depend on, as (name, text)."""
    run, seen = summary["run"], summary["input"]
    frames = ", ".join(
        f"{name} {value}" for name, value in run["frames"].items() if _says_much(name, value, run["frames"])
    )
    decoding = ", ".join(f"{name} {value}" for name, value in run["decoding"].items())
    prompt = f"{run['prompt']}, sha256 {run['prompt_sha256']}" + (
        f", begun with {run['prefill']!r}" if run["prefill"] else ""
    )
    return [
        ("model", f"{run['model']}, sha256 {run['model_sha256']}, {run['dtype']}"),
        ("prompt", prompt + (", frame times written" if run["written_times"] else "")),
        ("parser", run["parser"]),
        *([("judge", summary["judge"]["model"])] if summary["judge"] else []),
        ("decoding", decoding + (f", seed {run['seed']}" if run["seed"] is not None else "")),
        ("sampling", frames),
        ("frames", f"{_range(seen['frames'])} at {_range(seen['fps'])} fps"),
        ("pixels", f"{_range(seen['width'])} x {_range(seen['height'])}"),
        ("tokens", ", ".join(f"{name} {_range(seen[key])}" for name, key in _TOKENS.items())),
        ("intervals", f"95 %, bootstrap over videos, {summary['bootstrap']['resamples']:,} resamples"),
        ("versions", ", ".join(f"{name} {version}" for name, version in summary["versions"].items())),
    ]


_TOKENS = {"video": "video_tokens", "prompt": "prompt_tokens", "answer": "tokens"}
_OF_THE_MODEL = ("patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std")


def _says_much(name: str, value: Any, frames: Row) -> bool:
    overruled = frames["num_frames"] is not None and name in ("fps", "min_frames", "max_frames")
    return value is not None and name not in _OF_THE_MODEL and not overruled


def _range(spread: dict[str, float] | None) -> str:
    if spread is None:
        return "-"
    if spread["least"] == spread["most"]:
        return f"{spread['most']:g}"
    return f"{spread['least']:g} to {spread['most']:g} (mean {spread['mean']:g})"


def _shown(value: float | None) -> str:
    return "  -   " if value is None else f"{value:.4f}"


def _total(counts: dict[str, int]) -> str:
    return f"{sum(counts.values()):,}"


def _causes(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{name} {count:,}' for name, count in counts.items())})" if counts else ""
