"""One look for every picture: colours of the stages, fonts, axes."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#6a737d", "#e3e7eb"
TRUTH = "#2b9a66"
STAGE_COLOURS = {"base": "#a3abb5", "sft": "#3e76c9", "rl": "#e2603a"}
LINE_COLOURS = ("#3e76c9", "#e2603a", "#2b9a66", "#8b5fbf", "#d29a1f", "#4aa3a8", "#b0566f", "#6a737d")
STAGE_LABELS = {"base": "base", "sft": "SFT", "rl": "RL"}
_SPARE_COLOURS = ("#8b5fbf", "#d29a1f", "#4aa3a8", "#b0566f")


def stage_colour(stage: str, index: int = 0) -> str:
    """The colour of a stage; stages of a user's own take turns."""
    return STAGE_COLOURS.get(stage, _SPARE_COLOURS[index % len(_SPARE_COLOURS)])


def stage_label(stage: str) -> str:
    return STAGE_LABELS.get(stage, stage)


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """One plot of so many inches, with margins wide enough for its labels; alike, so that plots in a grid line up.

    A figure of its own, not pyplot's: nothing global, usable from any thread, drawn by Agg when it is saved.
    """
    figure = Figure(figsize=(width, height))
    margins = {"left": 0.58 / width, "right": 1 - 0.12 / width, "bottom": 0.46 / height, "top": 1 - 0.32 / height}
    return figure, figure.subplots(gridspec_kw=margins)


def dress(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "", grid: str = "y") -> None:
    """Give axes the common look."""
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK)
    axes.set_xlabel(xlabel, fontsize=8.5, color=MUTED)
    axes.set_ylabel(ylabel, fontsize=8.5, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def legend(axes: Axes, least: int = 2, **arguments) -> None:
    """A frameless legend, where there are at least so many things to tell apart."""
    if len(axes.get_legend_handles_labels()[0]) >= least:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2, **arguments)
