"""A street in KITTI tracking's files: label_02, calib, oxts, and the video of camera 2."""

import math
from pathlib import Path

import numpy as np

from videostr import atomic
from videostr.data.scenes.plan import NATIVE, Scene
from videostr.data.scenes.render import View

EARTH = 6378137.0  # metres: the radius in KITTI's Mercator projection
ORIGIN = (49.0, 8.4, 110.0)  # latitude and longitude in degrees, altitude in metres, of the world's origin
SEEN = 0.8, 0.4, 0.25  # at least so much of a body is seen: KITTI's occlusion 0, 1, 2; below: 3, unknown
CUT = 0.15, 0.5  # at most so much of it is outside the picture: truncation 0, 1; above: 2


def label_lines(scene: Scene, index: int, views: list[View]) -> list[str]:
    """The lines of frame `index` in label_02: camera coordinates of that frame, in metres and radians."""
    time = index / scene.fps
    scale = _scale(scene)
    camera = scene.camera.at(time)
    lines = []
    for view in views:
        body = scene.bodies[view.body]
        x, y, heading = body.at(time)
        (place,) = camera.to_camera(np.array([[x, y, 0.0]]))
        # About the downward axis, 0 where the body faces the camera's right.
        turned = _wrap(-(heading - (camera.heading - math.pi / 2)))
        alpha = _wrap(turned - math.atan2(place[0], place[2]))
        truncated = sum(view.truncation > limit for limit in CUT)
        occluded = sum(view.visible < limit for limit in SEEN)
        length, width, height = body.size
        box = (edge * factor for edge, factor in zip(view.box, scale * 2, strict=True))
        numbers = (alpha, *box, height, width, length, *place, turned)
        lines.append(
            f"{index} {view.body} {body.label} {truncated} {occluded} "
            + " ".join(f"{number:.6f}" for number in numbers)
        )
    return lines


def calibration(scene: Scene) -> str:
    """calib: the four cameras are one, and laser and inertial unit sit in it, x forward, y left, z up."""
    (u, v), focal, (across, down) = scene.camera.start.centre, scene.camera.start.focal, _scale(scene)
    projection = _row([focal * across, 0, u * across, 0, 0, focal * down, v * down, 0, 0, 0, 1, 0])
    lines = [f"P{number}: {projection}" for number in range(4)]
    lines.append("R_rect " + _row(np.eye(3).flatten()))
    lines.append("Tr_velo_cam " + _row([0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0]))
    lines.append("Tr_imu_velo " + _row(np.eye(4)[:3].flatten()))
    return "\n".join(lines) + "\n"


def poses(scene: Scene) -> str:
    """oxts: a line of 30 numbers a frame; position and heading, the rest is 0 or says that all is well."""
    lines = []
    scale = math.cos(math.radians(ORIGIN[0]))
    north_0 = scale * EARTH * math.log(math.tan(math.radians(90 + ORIGIN[0]) / 2))
    for index in range(scene.frames):
        camera = scene.camera.at(index / scene.fps)
        x, y, z = camera.position
        longitude = ORIGIN[1] + math.degrees(x / (scale * EARTH))
        latitude = 2 * math.degrees(math.atan(math.exp((north_0 + y) / (scale * EARTH)))) - 90
        east, north = scene.camera.velocity
        numbers = [latitude, longitude, ORIGIN[2] + z, 0.0, -camera.pitch, camera.heading, north, east]
        status = [0.05, 0.05, 4, 10, 4, 4, 4]
        lines.append(" ".join(f"{number:.10f}" for number in numbers + [0.0] * 15) + " " + " ".join(map(str, status)))
    return "\n".join(lines) + "\n"


def write(directory: Path, name: str, scene: Scene, views: list[list[View]]) -> None:
    """label_02/NAME.txt, calib/NAME.txt and oxts/NAME.txt under `directory`. views: of every frame."""
    labels = [line for index, seen in enumerate(views) for line in label_lines(scene, index, seen)]
    for kind, text in (("calib", calibration(scene)), ("oxts", poses(scene))):
        (directory / kind).mkdir(parents=True, exist_ok=True)
        (directory / kind / f"{name}.txt").write_text(text)
    # Last, and all or nothing: its presence says that the others are whole.
    atomic.write_text(directory / "label_02" / f"{name}.txt", "\n".join(labels) + "\n" if labels else "")


def _scale(scene: Scene) -> tuple[float, float]:
    """Pixels of the original for one of the clip, across and down."""
    return NATIVE["kitti"][0] / scene.width, NATIVE["kitti"][1] / scene.height


def _row(numbers) -> str:
    return " ".join(f"{number:.12e}" for number in numbers)


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
