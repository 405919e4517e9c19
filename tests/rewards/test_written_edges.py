"""Edges as a model wrote them: against the operator's own score of the nodes that they follow from, and by hand."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.graph import Frame, Node, graph_to_json, render_graph
from videostr.rewards import RewardSpec, TermSpec

TRUE = (Node("car", (0.0, 0.0), "1"), Node("van", (3.0, 4.0), "2"), Node("bus", (6.0, 0.0), "3"))


def score(text, truth, kind="written_edges", **options):
    spec = RewardSpec({"it": TermSpec(kind, options=options)}, ["it"])
    return float(spec([text], {"graph": [truth]}).terms["it"][0])


def written(edges, nodes=TRUE):
    value = graph_to_json((Frame(None, nodes),)) | {"edges": edges}
    return f"<think><graph>{json.dumps(value)}</graph></think>"


TRUTH = graph_to_json((Frame(None, TRUE),))
places = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda p: (p[0] / 4, p[1] / 4))


@given(st.lists(places, min_size=3, max_size=5, unique=True), st.lists(places, min_size=5, max_size=5, unique=True))
@settings(max_examples=60, deadline=None)
def test_edges_that_follow_from_nodes_score_as_the_nodes(true, moved):
    """One of each class: every matching is the same, so that computed edges are worth what the operator says."""
    names = "abcde"
    truth = graph_to_json((Frame(None, tuple(Node(n, p, str(k)) for k, (n, p) in enumerate(zip(names, true)))),))  # noqa: B905
    nodes = tuple(Node(n, p, str(k)) for k, (n, p) in enumerate(zip(names[: len(true)], moved)))  # noqa: B905
    exact = [
        [int(a.object), int(b.object), math.dist(a.position, b.position),
         math.degrees(math.atan2(b.position[1] - a.position[1], b.position[0] - a.position[0]))]
        for i, a in enumerate(nodes) for b in nodes[i + 1 :]
    ]  # fmt: skip
    text = f"<graph>{json.dumps(graph_to_json((Frame(None, nodes),), digits=6) | {'edges': exact})}</graph>"
    for angle in ("turn", "direction", "none"):
        expected = score(text, truth, "graph", part="edge", angle=angle)
        assert score(text, truth, angle=angle) == pytest.approx(expected, abs=1e-5)


def test_by_hand():
    right = [[1, 2, 5, math.degrees(math.atan2(4, 3))], [1, 3, 6, 0], [2, 3, 5, math.degrees(math.atan2(-4, 3))]]
    assert score(written(right), TRUTH) == pytest.approx(1)
    turned = [[a, b, d, angle + 77] for a, b, d, angle in right]
    assert score(written(turned), TRUTH) == pytest.approx(1)  # turn angles
    assert score(written(turned), TRUTH, angle="direction") == pytest.approx((1 + 1 - 77 / 180) / 2)
    reverse = [[b, a, d, angle + 180] for a, b, d, angle in right]
    assert score(written(reverse), TRUTH, angle="direction") == pytest.approx(1)
    assert score(written(right[:1]), TRUTH, angle="none") == pytest.approx(1 / 3)
    far = [[1, 2, 5 + 5 * math.sqrt(2), None]]
    assert score(written(far), TRUTH) == pytest.approx(0.5 / 3 / 2)  # one of three distances, half off; no turn
    extra = [*right, *([k, k + 1, 1, 1] for k in range(7, 10))]
    assert score(written(extra), TRUTH, angle="none") == pytest.approx(0.5)  # of six edges three are none
    assert score(written(right, nodes=TRUE[:2]), TRUTH, angle="none") == pytest.approx(1 / 3)  # an end is missing
    assert score(written([]), TRUTH) == 0 and score(written([[1, 2, math.inf, math.nan]]), TRUTH) == 0


def test_frames_and_nothing():
    one = graph_to_json((Frame(0.0, TRUE[:1]), Frame(1.0, TRUE)))
    text = render_graph((Frame(0.0, TRUE[:1]), Frame(1.0, TRUE)), digits=3, edges=True)
    assert score(text, one) == pytest.approx(1, abs=0.01)  # directions are written in whole degrees
    assert score(text, graph_to_json((Frame(None, TRUE[:1]),))) == 0  # a truth without edges
    assert score("nothing", TRUTH) == 0 and score(text, None) == 0
    with pytest.raises(ValueError, match="scale"):
        RewardSpec({"it": TermSpec("written_edges", options={"scale": -1.0})}, ["it"])
