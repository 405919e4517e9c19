"""The relation graph that a model wrote against the true one: nodes, edges, displacements."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch

from videostr import ops
from videostr.graph import Frame, Frames, Node, ParsedGraph, parse_graph, read_graph
from videostr.rewards.batch import Completions, Score
from videostr.text.tolerant_json import read_json

Part = Literal["node", "distance", "angle", "edge", "displacement", "graph"]
PARTS = get_args(Part)


@dataclass(frozen=True)
class GraphTerm:
    """One part of `ops.relation_graph`, which says what each is; 0 without a graph.

    scale ("grid", "diagonal" or a length), angle, matching, count_extra, scale_invariant, edge_matching: of the
    operator.
    boxes: whether the operator compares boxes too (O): of a true object its box, or, in 2-D, its place and extent; one
    with neither goes by place alone. A written object that has neither where the true one has is at most half right.
    tolerance: a true frame is compared with the written frame nearest to it in time, at most so many seconds away;
    where either side has no times, frame by frame in order (O).

    Columns: graph, a graph as the model writes it (JSON value or text), or None where the sample has none: 0,
    "not_asked". The truth's number of coordinates decides; a written node with another number of them matches nothing.
    """

    part: Part = "graph"
    scale: Literal["grid", "diagonal"] | float = "grid"
    angle: Literal["turn", "direction", "none"] = "turn"
    matching: Literal["optimal", "greedy"] = "optimal"
    count_extra: bool = True
    scale_invariant: bool = False
    edge_matching: Literal["shape", "position"] = "shape"
    boxes: bool = False
    tolerance: float = 0.25
    columns: ClassVar = ("graph",)
    optional: ClassVar = ()

    def __post_init__(self) -> None:
        if not isinstance(self.scale, str) and not 0 < self.scale < float("inf"):
            raise ValueError(f"scale: expected a length > 0, 'grid' or 'diagonal', got {self.scale!r}")
        if not 0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance: expected seconds >= 0, got {self.tolerance!r}")

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        matchings = (self.matching, self.edge_matching)
        switches = (self.count_extra, self.scale_invariant, self.boxes)
        options = (self.scale, self.angle, *matchings, *switches, self.tolerance)
        parts, reasons = batch.once(("graph", options), lambda: self._all_parts(batch))
        return Score(parts[self.part], reasons)

    def _all_parts(self, batch: Completions) -> tuple[dict[str, torch.Tensor], list[str]]:
        """Every part of the score, so that the terms of one spec share the matching."""
        truths = true_graphs(batch.column("graph"))
        if self.boxes:
            _check_extents(truths)
        written = batch.parse(parse_graph)
        reasons = ["not_asked" if t is None else p.reason for t, p in zip(truths, written, strict=True)]
        parts = {name: torch.zeros(len(batch), dtype=torch.float64) for name in PARTS}
        for size in (2, 3):
            rows = [row for row, truth in enumerate(truths) if truth is not None and size_of(truth) == size]
            if rows:
                pairs = [(written[row], truths[row]) for row in rows]
                scored = self._score(pairs, size)
                for name in PARTS:
                    parts[name][rows] = getattr(scored, f"{name}_B")
        return parts, reasons

    def _score(self, pairs: list[tuple[ParsedGraph, Frames]], size: int) -> ops.RelationGraph:
        pred, true = NodeColumns(size, self.boxes), NodeColumns(size, self.boxes)
        classes: dict[str, int] = {}
        frame_offsets = [0]
        for parsed, truth in pairs:
            for frame, true_frame in zip(aligned_frames(parsed.frames, truth, self.tolerance), truth, strict=True):
                pred.add_frame(frame.nodes, classes)
                true.add_frame(true_frame.nodes, classes)
            frame_offsets.append(frame_offsets[-1] + len(truth))
        return ops.relation_graph(
            *pred.tensors(),
            *true.tensors(),
            torch.tensor(frame_offsets),
            scale=self.scale,
            angle=self.angle,
            matching=self.matching,
            count_extra=self.count_extra,
            scale_invariant=self.scale_invariant,
            edge_matching=self.edge_matching,
            true_object_J=torch.from_numpy(np.array(_objects([truth for _, truth in pairs]), np.int64)),
            pred_box_M4=pred.box_tensor(),
            true_box_J4=true.box_tensor(),
        )


class NodeColumns:
    """The nodes of many frames, as the operator takes them: class, position, offsets; boxes."""

    def __init__(self, size: int, boxes: bool = False):
        self.size = size
        self.names: list[int] = []
        self.positions: list[tuple[float, ...]] = []
        self.boxes: list[tuple[float, ...]] | None = [] if boxes else None
        self.offsets = [0]

    def add_frame(self, nodes: tuple[Node, ...], classes: dict[str, int]) -> None:
        nowhere = (float("nan"),) * self.size
        self.names += [classes.setdefault(node.name, len(classes)) for node in nodes]
        self.positions += [node.position if len(node.position) == self.size else nowhere for node in nodes]
        if self.boxes is not None:
            self.boxes += [_box(node) for node in nodes]
        self.offsets.append(len(self.names))

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        flat = np.fromiter(chain.from_iterable(self.positions), np.float64, self.size * len(self.positions))
        names_M, offsets_F1 = (torch.from_numpy(np.array(x, np.int64)) for x in (self.names, self.offsets))
        return names_M, torch.from_numpy(flat).reshape(-1, self.size), offsets_F1

    def box_tensor(self) -> torch.Tensor | None:
        """(nodes, 4), a row of NaN for a node without one."""
        if self.boxes is None:
            return None
        return torch.from_numpy(np.array(self.boxes, np.float64).reshape(-1, 4))


_NO_BOX = (float("nan"),) * 4


def _box(node: Node) -> tuple[float, ...]:
    """Its box, or in 2-D that of its extent around its place, if it has an area."""
    if node.box is not None:
        return node.box
    if node.extent is None or not len(node.extent) == len(node.position) == 2:
        return _NO_BOX
    (x, y), (width, height) = node.position, node.extent
    if not (width > 0 and height > 0):
        return _NO_BOX
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _check_extents(truths: list[Frames | None]) -> None:
    for row, truth in enumerate(truths):
        extents = [node.extent for _, nodes, _ in truth or () for node in nodes if node.extent is not None]
        for extent in extents:
            if not all(0 <= x < float("inf") for x in extent):
                raise ValueError(f"graph[{row}]: expected extents of finite numbers >= 0, got {list(extent)!r:.80}")


def _objects(graphs: list[Frames]) -> list[int]:
    """Which object each node is. One without an id, or whose id stands twice in a frame, is another in every frame."""
    objects: list[int] = []
    for graph in graphs:
        known: dict[str, int] = {}
        for _, nodes, _ in graph:
            seen: set[str] = set()
            for node in nodes:
                number = len(objects)
                if node.object is not None and node.object not in seen:
                    seen.add(node.object)
                    number = known.setdefault(node.object, number)
                objects.append(number)
    return objects


def true_graphs(column: Any) -> list[Frames | None]:
    """The column "graph". Raises ValueError for a truth that is none."""
    known: dict[int, Frames] = {}  # the completions of a group have one and the same truth
    truths = []
    for row, value in enumerate(column):
        if value is None:
            truths.append(None)
            continue
        if id(value) not in known:
            parsed = read_graph(read_json(value).value if isinstance(value, str) else value, whole=True)
            sizes = {len(node.position) for _, nodes, _ in parsed.frames for node in nodes}
            finite = all(
                abs(x) < float("inf") for _, nodes, _ in parsed.frames for node in nodes for x in node.position
            )
            if parsed.reason != "ok" or len(sizes) != 1 or not finite:
                raise ValueError(
                    f"graph[{row}]: expected objects, each with a class and a finite position, all 2-D or all 3-D, "
                    f"and boxes, where there are any, finite with x1 < x2, y1 < y2, got {value!r:.80}"
                )
            known[id(value)] = parsed.frames
        truths.append(known[id(value)])
    return truths


def size_of(frames: Frames) -> int:
    """How many coordinates a position has."""
    return next(len(node.position) for _, nodes, _ in frames for node in nodes)


def aligned_frames(written: Frames, truth: Frames, tolerance: float) -> list[Frame]:
    """For each true frame the written one that it is compared with, or an empty one."""
    nothing = Frame(None, ())
    if any(frame.time is None for frame in (*written, *truth)):
        return [written[index] if index < len(written) else nothing for index in range(len(truth))]
    by_time = {frame.time: frame for frame in written}
    times = sorted(by_time)
    aligned = []
    for time, *_ in truth:
        at = bisect.bisect(times, time)
        near = min(times[max(at - 1, 0) : at + 1], key=lambda other: abs(other - time), default=None)
        aligned.append(by_time[near] if near is not None and abs(near - time) <= tolerance else nothing)
    return aligned
