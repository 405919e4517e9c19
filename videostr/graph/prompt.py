"""The words that ask for a relation graph."""

from __future__ import annotations

from collections.abc import Sequence

from videostr.graph.coordinates import Coordinates
from videostr.graph.types import Frame, Node
from videostr.graph.write import render_graph


def graph_prompt(
    coordinates: Coordinates, times: Sequence[float] = (), classes: Sequence[str] = (), *, edges: bool = False
) -> str:
    """What a model must know to write a graph: the form, the frames, the classes, and the frame of reference.

    times: seconds of the frames that are asked for; none: one graph for the whole video. classes: those to write down;
    none: every object that matters. edges: ask for edges too (they are then scored; by default edges are computed from
    the nodes, so that they cannot contradict them).
    """
    place = (4.0, 7.5) if coordinates.unit != "image" else (0.4, 0.7)
    place += (0.5,) * (coordinates.dimensions - 2)
    other = (2.0, 1.0) if coordinates.unit != "image" else (0.2, 0.1)
    other += (0.0,) * (coordinates.dimensions - 2)
    nodes = (Node("chair", place, "1"), Node("table", other, "2"))
    example = (Frame(times[0] if times else None, nodes),)
    what = f"Write down the {', '.join(classes)}" if classes else "Write down the objects that matter"
    text = (
        "While you think, draw the relation graph of the scene once, in this form: "
        f"{render_graph(example, edges=edges)} "
        "with one [id, class, x, y" + (", z" if coordinates.dimensions == 3 else "") + "] an object; "
        "an object keeps its id over time. "
    )
    text += f"{what}" + (f" at {', '.join(f'{t:g} s' for t in times)}. " if times else ". ")
    if edges:
        text += "An edge is [id, id, distance, direction in degrees from the x axis towards the y axis]. "
    return text + coordinates.describe()


def graph_brief(coordinates: Coordinates, times: Sequence[float] = ()) -> str:
    """The same in as few words as a small model that knows the form needs: cell and times. It draws what it sees."""
    words = []
    if coordinates.cell:
        words.append(f"{coordinates.cell:g} m")
    if coordinates.camera is not None and coordinates.camera[1]:
        words.append(f"{coordinates.camera[1]:g} behind")
    return " ; ".join([*words, *(f"{time:g} s" for time in times)])
