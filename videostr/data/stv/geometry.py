"""Boxes in space, directions on the ground, camera poses: float64 numpy. The world has z up; x and y are the ground.

A box is its centre (3,), its lengths (3,) and its axes (3, 3): row k is the unit vector along length k.
"""

from __future__ import annotations

import numpy as np

CAMERA_TO_GROUND = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""A camera's axes (x right, y down, z ahead) to the ground's (x right, y ahead, z up)."""

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_EDGES = np.array([(i, j) for i in range(8) for j in range(i + 1, 8) if (_SIGNS[i] != _SIGNS[j]).sum() == 1])


def corners(centre_N3: np.ndarray, size_N3: np.ndarray, axes_N33: np.ndarray) -> np.ndarray:
    """(N, 8, 3) corners."""
    return centre_N3[:, None] + (_SIGNS * size_N3[:, None] / 2) @ axes_N33


def box_distances(centre_N3: np.ndarray, size_N3: np.ndarray, axes_N33: np.ndarray) -> np.ndarray:
    """(N, N) distances between the closest points of boxes; 0 where they touch or overlap.

    Two separate boxes are closest at a corner of one and a point of the other, or on an edge of each.
    """
    count = len(centre_N3)
    out = np.zeros((count, count))
    first, second = np.triu_indices(count, 1)
    corner_N83 = corners(centre_N3, size_N3, axes_N33)
    for start in range(0, len(first), 1024):  # bounds the 144 segment pairs a pair of boxes
        a, b = first[start : start + 1024], second[start : start + 1024]
        gap = np.minimum(
            _corner_gaps(corner_N83[a], centre_N3[b], size_N3[b], axes_N33[b]),
            _corner_gaps(corner_N83[b], centre_N3[a], size_N3[a], axes_N33[a]),
        )
        gap = np.minimum(gap, _edge_gaps(corner_N83[a], corner_N83[b]))
        gap[_overlap(corner_N83[a], axes_N33[a], corner_N83[b], axes_N33[b])] = 0.0
        out[a, b] = out[b, a] = gap
    return out


def _corner_gaps(corner_P83, centre_P3, size_P3, axes_P33) -> np.ndarray:
    local = (corner_P83 - centre_P3[:, None]) @ axes_P33.transpose(0, 2, 1)
    outside = np.maximum(np.abs(local) - size_P3[:, None] / 2, 0.0)
    return np.linalg.norm(outside, axis=2).min(1)


def _edge_gaps(a_P83, b_P83) -> np.ndarray:
    """The least distance between the 12 edges of one and of the other."""
    p, u = a_P83[:, _EDGES[:, 0], None], (a_P83[:, _EDGES[:, 1]] - a_P83[:, _EDGES[:, 0]])[:, :, None]
    q, v = b_P83[:, None, _EDGES[:, 0]], (b_P83[:, _EDGES[:, 1]] - b_P83[:, _EDGES[:, 0]])[:, None]
    w = p - q
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    span = uu * vv - uv * uv
    tiny = span <= 1e-12 * uu * vv
    s = np.where(tiny, 0.0, np.clip((uv * vw - vv * uw) / np.where(tiny, 1.0, span), 0.0, 1.0))
    t = np.clip((uv * s + vw) / np.maximum(vv, 1e-300), 0.0, 1.0)
    s = np.clip((uv * t - uw) / np.maximum(uu, 1e-300), 0.0, 1.0)
    return np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1).min((1, 2))


def _overlap(a_P83, a_axes, b_P83, b_axes) -> np.ndarray:
    """Separating axes: (P,) whether no plane stands between the two boxes."""
    cross = np.cross(a_axes[:, :, None], b_axes[:, None]).reshape(len(a_P83), 9, 3)
    axis = np.concatenate([a_axes, b_axes, cross], axis=1)
    along_a, along_b = (axis @ c.transpose(0, 2, 1) for c in (a_P83, b_P83))
    usable = np.linalg.norm(axis, axis=2) > 1e-9
    apart = (along_a.max(2) < along_b.min(2)) | (along_b.max(2) < along_a.min(2))
    return ~(apart & usable).any(1)


def bearing(observer: np.ndarray, facing: np.ndarray, target: np.ndarray) -> float:
    """Where `target` is for somebody who stands at `observer` and looks at `facing`, on the ground: degrees within
    (-180, 180], 0 straight ahead, positive to the left."""
    ahead, to = facing[:2] - observer[:2], target[:2] - observer[:2]
    return float(np.degrees(np.arctan2(ahead[0] * to[1] - ahead[1] * to[0], ahead @ to)))


def yaw_axes(yaw: float) -> np.ndarray:
    """(3, 3) axes of an upright box whose first axis points `yaw` radians from x towards y."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def upright_box(points_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The upright box of least ground area around points: (centre, size, axes), the longer ground side first.

    A rectangle of least area has a side along an edge of the convex hull."""
    ground = points_N3[:, :2]
    hull = _hull(ground)
    best = None
    edges = np.roll(hull, -1, 0) - hull
    for dx, dy in edges if len(hull) > 1 else [(1.0, 0.0)]:
        axes = yaw_axes(np.arctan2(dy, dx))
        along = hull @ axes[:2, :2].T
        low, high = along.min(0), along.max(0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = area, axes, low, high
    _, axes, low, high = best
    bottom, top = points_N3[:, 2].min(), points_N3[:, 2].max()
    size = np.array([*(high - low), top - bottom])
    centre = np.array([*((low + high) / 2 @ axes[:2, :2]), (bottom + top) / 2])
    if size[1] > size[0]:
        size, axes = size[[1, 0, 2]], np.array([axes[1], -axes[0], axes[2]])
    return centre, size, axes


def _hull(points_N2: np.ndarray) -> np.ndarray:
    """The convex hull, counter-clockwise (Andrew's monotone chain)."""
    points = np.unique(points_N2, axis=0)
    if len(points) < 3:
        return points
    chain: list[np.ndarray] = []
    for sweep in (points, points[::-1]):
        part: list[np.ndarray] = []
        for point in sweep:
            while len(part) > 1 and _left_of(part[-2], part[-1], point) <= 0:
                part.pop()
            part.append(point)
        chain += part[:-1]
    return np.array(chain)


def _left_of(a, b, c) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def ground_pose(camera_to_world_44: np.ndarray) -> np.ndarray:
    """A camera's pose for points in ground axes: ground of that camera -> world."""
    out = camera_to_world_44.copy()
    out[:3, :3] = camera_to_world_44[:3, :3] @ CAMERA_TO_GROUND.T
    return out


def visible_shares(
    centre_N3: np.ndarray,
    size_N3: np.ndarray,
    axes_N33: np.ndarray,
    world_to_camera_44: np.ndarray,
    intrinsics_33: np.ndarray,
    width: int,
    height: int,
) -> np.ndarray:
    """(N,) the share of each box that a camera sees: of 27 points in it, those inside the picture that no other box
    hides. Boxes hide more than what they were drawn around, so that this is rather too small than too large.

    A box does not hide one that it overlaps (a monitor in a desk's box)."""
    grid = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]) * (0.9 / 2)
    points = centre_N3[:, None] + (grid * size_N3[:, None]) @ axes_N33
    seen = points @ world_to_camera_44[:3, :3].T + world_to_camera_44[:3, 3]
    depth = seen[..., 2]
    pixel = seen @ intrinsics_33.T
    ahead = depth > 0.05
    x, y = (pixel[..., axis] / np.where(ahead, depth, 1.0) for axis in (0, 1))
    inside = ahead & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    eye = -world_to_camera_44[:3, :3].T @ world_to_camera_44[:3, 3]
    candidates = np.flatnonzero(inside.any(1))
    corner = corners(centre_N3, size_N3, axes_N33)
    for hider in np.flatnonzero(ahead.any(1)):
        rows = candidates[candidates != hider]
        if not len(rows):
            continue
        count = len(rows)
        other = (np.repeat(value[hider][None], count, 0) for value in (corner, axes_N33))
        rows = rows[~_overlap(corner[rows], axes_N33[rows], *other)]
        inside[rows] &= ~_hit(eye, points[rows], centre_N3[hider], size_N3[hider], axes_N33[hider])
    return inside.mean(1)


def _hit(eye, points, centre, size, axes) -> np.ndarray:
    """Whether the segment from `eye` to each point goes through the box (slabs)."""
    start, step = axes @ (eye - centre), (points - eye) @ axes.T
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    first, last = (-size / 2 - start) / step, (size / 2 - start) / step
    enter, leave = np.minimum(first, last).max(-1), np.maximum(first, last).min(-1)
    return (enter < leave) & (leave > 0) & (enter < 1 - 1e-6)


def oxts_poses(rows_T6: np.ndarray) -> np.ndarray:
    """(T, 4, 4) poses of KITTI's inertial unit (x ahead, y left, z up) from latitude, longitude (degrees), altitude
    (m), roll, pitch, yaw (rad): Mercator at the first row's latitude, as KITTI's development kit has it."""
    radius = 6378137.0
    scale = np.cos(np.radians(rows_T6[0, 0]))
    latitude, longitude = rows_T6[:, 0], np.radians(rows_T6[:, 1])
    east = scale * radius * longitude
    north = scale * radius * np.log(np.tan(np.radians(90 + latitude) / 2))
    roll, pitch, yaw = rows_T6[:, 3:6].T
    out = np.tile(np.eye(4), (len(rows_T6), 1, 1))
    out[:, :3, :3] = _turn(2, yaw) @ _turn(1, pitch) @ _turn(0, roll)
    out[:, :3, 3] = np.stack([east, north, rows_T6[:, 2]], 1)
    return out


def _turn(axis: int, angle_T: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations about a coordinate axis."""
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.tile(np.eye(3), (len(angle_T), 1, 1))
    out[:, i, i] = out[:, j, j] = np.cos(angle_T)
    out[:, i, j], out[:, j, i] = -np.sin(angle_T), np.sin(angle_T)
    return out
