"""Pictures of a scene with a depth buffer, and how much of each body can be seen in them."""

import math
from dataclasses import dataclass

import numpy as np

from videostr.data.scenes.camera import Camera
from videostr.data.scenes.plan import Body, Scene

NEAR = 0.3  # metres in front of the camera: a body that comes nearer is not drawn
# Corners of the unit box, and its faces as loops that are anticlockwise seen from outside.
CORNERS = np.array([[x, y, z] for z in (0.0, 1.0) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
# Top, then the sides; no underside.
FACES = np.array([(4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6)])
SHADES = (1.0, 0.82, 0.82, 0.64, 0.64)
SKY = np.array([170.0, 200.0, 230.0])


@dataclass(frozen=True)
class View:
    """One body in one picture.

    box: (x0, y0, x1, y1) in pixels around the whole body, cut at the picture's edges, hidden parts included.
    truncation: the share of the uncut box that lies outside. visible: the share of the body's pixels, of those that
    are in the picture, that nothing hides. pixels: how many are seen.
    """

    body: int
    box: tuple[float, float, float, float]
    truncation: float
    visible: float
    pixels: int


def corners(body: Body, time: float) -> np.ndarray:
    """(8, 3): the corners of a body's box in the world, those on the ground first."""
    x, y, heading = body.at(time)
    sin, cos = np.sin(heading), np.cos(heading)
    local = CORNERS * np.array(body.size)
    return np.stack(
        [x + local[:, 0] * cos - local[:, 1] * sin, y + local[:, 0] * sin + local[:, 1] * cos, local[:, 2]], -1
    )


def render(scene: Scene, time: float) -> tuple[np.ndarray, list[View]]:
    """The picture at `time` seconds, (height, width, 3) uint8, and the bodies that have a part in it."""
    shape, camera = (scene.height, scene.width), scene.camera.at(time)
    picture = background(scene, camera)
    depth = np.full(shape, np.inf)
    owner = np.full(shape, -1)
    alone: dict[int, np.ndarray] = {}
    views = []
    for number, body in enumerate(scene.bodies):
        seen_8 = camera.to_camera(corners(body, time))
        if seen_8[:, 2].min() < NEAR:
            continue
        pixels_82 = camera.to_image(seen_8)
        mask = np.zeros(shape, bool)
        for corners_4, normal, offset, shade in _facing(seen_8):
            _draw_face(pixels_82[corners_4], normal, offset, camera, shade, number, body, picture, depth, owner, mask)
        if mask.any():
            alone[number] = mask
            views.append((number, pixels_82))
    found = []
    for number, pixels_82 in views:
        (x0, y0), (x1, y1) = pixels_82.min(0), pixels_82.max(0)
        box = tuple(
            float(np.clip(edge, 0, side))
            for edge, side in zip((x0, y0, x1, y1), (*shape[::-1], *shape[::-1]), strict=True)
        )
        inside = (box[2] - box[0]) * (box[3] - box[1])
        count = int((owner[alone[number]] == number).sum())
        truncation = 1 - inside / ((x1 - x0) * (y1 - y0))
        found.append(View(number, box, float(truncation), count / int(alone[number].sum()), count))
    return picture.round().astype(np.uint8), found


def _facing(seen_8: np.ndarray) -> list[tuple[np.ndarray, list[float], float, float]]:
    """Of the faces that the camera looks at: corners' indices, the plane (normal, normal @ point), shade."""
    faces_543 = seen_8[FACES]
    (ax, ay, az), (bx, by, bz) = ((faces_543[:, k] - faces_543[:, k - 1]).T for k in (1, 2))
    normals_53 = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)
    offsets_5 = (normals_53 * faces_543[:, 0]).sum(-1)
    return [(FACES[k], normals_53[k].tolist(), offsets_5[k], SHADES[k]) for k in np.flatnonzero(offsets_5 < 0)]


def _draw_face(
    pixels_42, normal, offset, camera: Camera, shade, number, body: Body, picture, depth, owner, mask
) -> None:
    height, width = mask.shape
    points = pixels_42.tolist()
    xs, ys = zip(*points, strict=True)
    x0, x1 = max(math.floor(min(xs)), 0), min(math.ceil(max(xs)), width)
    y0, y1 = max(math.floor(min(ys)), 0), min(math.ceil(max(ys)), height)
    if x0 >= x1 or y0 >= y1:
        return
    u, v = np.arange(x0, x1) + 0.5, np.arange(y0, y1)[:, None] + 0.5
    inside = np.ones((y1 - y0, x1 - x0), bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        inside &= (bx - ax) * (v - ay) - (by - ay) * (u - ax) <= 0
    a, b = (u - camera.centre[0]) / camera.focal, (v - camera.centre[1]) / camera.focal
    facing = normal[0] * a + normal[1] * b + normal[2]
    z = offset / np.where(facing < 0, facing, -np.inf)
    area = (slice(y0, y1), slice(x0, x1))
    mask[area] |= inside
    nearer = inside & (z < depth[area])
    depth[area][nearer] = z[nearer]
    owner[area][nearer] = number
    picture[area][nearer] = np.array(body.colour) * shade


def background(scene: Scene, camera: Camera) -> np.ndarray:
    """(height, width, 3) float64: the ground in squares of a metre, walls around a room, sky above open ground."""
    ray_x, ray_y, ray_z = camera.rays(scene.width, scene.height)
    x, y, z = camera.position
    down = ray_z < 0
    reach = np.where(down, -z / np.where(down, ray_z, -1.0), np.inf)
    if scene.room is not None:
        for along, at, side in ((ray_x, x, scene.room[0]), (ray_y, y, scene.room[1])):
            for wall in (-side / 2, side / 2):
                # Only the inner sides: a wall between the camera and the room is left out, as in a doll's house.
                away = along * math.copysign(1.0, wall) > 1e-9
                reach = np.minimum(reach, np.where(away, (wall - at) / np.where(away, along, 1.0), np.inf))
    far = np.isinf(reach)
    reach[far] = 0.0
    on_wall = ray_z * reach + z > 1e-6
    squares = (np.floor(ray_x * reach + x) + np.floor(ray_y * reach + y)) % 2 * 10
    picture = np.array(scene.ground, np.float64) + squares[..., None]
    picture[on_wall] = np.array(scene.ground) * 1.15 + 18
    picture[far] = SKY
    return np.clip(picture, 0, 255, out=picture)
