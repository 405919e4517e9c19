"""The true graph of a drawn scene, in the coordinates in which the STV builder gives it for the written one."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from videostr.data.scenes import Body, Scene, View, render, tao
from videostr.data.scenes.camera import Camera
from videostr.data.stv.graphs import Grapher
from videostr.data.stv.scene import Clip, Track
from videostr.graph import class_name


def annotated_times(scene: Scene) -> list[float]:
    """The seconds of the frames that the scene's set annotates."""
    return [index / scene.fps for index in (tao.annotated(scene) if scene.kind == "tao" else range(scene.frames))]


def layout(scene: Scene, times: Sequence[float]) -> dict[str, Any] | None:
    """`graph` and `coordinates` as the questions have them, of the frames at `times`; None where nothing is seen in
    them. A room has one time, its camera's first."""
    views_F = [{view.body: view for view in render(scene, time)[1]} for time in times]
    tracks = []
    for number, body in enumerate(scene.bodies):
        rows = [(frame, views[number]) for frame, views in enumerate(views_F) if number in views]
        if scene.room or rows:
            tracks.append(_track(scene, number, body, times, rows))
    poses = np.stack([_pose(scene.camera.at(time)) for time in times]) if scene.kind != "tao" else None
    clip = Clip(
        source=scene.kind,
        scene="",
        group="",
        video="",
        number_T=np.arange(len(times)),
        times_T=np.array(times),
        width=scene.width,
        height=scene.height,
        fps=scene.fps,
        tracks=tracks,
        static=scene.room is not None,
        pose_T44=poses,
    )
    made = Grapher(clip)(tuple(range(len(times))), tuple(clip.by_name))
    return None if made is None else {"graph": json.loads(made[0]), "coordinates": json.loads(made[1])}


def _track(scene: Scene, number: int, body: Body, times: Sequence[float], rows: Sequence[tuple[int, View]]) -> Track:
    placed = scene.kind != "tao"
    where = [0.0] if scene.room else [times[frame] for frame, _ in rows]
    return Track(
        id=str(number),
        name=class_name(body.label),
        frame_F=np.array([frame for frame, _ in rows], np.int64),
        visible_F=np.array([view.visible for _, view in rows]),
        box_F4=np.array([view.box for _, view in rows]) if not scene.room else None,
        centre_F3=np.array([[*body.at(time)[:2], body.size[2] / 2] for time in where]) if placed else None,
        size_3=np.array(body.size) if placed else None,
    )


def _pose(camera: Camera) -> np.ndarray:
    """(4, 4): the ground of the camera (x right, y ahead, z up) -> world."""
    sin, cos = math.sin(camera.heading), math.cos(camera.heading)
    pose_44 = np.eye(4)
    pose_44[:3, :3] = [[sin, cos, 0.0], [-cos, sin, 0.0], [0.0, 0.0, 1.0]]
    pose_44[:3, 3] = camera.position
    return pose_44
