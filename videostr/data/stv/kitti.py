"""KITTI tracking: label_02/SEQ.txt, oxts/SEQ.txt and calib/SEQ.txt (both for poses), videos/SEQ.mp4; image_02/SEQ/*.png
for the pictures' size, 1242 x 375 where they are not there.

Format: the devkit's readme of the tracking benchmark. A label line: frame, track, type, truncated, occluded, alpha,
left, top, right, bottom, height, width, length, x, y, z (bottom centre, camera axes), rotation_y.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from videostr.data.readers.base import BadEntry, number
from videostr.data.readers.json_stream import text_lines
from videostr.data.stv.geometry import ground_pose, oxts_poses, yaw_axes
from videostr.data.stv.scene import BadInput, Clip, Sources, Track, frame_seconds

FPS = 10.0
WIDTH, HEIGHT = 1242, 375
_NAMES = {"person sitting": "sitting person", "person": "sitting person", "misc": ""}
_OCCLUDED = {0: 1.0, 1: 0.6, 2: 0.3, 3: 0.0}  # what the levels mean in numbers is ours (O)
_COLUMNS = 17


def read_kitti(folder: Path, sources: Sources) -> Iterator[tuple[str, str, Callable[[], Clip | None]]]:
    """Every sequence of label_02, in the order of their names."""
    labels = sorted((folder / "label_02").glob("*.txt"))
    if not labels:
        raise BadInput(f"{folder}: expected KITTI tracking's label_02/*.txt, found none")
    for path in labels:
        yield path.stem, path.stem, lambda path=path: _read(folder, path, sources)


def _read(folder: Path, path: Path, sources: Sources) -> Clip | None:
    video = str(folder / "videos" / f"{path.stem}.mp4")
    rows: dict[int, dict[int, tuple]] = {}
    names: dict[int, str] = {}
    for item in text_lines(path):
        try:
            if item.problem is not None:
                raise BadEntry(item.problem)
            label = _label(item.value)
            if label is None:
                continue
            frame, track, name, values = label
            if names.setdefault(track, name) != name:
                raise BadEntry(f"track {track} was a {names[track]} before, is a {name} here")
            if frame in rows.setdefault(track, {}):
                raise BadEntry(f"track {track} stands twice in frame {frame}")
            rows[track][frame] = values
        except BadEntry as error:
            sources.problem(str(path), item.line, error.detail)
    last = max((frame for track in rows.values() for frame in track), default=-1)
    if last < 0:
        return None
    numbers = np.arange(last + 1)
    times, fps, there, duration = frame_seconds(sources, video, FPS, numbers)
    numbers, times = numbers[there], times[there]
    pose = _poses(folder, path.stem, len(numbers), sources)
    tracks = [_track(track, names[track], rows[track], pose, len(numbers)) for track in sorted(rows)]
    width, height = _picture_size(folder / "image_02" / path.stem)
    return Clip(
        "kitti", path.stem, path.stem, video, numbers, times, width, height, fps,
        [track for track in tracks if len(track.frame_F)], pose_T44=pose, duration=duration,
    )  # fmt: skip


def _picture_size(folder: Path) -> tuple[int, int]:
    """Pixels that the labels count: of the drive's first picture, where pictures are there; they differ by a few. The
    video may have another size."""
    first = min(folder.glob("*.png"), default=None) if folder.is_dir() else None
    if first is not None:
        with open(first, "rb") as file:
            head = file.read(24)
        if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 24:
            return struct.unpack(">II", head[16:])
    return WIDTH, HEIGHT


def _label(text: str) -> tuple | None:
    """(frame, track, class, (visible, box, size, centre, yaw)); None for what is to be ignored."""
    words = text.split()
    if len(words) not in (_COLUMNS, _COLUMNS + 1):  # results have a score behind
        raise BadEntry(f"expected {_COLUMNS} columns, got {len(words)}")
    frame, track = (number(word, what) for word, what in zip(words[:2], ("frame", "track"), strict=True))
    if frame < 0 or frame != int(frame) or track != int(track) or frame > 1e7:
        raise BadEntry(f"expected whole numbers for frame and track, got {words[0]!r:.20} and {words[1]!r:.20}")
    values = [number(word, f"column {at}") for at, word in enumerate(words[3:_COLUMNS], start=4)]
    name = words[2].replace("_", " ").lower()
    name = _NAMES.get(name, name)
    if name in ("dontcare", "") or track < 0:
        return None
    truncated, occluded, _, *box = values[:7]
    height, width, length, x, y, z, turn = values[7:]
    if box[2] <= box[0] or box[3] <= box[1]:
        raise BadEntry(f"expected a box with right > left and bottom > top, got {box}")
    if min(height, width, length) <= 0 or not np.isfinite(values).all():
        raise BadEntry(f"expected lengths > 0, got {[height, width, length]}")
    cut = {0.0: 1.0, 1.0: 0.6, 2.0: 0.3}.get(truncated, max(0.0, 1.0 - truncated))
    visible = cut * _OCCLUDED.get(int(occluded), 0.0)
    centre = (x, z, height / 2 - y)  # camera axes: y down, the place is the bottom's
    return int(frame), int(track), name, (visible, box, (length, width, height), centre, -turn)


def _track(track: int, name: str, rows: dict[int, tuple], pose: np.ndarray | None, count: int) -> Track:
    frames = np.array(sorted(frame for frame in rows if frame < count), np.int64)
    picked = [rows[int(frame)] for frame in frames]
    centre = np.array([values[3] for values in picked]).reshape(-1, 3)
    axes = np.array([yaw_axes(values[4]) for values in picked]).reshape(-1, 3, 3)
    if pose is not None and len(frames):
        turn = pose[frames, :3, :3]
        centre = np.einsum("fij,fj->fi", turn, centre) + pose[frames, :3, 3]
        axes = axes @ turn.transpose(0, 2, 1)
    visible, boxes = np.array([values[0] for values in picked]), np.array([values[1] for values in picked])
    size = np.median([values[2] for values in picked], axis=0) if picked else np.ones(3)
    return Track(str(track), name, frames, visible, boxes.reshape(-1, 4), centre, axes, size)


def _poses(folder: Path, scene: str, count: int, sources: Sources) -> np.ndarray | None:
    """(T, 4, 4) ground of the camera -> ground of the first frame's camera; None where they are not known."""
    oxts, calib = folder / "oxts" / f"{scene}.txt", folder / "calib" / f"{scene}.txt"
    if not oxts.is_file() or not calib.is_file():
        sources.notes["kitti sequences without poses"] += 1
        return None
    rows: list[list[float]] = []
    at = 0
    try:
        to_camera = _calibration(calib)
        at = 1
        for item in text_lines(oxts):
            at = item.line
            words = [] if item.problem is not None else item.value.split()
            if len(words) < 6:
                raise BadEntry(f"expected at least 6 columns, got {len(words)}: no poses for {scene}")
            rows.append([number(word, f"column {at}") for at, word in enumerate(words[:6], start=1)])
        at = len(rows) + 1
        if len(rows) < count:
            raise BadEntry(f"{len(rows)} lines for {count} frames: no poses for {scene}")
    except BadEntry as error:
        sources.problem(str(oxts if at else calib), at, error.detail)
        return None
    camera = oxts_poses(np.array(rows[:count])) @ np.linalg.inv(to_camera)  # camera -> the oxts' world
    ground = np.stack([ground_pose(pose) for pose in camera])
    return np.linalg.inv(ground[0]) @ ground


def _calibration(path: Path) -> np.ndarray:
    """(4, 4) the inertial unit's axes -> the rectified camera's: R_rect · Tr_velo_cam · Tr_imu_velo."""
    found: dict[str, np.ndarray] = {}
    for item in text_lines(path):
        words = [] if item.problem is not None else item.value.replace(":", " ").split()
        if not words:
            continue
        key = words[0].lower().replace("_to_", "_")
        key = {"tr_imu_velo": "imu", "tr_velo_cam": "velo", "r_rect": "rect", "r0_rect": "rect"}.get(key)
        if key is None:
            continue
        values = [number(word, f"{path.name}, {words[0]}") for word in words[1:]]
        if len(values) != (9 if key == "rect" else 12):
            raise BadEntry(f"{words[0]}: expected {9 if key == 'rect' else 12} numbers, got {len(values)}")
        matrix = np.eye(4)
        shape = (3, 3) if key == "rect" else (3, 4)
        matrix[:3, : shape[1]] = np.array(values).reshape(shape)
        found[key] = matrix
    missing = {"imu", "velo", "rect"} - set(found)
    if missing:
        raise BadEntry(f"{path.name}: expected R_rect, Tr_velo_cam and Tr_imu_velo, {len(missing)} of them are missing")
    return found["rect"] @ found["velo"] @ found["imu"]
