"""Edges that a model wrote, against those of the true nodes, for prompts that ask for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from videostr import ops
from videostr.graph import Edge, Frame, Frames, Node, direction, distance, parse_graph
from videostr.graph.columns import GraphColumns
from videostr.ops.relation_graph import GRID_SCALE
from videostr.rewards.batch import Completions, Score
from videostr.rewards.terms.graph import GraphTerm, aligned, true_graphs


@dataclass(frozen=True)
class WrittenEdgesTerm:
    """Mean over the true frames of (distance + angle) / 2, of the edges as written (O; the paper's form is not public).

    The nodes are matched as in `graph`, by position. With n true nodes in a frame there are n (n - 1) / 2 true edges;
    distance is the sum over them of max(0, 1 - |written - true| / scale), divided by how many there are, or by how many
    were written where those are more. angle: "turn", mean over i and j < k of 1 - |Δφ| / π, φ the turn at i between the
    directions written of (i, j) and (i, k), so that it does not change when all directions are turned alike;
    "direction", mean over the edges of 1 - |Δθ| / π; "none". What was not written scores 0. Of two edges between the
    same nodes the last counts. A frame without true edges is left out; without any the value is 0.

    scale, tolerance: as in `graph`; scale a length or "grid". Columns: graph.
    """

    scale: Literal["grid"] | float = "grid"
    angle: Literal["turn", "direction", "none"] = "turn"
    tolerance: float = 0.25
    columns: ClassVar = ("graph",)
    optional: ClassVar = ()

    def __post_init__(self) -> None:
        GraphTerm(scale=self.scale, tolerance=self.tolerance)  # checks both

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        truths = true_graphs(batch.column("graph"))
        written = batch.parse(parse_graph)
        reasons = ["not_asked" if t is None else p.reason for t, p in zip(truths, written, strict=True)]
        value_N = torch.zeros(len(batch), dtype=torch.float64)
        scale = GRID_SCALE if self.scale == "grid" else float(self.scale)
        for size in (2, 3):
            rows = [row for row, truth in enumerate(truths) if truth is not None and _size(truth) == size]
            frames = {row: self._aligned(written[row].frames, truths[row]) for row in rows}
            places = iter(_places([(frames[row], truths[row]) for row in rows], size, scale))
            for row in rows:
                pairs = [(*pair, next(places)) for pair in zip(frames[row], truths[row], strict=True)]
                scores = [_frame(*pair, scale, self.angle) for pair in pairs if len(pair[1].nodes) > 1]
                value_N[row] = sum(scores) / len(scores) if scores else 0.0
        return Score(value_N, reasons)

    def _aligned(self, written: Frames, truth: Frames) -> Frames:
        """For each true frame the written one that it is compared with, or an empty one."""
        times = [[math.nan if frame.time is None else frame.time for frame in side] for side in (written, truth)]
        nothing = Frame(None, ())
        return tuple(written[at] if at >= 0 else nothing for at in aligned(*times, self.tolerance))


def _size(frames: Frames) -> int:
    """How many coordinates a position has."""
    return next(len(node.position) for _, nodes, _ in frames for node in nodes)


def _places(graphs: list[tuple[Frames, Frames]], size: int, scale: float) -> list[list[int]]:
    """A list a frame: for each written node its true node's place in the frame, or -1."""
    pred, true = (GraphColumns.of(side) for side in (list(zip(*graphs, strict=True)) or [(), ()]))
    classes: dict[str, int] = {}
    nodes = [(side.classes(classes), side.positions(size), side.node_offsets_F1) for side in (pred, true)]
    ends = np.append(true.first_N, len(true.time_F))
    match_M = ops.relation_graph(*(torch.from_numpy(x) for x in (*nodes[0], *nodes[1], ends)), scale=scale).match_M
    match = match_M.tolist()
    offsets = pred.node_offsets_F1.tolist(), true.node_offsets_F1.tolist()
    spans = zip(offsets[0], offsets[0][1:], offsets[1], strict=False)
    return [[at - first if at >= 0 else -1 for at in match[start:end]] for start, end, first in spans]


def _frame(frame: Frame, truth: Frame, places: list[int], scale: float, angle: str) -> float:
    place = {node.object: of for node, of in zip(frame.nodes, places, strict=True) if node.object is not None}
    known = _by_pair(frame.edges, place)
    nodes = truth.nodes
    pairs = [(i, j) for i in range(len(nodes)) for j in range(i + 1, len(nodes))]
    lengths = sum(_close(known.get(pair), nodes, pair, scale) for pair in pairs)
    ends = {frozenset((edge.start, edge.end)) for edge in frame.edges if edge.start != edge.end}
    length = lengths / max(len(pairs), len(ends))
    if angle == "none":
        return length
    angles = _directions(known, nodes, pairs) if angle == "direction" else _turns(known, nodes)
    return (length + sum(angles) / len(angles)) / 2 if angles else length


def _by_pair(edges: tuple[Edge, ...], place: dict[str, int]) -> dict[tuple[int, int], Edge]:
    """The edges by the true nodes of their ends, in both senses."""
    known = {}
    for edge in edges:
        i, j = place.get(edge.start, -1), place.get(edge.end, -1)
        if i >= 0 and j >= 0 and i != j:
            back = None if edge.direction is None else edge.direction + 180
            known[i, j], known[j, i] = edge, edge._replace(direction=back)
    return known


def _close(edge: Edge | None, nodes: tuple[Node, ...], pair: tuple[int, int], scale: float) -> float:
    if edge is None or edge.distance is None or not math.isfinite(edge.distance):
        return 0.0
    true = distance(nodes[pair[0]].position, nodes[pair[1]].position)
    return max(0.0, 1 - abs(edge.distance - true) / scale)


def _directions(known: dict, nodes: tuple[Node, ...], pairs: list[tuple[int, int]]) -> list[float]:
    return [_alike(_written(known, pair), _true(nodes, pair)) for pair in pairs if _true(nodes, pair) is not None]


def _turns(known: dict, nodes: tuple[Node, ...]) -> list[float]:
    scores = []
    for i in range(len(nodes)):
        others = [j for j in range(len(nodes)) if j != i and _true(nodes, (i, j)) is not None]
        for at, j in enumerate(others):
            for k in others[at + 1 :]:
                first, second = _written(known, (i, j)), _written(known, (i, k))
                written = None if first is None or second is None else second - first
                scores.append(_alike(written, _true(nodes, (i, k)) - _true(nodes, (i, j))))
    return scores


def _written(known: dict, pair: tuple[int, int]) -> float | None:
    edge = known.get(pair)
    return edge.direction if edge is not None and edge.direction is not None and math.isfinite(edge.direction) else None


def _true(nodes: tuple[Node, ...], pair: tuple[int, int]) -> float | None:
    """Degrees; None for two nodes in one place on the ground."""
    a, b = (nodes[k].position for k in pair)
    return None if a[:2] == b[:2] else direction(a, b)


def _alike(written: float | None, true: float) -> float:
    return 0.0 if written is None else 1 - abs(math.remainder(written - true, 360)) / 180
