"""The relation graph that a model wrote against the true one: nodes, edges, displacements."""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch

from videostr import ops
from videostr.graph import Frames, read_graph
from videostr.graph.columns import GraphColumns, parse_graphs
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
        written = batch.once(parse_graphs, lambda: parse_graphs(batch.texts))
        reasons = ["not_asked" if t is None else r for t, r in zip(truths, written.reasons, strict=True)]
        parts = {name: torch.zeros(len(batch), dtype=torch.float64) for name in PARTS}
        different = {id(truth): truth for truth in truths if truth is not None}  # a group shares its truth
        place_of = {key: place for place, key in enumerate(different)}
        truth_N = [-1 if truth is None else place_of[id(truth)] for truth in truths]
        true = GraphColumns.of(list(different.values()))
        object_K = _objects(different.values())
        sizes = true.size_K[true.node_offsets_F1[true.first_N]].tolist()  # of the first node of each
        for size in (2, 3):
            rows = [row for row, which in enumerate(truth_N) if which >= 0 and sizes[which] == size]
            if rows:
                scored = self._score(written.graphs, true, object_K, rows, truth_N, size)
                for name in PARTS:
                    parts[name][rows] = getattr(scored, f"{name}_B")
        return parts, reasons

    def _score(
        self,
        written: GraphColumns,
        true: GraphColumns,
        object_K: np.ndarray,
        rows: list[int],
        truth_N: list[int],
        size: int,
    ) -> ops.RelationGraph:
        truth = np.array([truth_N[row] for row in rows])
        pred_frames, true_frames, ends = _aligned_frames(written, np.array(rows), true, truth, self.tolerance)
        classes: dict[str, int] = {}
        nodes_M, pred_offsets = written.take(pred_frames)
        nodes_J, true_offsets = true.take(true_frames)
        sides = ((written, nodes_M, pred_offsets), (true, nodes_J, true_offsets))
        nodes = [(g.classes(classes)[which], g.positions(size)[which], offsets) for g, which, offsets in sides]
        boxes = [g.box_K4[which] for g, which, _ in sides] if self.boxes else [None, None]
        return ops.relation_graph(
            *(torch.from_numpy(x) for side in nodes for x in side),
            torch.from_numpy(ends),
            scale=self.scale,
            angle=self.angle,
            matching=self.matching,
            count_extra=self.count_extra,
            scale_invariant=self.scale_invariant,
            edge_matching=self.edge_matching,
            true_object_J=torch.from_numpy(object_K[nodes_J]),
            pred_box_M4=None if boxes[0] is None else torch.from_numpy(boxes[0]),
            true_box_J4=None if boxes[1] is None else torch.from_numpy(boxes[1]),
        )


def _check_extents(truths: list[Frames | None]) -> None:
    for row, truth in enumerate(truths):
        extents = [node.extent for _, nodes, _ in truth or () for node in nodes if node.extent is not None]
        for extent in extents:
            if not all(0 <= x < float("inf") for x in extent):
                raise ValueError(f"graph[{row}]: expected extents of finite numbers >= 0, got {list(extent)!r:.80}")


def _objects(graphs: Iterable[Frames]) -> np.ndarray:
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
    return np.array(objects, np.int64)


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
            places = [node.position for _, nodes, _ in parsed.frames for node in nodes]
            sizes, finite = set(map(len, places)), all(map(math.isfinite, chain.from_iterable(places)))
            if parsed.reason != "ok" or len(sizes) != 1 or not finite:
                raise ValueError(
                    f"graph[{row}]: expected objects, each with a class and a finite position, all 2-D or all 3-D, "
                    f"and boxes, where there are any, finite with x1 < x2, y1 < y2, got {value!r:.80}"
                )
            known[id(value)] = parsed.frames
        truths.append(known[id(value)])
    return truths


def _aligned_frames(
    written: GraphColumns, rows: np.ndarray, true: GraphColumns, truths: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The true frames of the graphs `truths`, one behind another, and the written frame of `rows` that each is compared
    with, -1 for none: (written frames, true frames, where each graph begins)."""
    first_R, last_R = written.first_N[rows], written.last_N[rows]
    true_first_R, count_R = true.first_N[truths], (true.last_N - true.first_N)[truths]
    ends_R1 = np.append(0, np.cumsum(count_R))
    place_F = np.arange(ends_R1[-1]) - np.repeat(ends_R1[:-1], count_R)  # of a frame in its graph
    in_order_F = np.repeat(first_R, count_R) + place_F
    pred_F = np.where(in_order_F < np.repeat(last_R, count_R), in_order_F, -1)
    timed = written.timed[rows] & true.timed[truths]
    for at in np.flatnonzero(timed).tolist():
        times = written.time_F[first_R[at] : last_R[at]], true.time_F[true_first_R[at] : true_first_R[at] + count_R[at]]
        near = aligned(*(side.tolist() for side in times), tolerance)
        pred_F[ends_R1[at] : ends_R1[at + 1]] = [first_R[at] + place if place >= 0 else -1 for place in near]
    return pred_F, np.repeat(true_first_R, count_R) + place_F, ends_R1


def aligned(written: Sequence[float], truth: Sequence[float], tolerance: float) -> list[int]:
    """For each true frame the place of the written one that it is compared with, or -1. Of times in seconds, NaN for
    a frame without."""
    if any(time != time for time in written) or any(time != time for time in truth):
        return [at if at < len(written) else -1 for at in range(len(truth))]
    by_time = {time: at for at, time in enumerate(written)}
    times = sorted(by_time)
    places = []
    for time in truth:
        at = bisect.bisect(times, time)
        near = min(times[max(at - 1, 0) : at + 1], key=lambda other: abs(other - time), default=None)
        places.append(by_time[near] if near is not None and abs(near - time) <= tolerance else -1)
    return places
