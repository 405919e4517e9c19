"""Written answers to STV questions, as an imperfect annotator gives them: what a small model's warm-up imitates.

The thinking draws the graph, the answer follows; a choice is answered with the option's words, as its letter would have
to be looked up. The annotator has habits as people have them: distances come out too short, layouts too narrow, boxes
too tight, and of the choices some are left open. A model that only imitates it cannot be better than it is, and a
reward that knows the truth has something to teach.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videostr.data.samples import Sample
from videostr.graph import CELLS, Coordinates, Frame, Node, read_graph, render_graph

NOT_SURE = "not sure"


@dataclass(frozen=True)
class AnnotatorConfig:
    """jitter: standard deviation of positions, in cells (of a picture's unit: tenths of it). squeeze: what distances
    from the layout's middle are multiplied by; short: the same of numbers that are measured (counts are right); tight:
    of a box's sides. unsure: the share of choices that are left open. digits: of positions."""

    jitter: float = 0.5
    squeeze: float = 0.75
    short: float = 0.75
    tight: float = 0.8
    unsure: float = 0.33
    digits: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < math.inf:
            raise ValueError(f"jitter: expected a finite number >= 0, got {self.jitter}")
        for name in ("squeeze", "short", "tight"):
            if not 0 < getattr(self, name) <= 2:
                raise ValueError(f"{name}: expected a factor in (0, 2], got {getattr(self, name)}")
        if not 0 <= self.unsure <= 1:
            raise ValueError(f"unsure: expected a share in [0, 1], got {self.unsure}")


def write_response(sample: Sample, config: AnnotatorConfig, rng: random.Random) -> str:
    """<think><graph>…</graph></think><answer>…</answer>, with the annotator's faults.

    sample: with meta graph, coordinates, answer, answer_kind and, of a choice, options.
    """
    coordinates = Coordinates.from_json(sample.meta["coordinates"])
    truth = read_graph(sample.meta["graph"]).frames
    scale = 1.0 / CELLS if coordinates.unit == "image" else 1.0
    most = {"grid": float(CELLS), "image": 1.0}.get(coordinates.unit)
    places = [node.position for frame in truth for node in frame.nodes]
    middle = [sum(axis) / len(places) for axis in zip(*places, strict=True)]

    def seen(node: Node) -> Node:
        moved = [m + config.squeeze * (x - m) for x, m in zip(node.position, middle, strict=True)]
        moved = [x + rng.gauss(0, config.jitter) * scale for x in moved]
        if most is not None:
            moved = [min(max(x, 0.0), most) for x in moved]
        return node._replace(position=tuple(moved))

    frames = [frame._replace(nodes=tuple(map(seen, frame.nodes))) for frame in in_writing_order(truth)]
    graph = render_graph(frames, digits=config.digits + (coordinates.unit == "image"))
    return f"<think>{graph}</think>{write_answer(sample.meta, config, rng)}"


def write_answer(meta: dict[str, Any], config: AnnotatorConfig, rng: random.Random) -> str:
    """<answer>…</answer> alone, with the annotator's faults. meta: of a sample, as `write_response` needs it."""
    return f"<answer>{_answer(meta, config, rng)}</answer>"


def in_writing_order(frames: Sequence[Frame]) -> list[Frame]:
    """As one who watches writes a graph down: by class, of one class from left to right, and numbered from 1 on; a
    set's own order and ids mean nothing to him. An object keeps its number over time."""
    numbers: dict[str, str] = {}

    def numbered(node: Node) -> Node:
        if node.object is None:
            return node
        return node._replace(object=numbers.setdefault(node.object, str(len(numbers) + 1)))

    return [
        frame._replace(nodes=tuple(map(numbered, sorted(frame.nodes, key=lambda node: (node.name, node.position)))))
        for frame in frames
    ]


def _answer(meta: dict[str, Any], config: AnnotatorConfig, rng: random.Random) -> str:
    answer, kind = meta["answer"], meta["answer_kind"]
    if kind == "choice":
        return NOT_SURE if rng.random() < config.unsure else meta["options"][ord(answer) - ord("A")]
    if kind == "number":
        if meta.get("task") == "object counting":
            return str(answer)
        value = answer * config.short
        return str(round(value)) if isinstance(answer, int) else f"{value:.1f}"
    x1, y1, x2, y2 = answer
    cut_x, cut_y = ((1 - config.tight) / 2 * (b - a) for a, b in ((x1, x2), (y1, y2)))
    # To a hundredth of the picture: an annotator does not see more.
    box = [10 * round(edge / 10) for edge in (x1 + cut_x, y1 + cut_y, x2 - cut_x, y2 - cut_y)]
    box = [min(max(edge, 0), 1000) for edge in box]
    box[2], box[3] = max(box[2], box[0] + 10), max(box[3], box[1] + 10)
    return json.dumps(box, separators=(",", ":"))
