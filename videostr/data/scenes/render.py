"""Pictures of a scene with a depth buffer, and how much of each body can be seen in them."""

from dataclasses import dataclass

import numpy as np

from videostr.data.scenes.camera import Camera
from videostr.data.scenes.plan import Body, Scene

NEAR = 0.3  # metres in front of the camera: a body that comes nearer is not drawn
# Corners of the unit box, and its faces as loops that are anticlockwise seen from outside.
CORNERS = np.array([[x, y, z] for z in (0.0, 1.0) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
FACES = ((4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6))  # top, then the sides; no underside
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
        for face, shade in zip(FACES, SHADES, strict=True):
            _draw_face(
                seen_8[list(face)], pixels_82[list(face)], camera, shade, number, body, picture, depth, owner, mask
            )
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


def _draw_face(face_43, pixels_42, camera: Camera, shade, number, body: Body, picture, depth, owner, mask) -> None:
    normal = np.cross(face_43[1] - face_43[0], face_43[2] - face_43[0])
    offset = normal @ face_43[0]
    if offset >= 0:  # seen from behind
        return
    edges = mask.shape[::-1]
    x0, y0 = np.clip(np.floor(pixels_42.min(0)), 0, edges).astype(int)
    x1, y1 = np.clip(np.ceil(pixels_42.max(0)), 0, edges).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    v, u = np.mgrid[y0:y1, x0:x1] + 0.5
    inside = np.ones(u.shape, bool)
    for (ax, ay), (bx, by) in zip(pixels_42, np.roll(pixels_42, -1, 0), strict=True):
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
    rays = camera.rays(scene.width, scene.height)
    x, y, z = camera.position
    down = rays[..., 2] < 0
    reach = np.where(down, -z / np.where(down, rays[..., 2], -1.0), np.inf)
    if scene.room is not None:
        half = np.array(scene.room) / 2
        for axis, at in ((0, x), (1, y)):
            for wall in (-half[axis], half[axis]):
                along = rays[..., axis]
                # Only the inner sides: a wall between the camera and the room is left out, as in a doll's house.
                away = along * np.sign(wall) > 1e-9
                reach = np.minimum(reach, np.where(away, (wall - at) / np.where(away, along, 1.0), np.inf))
    far = ~np.isfinite(reach)
    hit = rays * np.where(far, 0.0, reach)[..., None]
    gx, gy, gz = hit[..., 0] + x, hit[..., 1] + y, hit[..., 2] + z
    squares = (np.floor(gx) + np.floor(gy)) % 2 * 10
    ground = np.array(scene.ground) + squares[..., None]
    wall = np.array(scene.ground) * 1.15 + 18
    picture = np.where((gz > 1e-6)[..., None], wall, ground)
    return np.clip(np.where(far[..., None], SKY, picture), 0, 255)
