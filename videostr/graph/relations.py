"""Edges, computed from the nodes: distance, direction, turn angle, displacement; as in `ops.relation_graph`.

In 3-D the first two coordinates are the ground plane: distances are in space, angles between projections on the ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from videostr.graph.types import Edge, Frame, Node


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Between two positions, in their unit."""
    return math.dist(a, b)


def direction(a: Sequence[float], b: Sequence[float]) -> float:
    """From a to b in degrees within (-180, 180], from the x axis towards the y axis; 0 where they are in one place."""
    return _wrap(math.degrees(math.atan2(b[1] - a[1], b[0] - a[0])))


def turn(at: Sequence[float], first: Sequence[float], second: Sequence[float]) -> float:
    """The signed angle at `at` from `first` to `second`, in degrees within (-180, 180]: positive from x
    towards y.

    The same wherever the axes point, so that a camera that turns does not change it."""
    return _wrap(direction(at, second) - direction(at, first))


def edges_of(nodes: Sequence[Node]) -> tuple[Edge, ...]:
    """One edge a pair of nodes that have ids, in the order of the nodes."""
    known = [node for node in nodes if node.object is not None]
    return tuple(
        Edge(a.object, b.object, distance(a.position, b.position), direction(a.position, b.position))
        for i, a in enumerate(known)
        for b in known[i + 1 :]
    )


def displacements(before: Frame, after: Frame) -> dict[str, tuple[float, ...]]:
    """How far each object that is in both frames has moved, a vector, by id."""
    old = {node.object: node.position for node in before.nodes if node.object is not None}
    return {
        node.object: tuple(x - y for x, y in zip(node.position, old[node.object], strict=True))
        for node in after.nodes
        if node.object in old
    }


def _wrap(degrees: float) -> float:
    degrees = math.remainder(degrees, 360.0)
    return 180.0 if degrees == -180.0 else degrees
