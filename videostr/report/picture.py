"""One picture of a run for a README: what each stage scored, and three clips with the intervals it gave."""

import os
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from videostr import atomic
from videostr.report.cards import ticks
from videostr.report.choose import choose_samples, comparable
from videostr.report.page import resolve_video
from videostr.report.plots import draw_stage_bars, to_png
from videostr.report.run import Run, is_span, read_run
from videostr.report.strips import Strip, film_strip
from videostr.report.style import GRID, INK, MUTED, TRUTH, dress, stage_colour, stage_label
from videostr.video import VideoError

# One of each kind, so that the picture shows a failure as well as a success.
_KINDS = ("most improved", "typical", "worst")


def readme_picture(out_dir: str | os.PathLike, png: str | os.PathLike) -> Path:
    """Draw the run in `out_dir` to `png`: bars of the stages, and three film strips: most improved by the last stage,
    typical, worst.

    Raises:
        FileNotFoundError: no run in `out_dir`. ValueError: the run holds no evaluation whose videos can be read.
    """
    run = read_run(out_dir)
    clips = _clips(run)
    if not clips:
        raise ValueError(f"out_dir: expected a run with evaluations whose videos can be read, got {os.fspath(out_dir)}")
    figure = Figure(figsize=(13.0, 0.55 + 1.85 * len(clips)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2.05], wspace=0.03)
    axes = left.subplots()
    draw_stage_bars(axes, run, ("miou", "r1@0.3", "r1@0.5", "r1@0.7"))
    grid = right.add_gridspec(2 * len(clips), 1, height_ratios=[1.0, 0.95] * len(clips), hspace=0.0)
    for index, (kind, stages, strip) in enumerate(clips):
        _draw_clip(right.add_subplot(grid[2 * index]), right.add_subplot(grid[2 * index + 1]), run, kind, stages, strip)
    atomic.write_bytes(png, to_png(figure, dpi=120))
    return Path(png)


def _clips(run: Run) -> list[tuple[str, dict[str, dict[str, Any]], Strip]]:
    rows, chosen = comparable(run), choose_samples(run, each=4)
    clips = []
    for kind in _KINDS:
        for name in chosen.get(kind, ()):
            stages = rows[name]
            try:
                strip = film_strip(resolve_video(run, list(stages.values())[-1].get("video")))
            except VideoError:
                continue
            clips.append((kind, stages, strip))
            break
    return clips


def _draw_clip(film: Axes, lanes: Axes, run: Run, kind: str, stages: dict[str, dict[str, Any]], strip: Strip) -> None:
    row = list(stages.values())[-1]
    film.imshow(strip.image, extent=(0, strip.duration, 0, 1), aspect="auto", interpolation="bilinear")
    film.axis("off")
    film.set_title(
        f"“{_shorten(str(row.get('query', '')))}”", loc="left", fontsize=11, color=INK, pad=4, parse_math=False
    )
    film.set_title(kind, loc="right", fontsize=9, color=MUTED, pad=4)
    spans = [("truth", TRUTH, row["spans"], "")]
    for stage, answer in stages.items():
        pred = answer.get("pred")
        shown = [pred] if is_span(pred) else []
        note = f"{answer['iou']:.2f}" if shown else "no interval"
        spans.append((stage_label(stage), stage_colour(stage, run.stages.index(stage)), shown, note))
    for lane, (label, colour, intervals, note) in enumerate(spans):
        y = -lane
        lanes.axhspan(y - 0.36, y + 0.36, color="#f3f5f7", linewidth=0)
        for start, end in intervals:
            start, end = (min(max(x, 0.0), strip.duration) for x in (start, end))
            lanes.barh(y, max(end - start, strip.duration * 0.005), 0.72, left=start, color=colour)
        lanes.text(
            -0.008 * strip.duration, y, label, ha="right", va="center", fontsize=9, color=colour, fontweight="bold"
        )
        lanes.text(1.008 * strip.duration, y, note, ha="left", va="center", fontsize=8.5, color=MUTED)
    dress(lanes, grid="")
    lanes.set_xlim(0, strip.duration)
    lanes.set_ylim(-len(spans) + 0.5, 0.5)
    lanes.set_yticks([])
    times = ticks(strip.duration)
    lanes.set_xticks(times, [f"{t:g} s" for t in times])
    lanes.spines["bottom"].set_color(GRID)


def _shorten(text: str, limit: int = 90) -> str:
    text = text.encode("utf-8", errors="replace").decode()  # matplotlib refuses lone surrogates
    return text if len(text) <= limit else text[: limit - 1] + "…"
