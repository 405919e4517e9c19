"""Spatio-temporal reasoning as a task: an answer of one of four kinds, and the relation graph that the thinking drew.

What is measured does not depend on the reward that a model was trained with, so that rewards can be compared.
"""

import math
from collections.abc import Sequence
from typing import Any

from videostr.data.samples import Sample
from videostr.ops.relation_graph import GRID_SCALE
from videostr.rewards import RewardBatch, RewardSpec, TermSpec, score_answers

# The name that a kind's score has in the literature.
MEASURES = {"choice": "accuracy", "number": "mra", "box": "iou", "tube": "iou"}
PARTS = ("node", "distance", "angle", "direction", "displacement")


class SpatialTask:
    """reward: the one that the model is trained with. scale, tolerance: of the graph term, for graphs in other units
    than the grid's cells."""

    name = "spatial"
    headline = ("score", "accuracy", "mra", "iou", "distance", "angle")
    curve = ("score", "accuracy", "mra", "iou", "node", "distance", "angle")

    def __init__(self, reward: RewardSpec, scale: float | str = "grid", tolerance: float = 0.25):
        self.reward = reward
        self.scale = GRID_SCALE if scale == "grid" else scale
        options = {"scale": scale, "tolerance": tolerance}
        graph = {part: TermSpec("graph", 0.0, options=options | {"part": part}) for part in PARTS}
        graph["direction"] = TermSpec("graph", 0.0, options=options | {"part": "angle", "angle": "direction"})
        self._measure = RewardSpec({"answer": TermSpec("answer"), "format": TermSpec("format"), **graph}, ["answer"])

    def rows(self, sample: Sample, texts: Sequence[str], scored: RewardBatch) -> list[dict[str, Any]]:
        """task, kind, truth and source of the question; score: of the answer; format and the graph's PARTS: 0 to 1,
        whether or not the reward looks at them; null of a sample without a graph. angle is that of turns, direction
        the absolute one."""
        graph = sample.meta.get("graph")
        measured = score_answers(self._measure, sample, texts, [0] * len(texts))
        about = {
            "task": sample.meta.get("task"),
            "source": sample.source,
            "kind": sample.meta["answer_kind"],
            "truth": sample.meta["answer"],
        }
        rows = []
        for number in range(len(texts)):
            values = {name: float(measured.terms[name][number]) for name in ("format", *PARTS)}
            if graph is None:
                values |= dict.fromkeys(PARTS)
            rows.append(about | {"score": float(measured.terms["answer"][number])} | values)
        return rows

    def metrics(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Means over the rows.

        accuracy (choices), mra (numbers), iou (boxes and tubes); score: the mean over the kinds that there are.
        PARTS: of the graph's score. distance_error: in the graph's unit, angle_error: in degrees; an edge that is
        missing counts as the largest error that the score knows. tasks: of each task and measure the score and the
        number of samples. format: share of well-formed answers. samples: how many.
        """
        found: dict[str, Any] = {}
        for measure in ("accuracy", "mra", "iou"):
            values = [row["score"] for row in rows if MEASURES[row["kind"]] == measure]
            if values:
                found[measure] = sum(values) / len(values)
        found = {"score": sum(found.values()) / len(found)} | found
        for part in PARTS:
            values = [row[part] for row in rows if row[part] is not None]
            if values:
                found[part] = sum(values) / len(values)
        if "distance" in found and isinstance(self.scale, float):
            found["distance_error"] = (1 - found["distance"]) * self.scale
        if "angle" in found:
            found["angle_error"] = (1 - found["angle"]) * math.degrees(math.pi)
        groups: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            groups.setdefault((str(row["task"]), MEASURES[row["kind"]]), []).append(row["score"])
        tasks: dict[str, dict[str, dict[str, float]]] = {}
        for (task, measure), values in sorted(groups.items()):
            tasks.setdefault(task, {})[measure] = {"score": sum(values) / len(values), "samples": len(values)}
        found["tasks"] = tasks
        return found | {"format": sum(row["format"] for row in rows) / len(rows), "samples": len(rows)}
