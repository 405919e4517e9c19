"""Graphs of a batch of texts: the C++ reader and the columns against `parse_graph`, text by text."""

import json
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videostr import ops
from videostr.graph import Frame, Node, parse_graph
from videostr.graph.columns import GraphColumns, parse_graphs
from videostr.ops.parse_graph import CODES

NAMES = ["chair", "Coffee_Table", "tv-stand", "a b", "t", "frames", "objects", "2nd", " x", "é", ""]
NUMBERS = ["0", "3", "-0", "-0.0", "4.25", "-7.5", "01", "1.", ".5", "1e3", "NaN", "123456789.123456789", "9999999999"]
numbers = st.sampled_from(NUMBERS[:6]) | st.sampled_from(NUMBERS)
names = st.sampled_from(NAMES[:4]) | st.sampled_from(NAMES)
spaces = st.sampled_from(["", " ", "\n", "\u2003"]) | st.just("")
place = st.lists(numbers, min_size=2, max_size=3) | st.lists(numbers, max_size=4)


@st.composite
def contents(draw):
    """A map or a graph, nearly or quite as asked."""
    comma = draw(st.sampled_from([",", ", "]))
    if draw(st.booleans()):
        listed = draw(st.lists(st.tuples(names, st.lists(place, max_size=3)), max_size=4))
        text = comma.join(f'"{name}": [{comma.join(f"[{comma.join(p)}]" for p in places)}]' for name, places in listed)
        return f"{{{text}}}"
    frames = []
    for _ in range(draw(st.integers(0, 3))):
        which = st.sampled_from(['1,"', '"a","', '"', '2.5,"', 'null,"'])
        objects = [
            f'[{draw(which)}{draw(names)}"{comma}{comma.join(draw(place))}]' for _ in range(draw(st.integers(0, 3)))
        ]
        time = draw(st.sampled_from(['"t":0,', '"t": 1.5, ', "", '"t":-1,', '"time":2,', '"t":"3 s",']))
        edges = draw(st.sampled_from(["", "", ',"edges":[]']))
        frames.append(f'{{{time}"objects":[{",".join(objects)}]{edges}}}')
    return frames[0] if len(frames) == 1 and draw(st.booleans()) else f'{{"frames":[{comma.join(frames)}]}}'


pieces = st.sampled_from(["<map>", "</map>", "<graph>", "</graph>", "<", "a", "é", "\ud800", "<think>", "}"])
tagged = st.tuples(st.sampled_from(["map", "graph"]), spaces, contents(), spaces).map(
    lambda x: f"<{x[0]}>{x[1]}{x[2]}{x[3]}</{x[0]}>"
)
texts = st.lists(tagged | pieces, max_size=5).map("".join) | tagged


def of_columns(graphs, row):
    """The frames of one graph, without ids."""
    frames = []
    for f in range(graphs.first_N[row], graphs.last_N[row]):
        nodes = []
        for k in range(graphs.node_offsets_F1[f], graphs.node_offsets_F1[f + 1]):
            position = tuple(graphs.position_K3[k, : graphs.size_K[k]].tolist())
            nodes.append((graphs.names[graphs.name_K[k]], repr(position)))
        frames.append((None if math.isnan(graphs.time_F[f]) else graphs.time_F[f], nodes))
    return frames


def same(batch):
    graphs, reasons = parse_graphs(batch)
    for row, text in enumerate(batch):
        parsed = parse_graph(text)
        assert reasons[row] == parsed.reason, text
        expected = [(time, [(node.name, repr(node.position)) for node in nodes]) for time, nodes, _ in parsed.frames]
        assert of_columns(graphs, row) == expected, text


@given(st.lists(texts, max_size=5))
@settings(max_examples=500, deadline=None)
@example(['<graph>{"frames":[{"t":-0.0,"objects":[["a","b",1,2]]}]}</graph>'])
@example(['<map>{"a": [[1, 2]]}</map></map>', '<map>{"a": [[1, 2]]}</map><map>', '<graph><map>{"a": [[1, 2]]}</map>'])
@example(['<map>{"a": [[1, 2]], "a": [[3, 4]]}</map>', '<map>{"a": [[1, 2]], "A": [[3, 4, 5]], "b": []}</map>'])
def test_a_batch_is_read_as_each_text_alone(batch):
    same(batch)


def test_what_was_asked_for_is_read_by_the_operator():
    places = {"chair": [[3, 4], [5.5, -7]], "Red_Lamp": [[9, 3, 0.25]], "sofa": []}
    compact = {"frames": [{"t": 1.5, "objects": [[1, "chair", 3, 4]]}, {"t": 2, "objects": []}]}
    asked = [f"a<map>{json.dumps(places, indent=1)}</map>", f"<graph>{json.dumps(compact)}</graph>", "", "<map>é"]
    packed = [torch.tensor(list(text.encode())) for text in asked]
    bytes_C, ends = torch.cat(packed).to(torch.uint8), torch.tensor([0, *map(len, packed)]).cumsum(0)
    read = ops.parse_graph(bytes_C, ends)
    assert [CODES[code] for code in read.code_N] == ["ok", "ok", "no_tag", "unclosed_tag"]
    assert read.frame_offsets_N1.tolist() == [0, 1, 3, 3, 3] and read.node_offsets_F1.tolist() == [0, 3, 4, 4]
    assert read.time_F.isnan().tolist() == [True, False, False] and read.name_K.tolist() == [0, 0, 1, 0]
    assert [bytes(bytes_C[a:b]).decode() for a, b in read.spelling_U2.tolist()] == ["chair", "Red_Lamp"]
    same(asked)
    graphs = parse_graphs(['<graph>[{"class":"a","bbox":[0,0,2,4]}]</graph>', asked[0]]).graphs
    assert graphs.box_K4[graphs.node_offsets_F1[graphs.first_N[0]]].tolist() == [0, 0, 2, 4]


def test_many_nodes_and_names():
    for count in (1024, 1025):
        compact = [{"t": k, "objects": [["a", k, 2]]} for k in range(count)]
        same([f"<map>{json.dumps({'a': [[k, 1] for k in range(count)]})}</map>"])
        same([f"<graph>{json.dumps({'frames': compact})}</graph>"])
    same([f"<map>{json.dumps({f'a{k}': [[k, 1]] for k in range(count)})}</map>" for count in (64, 65, 100)])
    same([f"<think>{'x' * (k % 700)}<map>{json.dumps({'a': [[k, 1]]})}</map>" for k in range(3000)])


def test_no_text():
    with pytest.raises(TypeError, match=r"texts\[1\]: expected str, got bytes"):
        parse_graphs(["a", b"b"])
    graphs, reasons = parse_graphs([])
    assert reasons == [] and graphs.first_N.shape == (0,)
    with pytest.raises(ValueError, match="offsets must run from 0 to 2"):
        ops.parse_graph(torch.zeros(2, dtype=torch.uint8), torch.tensor([0, 1]))


def test_columns_of_graphs_in_memory():
    frames = (Frame(None, ()), Frame(2.0, (Node("a", (1.0, 2.0)), Node("b", (1.0, 2.0, math.nan)))))
    columns = GraphColumns.of([frames, ()])
    assert columns.positions(2).tolist()[0] == [1, 2] and math.isnan(columns.positions(2)[1, 0])
    nodes, offsets = columns.take(torch.tensor([1, -1, 0, 1]).numpy())
    assert nodes.tolist() == [0, 1, 0, 1] and offsets.tolist() == [0, 2, 2, 2, 4]
    assert columns.classes({"b": 0}).tolist() == [1, 0]
