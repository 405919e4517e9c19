"""Written answers to STV questions, as an imperfect annotator gives them: what a small model's warm-up imitates.

The thinking draws the graph, the answer follows. The annotator misplaces objects, and a share of the answers is wrong:
a model that only imitates it cannot be better than it is, and a reward that knows the truth has something to teach.
"""

import json
import math
import random
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from videostr.data.samples import Sample
from videostr.graph import CELLS, Coordinates, Node, read_graph, render_graph


@dataclass(frozen=True)
class AnnotatorConfig:
    """jitter: standard deviation of positions, in cells (of a picture's unit: tenths of it). wrong_rate: the share of
    answers that are not the true one: another option, a number or box that is off by `error` (standard deviation, as a
    share). digits: of positions."""

    jitter: float = 0.7
    wrong_rate: float = 0.2
    error: float = 0.3
    digits: int = 0

    def __post_init__(self) -> None:
        for name in ("jitter", "error"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a finite number >= 0, got {getattr(self, name)}")
        if not 0 <= self.wrong_rate <= 1:
            raise ValueError(f"wrong_rate: expected a share in [0, 1], got {self.wrong_rate}")


def write_response(sample: Sample, config: AnnotatorConfig, rng: random.Random) -> str:
    """<think><graph>…</graph></think><answer>…</answer>, with the annotator's faults.

    sample: with meta graph, coordinates, answer, answer_kind and, of a choice, options.
    """
    coordinates = Coordinates.from_json(sample.meta["coordinates"])
    unit = 1 / CELLS if coordinates.unit == "image" else coordinates.cell if coordinates.unit == "metres" else 1.0
    most = {"grid": CELLS, "image": 1.0}.get(coordinates.unit, math.inf)

    def moved(value: float) -> float:
        value += rng.gauss(0, config.jitter) * (unit or 1.0)
        return value if most == math.inf else min(max(value, 0.0), most)

    numbers: dict[str | None, str] = {}  # a set's own ids mean nothing to one who watches

    def seen(node: Node) -> Node:
        which = None if node.object is None else numbers.setdefault(node.object, str(len(numbers) + 1))
        return node._replace(position=tuple(map(moved, node.position)), object=which)

    frames = [frame._replace(nodes=tuple(map(seen, frame.nodes))) for frame in read_graph(sample.meta["graph"]).frames]
    graph = render_graph(frames, digits=config.digits if coordinates.unit != "image" else config.digits + 1)
    wrong = rng.random() < config.wrong_rate
    return f"<think>{graph}</think><answer>{_answer(sample.meta, config, wrong, rng)}</answer>"


def _answer(meta: dict[str, Any], config: AnnotatorConfig, wrong: bool, rng: random.Random) -> str:
    answer, kind = meta["answer"], meta["answer_kind"]
    if kind == "choice":
        others = [letter for letter in ascii_uppercase[: len(meta["options"])] if letter != answer]
        return rng.choice(others) if wrong else answer
    off = rng.gauss(0, config.error) if wrong else 0.0
    if kind == "number":
        whole = isinstance(answer, int)
        value = answer * math.exp(off)
        return str(round(value)) if whole else f"{value:.1f}"
    x1, y1, x2, y2 = answer
    width, height = x2 - x1, y2 - y1
    shift = (off * width, rng.gauss(0, config.error) * height if wrong else 0.0)
    # To a hundredth of the picture: an annotator does not see more.
    box = [10 * round((edge + shift[at % 2]) / 10) for at, edge in enumerate((x1, y1, x2, y2))]
    box = [min(max(edge, 0), 1000) for edge in box]
    box[2], box[3] = max(box[2], box[0] + 10), max(box[3], box[1] + 10)
    return json.dumps(box, separators=(",", ":"))
