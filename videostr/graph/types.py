"""A scene graph over time: objects with a class, a place and an extent in every frame. Edges follow from the nodes."""

from __future__ import annotations

from typing import NamedTuple


class Node(NamedTuple):
    """An object in one frame.

    name: the class, lower case. position: two or three numbers in the graph's coordinates; of a model's text perhaps
    not finite. object: which one it is in other frames, or None. extent: its lengths along the axes, or None.
    """

    name: str
    position: tuple[float, ...]
    object: str | None = None
    extent: tuple[float, ...] | None = None


class Edge(NamedTuple):
    """A relation as a model wrote it: from node `start` to node `end` (their ids), `distance` in the graph's unit,
    `direction` in degrees from the x axis towards the y axis; None where it is not stated."""

    start: str
    end: str
    distance: float | None = None
    direction: float | None = None


class Frame(NamedTuple):
    """time: seconds from the video's first frame, or None. edges: only those that were written; see `relations`."""

    time: float | None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()


Frames = tuple[Frame, ...]


class ParsedGraph(NamedTuple):
    """frames: in the order written; () unless reason, one of `videostr.rewards.parse.REASONS`, is "ok"."""

    frames: Frames
    reason: str
