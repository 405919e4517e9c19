"""A drawn clip as the small model sees it, and what is true of the things in its frames."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from videostr.data.scenes import Scene, View, render
from videostr.data.stv.geometry import yaw_axes
from videostr.data.stv.graphs import SEEN
from videostr.data.stv.tasks.motion import ground_way, picture_way
from videostr.graph import CELLS, class_name
from videostr.recipe.warmup import frame_times
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs


class Placed(NamedTuple):
    """A box on the ground: its centre (3,) in metres, length, width and height, and its axes (3, 3)."""

    centre: np.ndarray
    size: np.ndarray
    axes: np.ndarray


class Seen(NamedTuple):
    """A thing in a frame: which body, its class, its middle in cells of the picture and its height in them; its box in
    the world, where the kind of scene has one; and which way it moves, in the builder's words, where that is clear."""

    body: int
    name: str
    x: float
    y: float
    height: float
    placed: Placed | None = None
    way: str | None = None


def see(
    scene: Scene, frames: FramePolicy, one_pair: random.Random | None = None
) -> tuple[VideoInputs, list[list[Seen]]]:
    """The clip, drawn without a file, and what can be seen in each of its frames.

    one_pair: of the clip only one pair of frames, drawn by this.
    """
    times = frame_times(scene.duration, scene.fps, frames)
    if one_pair is not None:
        size = frames.temporal_patch_size
        first = size * one_pair.randrange(len(times) // size)
        times = times[first : first + size]
    pictures, views_F = zip(*(render(scene, time) for time in times), strict=True)
    views_F = [[view for view in views if view.visible >= SEEN] for views in views_F]
    ways = _ways(scene, views_F)
    seen = [[_seen(scene, view, time, ways) for view in views] for time, views in zip(times, views_F, strict=True)]
    return frames_to_inputs(np.stack(pictures), times, frames, scene.duration), seen


def _seen(scene: Scene, view: View, time: float, ways: dict[int, str | None]) -> Seen:
    x0, y0, x1, y1 = view.box
    across, down = CELLS / scene.width, CELLS / scene.height
    body, placed = scene.bodies[view.body], None
    if scene.kind != "tao":  # whose annotations have no third dimension
        x, y, heading = body.at(time)
        placed = Placed(np.array([x, y, body.size[2] / 2]), np.array(body.size), yaw_axes(heading))
    middle = (x0 + x1) / 2 * across, (y0 + y1) / 2 * down
    return Seen(view.body, class_name(body.label), *middle, (y1 - y0) * down, placed, ways.get(view.body))


def _ways(scene: Scene, views_F: Sequence[Sequence[View]]) -> dict[int, str | None]:
    """By body: on a street as two seconds show it, in a meadow from the first to the last frame in which it is seen."""
    if scene.kind == "kitti":
        ahead = scene.camera.at(0.0).heading
        right_ahead = np.array([[np.sin(ahead), -np.cos(ahead)], [np.cos(ahead), np.sin(ahead)]])
        return {number: ground_way(right_ahead @ body.velocity * 2.0) for number, body in enumerate(scene.bodies)}
    ways = {}
    if scene.kind == "tao":
        for number in range(len(scene.bodies)):
            boxes = [np.array(view.box) for views in views_F for view in views if view.body == number]
            if len(boxes) > 1:
                moved = boxes[-1] - boxes[0]
                ways[number] = picture_way((moved[:2] + moved[2:]) / 2 / scene.width)
    return ways
