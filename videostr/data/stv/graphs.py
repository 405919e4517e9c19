"""The true relation graph of a question: the objects of the classes that it mentions, and some around them."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np

from videostr.data.stv.question import box_1000
from videostr.data.stv.scene import Clip, Track
from videostr.graph import CELLS, Coordinates, Frame, Node, graph_to_json, grid_before, grid_over

Style = Literal["grid", "metres", "image"]
STYLES = ("grid", "metres", "image")
_MOST, _CONTEXT = 16, 5  # nodes a frame; so many at least, where there are
SEEN = 0.3  # the share of an object that must be seen in a frame to be in its graph


class Grapher:
    """Graphs of one clip, each made once.

    style: "grid", 10 x 10 cells, from above where places in metres are known, else in the picture; "metres", three
    coordinates, where they are known; "image", 0 to 1 of the picture, where there are boxes. What a clip does not have
    falls back to the grid.
    """

    def __init__(self, clip: Clip, style: Style = "grid"):
        self.clip, self.style, self.known = clip, style, {}

    def __call__(self, frames: tuple[int, ...], names: tuple[str, ...]) -> tuple[str, str, str] | None:
        """(graph, coordinates, boxes) as JSON text; None where there is no node, or only too many to write down."""
        key = (frames if not self.clip.static else (), tuple(sorted(names)))
        if key not in self.known:
            self.known[key] = self._make(*key)
        return self.known[key]

    def _make(self, frames: tuple[int, ...], names: tuple[str, ...]) -> tuple[str, str, str] | None:
        tracks = self._choose(frames, names)
        if not tracks:
            return None
        if self.clip.static:
            made = _room(self.clip, tracks, self.style)
        elif self.clip.spatial and self.style != "image":
            made = _drive(self.clip, tracks, frames, self.style)
        else:
            made = _picture(self.clip, tracks, frames, self.style)
        if made is None:
            return None
        graph, coordinates, digits = made
        value = graph_to_json(graph, digits=digits)
        boxes = [] if self.clip.static else [_boxes(self.clip, tracks, frame) for frame in frames]
        return _dump(value), _dump(coordinates.to_json()), _dump(boxes)

    def _choose(self, frames: tuple[int, ...], names: tuple[str, ...]) -> list[Track]:
        """All of the classes that are mentioned; then the largest of others, until there are some to relate them to."""
        there = [t for t in self.clip.tracks if self.clip.static or any(_shown(t, frame) for frame in frames)]
        chosen = [track for track in there if track.name in names]
        if len(chosen) > _MOST:
            return []
        others = [track for track in there if track.name not in names]
        single = {track.name for track in others if sum(o.name == track.name for o in others) == 1}
        others = [track for track in others if track.name in single]
        others.sort(key=lambda track: (-_extent(track), track.id))
        return chosen + others[: max(0, _CONTEXT - len(chosen))]


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shown(track: Track, frame: int) -> bool:
    row = track.row(frame)
    return row is not None and track.visible_F[row] >= SEEN


def _boxes(clip: Clip, tracks: list[Track], frame: int) -> dict[str, tuple]:
    """The graph's objects in the picture, in thousandths, by id."""
    shown = [track for track in tracks if track.box_F4 is not None and _shown(track, frame)]
    return {track.id: box_1000(clip, track, track.row(frame)) for track in shown}


def _extent(track: Track) -> float:
    if track.size_3 is not None:
        return float(np.prod(np.maximum(track.size_3, 0.01)))
    box = track.box_F4
    return float(np.median((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])))


def _on_ground(time, places: list[list[np.ndarray]], tracks, style, axes: dict) -> tuple:
    """places: a list a frame of (3,), or None where an object is not there."""
    everywhere = [p for frame in places for p in frame if p is not None]
    if style == "metres":
        coordinates, digits = Coordinates("metres", dimensions=3, **axes), 1
    elif axes["axes"] == "camera":
        camera, cell = grid_before(everywhere)
        x, y = -camera[0] * cell, -camera[1] * cell
        coordinates, digits = Coordinates("grid", cell=round(cell, 6), camera=camera, **axes), 1
    else:
        x, y, cell = grid_over(everywhere)
        coordinates, digits = Coordinates("grid", cell=round(cell, 6), **axes), 1
    frames = []
    for at, frame in zip(time, places, strict=True):
        nodes = []
        for track, place in zip(tracks, frame, strict=True):
            if place is None:
                continue
            where = tuple(place) if style == "metres" else ((place[0] - x) / cell, (place[1] - y) / cell)
            nodes.append(Node(track.name, tuple(map(float, where)), track.id))
        frames.append(Frame(at, tuple(nodes)))
    return tuple(frames), coordinates, digits


def _room(clip: Clip, tracks: list[Track], style: Style) -> tuple | None:
    places = [track.centre_F3[0] for track in tracks]
    if clip.pose_T44 is not None:
        turn, axes = _level(clip.pose_T44[0]), {"axes": "camera", "time": round(float(clip.times_T[0]), 2)}
        places = [turn @ (place - clip.pose_T44[0, :3, 3]) for place in places]
        return _on_ground([None], [places], tracks, style, axes)
    # The camera is not known: the axes are told by two objects that are the only ones of their class, far apart.
    single = [k for k, track in enumerate(tracks) if len(clip.by_name[track.name]) == 1]
    pairs = [(float(np.linalg.norm((places[a] - places[b])[:2])), a, b) for a in single for b in single if a < b]
    length, a, b = max(pairs, default=(0.0, 0, 0))
    if length < 1.0:
        return _on_ground([None], [places], tracks, style, {"axes": "free"})
    ahead = (places[b] - places[a])[:2] / length
    turn = np.array([[ahead[1], -ahead[0], 0.0], [ahead[0], ahead[1], 0.0], [0.0, 0.0, 1.0]])
    axes = {"axes": "towards", "between": (tracks[a].name, tracks[b].name)}
    return _on_ground([None], [[turn @ place for place in places]], tracks, style, axes)


def _level(pose_44: np.ndarray) -> np.ndarray:
    """(3, 3) world -> x to the right and y ahead of the camera, z up: its pitch and roll left out."""
    ahead = pose_44[:2, 1]
    length = np.linalg.norm(ahead)
    x, y = ahead / length if length > 1e-6 else (0.0, 1.0)
    return np.array([[y, -x, 0.0], [x, y, 0.0], [0.0, 0.0, 1.0]])


def _drive(clip: Clip, tracks: list[Track], frames: tuple[int, ...], style: Style) -> tuple | None:
    origin = clip.pose_T44[frames[0]] if clip.pose_T44 is not None else np.eye(4)
    turn = _level(origin)
    places = [
        [turn @ (t.centre_F3[t.row(f)] - origin[:3, 3]) if _shown(t, f) else None for t in tracks] for f in frames
    ]
    if not any(place is not None for frame in places for place in frame):
        return None
    times = [round(float(clip.times_T[frame]), 2) for frame in frames]
    axes: dict[str, Any] = {"axes": "camera"}
    if clip.pose_T44 is not None:
        axes["time"] = times[0]
    return _on_ground(times, places, tracks, style, axes)


def _picture(clip: Clip, tracks: list[Track], frames: tuple[int, ...], style: Style) -> tuple | None:
    scale = 1.0 if style == "image" else float(CELLS)
    graph = []
    for frame in frames:
        nodes = []
        for track in tracks:
            if _shown(track, frame):
                x1, y1, x2, y2 = track.box_F4[track.row(frame)]
                place = (scale * float(x1 + x2) / 2 / clip.width, scale * float(y1 + y2) / 2 / clip.height)
                nodes.append(Node(track.name, place, track.id))
        graph.append(Frame(round(float(clip.times_T[frame]), 2), tuple(nodes)))
    if not any(frame.nodes for frame in graph):
        return None
    unit = "image" if style == "image" else "grid"
    return tuple(graph), Coordinates(unit, axes="image"), 2 if style == "image" else 1
