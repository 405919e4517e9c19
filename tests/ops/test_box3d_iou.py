"""box3d_iou against shapely's polygons, closed forms, and the specification, which integrates instead of cutting."""

import itertools
import math

import pytest
import torch
from shapely.affinity import rotate, translate
from shapely.geometry import box

from videostr import ops

PI = math.pi


def random_boxes(rng, n, spread=3.0):
    centre = torch.rand(n, 3, generator=rng, dtype=torch.float64) * spread
    size = torch.rand(n, 3, generator=rng, dtype=torch.float64) * 4
    yaw = (torch.rand(n, 1, generator=rng, dtype=torch.float64) - 0.5) * 20
    return torch.cat([centre, size, yaw], -1)


def shared_ground(p, t):
    """Area that two footprints share, by shapely."""
    shapes = []
    for x, y, _, length, width, _, yaw in (p, t):
        flat = box(-length / 2, -width / 2, length / 2, width / 2)
        shapes.append(translate(rotate(flat, yaw, (0, 0), use_radians=True), x, y))
    return shapes[0].intersection(shapes[1]).area


def test_against_shapely(rng):
    pred, target = random_boxes(rng, 400), random_boxes(rng, 400)
    areas = [shared_ground(*x) for x in zip(pred.tolist(), target.tolist(), strict=True)]
    inter = torch.tensor(areas, dtype=pred.dtype)
    ground_p, ground_t = pred[:, 3:5].prod(-1), target[:, 3:5].prod(-1)
    torch.testing.assert_close(
        ops.box3d_iou(pred, target, "bev"), inter / (ground_p + ground_t - inter), rtol=1e-9, atol=1e-12
    )
    low = torch.maximum(pred[:, 2] - pred[:, 5] / 2, target[:, 2] - target[:, 5] / 2)
    rise = (torch.minimum(pred[:, 2] + pred[:, 5] / 2, target[:, 2] + target[:, 5] / 2) - low).clamp(min=0)
    volume = inter * rise
    truth = volume / (ground_p * pred[:, 5] + ground_t * target[:, 5] - volume)
    assert (truth > 0.01).sum() > 100
    torch.testing.assert_close(ops.box3d_iou(pred, target), truth, rtol=1e-9, atol=1e-12)
    single = ops.box3d_iou(pred.float(), target.float())
    torch.testing.assert_close(single.double(), truth, rtol=1e-4, atol=1e-5)  # of inputs rounded to float32


@pytest.mark.parametrize("kind", ["iou", "bev"])
def test_kernel_and_specification_agree_where_it_is_hard(kind):
    """Equal, turned by quarters, touching, inside one another, along a line, flat, and nearly so."""
    numbers = [0.0, 1.0, 2.0]
    yaws = [0.0, PI / 4, PI / 2, PI, -PI / 2, 1e-9, PI / 2 + 1e-12, 0.3, 1000.0]
    rows = [[x, 0.5, 0.0, length, width, 1.0, yaw] for x, length, width, yaw in itertools.product(*[numbers] * 3, yaws)]
    boxes = torch.tensor(rows, dtype=torch.float64)
    mine = ops.box3d_iou_pairwise(boxes, boxes, kind)
    torch.testing.assert_close(mine, ops.reference.box3d_iou_pairwise(boxes, boxes, kind), rtol=0, atol=1e-9)
    torch.testing.assert_close(mine, mine.T, rtol=0, atol=1e-12)
    assert mine.isfinite().all() and (mine >= 0).all() and (mine <= 1).all()
    solid = (boxes[:, 3:6] > 0).all(-1)
    torch.testing.assert_close(mine.diagonal(), solid.double(), rtol=0, atol=1e-14)


def test_closed_forms():
    cube = torch.tensor([0.0, 0, 0, 2, 2, 2, 0])
    turned = torch.tensor([0.0, 0, 0, 2, 2, 2, PI / 4])  # the octagon of two squares
    octagon = 8 * (math.sqrt(2) - 1)
    assert ops.box3d_iou(cube, turned, "bev").item() == pytest.approx(octagon / (8 - octagon), rel=1e-6)
    above = torch.tensor([0.0, 0, 1, 2, 2, 2, PI / 2])
    assert ops.box3d_iou(cube, above).item() == pytest.approx(1 / 3, rel=1e-6)
    assert ops.box3d_iou(cube, above, "bev").item() == pytest.approx(1, rel=1e-6)
    beside = torch.tensor([2.0, 0, 0, 2, 2, 2, 0])
    assert ops.box3d_iou(cube, beside) == 0 and ops.box3d_iou(cube, torch.tensor([0.0, 0, 2, 2, 2, 2, 0])) == 0
    step = torch.tensor([math.cos(0.3), math.sin(0.3), 0, 0, 0, 0, 0], dtype=torch.float64)  # half a length ahead
    far = torch.tensor([2.0**20, -(2.0**20), 0, 2, 2, 2, 0.3], dtype=torch.float64)
    assert ops.box3d_iou(far, far + step).item() == pytest.approx(1 / 3, rel=1e-9)


def test_moving_and_turning_both_changes_nothing(rng):
    pred, target = random_boxes(rng, 200), random_boxes(rng, 200)
    angle, shift = 0.7, torch.tensor([50.0, -20.0, 3.0], dtype=torch.float64)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    moved = []
    for boxes in (pred, target):
        ground = boxes[:, :2] @ turn.T
        moved.append(
            torch.cat([torch.cat([ground, boxes[:, 2:3]], -1) + shift, boxes[:, 3:6], boxes[:, 6:] + angle], -1)
        )
    torch.testing.assert_close(ops.box3d_iou(*moved), ops.box3d_iou(pred, target), rtol=1e-9, atol=1e-12)


def test_without_heading(rng):
    pred, target = random_boxes(rng, 100)[:, :6], random_boxes(rng, 100)[:, :6]
    low = torch.maximum(pred[:, :3] - pred[:, 3:] / 2, target[:, :3] - target[:, 3:] / 2)
    high = torch.minimum(pred[:, :3] + pred[:, 3:] / 2, target[:, :3] + target[:, 3:] / 2)
    inter = (high - low).clamp(min=0).prod(-1)
    truth = inter / (pred[:, 3:].prod(-1) + target[:, 3:].prod(-1) - inter)
    torch.testing.assert_close(ops.box3d_iou(pred, target), truth, rtol=1e-12, atol=1e-14)
    headed = torch.nn.functional.pad(target, (0, 1), value=PI)  # half a turn is none
    torch.testing.assert_close(ops.box3d_iou(pred, headed), truth, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ops.box3d_iou_pairwise(pred, target).diagonal(), truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_box_scores_zero(column, value):
    good = torch.tensor([0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    bad = good.clone()
    bad[column] = value
    for kind in ("iou", "bev"):
        score = ops.box3d_iou(torch.stack([good, bad]), torch.stack([bad, good]), kind)
        assert score.isfinite().all() and (column in (3, 4, 5) or not math.isfinite(value)) <= bool((score == 0).all())
    huge = torch.full((7,), 1e300, dtype=torch.float64)
    assert ops.box3d_iou(huge, huge).item() == 0.0


@pytest.mark.parametrize(
    "pred,target,kind,error,message",
    [
        (torch.zeros(3, 5), torch.zeros(3, 7), "iou", ValueError, r"pred must have shape \(…, 7\)"),
        (torch.zeros(3, 7), torch.zeros(3, 7).double(), "iou", TypeError, "one dtype"),
        (torch.zeros(3, 7), torch.zeros(3, 7), "giou", ValueError, "kind must be one of iou, bev, got 'giou'"),
        (torch.zeros(3, 7), torch.zeros(2, 7), "iou", ValueError, "broadcasts"),
    ],
)
def test_wrong_arguments(pred, target, kind, error, message):
    with pytest.raises(error, match=message):
        ops.box3d_iou(pred, target, kind)
