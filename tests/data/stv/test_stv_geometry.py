"""Boxes, directions and poses against scipy, shapely and the sets' own formulas written out another way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation
from shapely.geometry import LineString, MultiPoint, Point, Polygon

from benchmarks.stv_sets import write_kitti
from videostr.data.stv.geometry import (
    bearing,
    box_distances,
    corners,
    oxts_poses,
    upright_box,
    visible_shares,
    yaw_axes,
)
from videostr.data.stv.kitti import read_kitti
from videostr.data.stv.scene import Sources
from videostr.data.stv.tasks.direction import quadrant, side


def boxes(rng, count, spread=3.0):
    axes = Rotation.random(count, rng=rng).as_matrix()
    return rng.uniform(-spread, spread, (count, 3)), rng.uniform(0.1, 2.5, (count, 3)), axes


def closest(a, b):
    """The distance between two boxes as a bounded least-squares problem."""
    (ca, sa, ra), (cb, sb, rb) = a, b
    result = lsq_linear(np.hstack([ra.T * sa / 2, -rb.T * sb / 2]), cb - ca, bounds=(-1, 1), tol=1e-14)
    return math.sqrt(2 * result.cost)


def test_box_distances_are_the_least_squares_ones():
    rng = np.random.default_rng(0)
    centre, size, axes = boxes(rng, 14)
    found = box_distances(centre, size, axes)
    each = list(zip(centre, size, axes, strict=True))
    expected = np.array([[closest(a, b) for b in each] for a in each])
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (found == 0).sum() > 14 and (found > 0.3).sum() > 40  # some overlap, some do not


def test_parallel_and_nested_boxes():
    centre = np.array([[0.0, 0, 0], [3, 0, 0], [0, 0, 0], [1, 1, 1]])
    size = np.array([[2.0, 2, 2], [2, 2, 2], [0.5, 0.5, 0.5], [1e-3, 1e-3, 1e-3]])
    found = box_distances(centre, size, np.tile(np.eye(3), (4, 1, 1)))
    assert found[0, 1] == pytest.approx(1.0) and found[0, 2] == 0 and found[0, 3] == 0


@given(st.integers(0, 10_000), st.integers(3, 40))
@settings(max_examples=60, deadline=None)
def test_upright_box_is_shapelys(seed, count):
    points = np.random.default_rng(seed).uniform(-3, 3, (count, 3))
    centre, size, axes = upright_box(points)
    assert size[0] * size[1] == pytest.approx(MultiPoint(points[:, :2]).minimum_rotated_rectangle.area, rel=1e-6)
    assert size[0] >= size[1] and np.allclose(axes @ axes.T, np.eye(3)) and np.linalg.det(axes) == pytest.approx(1)
    assert (np.abs((points - centre) @ axes.T) <= size / 2 + 1e-9).all()


def test_degenerate_points():
    for points in (np.zeros((5, 3)), np.array([[0.0, 0, 0], [1, 1, 2], [2, 2, 1]])):
        centre, size, axes = upright_box(points)
        assert (np.abs((points - centre) @ axes.T) <= size / 2 + 1e-9).all()


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_directions_by_shapely(seed):
    """Left or right, ahead or behind, by the half planes that two lines through the observer cut."""
    rng = np.random.default_rng(seed)
    at, facing, target = rng.uniform(-5, 5, (3, 3))
    angle = bearing(at, facing, target)
    ahead = (facing - at)[:2] / np.linalg.norm((facing - at)[:2])
    left = np.array([-ahead[1], ahead[0]])
    reach = 100.0

    def beyond(along, side):  # whether the target is on that side of the line along `along`
        ends = [-along, along, along + side, side - along]
        return Polygon([at[:2] + reach * end for end in ends]).contains(Point(target[:2]))

    expected = f"{'front' if beyond(left, ahead) else 'back'}-{'left' if beyond(ahead, left) else 'right'}"
    assert quadrant(angle, 0.0) == expected
    near = quadrant(angle, 10.0) is None
    lines = [LineString([at[:2] - reach * v, at[:2] + reach * v]) for v in (ahead, left)]
    gap = min(line.distance(Point(target[:2])) for line in lines) / np.linalg.norm((target - at)[:2])
    assert near == (gap < math.sin(math.radians(10)))
    if side(angle, 5.0) is not None:
        assert (side(angle, 5.0) == "back") == (abs(angle) > 135)


def test_oxts_rotation_is_scipys():
    rng = np.random.default_rng(1)
    rows = np.column_stack([np.full(20, 49.0), np.full(20, 8.4), np.zeros(20), rng.uniform(-1, 1, (20, 3))])
    expected = Rotation.from_euler("xyz", rows[:, 3:6]).as_matrix()
    np.testing.assert_allclose(oxts_poses(rows)[:, :3, :3], expected, atol=1e-12)


def test_oxts_metres():
    """A thousandth of a degree north, then east, on a sphere of KITTI's radius."""
    step = 1e-3
    rows = np.array([[49.0, 8.4, 0, 0, 0, 0], [49.0 + step, 8.4, 0, 0, 0, 0], [49.0, 8.4 + step, 3, 0, 0, 0]])
    place = oxts_poses(rows)[:, :3, 3] - oxts_poses(rows)[0, :3, 3]
    arc = math.radians(step) * 6378137.0
    np.testing.assert_allclose(place[1], [0, arc, 0], atol=0.01)
    np.testing.assert_allclose(place[2], [arc * math.cos(math.radians(49)), 0, 3], atol=0.01)


def test_ego_motion_is_taken_out(tmp_path):
    """Generated cars drive straight at one speed in the world; the labels see them from a car that turns."""
    write_kitti(tmp_path, 2, 120, np.random.default_rng(3))
    sources = Sources(lambda *problem: pytest.fail(str(problem)), tmp_path)
    checked = 0
    for _, _, read in read_kitti(tmp_path, sources):
        clip = read()
        assert clip.pose_T44 is not None and np.allclose(clip.pose_T44[0], np.eye(4), atol=1e-6)
        for track in clip.tracks:
            if len(track.frame_F) < 5:
                continue
            step = np.diff(track.centre_F3, axis=0) / np.diff(track.frame_F)[:, None]
            assert np.abs(step - step[0]).max() < 2e-3  # metres a frame; labels have four digits
            heading = track.axes_F33[:, 0]
            assert np.abs(heading - heading[0]).max() < 2e-3
            if np.linalg.norm(step[0]) > 0.05:  # cars drive where they point
                assert abs(step[0] @ heading[0]) > 0.999 * np.linalg.norm(step[0])
            checked += 1
    assert checked > 10


def test_kitti_box_is_the_devkits(tmp_path):
    """The devkit's corners: turned about the camera's y axis, then moved to the bottom centre."""
    (tmp_path / "label_02").mkdir()
    h, w, length, x, y, z, turn = 1.5, 1.6, 3.9, -2.0, 1.7, 14.0, 0.7
    line = f"0 0 Car 0 0 0 10 10 90 90 {h} {w} {length} {x} {y} {z} {turn}"
    (tmp_path / "label_02" / "0000.txt").write_text(line)
    ((_, _, read),) = read_kitti(tmp_path, Sources(lambda *p: None, tmp_path))
    (track,) = read().tracks
    ours = corners(track.centre_F3, track.size_3[None], track.axes_F33)[0]
    flat = np.array([[sx * length / 2, sy, sz * w / 2] for sx in (-1, 1) for sy in (0, -h) for sz in (-1, 1)])
    theirs = flat @ np.array([[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]).T
    theirs = (theirs + [x, y, z])[:, [0, 2, 1]] * [1, 1, -1]
    order = [np.lexsort(np.round(points, 6).T) for points in (ours, theirs)]
    np.testing.assert_allclose(ours[order[0]], theirs[order[1]], atol=1e-9)
    # its first axis is where the car's front is: rotation_y = 0 looks along the camera's x axis
    assert track.axes_F33[0, 0] @ [math.cos(turn), -math.sin(turn), 0] == pytest.approx(1)


def test_what_a_camera_sees():
    centre = np.array([[0.0, 0, 4], [0, 0, 8], [9, 0, 4], [0, 0, -4], [0, 0, 8.2]])
    size = np.array([[2.0, 2, 0.5], [1, 1, 1], [1, 1, 1], [1, 1, 1], [6, 6, 0.3]])
    axes = np.tile(yaw_axes(0.0), (5, 1, 1))
    intrinsics = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    shown = visible_shares(centre, size, axes, np.eye(4), intrinsics, 100, 100)
    assert shown[0] == 1 and shown[1] == 0  # behind the first
    assert shown[2] == 0 and shown[3] == 0  # beside the picture, behind the camera
    assert 0 < shown[4] < 1
