"""The relation graph: its types, its grammar (text <-> graph), the edges that follow from nodes, the prompt for it."""

from videostr.graph.coordinates import CELLS, Coordinates, grid_before, grid_over
from videostr.graph.parse import class_name, parse_graph, read_graph
from videostr.graph.prompt import graph_brief, graph_prompt
from videostr.graph.relations import direction, displacements, distance, edges_of, turn
from videostr.graph.types import Edge, Frame, Frames, Node, ParsedGraph
from videostr.graph.write import build_graph, graph_to_json, render_graph

__all__ = [
    "CELLS",
    "Coordinates",
    "Edge",
    "Frame",
    "Frames",
    "Node",
    "ParsedGraph",
    "build_graph",
    "class_name",
    "direction",
    "displacements",
    "distance",
    "edges_of",
    "graph_brief",
    "graph_prompt",
    "graph_to_json",
    "grid_before",
    "grid_over",
    "parse_graph",
    "read_graph",
    "render_graph",
    "turn",
]
