"""relation_graph: against numpy and scipy, hand-made cases, the kernel against the specification, arguments."""

import itertools
import math

import numpy as np
import pytest
import torch
from graph_cases import node_boxes, random_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from videostr import ops
from videostr.ops.relation_graph import GRID_SCALE


def graph(pred, truth, **options):
    """One graph of one frame: lists of (class, position). Its parts as numbers."""
    return video([pred], [truth], **options)


def tensors(frames, dtype=torch.float64):
    nodes = [node for frame in frames for node in frame]
    dimensions = len(nodes[0][1]) if nodes else 2
    position = torch.tensor([x for _, x in nodes], dtype=dtype).reshape(-1, dimensions)
    offsets = torch.tensor([0, *itertools.accumulate(map(len, frames))])
    return torch.tensor([c for c, _ in nodes], dtype=torch.int64), position, offsets


def video(pred, truth, **options):
    pred, truth = tensors(pred), tensors(truth)
    dimensions = max(x[1].shape[1] for x in (pred, truth) if len(x[0])) if len(pred[0]) + len(truth[0]) else 2
    pred, truth = ((c, x if len(c) else x.new_zeros(0, dimensions), o) for c, x, o in (pred, truth))
    frames = torch.tensor([0, pred[2].shape[0] - 1])
    result = ops.relation_graph(*pred, *truth, frames, **options)
    return {
        name[:-2]: value[0].item() for name, value in result._asdict().items() if value.ndim == 1 and name[-1] == "B"
    } | {
        "match": result.match_M.tolist(),
        "frames": result.frames_B6[0].tolist(),
    }


# ---- an implementation of its own: one frame by numpy and scipy, pair by pair


def truth_of_frame(pred, true, scale, angle, greedy, count_extra):
    """(node, distance, angle) or None each, as the docstring says; pred and true: (class, position) lists."""
    partner = {}
    node = weight = 0.0
    for c in sorted({c for c, _ in true}):
        p = [i for i, (k, x) in enumerate(pred) if k == c and np.isfinite(x).all()]
        t = [j for j, (k, _) in enumerate(true) if k == c]
        gap = np.array([[math.dist(pred[i][1], true[j][1]) for j in t] for i in p]).reshape(len(p), len(t))
        if greedy:
            order = sorted((gap[a, b], a, b) for a in range(len(p)) for b in range(len(t)))
            pairs, used = [], set()
            for _, a, b in order:
                if ("p", a) not in used and ("t", b) not in used:
                    used |= {("p", a), ("t", b)}
                    pairs.append((a, b))
        else:
            pairs = list(zip(*linear_sum_assignment(np.maximum(0, 1 - gap / scale), maximize=True), strict=True))
        partner |= {t[b]: pred[p[a]][1] for a, b in pairs}
        score = sum(max(0.0, 1 - gap[a, b] / scale) for a, b in pairs)
        node += len(t) * score / max(len(t), sum(k == c for k, _ in pred))
        weight += len(t)
    if count_extra:
        weight += sum(k not in {c for c, _ in true} for k, _ in pred)

    def direction(a, b):
        return None if tuple(a[:2]) == tuple(b[:2]) else math.atan2(b[1] - a[1], b[0] - a[0])

    def same(x, y):
        return 0.0 if y is None else 1 - abs(math.remainder(x - y, 2 * math.pi)) / math.pi

    place = [x for _, x in true]
    lengths, angles = [], []
    for i, j in itertools.combinations(range(len(true)), 2):
        known = i in partner and j in partner
        seen = math.dist(partner[i], partner[j]) if known else math.nan
        lengths.append(max(0.0, 1 - abs(math.dist(place[i], place[j]) - seen) / scale) if known else 0.0)
        if angle == "direction" and (is_at := direction(place[i], place[j])) is not None:
            angles.append(same(is_at, direction(partner[i], partner[j]) if known else None))
    if angle == "turn":
        for i in range(len(true)):
            for j, k in itertools.combinations([x for x in range(len(true)) if x != i], 2):
                to = direction(place[i], place[j]), direction(place[i], place[k])
                if None in to:
                    continue
                seen = None
                if {i, j, k} <= partner.keys():
                    there = direction(partner[i], partner[j]), direction(partner[i], partner[k])
                    seen = None if None in there else there[1] - there[0]
                angles.append(same(to[1] - to[0], seen))
    mean = [sum(x) / len(x) if x else None for x in (lengths, angles)]
    return (node / weight if weight else None, *mean)


def average(values):
    values = [x for x in values if x is not None]
    return sum(values) / len(values) if values else None


def truth_of_graph(pred, true, scale, angle, greedy, count_extra):
    rows = []
    for p, t in zip(pred, true, strict=True):
        node, distance, turn = truth_of_frame(p, t, scale, angle, greedy, count_extra)
        edge = average((distance, turn))
        rows.append((node, distance, turn, edge, average((node, edge))))
    return [average(column) or 0.0 for column in zip(*rows, strict=True)] if rows else [0.0] * 5


COORDINATE = st.floats(-2, 12, width=32)
WILD = st.one_of(COORDINATE, st.sampled_from([0.0, 5.0, math.nan, math.inf, -math.inf, 1e30]))


def frames_of(coordinate, dimensions):
    node = st.tuples(st.integers(0, 3), st.tuples(*[coordinate] * dimensions))
    return st.lists(st.lists(node, max_size=7), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([2, 3]), st.sampled_from(["turn", "direction", "none"]), st.booleans(), st.booleans())
def test_against_numpy_and_scipy(data, dimensions, angle, greedy, count_extra):
    true = data.draw(frames_of(COORDINATE, dimensions))
    pred = data.draw(frames_of(WILD, dimensions))[: len(true)]
    pred += [[]] * (len(true) - len(pred))
    expected = truth_of_graph(pred, true, 5.0, angle, greedy, count_extra)
    matching = "greedy" if greedy else "optimal"
    arguments = (*_nodes(pred, dimensions), *_nodes(true, dimensions), torch.tensor([0, len(true)]))
    result = ops.relation_graph(
        *arguments, scale=5.0, angle=angle, matching=matching, count_extra=count_extra, edge_matching="position"
    )
    mine = [x[0].item() for x in (result.node_B, result.distance_B, result.angle_B, result.edge_B, result.graph_B)]
    assert all(0 <= x <= 1 for x in mine)
    by_shape = ops.relation_graph(*arguments, scale=5.0, angle=angle, matching=matching, count_extra=count_extra)
    assert torch.equal(by_shape.node_B, result.node_B) and torch.equal(by_shape.match_M, result.match_M)
    assert all(0 <= x.item() <= 1 for x in by_shape[:6])
    # among equally good matchings, and past the scale, scipy and we may choose otherwise: the node score stays
    assert math.isclose(mine[0], expected[0], abs_tol=1e-5)
    matched = [(m, j) for m, j in enumerate(result.match_M.tolist()) if j >= 0]
    assert len({j for _, j in matched}) == len(matched)
    assert all(arguments[0][m] == arguments[3][j] for m, j in matched)
    if greedy or all(len({c for c, _ in frame}) == len(frame) for frame in (*pred, *true)):
        assert mine == pytest.approx(expected, abs=1e-9)


def _nodes(frames, dimensions):
    classes, position, offsets = tensors(frames)
    return classes, position if len(classes) else position.new_zeros(0, dimensions), offsets


OPTIONS = [
    {"scale": 3.0},
    {"scale": "diagonal", "angle": "direction"},
    {"angle": "none", "matching": "greedy"},
    {"scale": 2.0, "scale_invariant": True, "count_extra": False},
    {"displacement_scale": 1.5},
    {"scale": "diagonal", "edge_matching": "position"},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_kernel_against_the_specification(dimensions, options, dtype, rng):
    arguments, ids = random_graphs(rng, 40, dimensions)
    arguments = [x.to(dtype) if x.is_floating_point() else x for x in arguments]
    boxes = {name: box.to(dtype) for name, box in node_boxes(rng, arguments, wild=True).items()}
    for objects in ({}, {"true_object_J": ids["true_object_J"]}, ids, ids | boxes):
        if "displacement_scale" in options and not objects:
            continue
        mine = ops.relation_graph(*arguments, **options, **objects)
        wide = {"angle": "turn", "matching": "optimal", "count_extra": True, "scale_invariant": False}
        wide |= {"edge_matching": "shape"} | options
        scale, reach = wide.pop("scale", GRID_SCALE), wide.pop("displacement_scale", None)
        scales = [
            None if x in ("diagonal", None) else torch.full((40,), x, dtype=torch.float64) for x in (scale, reach)
        ]
        sides = [
            (arguments[at], arguments[at + 1], objects.get(f"{side}_object_{k}"), objects.get(f"{side}_box_{k}4"))
            for at, side, k in ((0, "pred", "M"), (3, "true", "J"))
        ]
        nodes = (*sides[0], arguments[2], *sides[1], *arguments[5:])
        nodes = [x.double() if x is not None and x.is_floating_point() else x for x in nodes]
        true_result = ops.reference.relation_graph(*nodes, *scales, **wide)
        for name, ours, right in zip(mine._fields, mine, true_result, strict=True):
            if ours.is_floating_point():
                assert ours.dtype == dtype and ours.shape == (40,)
                tolerance = 1e-12 if dtype == torch.float64 else 2e-7
                torch.testing.assert_close(ours.double(), right, rtol=tolerance, atol=tolerance, msg=name)
            else:
                assert torch.equal(ours, right), name
        assert mine.displacement_B.any() == bool(objects)


# ---- single facts


SQUARE = [(0, (0.0, 0.0)), (1, (4.0, 0.0)), (2, (4.0, 3.0)), (3, (0.0, 3.0))]


def test_parts_by_hand():
    result = graph(SQUARE, SQUARE)
    assert result["match"] == [0, 1, 2, 3] and result["frames"] == [1, 1, 1, 1, 0, 1]
    assert [result[k] for k in ("node", "distance", "angle", "edge", "graph")] == pytest.approx([1] * 5)
    moved = [SQUARE[0], SQUARE[1], SQUARE[2], (3, (0.0, 4.0))]  # one object a metre on
    result = graph(moved, SQUARE, scale=10.0)
    lengths = [1.0, math.hypot(4, 4) - 5, math.hypot(4, 1) - 4]  # of its three edges, against 3, 5 and 4
    assert result["node"] == pytest.approx((3 + 0.9) / 4)
    assert result["distance"] == pytest.approx(1 - sum(map(abs, lengths)) / 10 / 6)
    alone = graph(SQUARE[:1], SQUARE, scale=10.0)
    assert (
        alone["node"] == 0.25 and alone["distance"] == alone["angle"] == alone["edge"] == 0 and alone["graph"] == 0.125
    )


def test_what_is_not_defined():
    one, two = SQUARE[:1], SQUARE[:2]
    result = graph(one, one)  # no edges
    assert result["graph"] == result["node"] == 1 and result["frames"] == [1, 0, 0, 0, 0, 1] and result["edge"] == 0
    result = graph(two, two)  # no turns
    assert result["graph"] == result["edge"] == result["distance"] == 1 and result["frames"] == [1, 1, 0, 1, 0, 1]
    assert graph(two, two, angle="direction")["frames"] == [1, 1, 1, 1, 0, 1]
    empty = graph([], [])
    assert empty["frames"] == [0] * 6 and empty["graph"] == 0
    assert graph([], SQUARE)["graph"] == 0 and graph([], SQUARE)["frames"] == [1, 1, 1, 1, 0, 1]
    extra = graph(SQUARE, [])
    assert extra["frames"] == [1, 0, 0, 0, 0, 1] and extra["graph"] == 0
    assert graph(SQUARE, [], count_extra=False)["frames"] == [0] * 6
    same_place = [(k, (1.0, 1.0)) for k in range(4)]
    assert graph(SQUARE, same_place)["frames"] == [1, 1, 0, 1, 0, 1]  # a true edge without length has no angle
    assert graph(same_place, SQUARE)["angle"] == 0
    for position in ((math.nan, 0.0), (0.0, math.inf), (-math.inf, math.nan)):
        result = graph([(0, position), *SQUARE[1:]], SQUARE)
        assert result["node"] == 0.75 and result["match"] == [-1, 1, 2, 3] and result["distance"] == pytest.approx(0.5)
    far = [(k, (1e300 * (k - 1.5), 1e300 * k * k)) for k in range(4)]
    assert graph(far, SQUARE)["distance"] == graph(far, SQUARE)["node"] == 0
    # the frames without anything to score do not pull the mean down
    assert video([SQUARE, []], [SQUARE, []])["graph"] == pytest.approx(1)
    assert video([SQUARE, []], [SQUARE, one])["graph"] == pytest.approx(0.5)


def test_extra_objects():
    more = [*SQUARE, (9, (1.0, 1.0)), (9, (2.0, 2.0))]
    assert graph(more, SQUARE)["node"] == pytest.approx(4 / 6)
    assert graph(more, SQUARE, count_extra=False)["node"] == 1
    assert graph([*SQUARE, SQUARE[0]], SQUARE, count_extra=False)["node"] == pytest.approx(
        3.5 / 4
    )  # of a class that is there


def test_greedy_takes_the_closest_pair_first():
    true = [(0, (0.0, 0.0)), (0, (3.0, 0.0))]
    pred = [(0, (2.0, 0.0)), (0, (5.5, 0.0))]
    # optimal: 2 + 2.5; greedy: the pair at distance 1, then 5.5
    assert graph(pred, true, scale=10.0)["match"] == [0, 1]
    greedy = graph(pred, true, scale=10.0, matching="greedy")
    assert greedy["match"] == [1, 0] and greedy["node"] == pytest.approx((0.9 + 0.45) / 2)
    assert graph(pred, true, scale=10.0)["node"] == pytest.approx((0.8 + 0.75) / 2)


def test_matching_is_for_the_score_and_outliers_do_not_disturb_it():
    true = [(0, (0.0, 0.0)), (0, (3.0, 0.0)), (0, (0.0, 7.0))]
    for far in (20.0, 1e6, 1e30, 1e200):
        pred = [(0, (far, far)), (0, (0.1, 0.0)), (0, (3.1, 0.0))]
        assert graph(pred, true, scale=10.0)["match"] == [2, 0, 1]


def test_scales():
    pred = [(k, (x + 1.0, y)) for k, (x, y) in SQUARE]
    assert graph(pred, SQUARE)["node"] == pytest.approx(1 - 1 / (10 * math.sqrt(2)))
    assert graph(pred, SQUARE, scale=2)["node"] == pytest.approx(0.5)
    assert graph(pred, SQUARE, scale="diagonal")["node"] == pytest.approx(0.8)
    assert graph(pred, SQUARE, scale=torch.tensor([4.0]))["node"] == pytest.approx(0.75)
    assert graph(SQUARE[:1], SQUARE[:1], scale="diagonal")["node"] == 1  # the diagonal is 0
    assert graph(pred[:1], SQUARE[:1], scale="diagonal")["node"] == 0


def test_displacement():
    frames = [[(0, (0.0, 0.0)), (0, (9.0, 9.0))], [(0, (3.0, 4.0)), (0, (9.0, 9.0))], [(0, (9.0, 9.0))]]
    ids = torch.tensor([7, 8, 7, 8, 8])
    turned = [[(c, (-y, x)) for c, (x, y) in frame] for frame in frames]
    assert video(frames, frames)["frames"][4] == 0
    for pred in (frames, turned):
        result = video(pred, frames, true_object_J=ids)
        assert result["frames"][4] == 2
    assert video(frames, frames, true_object_J=ids)["displacement"] == 1
    still = [frames[0], frames[0], frames[2]]
    result = video(still, frames, true_object_J=ids, displacement_scale=10.0)
    assert result["displacement"] == pytest.approx(((0.5 + 1) / 2 + 1) / 2)
    assert video(still, frames, true_object_J=ids, displacement_scale=5.0)["displacement"] == pytest.approx(
        (0.5 + 1) / 2
    )
    # identities of the prediction: the second object becomes another one in the last frame
    renamed = torch.tensor([0, 1, 0, 1, 0])
    result = video(frames, frames, true_object_J=ids, pred_object_M=renamed)
    assert result["displacement"] == pytest.approx(0.5)
    missing = video([frames[0], frames[1][:1], frames[2]], frames, true_object_J=ids)
    assert missing["displacement"] == pytest.approx(0.25)


# ---- sizes, threads, arguments


def test_large_and_many(rng):
    many = torch.rand(300, 2, generator=rng, dtype=torch.float64)
    seen = many + 0.05 * torch.randn(300, 2, generator=rng, dtype=torch.float64)
    kind, offsets, frames = torch.zeros(300, dtype=torch.long), torch.tensor([0, 300]), torch.tensor([0, 1])
    result = ops.relation_graph(kind, seen, offsets, kind, many, offsets, frames, scale=1.0, angle="direction")
    gap = torch.cdist(seen, many, compute_mode="donot_use_mm_for_euclid_dist")
    rows, columns = linear_sum_assignment(gap.numpy())
    assert result.node_B.item() == pytest.approx(1 - gap[rows, columns].mean().item())
    assert torch.equal(result.match_M, torch.from_numpy(columns))
    arguments, ids = random_graphs(rng, 500)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(ops.relation_graph(*arguments, **ids))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_no_graphs_at_all():
    nothing, zero = torch.empty(0, dtype=torch.long), torch.tensor([0])
    result = ops.relation_graph(nothing, torch.empty(0, 2), zero, nothing, torch.empty(0, 2), zero, zero)
    assert result.graph_B.shape == (0,) and result.frames_B6.shape == (0, 6)
    result = ops.relation_graph(
        nothing, torch.empty(0, 2), zero, nothing, torch.empty(0, 2), zero, torch.tensor([0, 0])
    )
    assert result.graph_B.tolist() == [0.0] and result.frames_B6.tolist() == [[0] * 6]


GOOD = {
    "pred_class_M": torch.tensor([0, 1, 2]),
    "pred_position_MD": torch.zeros(3, 2),
    "pred_offsets_F1": torch.tensor([0, 3]),
    "true_class_J": torch.tensor([0, 1]),
    "true_position_JD": torch.zeros(2, 2),
    "true_offsets_F1": torch.tensor([0, 2], dtype=torch.int32),
    "frame_offsets_B1": torch.tensor([0, 1]),
}
BOXES = {"pred_box_M4": torch.zeros(3, 4), "true_box_J4": torch.zeros(2, 4)}


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"pred_class_M": torch.tensor([0.0, 1, 2])}, TypeError, "pred_class must hold integers"),
        ({"true_class_J": torch.tensor([0, 1, 2])}, ValueError, r"true_class must have shape \(2,\)"),
        ({"pred_position_MD": torch.zeros(3, 4)}, ValueError, "pred_position must have 2 or 3 coordinates"),
        ({"pred_position_MD": torch.zeros(3, 3)}, ValueError, r"true_position must have shape \(J, 3\)"),
        ({"pred_position_MD": torch.zeros(3, 2).double()}, TypeError, "one dtype, got torch.float64 and torch.float32"),
        ({"true_position_JD": torch.zeros(2, 2).half()}, TypeError, "true_position must be float32 or float64"),
        ({"true_position_JD": torch.tensor([[0.0, math.nan], [0, 0]])}, ValueError, "true_position must be finite"),
        ({"pred_offsets_F1": torch.tensor([0, 2])}, ValueError, "pred_offsets must run from 0 to 3"),
        ({"true_offsets_F1": torch.tensor([0, 1, 2])}, ValueError, "true_offsets must have shape"),
        ({"frame_offsets_B1": torch.tensor([0, 2])}, ValueError, "frame_offsets must run from 0 to 1"),
        ({"scale": 0.0}, ValueError, "scale must be a finite number > 0"),
        ({"scale": "metric"}, ValueError, "scale must be one of grid, diagonal, got 'metric'"),
        ({"scale": torch.ones(2)}, ValueError, r"scale must have shape \(1,\)"),
        ({"scale": torch.tensor([math.inf])}, ValueError, "scale must hold finite numbers > 0"),
        ({"angle": "signed"}, ValueError, "angle must be one of turn, direction, none"),
        ({"matching": "best"}, ValueError, "matching must be one of optimal, greedy"),
        ({"edge_matching": "pose"}, ValueError, "edge_matching must be one of shape, position"),
        ({"pred_object_M": torch.tensor([0, 1, 2])}, ValueError, "need true_object"),
        ({"displacement_scale": 1.0}, ValueError, "need true_object"),
        ({"true_object_J": torch.tensor([0])}, ValueError, r"true_object must have shape \(2,\)"),
        ({"true_box_J4": torch.zeros(2, 4)}, ValueError, "pred_box and true_box must be given both or neither"),
        ({"pred_box_M4": torch.zeros(3, 4)}, ValueError, "pred_box and true_box must be given both or neither"),
        (BOXES | {"pred_box_M4": torch.zeros(2, 4)}, ValueError, r"pred_box must have shape \(3, 4\)"),
        (BOXES | {"true_box_J4": torch.zeros(2, 6)}, ValueError, r"true_box must have shape \(2, 4\)"),
        (BOXES | {"pred_box_M4": torch.zeros(3, 4).long()}, TypeError, "pred_box must be floating"),
        (BOXES | {"true_box_J4": torch.zeros(2, 4).double()}, TypeError, "true_box must have the positions' dtype"),
        (BOXES | {"true_box_J4": torch.tensor([[0, 0, 1, math.nan]] * 2)}, ValueError, "or rows of NaN"),
        (BOXES | {"true_box_J4": torch.tensor([[0, 0, 1, math.inf]] * 2)}, ValueError, "finite, or rows of NaN"),
        (BOXES | {"true_box_J4": torch.tensor([[2.0, 0, 1, 1]] * 2)}, ValueError, "true_box must hold boxes x0 <= x1"),
    ],
)
def test_wrong_arguments(change, error, message):
    ops.relation_graph(**GOOD)
    ops.relation_graph(**GOOD, **BOXES)
    with pytest.raises(error, match=message):
        ops.relation_graph(**{**GOOD, **change})
