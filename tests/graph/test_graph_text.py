"""Text <-> graph, the edges, the frame of reference, the prompt."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from videostr.graph import (
    Coordinates,
    Edge,
    Frame,
    Node,
    build_graph,
    displacements,
    edges_of,
    graph_brief,
    graph_prompt,
    graph_to_json,
    grid_before,
    grid_over,
    parse_graph,
    read_graph,
    render_graph,
    turn,
)
from videostr.rewards.parse import REASONS

numbers = st.integers(-1000, 1000).map(lambda tenth: tenth / 10)
names = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=8)
names = names.filter(lambda name: name.strip(" _") and name == " ".join(name.replace("_", " ").casefold().split()))
ids = st.one_of(st.none(), st.integers(0, 99).map(str))


@st.composite
def graphs(draw):
    size = draw(st.sampled_from([2, 3]))
    place = st.tuples(*[numbers] * size)
    sides = st.tuples(numbers, numbers, st.integers(1, 99), st.integers(1, 99))
    boxes = sides.map(lambda box: (*box[:2], round(box[0] + box[2], 1), round(box[1] + box[3], 1)))
    node = st.builds(Node, names, place, ids, st.one_of(st.none(), place), st.one_of(st.none(), boxes))
    times = draw(st.lists(st.integers(0, 5000).map(lambda t: t / 10), min_size=1, max_size=4))
    return tuple(Frame(time, tuple(draw(st.lists(node, min_size=1, max_size=5)))) for time in times)


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(graph):
    text = render_graph(graph, extents=True, boxes=True)
    assert parse_graph(f"<think>so {text}</think>") == (graph, "ok")
    plain = tuple(
        Frame(time, tuple(node._replace(extent=None, box=None) for node in nodes)) for time, nodes, _ in graph
    )
    assert parse_graph(render_graph(graph)).frames == plain


def test_compact_form():
    graph = (Frame(0.0, (Node("car", (4.0, 7.54), "1"), Node("red van", (1.0, 2.0), "b"))),)
    assert render_graph(graph) == '<graph>{"frames":[{"t":0,"objects":[[1,"car",4,7.5],["b","red van",1,2]]}]}</graph>'
    assert graph_to_json((Frame(None, graph[0].nodes[:1]),)) == {"objects": [[1, "car", 4, 7.5]]}
    with_edges = graph_to_json(graph, edges=True)["frames"][0]["edges"]
    assert with_edges == [[1, "b", round(math.dist((4, 7.54), (1, 2)), 1), -118]]


def test_edges_are_read_and_bad_ones_left_out():
    text = (
        '<graph>{"objects":[[1,"a",0,0],[2,"a",3,4]],"edges":[[1,2,5,53],{"from":2,"to":1.0,"distance":5},'
        '[1],[null,2,3],7,[1,2,"far"]]}</graph>'
    )
    (frame,) = parse_graph(text).frames
    assert frame.edges == (Edge("1", "2", 5.0, 53.0), Edge("2", "1", 5.0, None), Edge("1", "2", None))
    assert read_graph({"objects": [["a", 1, 2]], "edges": [[1, 2, 3, 4]] * 4097}).reason == "too_long"


PIECES = [
    "<graph>",
    "</graph>",
    '{"frames":[',
    '{"t":0,',
    '"objects":[',
    '[1,"car",3,4]',
    "]",
    "}",
    ",",
    "NaN",
    "1e999",
]
PIECES += ['"edges":[[1,2,3,4]]', "[[", "'", '"', "car", ":", "null", "{", "\ud800", "9" * 5000, "[true,'a',1,2,[3]]"]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
@settings(max_examples=400, deadline=None)
@example('[1e400,"a",1,2]')
def test_no_text_raises(text):
    for whole in (text, f"<graph>{text}</graph>"):
        parsed = parse_graph(whole)
        assert parsed.reason in REASONS and bool(parsed.frames) == (parsed.reason == "ok")


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3, unique=True), st.floats(-180, 180))
@settings(max_examples=200, deadline=None)
def test_turns_by_rotation_and_by_scipy(points, degrees):
    at, first, second = points
    angle = turn(at, first, second)
    rotation = Rotation.from_euler("z", degrees, degrees=True)
    moved = [tuple(rotation.apply([*p, 0.0])[:2]) for p in points]
    assert abs(math.remainder(turn(*moved) - angle, 360)) < 1e-6
    # turning the first arm by the angle gives the second one's direction
    arm = Rotation.from_euler("z", angle, degrees=True).apply([first[0] - at[0], first[1] - at[1], 0.0])
    cross = arm[0] * (second[1] - at[1]) - arm[1] * (second[0] - at[0])
    dot = arm[0] * (second[0] - at[0]) + arm[1] * (second[1] - at[1])
    assert dot > 0 and abs(cross) <= 1e-6 * max(1.0, dot)


def test_edges_and_displacements():
    before = Frame(0.0, (Node("a", (0.0, 0.0, 0.0), "1"), Node("b", (2.0, 2.0, 1.0), "2"), Node("c", (9.0, 9.0, 9.0))))
    after = Frame(1.0, (Node("b", (2.0, 5.0, 1.0), "2"), Node("d", (0.0, 0.0, 0.0), "3")))
    assert edges_of(before.nodes) == (Edge("1", "2", 3.0, 45.0),)
    assert displacements(before, after) == {"2": (0.0, 3.0, 0.0)}


def test_annotations_to_graph():
    graph = build_graph([(1, [{"class": "Traffic_Cone", "position": [1, 2], "id": 7, "extent": (1, 1)}]), (None, [])])
    assert graph == (Frame(1.0, (Node("traffic cone", (1.0, 2.0), "7", (1.0, 1.0)),)), Frame(None, ()))
    (node,) = build_graph([(None, [{"class": "a", "position": [1, 2], "box": [0, 1, 2, 3]}])])[0].nodes
    assert node == Node("a", (1.0, 2.0), box=(0.0, 1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="box: expected finite x1 < x2"):
        build_graph([(0, [{"class": "a", "position": [1, 2], "box": [2, 1, 0, 3]}])])
    with pytest.raises(ValueError, match="digits: the box .* has no area in 1 digits"):
        render_graph(build_graph([(0, [{"class": "a", "position": [0, 0], "box": [0, 0, 0.04, 1]}])]), boxes=True)
    with pytest.raises(ValueError, match="frames: expected finite numbers, got inf"):
        render_graph((Frame(None, (Node("a", (1.0, math.inf)),)),))
    for extent in ([1, math.inf], [-1, 2], [1, 2, 3]):
        with pytest.raises(ValueError, match="extent: expected 2 finite lengths"):
            build_graph([(0, [{"class": "a", "position": [1, 2], "extent": extent}])])
    with pytest.raises(ValueError, match="position: expected two or three finite numbers"):
        build_graph([(0, [{"class": "a", "position": [1, math.inf]}])])
    with pytest.raises(ValueError, match="got two and three"):
        build_graph([(0, [{"class": "a", "position": [1, 1]}, {"class": "a", "position": [1, 1, 1]}])])


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_grid_holds_its_positions(points):
    x, y, cell = grid_over(points)
    for px, py in points:
        assert -1e-6 <= (px - x) / cell <= 10 + 1e-6 and -1e-6 <= (py - y) / cell <= 10 + 1e-6
    spread = max(max(p[axis] for p in points) - min(p[axis] for p in points) for axis in (0, 1))
    assert cell == 0.1 or cell * 10 <= spread * 1.7


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_grid_before_the_camera_holds_its_positions(points):
    """And no smaller round cell would do."""
    (column, row), cell = grid_before(points)
    assert column == 5 and row == max(0, math.ceil(-min(y for _, y in points) / cell - 1e-9))
    smaller = [
        c for c in (0.1 * step * 10.0**power for power in range(7) for step in (1, 1.5, 2, 3, 5, 7.5)) if c < cell
    ]
    for size, fits in ((cell, True), *((c, False) for c in smaller[-1:])):
        behind = max(0, math.ceil(-min(y for _, y in points) / size - 1e-9))
        places = [(5 + x / size, behind + y / size) for x, y in points]
        places.append((5, behind))  # the camera's own
        assert all(-1e-6 <= at <= 10 + 1e-6 for place in places for at in place) == fits


def test_a_camera_with_something_behind_it_stands_further_on():
    assert grid_before([(0.0, 4.0), (1.2, 8.0)]) == ((5, 0), 1.0)
    assert grid_before([(0.0, -1.5), (1.2, 8.0)]) == ((5, 2), 1.0)
    assert grid_before([(-6.0, 1.0)]) == ((5, 0), 1.5)
    assert grid_before([(0.0, -20.0)]) == ((5, 10), 2.0)
    with pytest.raises(ValueError, match="positions: expected finite"):
        grid_before([(0.0, math.nan)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axes": "camera", "cell": 2.0, "camera": (5, 1)}, "ahead of the camera, which is at [5, 1]."),
        ({"axes": "camera", "cell": 2.0, "time": 1.5}, "y ahead of the camera as it stands at 1.5 s"),
        ({"axes": "towards", "between": ["sofa", "door"]}, "y grows in the direction from the sofa to the door"),
        ({"axes": "image"}, "x from 0 to 10 from left to right"),
        ({"axes": "image", "unit": "image"}, "y from 0 to 1 from top to bottom"),
        ({"axes": "camera", "unit": "metres", "dimensions": 3}, "z upwards"),
        ({}, "in any direction that suits the scene"),
    ],
)
def test_the_prompt_states_the_frame_of_reference(options, words):
    coordinates = Coordinates(**options)
    assert Coordinates.from_json(json.loads(json.dumps(coordinates.to_json()))) == coordinates
    for edges in (False, True):
        text = graph_prompt(coordinates, [0, 1.5], ["car"], edges=edges)
        assert words in text and "at 0 s, 1.5 s" in text and ("degrees" in text) == edges
        parsed = parse_graph(text)  # the example in the prompt follows the grammar
        assert (
            parsed.reason == "ok" and parsed.frames[0].nodes[0].object == "1" and bool(parsed.frames[0].edges) == edges
        )
        assert len(parsed.frames[0].nodes[0].position) == coordinates.dimensions


@pytest.mark.parametrize(
    "options",
    [
        {"unit": "feet"},
        {"axes": "free", "camera": [5, 0]},
        {"axes": "camera", "camera": [5]},
        {"dimensions": 3},
        {"axes": "towards"},
        {"unit": "image"},
        {"cell": math.nan},
        {"x": 1},
    ],
)
def test_frames_of_reference_that_are_none(options):
    with pytest.raises(ValueError, match="|".join([*options, "axes", "between"])):
        Coordinates.from_json(options)


def test_the_brief_form_has_cell_and_times():
    coordinates = Coordinates(axes="camera", cell=1.5, camera=(5, 0))
    assert graph_brief(coordinates, [0, 1.5]) == "1.5 m ; 0 s ; 1.5 s"
    assert graph_brief(replace(coordinates, camera=(5, 2))) == "1.5 m ; 2 behind"
    assert graph_brief(Coordinates(axes="image"), [0.25]) == "0.25 s"
