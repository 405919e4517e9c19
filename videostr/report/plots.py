"""Pictures of a run's numbers: what the metrics did step by step, and what each stage scored."""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from videostr import atomic
from videostr.eval.metrics import bootstrap_interval
from videostr.report.run import Run, is_number
from videostr.report.style import (
    GRID,
    LINE_COLOURS,
    MUTED,
    TRUTH,
    dress,
    legend,
    new_axes,
    stage_colour,
    stage_label,
)

DPI = 160


class Curve(NamedTuple):
    """A plot over the steps of one metrics file; keys: metric -> label."""

    name: str
    phase: str
    title: str
    keys: dict[str, str]
    ylabel: str = ""
    log: bool = False
    note: str = ""


CURVES = (
    Curve("sft_loss", "sft", "SFT loss", {"loss": "loss"}, "nats a token"),
    Curve("sft_grad_norm", "sft", "SFT gradient norm", {"grad_norm": "norm"}),
    Curve(
        "reward",
        "rl",
        "Reward",
        {"reward": "total", "reward/format": "format", "reward/answer": "answer"},
        note="mean over the rollouts of a step",
    ),
    Curve(
        "graph",
        "rl",
        "Graph terms of the reward",
        {"reward/node": "node", "reward/edge": "edge", "reward/map": "map"},
        note="0 where the gate is closed",
    ),
    Curve("iou", "rl", "Rollout IoU", {"reward/iou": "IoU"}, note="the task reward, at the training temperature"),
    Curve(
        "group_std",
        "rl",
        "Within-group spread",
        {"group_std": "std of the reward", "informative": "informative groups"},
        note="when both stop moving, there is nothing left to learn from these samples",
    ),
    Curve("kl", "rl", "KL to the reference", {"kl": "KL"}, "nats a token"),
    Curve("entropy", "rl", "Entropy", {"entropy": "entropy"}, "nats a token"),
    Curve("length", "rl", "Answer length", {"length": "tokens"}, "tokens"),
    Curve("truncated", "rl", "Answers cut off by the length limit", {"truncated": "fraction"}),
    Curve(
        "mismatch",
        "rl",
        "Rollout against training",
        {"mismatch_max": "largest", "mismatch_mean": "mean"},
        "|Δ log-prob|",
        log=True,
        note="the same tokens scored by the sampler and by the trainer",
    ),
    Curve("clip", "rl", "Clipped tokens", {"clip_low_frac": "below", "clip_high_frac": "above"}, "fraction"),
    Curve("rl_grad_norm", "rl", "RL gradient norm", {"grad_norm": "norm"}),
)


def draw_plots(run: Run) -> dict[str, Figure]:
    """Every plot for which the run holds numbers: name -> figure. Plots without data are left out."""
    figures = {}
    for name, draw in (("stages", stage_bars), ("learning_curve", learning_curve), ("iou_histogram", iou_histogram)):
        figures[name] = draw(run)
    for curve in CURVES:
        figures[curve.name] = _draw_curve(curve, run.metrics.get(curve.phase, []))
    figures["reasons"] = _draw_curve(_reason_curve(run), run.metrics.get("rl", []))
    figures["difficulty"] = difficulty_histogram(run)
    return {name: figure for name, figure in figures.items() if figure is not None}


def save_plots(run: Run) -> dict[str, bytes]:
    """Write each plot to OUT/plots/NAME.png (atomically); name -> the PNG's bytes."""
    images = {}
    for name, figure in draw_plots(run).items():
        images[name] = to_png(figure)
        atomic.write_bytes(run.out / "plots" / f"{name}.png", images[name])
    return images


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    buffer = io.BytesIO()
    # Without the software's version in it, the same run gives the same file.
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def series(rows: Sequence[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of the rows that hold a finite number under `key`."""
    pairs = [(row["step"], row[key]) for row in rows if is_number(row.get(key))]
    array = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def smooth(values: np.ndarray) -> np.ndarray:
    """Centred running mean over about a twentieth of the run; shorter at the ends, so nothing is invented there."""
    half = len(values) // 40
    if half == 0:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def stage_bars(run: Run) -> Figure | None:
    """mIoU and R1 of each stage, with 95 % bootstrap intervals where the per-sample scores are there."""
    if not run.stages:
        return None
    figure, axes = new_axes(6.2, 2.9)
    draw_stage_bars(axes, run, run.measures.bars)
    return figure


def draw_stage_bars(axes: Axes, run: Run, keys: Sequence[str], numbers: bool = True) -> None:
    width = 0.8 / len(run.stages)
    for index, stage in enumerate(run.stages):
        x = np.arange(len(keys)) + (index - (len(run.stages) - 1) / 2) * width
        values = [stage_value(run, stage, key) for key in keys]
        axes.bar(x, np.nan_to_num(values), width * 0.92, color=stage_colour(stage, index), label=stage_label(stage))
        for at, key, value in zip(x, keys, values, strict=True):
            interval = stage_interval(run, stage, key)
            top = value
            if interval is not None:
                axes.vlines(at, *interval, color="#1f232899", linewidth=1.1)
                top = max(value, interval[1])
            if numbers and np.isfinite(value):
                axes.text(at, top + 0.012, f"{value:.2f}", ha="center", va="bottom", fontsize=7, color=MUTED)
    axes.set_xticks(range(len(keys)), [run.measures.columns[key].rpartition(": ")[2] for key in keys])
    axes.set_ylim(0, min(1.08, max(0.2, axes.dataLim.ymax * 1.12)))
    dress(axes, "Held-out scores by stage")
    axes.tick_params(axis="x", labelsize=9)
    # Beside the title, where no bar can reach.
    legend(
        axes, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(run.stages), borderaxespad=0.2, columnspacing=1.2
    )


def stage_value(run: Run, stage: str, key: str) -> float:
    """A score of a stage: the summary's, else the mean over the evaluation's rows, else NaN."""
    value = ((run.summary.get("stages") or {}).get(stage) or {}).get(key)
    if is_number(value):
        return float(value)
    values = _sample_values(run, stage, key)
    return float(np.mean(values)) if values else float("nan")


def stage_interval(run: Run, stage: str, key: str) -> tuple[float, float] | None:
    """95 % bootstrap interval of a score, or None without per-sample scores."""
    values = _sample_values(run, stage, key)
    return bootstrap_interval(values, resamples=2000) if values else None


def _sample_values(run: Run, stage: str, key: str) -> list[float]:
    of_row = run.measures.of_row
    values = [of_row(row, key) for row in run.evals.get(stage, ()) if is_number(row.get(run.measures.row))]
    return [value for value in values if is_number(value)]


def learning_curve(run: Run) -> Figure | None:
    """The held-out score after each stage over the steps of SFT and RL, evaluations in between where the rows hold
    them."""
    lengths = {phase: run.metrics[phase][-1]["step"] for phase in ("sft", "rl") if run.metrics.get(phase)}
    if not lengths or not run.stages:
        return None
    figure, axes = new_axes(6.2, 2.9)
    main = run.measures.main
    start = {"sft": 0, "rl": lengths.get("sft", 0)}
    for phase in lengths:
        steps, values = series(run.metrics[phase], f"eval/{main}")
        if len(steps):
            axes.plot(steps + start[phase], values, color=stage_colour(phase), linewidth=1.6, marker=".")
    steps, values = series(run.metrics.get("rl", []), "reward/answer" if main == "score" else "reward/iou")
    if len(steps):
        axes.plot(steps + start["rl"], values, color=stage_colour("rl"), alpha=0.2, linewidth=0.8)
        axes.plot(
            steps + start["rl"], smooth(values), color=stage_colour("rl"), linewidth=1.2, alpha=0.6, label="RL rollouts"
        )
    at = {"base": 0, "sft": lengths.get("sft", 0), "rl": sum(lengths.values())}
    points = [(at[s], stage_value(run, s, main), s) for s in run.stages if s in at]
    axes.plot([p[0] for p in points], [p[1] for p in points], color=GRID, linewidth=1.5, zorder=1)
    for x, y, stage in points:
        axes.plot(x, y, "o", markersize=8, color=stage_colour(stage), zorder=3, clip_on=False)
        label = f"{stage_label(stage)} {y:.2f}"
        axes.annotate(label, (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=8.5, fontweight="bold")
    if start["rl"] and "rl" in lengths:
        axes.axvline(start["rl"], color=GRID, linewidth=1, zorder=0)
    axes.set_ylim(0, min(1.05, max(0.3, axes.dataLim.ymax * 1.25)))
    dress(axes, "Learning curve", "step: SFT, then RL", f"held-out {run.measures.label}")
    legend(axes, least=1, loc="lower right")
    return figure


def iou_histogram(run: Run) -> Figure | None:
    """How the per-sample scores are spread, stage by stage."""
    stages = [stage for stage in run.stages if run.scores(stage)]
    if not stages:
        return None
    figure, axes = new_axes(5.0, 2.6)
    for index, stage in enumerate(stages):
        counts, edges = np.histogram(run.scores(stage), bins=20, range=(0, 1))
        colour = stage_colour(stage, index)
        axes.stairs(counts / counts.sum(), edges, color=colour, fill=True, alpha=0.18)
        axes.stairs(counts / counts.sum(), edges, color=colour, linewidth=1.5, label=stage_label(stage))
    name = "score" if run.measures.row == "score" else "IoU"
    dress(axes, f"{name} of the held-out samples", name, "share of samples")
    axes.set_xlim(0, 1)
    legend(axes)
    return figure


def difficulty_histogram(run: Run) -> Figure | None:
    """Mean rollout IoU of the training samples before and after the selection (summary's "difficulty" report)."""
    histogram = (run.summary.get("difficulty") or {}).get("histogram")
    return difficulty_figure(histogram) if histogram else None


def difficulty_figure(histogram: dict[str, Any]) -> Figure:
    """edges, before and after, as `videostr.data.difficulty.select` reports them."""
    figure, axes = new_axes(5.0, 2.6)
    axes.stairs(histogram["before"], histogram["edges"], fill=True, color="#a3abb5", alpha=0.55, label="all")
    axes.stairs(histogram["after"], histogram["edges"], fill=True, color=TRUTH, alpha=0.75, label="selected")
    dress(axes, "Difficulty of the RL samples", "mean IoU of the rollouts", "samples")
    axes.set_xlim(0, 1)
    legend(axes)
    return figure


def _reason_curve(run: Run) -> Curve:
    rows = run.metrics.get("rl", [])
    keys = {key for row in rows for key in row if key.startswith("reason/") and key != "reason/ok"}
    mean: Callable[[str], float] = lambda key: float(series(rows, key)[1].sum())  # noqa: E731
    largest = [key for key in sorted(keys, key=lambda key: (-mean(key), key)) if mean(key) > 0][: len(LINE_COLOURS)]
    return Curve(
        "reasons",
        "rl",
        "Why answers earn no format reward",
        {k: k.removeprefix("reason/") for k in largest},
        "fraction",
    )


def _draw_curve(curve: Curve, rows: Sequence[dict[str, Any]]) -> Figure | None:
    data = [(label, *series(rows, key)) for key, label in curve.keys.items()]
    data = [(label, steps, values) for label, steps, values in data if len(steps)]
    if curve.log:  # a logarithmic axis has no place for exact agreement
        data = [(label, steps[values > 0], values[values > 0]) for label, steps, values in data if (values > 0).any()]
    if not data:
        return None
    figure, axes = new_axes(5.0, 2.6)
    for (label, steps, values), colour in zip(data, LINE_COLOURS, strict=False):
        mark = {"marker": "."} if len(steps) == 1 else {}
        axes.plot(steps, values, color=colour, linewidth=0.9, alpha=0.28)
        axes.plot(steps, smooth(values), color=colour, linewidth=1.7, label=label, **mark)
    if curve.log:
        axes.set_yscale("log")
    dress(axes, curve.title, "step", curve.ylabel)
    legend(axes)
    return figure
