"""A clip with its annotations, whatever set it comes from: what the readers make and the tasks ask about."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videostr.data.stv.geometry import corners


@dataclass
class Track:
    """One object. Arrays have a row for each of its frames, which rise; `frame_F` are indices into the clip's times.

    box_F4: x1, y1, x2, y2 in pixels, or None. centre_F3, axes_F33 (metres, in the clip's world) and size_3, or None.
    visible_F: how much of it the picture shows, 0 to 1. A static object of a scan has one row of centre and axes, and
    the frames in which it is seen; none where the camera's poses are not known.
    """

    id: str
    name: str
    frame_F: np.ndarray
    visible_F: np.ndarray
    box_F4: np.ndarray | None = None
    centre_F3: np.ndarray | None = None
    axes_F33: np.ndarray | None = None
    size_3: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._rows = {frame: row for row, frame in enumerate(self.frame_F.tolist())}

    def row(self, frame: int) -> int | None:
        """The row of a frame, or None where the object is not annotated in it."""
        return self._rows.get(frame)

    @property
    def longest(self) -> float:
        """Metres."""
        return float(self.size_3.max())


@dataclass
class Clip:
    """source: "kitti", "scannet" or "tao". scene: its name there. group: what must not be split between training and
    validation (a room that was scanned twice). video: absolute path. number_T: the video's own frame numbers, from 0;
    times_T: their seconds from the first frame. width, height: pixels. fps: frames a second of the video.

    static: the objects stand still, and positions are in one world. pose_T44: ground of the camera (x right, y ahead,
    z up) -> world at each time; None: not known, and moving objects' positions are each in their own frame's camera.
    complete: classes all of whose objects are annotated; None: all. duration: seconds of the whole video, if known.
    """

    source: str
    scene: str
    group: str
    video: str
    number_T: np.ndarray
    times_T: np.ndarray
    width: int
    height: int
    fps: float
    tracks: list[Track]
    static: bool = False
    pose_T44: np.ndarray | None = None
    complete: frozenset[str] | None = None
    duration: float | None = None
    by_name: dict[str, list[Track]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {}
        for track in self.tracks:
            self.by_name.setdefault(track.name, []).append(track)

    @property
    def spatial(self) -> bool:
        """Whether the objects have places in metres."""
        return bool(self.tracks) and self.tracks[0].centre_F3 is not None

    @property
    def end(self) -> float:
        """Seconds at which the last annotated frame ends."""
        return float(self.times_T[-1]) + 1.0 / self.fps if len(self.times_T) else 0.0

    def corners_of(self, track: Track, row: int) -> np.ndarray:
        """(8, 3)."""
        return corners(track.centre_F3[row][None], track.size_3[None], track.axes_F33[row][None])[0]


class BadInput(ValueError):
    """A folder that cannot be read as the set it is said to be; names it."""


@dataclass
class Sources:
    """How readers report and find things.

    problem: called with (file, line, what) for every annotation that is left out. frame_times: video path -> seconds of
    its frames, or None where there is no such file; None: never asked, and the sets' frame rates are taken.
    work: a folder for what does not fit in memory.
    """

    problem: Callable[[str, int, str], None]
    work: Path
    frame_times: Callable[[str], Any] | None = None
    notes: Counter = field(default_factory=Counter)


Reader = Callable[[Path, Sources], Iterator[tuple[str, str, Callable[[], "Clip | None"]]]]
"""(folder, sources) -> (scene, group, read it), so that a scene that is done or left out costs nothing."""


def frame_seconds(
    sources: Sources, video: str, fps: float, numbers: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, float | None]:
    """(seconds of the frames, frames a second, which of them the video has, the whole video's length or None), from the
    file where it is there."""
    seconds = None if sources.frame_times is None else sources.frame_times(video)
    if seconds is None or not len(seconds):
        if sources.frame_times is not None and os.path.isfile(video):
            sources.notes["videos that cannot be read"] += 1
        return numbers / fps, fps, np.ones(len(numbers), bool), None
    seconds = np.asarray(seconds, np.float64)
    there = numbers < len(seconds)
    rate = (len(seconds) - 1) / (seconds[-1] - seconds[0]) if len(seconds) > 1 and seconds[-1] > seconds[0] else fps
    duration = round(float(seconds[-1] + 1 / rate), 3)
    return seconds[np.minimum(numbers, len(seconds) - 1)], float(rate), there, duration
