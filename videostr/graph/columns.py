"""Many graphs as arrays, as `ops.relation_graph` takes them. Alone in this package it imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from videostr import ops
from videostr.graph.parse import class_name, parse_graph
from videostr.graph.types import Frames, Node
from videostr.ops.parse_graph import CODES
from videostr.text.packed import pack_texts

_NAN = float("nan")
_NO_BOX = (_NAN,) * 4


@dataclass(frozen=True)
class GraphColumns:
    """N graphs of F frames with K nodes.

    first_N, last_N: graph n has the frames first[n] up to last[n]. time_F: seconds, NaN where there are none.
    node_offsets_F1: frame f has the nodes from node_offsets[f] up to node_offsets[f + 1]. names: of the classes; name_K
    which is a node's. size_K: how many coordinates it has; position_K3: these. box_K4: its box, or in 2-D that of its
    extent around its place if that has an area; a row of NaN for one with neither.
    """

    first_N: np.ndarray
    last_N: np.ndarray
    time_F: np.ndarray
    node_offsets_F1: np.ndarray
    names: list[str]
    name_K: np.ndarray
    size_K: np.ndarray
    position_K3: np.ndarray
    box_K4: np.ndarray

    @classmethod
    def of(cls, graphs: Sequence[Frames]) -> GraphColumns:
        frames = [frame for graph in graphs for frame in graph]
        nodes = [node for frame in frames for node in frame.nodes]
        ends = _ends([len(graph) for graph in graphs])
        known: dict[str, int] = {}
        name_K = [known.setdefault(node.name, len(known)) for node in nodes]
        places = [node.position if len(node.position) == 3 else (*node.position, _NAN) for node in nodes]
        boxed = any(node.box is not None or node.extent is not None for node in nodes)
        return cls(
            ends[:-1],
            ends[1:],
            np.array([_NAN if frame.time is None else frame.time for frame in frames], np.float64),
            _ends([len(frame.nodes) for frame in frames]),
            list(known),
            np.array(name_K, np.int64),
            np.array([len(node.position) for node in nodes], np.int64),
            np.fromiter(chain.from_iterable(places), np.float64, 3 * len(nodes)).reshape(-1, 3),
            np.array([_box(node) for node in nodes]).reshape(-1, 4) if boxed else np.full((len(nodes), 4), _NAN),
        )

    @property
    def timed(self) -> np.ndarray:
        """(N,) whether every frame of a graph has a time."""
        untimed_F1 = _ends(np.isnan(self.time_F))
        return untimed_F1[self.first_N] == untimed_F1[self.last_N]

    def replace(self, rows: np.ndarray, others: GraphColumns) -> GraphColumns:
        """With `others` in the place of the graphs `rows`."""
        first_N, last_N = self.first_N.copy(), self.last_N.copy()
        first_N[rows], last_N[rows] = others.first_N + len(self.time_F), others.last_N + len(self.time_F)
        return GraphColumns(
            first_N,
            last_N,
            np.concatenate([self.time_F, others.time_F]),
            np.concatenate([self.node_offsets_F1, others.node_offsets_F1[1:] + len(self.name_K)]),
            self.names + others.names,
            np.concatenate([self.name_K, others.name_K + len(self.names)]),
            np.concatenate([self.size_K, others.size_K]),
            np.concatenate([self.position_K3, others.position_K3]),
            np.concatenate([self.box_K4, others.box_K4]),
        )

    def take(self, frames_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames one behind another, -1 for one without nodes: which nodes (M,) they have, and the offsets (F + 1,)."""
        begin_F = self.node_offsets_F1[frames_F]
        count_F = np.where(frames_F < 0, 0, self.node_offsets_F1[frames_F + 1] - begin_F)
        offsets_F1 = _ends(count_F)
        return np.arange(offsets_F1[-1]) + np.repeat(begin_F - offsets_F1[:-1], count_F), offsets_F1

    def classes(self, known: dict[str, int]) -> np.ndarray:
        """(K,) the class of each node as `known` numbers them, to which new ones are added."""
        return np.array([known.setdefault(name, len(known)) for name in self.names], np.int64)[self.name_K]

    def positions(self, size: int) -> np.ndarray:
        """(K, size), NaN for a node with another number of coordinates."""
        return np.where((self.size_K == size)[:, None], self.position_K3[:, :size], _NAN)


class ParsedGraphs(NamedTuple):
    """graphs: of N texts, without frames where a text has none. reasons: as `parse_graph`'s."""

    graphs: GraphColumns
    reasons: list[str]


def parse_graphs(texts: Sequence[str]) -> ParsedGraphs:
    """`parse_graph` of every text: one operator call for those written as asked, the function for the others.

    Raises TypeError for what is no str.
    """
    text_C, offsets_N1 = pack_texts(texts)
    packed = ops.parse_graph(text_C, offsets_N1)
    code_N, ends_N1, time_F, node_offsets_F1, name_K, position_K3, spelling_U2 = (x.numpy() for x in packed)
    raw = text_C.numpy()
    graphs = GraphColumns(
        ends_N1[:-1],
        ends_N1[1:],
        time_F,
        node_offsets_F1,
        [class_name(raw[begin:end].tobytes().decode()) for begin, end in spelling_U2.tolist()],
        name_K,
        np.where(np.isnan(position_K3[:, 2]), 2, 3),
        position_K3,
        np.full((len(name_K), 4), _NAN),
    )
    reasons = [CODES[code] for code in code_N.tolist()]  # -1, the last one, for the moment
    rows = np.flatnonzero(code_N < 0)
    if len(rows):
        others = [parse_graph(texts[row]) for row in rows.tolist()]
        graphs = graphs.replace(rows, GraphColumns.of([parsed.frames for parsed in others]))
        for row, parsed in zip(rows.tolist(), others, strict=True):
            reasons[row] = parsed.reason
    return ParsedGraphs(graphs, reasons)


def _ends(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """(N + 1,) int64 from 0."""
    ends = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    return ends


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
