"""relation_graph's boxes: against shapely and scipy, by hand, and what they must leave as it is."""

import itertools
import math

import numpy as np
import pytest
import torch
from graph_cases import node_boxes, random_graphs
from scipy.optimize import linear_sum_assignment
from shapely.geometry import box as polygon

from videostr import ops

NONE = [math.nan] * 4
EDGES = ("distance_B", "angle_B", "edge_B")


def iou(pred, true):
    if not np.isfinite(pred).all() or (pred[2:] < pred[:2]).any():
        return 0.0
    a, b = polygon(*pred), polygon(*true)
    return a.intersection(b).area / a.union(b).area


def similarity(pred, pred_box, true, true_box, scale):
    close = max(0.0, 1 - math.dist(pred, true) / scale)
    return close if np.isnan(true_box).any() else (close + iou(pred_box, true_box)) / 2


def most_alike_first(table):
    pairs = []
    for r, k in sorted(np.ndindex(table.shape), key=lambda pair: -table[pair]):
        if all(r != a and k != b for a, b in pairs):
            pairs.append((r, k))
    return pairs


def truth_of_frame(pred, true, scale, greedy):
    """(node score or None, its pairs); pred, true: (class, position, box) arrays."""
    score, pairs = 0.0, set()
    for c in np.unique(true[0]):
        p, t = (np.flatnonzero(side[0] == c) for side in (pred, true))
        table = np.array(
            [
                [similarity(*(side[i] for side in pred[1:]), *(side[j] for side in true[1:]), scale) for j in t]
                for i in p
            ]
        ).reshape(len(p), len(t))
        taken = most_alike_first(table) if greedy else list(zip(*linear_sum_assignment(-table), strict=True))
        pairs |= {(p[r], t[k]) for r, k in taken}
        score += len(t) * sum(table[pair] for pair in taken) / max(len(p), len(t))
    weight = len(true[0]) + sum(c not in true[0] for c in pred[0])
    return (score / weight if weight else None), pairs


@pytest.mark.parametrize("wild", [False, True])
@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_against_shapely_and_scipy(dimensions, greedy, wild, rng):
    arguments, _ = random_graphs(rng, 60, dimensions, classes=3, most=12)
    boxes = node_boxes(rng, arguments, wild)
    result = ops.relation_graph(*arguments, scale=5.0, matching="greedy" if greedy else "optimal", **boxes)
    kind, place, p, true_kind, true_place, t, graphs = (x.numpy() for x in arguments)
    pred_box, true_box = (box.numpy() for box in boxes.values())
    clear = 0
    for b in range(60):
        scores = []
        for f in range(graphs[b], graphs[b + 1]):
            here, there = slice(p[f], p[f + 1]), slice(t[f], t[f + 1])
            pred, true = (
                (kind[here], place[here], pred_box[here]),
                (true_kind[there], true_place[there], true_box[there]),
            )
            score, pairs = truth_of_frame(pred, true, 5.0, greedy)
            scores += [score] if score is not None else []
            mine = {(i, j - t[f]) for i, j in enumerate(result.match_M[here].tolist()) if j >= 0}
            # among pairs that earn nothing scipy and we may choose otherwise
            clear += mine == pairs
            worth = [
                [similarity(*(s[i] for s in pred[1:]), *(s[j] for s in true[1:]), 5.0) for i, j in x]
                for x in (mine, pairs)
            ]
            assert greedy or sum(worth[0]) == pytest.approx(sum(worth[1]), abs=1e-9)
        assert result.node_B[b].item() == pytest.approx(np.mean(scores) if scores else 0.0, abs=1e-9)
    assert clear > 0.8 * graphs[-1]


def one(pred, true, **options):
    """One frame of (class, position, box) nodes."""
    sides = []
    for nodes in (pred, true):
        kind, place, box = zip(*nodes, strict=True)
        sides.append(
            (torch.tensor(kind), torch.tensor(place).double(), torch.tensor([0, len(nodes)]), torch.tensor(box))
        )
    boxes = {"pred_box_M4": sides[0][3].double(), "true_box_J4": sides[1][3].double()}
    return ops.relation_graph(*sides[0][:3], *sides[1][:3], torch.tensor([0, 1]), **boxes, **options)


@pytest.mark.parametrize(
    "pred,true,expected",
    [
        ([0.0, 0, 2, 2], [0.0, 0, 2, 2], (0.9 + 1) / 2),
        ([0.0, 0, 2, 2], [1.0, 0, 3, 2], (0.9 + 1 / 3) / 2),
        ([0.0, 0, 2, 2], [5.0, 5, 6, 6], 0.45),
        (NONE, [0.0, 0, 2, 2], 0.45),  # a missing box earns nothing
        ([2.0, 0, 0, 2], [0.0, 0, 2, 2], 0.45),
        ([0.0, 0, math.inf, 2], [0.0, 0, 2, 2], 0.45),
        ([0.0, math.nan, 2, 2], [0.0, 0, 2, 2], 0.45),
        ([1.0, 1, 1, 1], [1.0, 1, 1, 1], 0.45),  # no area to share
        ([-1e200, -1e200, 1e200, 1e200], [0.0, 0, 2, 2], 0.45),
        ([0.0, 0, 2, 2], NONE, 0.9),  # an extra box costs nothing
        (NONE, NONE, 0.9),
    ],
)
def test_one_pair(pred, true, expected):
    for matching in ("optimal", "greedy"):
        result = one([(7, (1.0, 0.0), pred)], [(7, (0.0, 0.0), true)], scale=10.0, matching=matching)
        assert result.node_B.item() == pytest.approx(expected) and result.match_M.tolist() == [0]


def test_boxes_decide_between_nodes_that_positions_cannot_tell_apart():
    left, right = [0.0, 0, 2, 2], [5.0, 0, 7, 2]
    true = [(0, (0.0, 0.0), left), (0, (0.0, 1.0), right)]
    pred = [(0, (0.0, 0.4), right), (0, (0.0, 0.6), left)]
    for matching in ("optimal", "greedy"):
        result = one(pred, true, scale=10.0, matching=matching)
        assert result.match_M.tolist() == [1, 0] and result.node_B.item() == pytest.approx((0.94 + 1) / 2)
        far = one(pred, true, scale=0.5, matching=matching)  # a place exactly right is worth as much as a box
        assert far.match_M.tolist() == [1, 0]
        assert one([(0, x, NONE) for _, x, _ in pred], true, matching=matching).match_M.tolist() == [0, 1]


def test_missing_boxes_do_not_lower_what_a_node_earns_elsewhere():
    true = [(0, (0.0, 0.0), [0.0, 0, 2, 2]), (0, (9.0, 0.0), NONE)]
    pred = [(0, (0.0, 0.0), [0.0, 0, 2, 2]), (0, (9.0, 0.0), NONE), (1, (3.0, 3.0), [0.0, 0, 2, 2])]
    assert one(pred[:2], true).node_B.item() == 1
    assert one(pred, true).node_B.item() == pytest.approx(2 / 3)  # an extra object, as without boxes
    assert one(pred, true, count_extra=False).node_B.item() == 1


@pytest.mark.parametrize("matching", ["optimal", "greedy"])
def test_what_boxes_leave_as_it_is(matching, rng):
    arguments, ids = random_graphs(rng, 80)
    # on a grid many pairs are equally far apart
    for position in (arguments, [x.round() if x.is_floating_point() else x for x in arguments]):
        options = ids | {"matching": matching, "scale": 3.0}
        plain = ops.relation_graph(*position, **options)
        boxes = node_boxes(rng, position, wild=True)
        none = boxes | {"true_box_J4": torch.full_like(boxes["true_box_J4"], math.nan)}
        for a, b in zip(plain, ops.relation_graph(*position, **options, **none), strict=True):
            assert torch.equal(a, b)  # a truth without boxes: to the last bit
        some = ops.relation_graph(*position, **options, **boxes)
        assert not torch.equal(some.node_B, plain.node_B)
        for part in EDGES:
            assert torch.equal(getattr(some, part), getattr(plain, part))


def test_edges_of_turned_predictions_do_not_change(rng):
    arguments, _ = random_graphs(rng, 40)
    boxes = node_boxes(rng, arguments)
    turned = [*arguments]
    turned[1] = arguments[1] @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64) + 30
    # one object a class: nothing that only positions could decide
    for call in (arguments, turned):
        for kind, offsets in ((0, 2), (3, 5)):
            counts = call[offsets].diff().tolist()
            call[kind] = torch.cat([torch.zeros(0, dtype=torch.long), *[torch.arange(n) for n in counts]])
    a, b = (ops.relation_graph(*call, **boxes) for call in (arguments, turned))
    for part in EDGES:
        torch.testing.assert_close(getattr(a, part), getattr(b, part), rtol=0, atol=1e-9)


def test_no_nodes_and_any_strides():
    nothing, place = torch.empty(0, dtype=torch.long), torch.empty(0, 2)
    zero = torch.tensor([0, 0])
    boxes = {"pred_box_M4": torch.empty(0, 4), "true_box_J4": torch.empty(0, 4)}
    result = ops.relation_graph(nothing, place, zero, nothing, place, zero, torch.tensor([0, 1]), **boxes)
    assert result.graph_B.tolist() == [0.0] and result.frames_B6.tolist() == [[0] * 6]
    rng = torch.Generator().manual_seed(0)
    arguments, _ = random_graphs(rng, 9)
    boxes = node_boxes(rng, arguments)
    strided = {name: torch.stack([x, -x], 2)[..., 0] for name, x in boxes.items()}
    for a, b in itertools.pairwise(ops.relation_graph(*arguments, **x).node_B for x in (boxes, strided)):
        assert torch.equal(a, b)
