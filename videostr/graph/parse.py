"""The relation graph that a model writes: objects with a class and a position, for the whole video or frame by frame.

    <graph>{"frames": [{"t": 0.0, "objects": [{"id": 1, "class": "chair", "position": [3, 4]}, …]}, …]}</graph>
    <graph>{"objects": [{"class": "chair", "position": [3, 4, 0.5]}, …]}</graph>      one frame, 3-D
    <graph>{"frames":[{"t":0,"objects":[[1,"chair",3,4], …]}, …]}</graph>             compact: id, class, coordinates
    <graph>[["chair", 3, 4], …]</graph>                                               without ids
    <map>{"chair": [[3, 4], [5, 7]], "table": [[9, 3]]}</map>                         SpaceR's map

Edges follow from the nodes. Where they are asked for all the same, a frame has
"edges": [[id, id, distance, degrees], …].
"""

from collections.abc import Iterator
from functools import lru_cache

from videostr.graph.types import Edge, Frame, Node, ParsedGraph
from videostr.text.json_boxes import BOX_KEYS, TIME_KEYS, number, read_box
from videostr.text.seconds import read_time
from videostr.text.tags import find_anywhere
from videostr.text.tolerant_json import read_json

CLASS_KEYS = ("class", "label", "name", "category", "object")
POSITION_KEYS = ("position", "pos", "center", "centre", "location", "point", "xyz", "xy")
ID_KEYS = ("id", "track_id", "object_id")
EXTENT_KEYS = ("extent", "size", "dimensions")
EDGE_KEYS = (("from", "start", "a", "source"), ("to", "end", "b", "target"), ("distance", "d"), ("direction", "angle"))
_AXES = ("x", "y", "z")
_LISTS = ("objects", "nodes")
MAX_NODES = 1024
MAX_EDGES = 4096
_RESERVED = frozenset(("frames", "edges", *_LISTS))


def parse_graph(text: str, tags: tuple[str, ...] = ("graph", "map")) -> ParsedGraph:
    """The graph of the last closed <graph>, inside the thinking or not; of the last closed <map> where there is none.

    Objects without a class or a position are left out; a graph without a single node is none (no_nodes), one with
    more than 1,024 too long.

    Raises TypeError if `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    reason = "no_tag"
    for tag in tags:
        start, end, found = find_anywhere(text, tag)
        if found == "ok":
            value, reason = read_json(text[start:end])
            return read_graph(value) if reason == "ok" else ParsedGraph((), reason)
        reason = found if reason == "no_tag" else reason
    return ParsedGraph((), reason)


def read_graph(value: object, whole: bool = False) -> ParsedGraph:
    """A graph from a JSON value, for a sample's truth too. whole: one with anything in it that is no object, or with a
    box that is none, is none."""
    nodes = _map(value)
    if nodes is not None:
        return ParsedGraph((Frame(None, nodes),), "ok")
    frames, count, edges = [], 0, 0
    for time, item in _frames(value):
        written = _edges(item)
        edges += len(written)
        nodes = []
        for thing in _objects(item):
            node = _node(thing, whole)
            if node is not None:
                nodes.append(node)
                count += 1
            elif whole:
                return ParsedGraph((), "no_nodes")
            if count > MAX_NODES:
                return ParsedGraph((), "too_long")
        frames.append(Frame(time, tuple(nodes), written))
        if len(frames) > MAX_NODES or edges > MAX_EDGES:
            return ParsedGraph((), "too_long")
    return ParsedGraph(tuple(frames), "ok") if count else ParsedGraph((), "no_nodes")


_NUMBERS = frozenset((int, float))


def _map(value: object) -> tuple[Node, ...] | None:
    """The nodes of a map written as asked, {class: [[x, y], …], …}; None for anything else."""
    if not isinstance(value, dict):
        return None
    places_of: list[tuple[str, list]] = []
    for name, places in value.items():
        if not name[:1].isalpha() or name in _RESERVED or type(places) is not list:
            return None
        name = class_name(name)
        for place in places:
            if type(place) is not list or len(place) not in (2, 3) or not _NUMBERS.issuperset(map(type, place)):
                return None
            places_of.append((name, place))
    try:
        nodes = [Node(name, tuple(map(float, place)), None) for name, place in places_of]
    except OverflowError:
        return None
    return tuple(nodes) if 0 < len(nodes) <= MAX_NODES else None


def _frames(value: object) -> Iterator[tuple[float | None, object]]:
    """(seconds or None, what the frame holds)."""
    if isinstance(value, dict) and "frames" in value:
        value = value["frames"]
    if isinstance(value, dict):
        times = [read_time(key) for key in value]
        if times and None not in times and all(isinstance(item, dict | list) for item in value.values()):
            value = [(time, item) for time, item in zip(times, value.values(), strict=True)]
            yield from value
            return
    elif isinstance(value, list) and value and all(_is_frame(item) for item in value):
        for item in value:
            yield read_time(_first(item, TIME_KEYS)), item
        return
    yield None, value


def _is_frame(item: object) -> bool:
    return isinstance(item, dict) and any(isinstance(item.get(key), dict | list) for key in _LISTS)


def _objects(value: object) -> Iterator[object]:
    """What one frame lists: objects, or (class, position) pairs of a map."""
    if isinstance(value, dict):
        listed = next((value[key] for key in _LISTS if isinstance(value.get(key), dict | list)), None)
        if listed is not None:
            value = listed
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        for name, places in value.items():
            for place in places if isinstance(places, list) and any(isinstance(p, list) for p in places) else [places]:
                yield [name, place]


def _node(item: object, whole: bool) -> Node | None:
    extent = box = None
    if isinstance(item, dict):
        name, place, which = (_first(item, keys) for keys in (CLASS_KEYS, POSITION_KEYS, ID_KEYS))
        extent = _first(item, EXTENT_KEYS)
        if _first(item, BOX_KEYS) is not None:
            box = read_box(item).box
            if box is None and whole:
                return None
            if place is None and box is not None:
                place = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        if place is None:
            place = [item[axis] for axis in _AXES if axis in item]
    elif isinstance(item, list) and len(item) >= 2:
        which, rest = (item[0], item[1:]) if len(item) > 2 and isinstance(item[1], str) else (None, item)
        name, *place = rest
        if place and isinstance(place[0], list):
            place, *more = place
            extent = more[0] if more else None
    else:
        return None
    if not isinstance(name, str) or not name.strip() or not isinstance(place, list) or len(place) not in (2, 3):
        return None
    position = _numbers(place)
    if position is None:
        return None
    extent = _numbers(extent) if isinstance(extent, list) else None
    return Node(class_name(name), position, _which(which), extent, box)


def _numbers(values: list) -> tuple[float, ...] | None:
    numbers = tuple(number(value) for value in values)
    return None if None in numbers else numbers


def _which(value: object) -> str | None:
    """An id as text; 1 and 1.0 are one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _edges(item: object) -> tuple[Edge, ...]:
    listed = item.get("edges") if isinstance(item, dict) else None
    edges = []
    for entry in (listed if isinstance(listed, list) else [])[: MAX_EDGES + 1]:
        if isinstance(entry, dict):
            entry = [_first(entry, keys) for keys in EDGE_KEYS]
        if not isinstance(entry, list) or len(entry) < 3:
            continue
        ends = [_which(end) for end in entry[:2]]
        if None not in ends:
            edges.append(Edge(*ends, *(number(value) for value in entry[2:4])))
    return tuple(edges)


@lru_cache(4096)
def class_name(name: str) -> str:
    """Case, spacing and underscores aside."""
    return " ".join(name.replace("_", " ").casefold().split())


def _first(item: dict, keys: tuple[str, ...]) -> object:
    return next((item[key] for key in keys if key in item), None)
