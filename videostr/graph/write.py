"""Graph -> compact text, and annotations -> graph."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from videostr.graph.parse import class_name
from videostr.graph.relations import edges_of
from videostr.graph.types import Frame, Node
from videostr.text.json_boxes import read_box


def build_graph(frames: Sequence[tuple[float | None, Sequence[Mapping[str, Any]]]]) -> tuple[Frame, ...]:
    """Annotations -> graph.

    frames: (seconds or None, objects), an object a mapping with "class" and "position", perhaps "id", "extent"
    and "box".
    Raises ValueError for a position that is not two or three finite numbers, or of another size than the others, for
    an extent that is not as many finite lengths, and for a box that is none.
    """
    graph, sizes = [], set()
    for time, objects in frames:
        nodes = []
        for item in objects:
            position = tuple(float(x) for x in item["position"])
            if len(position) not in (2, 3) or not all(map(math.isfinite, position)):
                raise ValueError(f"position: expected two or three finite numbers, got {item['position']!r:.80}")
            sizes.add(len(position))
            extent = None if item.get("extent") is None else tuple(float(x) for x in item["extent"])
            if extent is not None and not (len(extent) == len(position) and all(0 <= x < math.inf for x in extent)):
                raise ValueError(f"extent: expected {len(position)} finite lengths >= 0, got {item['extent']!r:.80}")
            box = None if item.get("box") is None else tuple(float(x) for x in item["box"])
            if box is not None and read_box(list(box)).box is None:
                raise ValueError(f"box: expected finite x1 < x2, y1 < y2, got {item['box']!r:.80}")
            which = None if item.get("id") is None else str(item["id"])
            nodes.append(Node(class_name(item["class"]), position, which, extent, box))
        graph.append(Frame(None if time is None else float(time), tuple(nodes)))
    if len(sizes) > 1:
        raise ValueError("position: expected as many coordinates for every object, got two and three")
    return tuple(graph)


def graph_to_json(
    frames: Sequence[Frame], *, digits: int = 1, extents: bool = False, boxes: bool = False, edges: bool = False
) -> dict:
    """The JSON value of a graph, in the grammar's compact form (docs/video-str.md); numbers rounded to `digits`.

    extents, boxes: write them where there are any; an object with a box has its fields named. edges: write
    the edges that follow from the nodes.

    Raises ValueError for a number that is not finite, and for a box that has no area in so many digits.
    """
    listed = []
    for frame in frames:
        nodes = [_node(node, digits, extents, boxes) for node in frame.nodes]
        entry: dict[str, Any] = {} if frame.time is None else {"t": _round(frame.time, 2)}
        entry["objects"] = nodes
        if edges:
            entry["edges"] = [
                [_id(e.start), _id(e.end), _round(e.distance, digits), _round(e.direction, 0)]
                for e in edges_of(frame.nodes)
            ]
        listed.append(entry)
    return listed[0] if len(listed) == 1 and frames[0].time is None else {"frames": listed}


def render_graph(frames: Sequence[Frame], **options: Any) -> str:
    """`graph_to_json` as text inside <graph> … </graph>, without a space: what a model is asked to write."""
    value = graph_to_json(frames, **options)
    return f"<graph>{json.dumps(value, separators=(',', ':'), ensure_ascii=False)}</graph>"


def _node(node: Node, digits: int, extents: bool, boxes: bool) -> list | dict:
    position = [_round(x, digits) for x in node.position]
    if boxes and node.box is not None:
        named = {} if node.object is None else {"id": _id(node.object)}
        box = [_round(x, digits) for x in node.box]
        if read_box(box).box is None:
            raise ValueError(f"digits: the box {node.box} has no area in {digits} digits behind the point")
        named |= {"class": node.name, "position": position, "bbox": box}
        if extents and node.extent is not None:
            named["extent"] = [_round(x, digits) for x in node.extent]
        return named
    head = [node.name] if node.object is None else [_id(node.object), node.name]
    if extents and node.extent is not None:
        return [*head, position, [_round(x, digits) for x in node.extent]]
    return [*head, *position]


def _id(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and str(int(text)) == text else text


def _round(value: float, digits: int) -> float | int:
    if not math.isfinite(value):
        raise ValueError(f"frames: expected finite numbers, got {value}")
    value = round(value, digits) + 0.0
    return int(value) if value == int(value) else value
