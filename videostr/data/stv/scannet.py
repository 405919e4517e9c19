"""ScanNet: boxes of whole rooms, from VSI-Bench's per-scene JSON or from the scans' own files.

FOLDER/*.json                  VSI-Bench: {scene: {object_counts, object_bbox: {class: [box, …]}, …}}; a box is
                               centroid, axesLengths, normalizedAxes (row k the axis of length k), metres, z up. They
                               are not in the frame of the poses, unless the scene has "frame": "scan"
FOLDER/scans/SCENE/            SCENE.aggregation.json, SCENE_vh_clean_2.0.010000.segs.json, SCENE_vh_clean_2.ply and
                               SCENE.txt (axisAlignment): boxes around the instances' vertices, in place of the JSON's
FOLDER/scans/SCENE/pose/N.txt  camera -> scan, 4 x 4, of frame N; with intrinsic/intrinsic_color.txt: what is seen when
FOLDER/videos/SCENE.mp4
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from videostr.data.readers.base import BadEntry, need
from videostr.data.readers.json_stream import json_entries
from videostr.data.samples import finite_number
from videostr.data.stv.geometry import ground_pose, upright_box, visible_shares
from videostr.data.stv.ply import read_vertices
from videostr.data.stv.scene import BadInput, Clip, Sources, Track, frame_seconds

FPS = 30.0
WIDTH, HEIGHT = 1296, 968
_STRUCTURE = frozenset(("wall", "floor", "ceiling", "object", "unknown", "otherfurniture", "otherprop", "remove"))
_LOOKS = 64  # poses that are looked at a scan, evenly: a person walks, half a second is enough

_NOWHERE = np.zeros(0, np.int64), None, np.eye(3), (WIDTH, HEIGHT)  # cameras that are not known

Box = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_scannet(folder: Path, sources: Sources) -> Iterator[tuple[str, str, Callable[[], Clip | None]]]:
    """The scenes of the JSON files in their order, then those of scans/ that no JSON had."""
    files, scans = sorted(folder.glob("*.json")), folder / "scans"
    if not files and not scans.is_dir():
        raise BadInput(f"{folder}: expected *.json with the boxes of scenes, or scans/SCENE/, found neither")
    done: set[str] = set()
    for path in files:
        for item in json_entries(path):
            if item.problem is not None or item.key is None:
                sources.problem(str(path), item.line, item.problem or "expected an object of scenes")
                continue
            if item.key in done:
                sources.problem(str(path), item.line, f"scene {item.key} was there before")
                continue
            done.add(item.key)
            scan = scans / item.key
            if (scan / f"{item.key}.aggregation.json").is_file():  # in the frame of the poses
                yield item.key, room_of(item.key), lambda scan=scan: _scanned(folder, scan, sources)
            else:
                yield item.key, room_of(item.key), lambda item=item, path=path: _listed(folder, path, item, sources)
    for scan in sorted(scans.iterdir()) if scans.is_dir() else ():
        if scan.name not in done and (scan / f"{scan.name}.aggregation.json").is_file():
            yield scan.name, room_of(scan.name), lambda scan=scan: _scanned(folder, scan, sources)


def room_of(scene: str) -> str:
    """scene0025_01 is the second scan of the room scene0025."""
    return re.sub(r"_[0-9]{2}$", "", scene)


def _listed(folder: Path, path: Path, item: Any, sources: Sources) -> Clip | None:
    tracks: list[tuple[str, Box]] = []
    try:
        boxes = need(item.value, "object_bbox", dict)
    except BadEntry as error:
        sources.problem(str(path), item.line, f"{item.key}: {error.detail}")
        return None
    counts = item.value.get("object_counts")
    short = set()
    for name, listed in boxes.items():
        for at, value in enumerate(listed if isinstance(listed, list) else [listed]):
            try:
                tracks.append((name, _box(value)))
            except BadEntry as error:
                short.add(_name(name))
                sources.problem(str(path), item.line, f"{item.key}, {name}[{at}]: {error.detail}")
    if isinstance(counts, dict):  # a class whose boxes are not as many as its count cannot be counted
        short |= {_name(name) for name, n in counts.items() if n != sum(_name(t) == _name(name) for t, _ in tracks)}
    # VSI-Bench's boxes are centred on the room, where no pose belongs; "frame": "scan" says that they are not.
    align = np.eye(4) if item.value.get("frame") == "scan" else None
    return _clip(folder, item.key, tracks, sources, align, short)


def _box(value: Any) -> Box:
    centre, size, axes = (
        _numbers(value, k, n) for k, n in (("centroid", 3), ("axesLengths", 3), ("normalizedAxes", 9))
    )
    axes = axes.reshape(3, 3)
    if not (size > 0).all():
        raise BadEntry(f"axesLengths: expected lengths > 0, got {size.tolist()}")
    if np.abs(axes @ axes.T - np.eye(3)).max() > 0.02:
        raise BadEntry("normalizedAxes: expected three unit vectors at right angles")
    return centre, size, axes


def _numbers(record: Any, name: str, count: int) -> np.ndarray:
    values = [finite_number(x) for x in need(record, name, list)]
    if len(values) != count or None in values:
        raise BadEntry(f"{name}: expected {count} finite numbers, got {record[name]!r:.60}")
    return np.array(values)


def _scanned(folder: Path, scan: Path, sources: Sources) -> Clip | None:
    name = scan.name
    files = {
        "groups": scan / f"{name}.aggregation.json",
        "segments": scan / f"{name}_vh_clean_2.0.010000.segs.json",
        "mesh": scan / f"{name}_vh_clean_2.ply",
    }
    current = files["groups"]
    try:
        groups = need(json.loads(current.read_bytes()), "segGroups", list)
        current = files["segments"]
        segment_V = np.asarray(need(json.loads(current.read_bytes()), "segIndices", list), np.int64)
        current = files["mesh"]
        vertex_V3 = read_vertices(current)
        if segment_V.shape != (len(vertex_V3),):
            raise BadEntry(f"{len(vertex_V3)} vertices, but {len(segment_V)} segment numbers")
        current = scan / f"{name}.txt"
        align = _alignment(current)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError, BadEntry) as error:
        sources.problem(str(current), 0, str(error))
        return None
    vertex_V3 = vertex_V3 @ align[:3, :3].T + align[:3, 3]
    order = np.argsort(segment_V, kind="stable")
    ordered = segment_V[order]
    tracks, short = [], set()
    for at, group in enumerate(groups):
        try:
            label = need(group, "label", str)
            wanted = np.asarray(need(group, "segments", list), np.int64)
            first, last = np.searchsorted(ordered, wanted), np.searchsorted(ordered, wanted, side="right")
            rows = [order[a:b] for a, b in zip(first, last, strict=True)]
            points = vertex_V3[np.concatenate(rows)] if rows else vertex_V3[:0]
            if len(points) < 8:
                raise BadEntry(f"{len(points)} vertices: too few for a box")
            centre, size, axes = upright_box(np.unique(np.round(points, 2), axis=0))
            tracks.append((label, (centre, np.maximum(size, 0.01), axes)))
        except (BadEntry, ValueError, TypeError, OverflowError) as error:
            if isinstance(group, dict) and isinstance(group.get("label"), str):
                short.add(_name(group["label"]))
            sources.problem(str(files["groups"]), 0, f"segGroups[{at}]: {error}")
    return _clip(folder, name, tracks, sources, align, short)


def _alignment(path: Path) -> np.ndarray:
    """(4, 4) scan -> aligned; the identity where the file has none. Raises BadEntry for something else in its place."""
    if not path.is_file():
        return np.eye(4)
    for line in path.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "axisAlignment":
            numbers = np.array([float(word) for word in value.split()])
            if numbers.shape != (16,) or not np.isfinite(numbers).all():
                raise BadEntry("axisAlignment: expected 16 finite numbers")
            return numbers.reshape(4, 4)
    return np.eye(4)


def _name(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _clip(
    folder: Path, scene: str, boxes: list[tuple[str, Box]], sources: Sources, align: np.ndarray | None, short: set[str]
) -> Clip | None:
    boxes = [(_name(name), box) for name, box in boxes if _name(name) and _name(name) not in _STRUCTURE]
    if not boxes:
        return None
    video = str(folder / "videos" / f"{scene}.mp4")
    scan = folder / "scans" / scene
    numbers, pose, intrinsics, (width, height) = _NOWHERE if align is None else _cameras(scan, align, sources)
    times, fps, there, duration = frame_seconds(sources, video, FPS, numbers)
    numbers, times, pose = numbers[there], times[there], None if pose is None else pose[there]
    centre, size, axes = (np.array([box[k] for _, box in boxes]) for k in range(3))
    shown = np.zeros((0, len(boxes)))
    if pose is not None:
        looks = np.unique(np.linspace(0, len(pose) - 1, min(_LOOKS, len(pose))).astype(int))
        numbers, times, pose = numbers[looks], times[looks], pose[looks]
        shown = np.array(
            [visible_shares(centre, size, axes, np.linalg.inv(p), intrinsics, width, height) for p in pose]
        )
        pose = np.stack([ground_pose(p) for p in pose])
    tracks = []
    for k, (name, _) in enumerate(boxes):
        seen = np.flatnonzero(shown[:, k] > 0) if pose is not None else np.zeros(0, np.int64)
        visible = shown[seen, k] if pose is not None else np.zeros(0)
        tracks.append(Track(str(k + 1), name, seen, visible, None, centre[k][None], axes[k][None], size[k]))
    complete = frozenset(name for name, _ in boxes) - short
    return Clip(
        "scannet", scene, room_of(scene), video, numbers, times, width, height, fps, tracks,
        static=True, pose_T44=pose, complete=complete, duration=duration,
    )  # fmt: skip


def _cameras(scan: Path, align: np.ndarray, sources: Sources):
    """(frame numbers, camera -> aligned world (T, 4, 4) or None, intrinsics (3, 3), (width, height))."""
    size, none = _NOWHERE[3], _NOWHERE[:3]
    path = scan / "intrinsic" / "intrinsic_color.txt"
    files = sorted(((int(p.stem), p) for p in (scan / "pose").glob("*.txt") if p.stem.isdecimal()), key=lambda x: x[0])
    if not files or not path.is_file():
        sources.notes["scannet scenes without poses"] += 1
        return *none, size
    try:
        intrinsics = _matrix(path)[:3, :3]
    except (OSError, ValueError) as error:
        sources.problem(str(path), 0, str(error))
        return *none, size
    text = scan / f"{scan.name}.txt"
    if text.is_file():
        found = dict(
            re.findall(r"^(colorWidth|colorHeight)\s*=\s*([0-9]{1,5})\s*$", text.read_text("utf-8", "replace"), re.M)
        )
        size = (int(found.get("colorWidth", size[0])), int(found.get("colorHeight", size[1])))
    numbers, poses = [], []
    for frame, file in files:
        try:
            pose = _matrix(file)
        except (OSError, ValueError) as error:
            if "finite" in str(error):  # how ScanNet marks a frame whose pose was lost
                sources.notes["scannet frames whose pose was lost"] += 1
            else:
                sources.problem(str(file), 0, str(error))
            continue
        numbers.append(frame)
        poses.append(align @ pose)
    if not poses:
        return *none, size
    return np.array(numbers), np.stack(poses), intrinsics, size


def _matrix(path: Path) -> np.ndarray:
    values = np.array([float(word) for word in path.read_text("utf-8", "replace").split()])
    if values.shape != (16,):
        raise ValueError(f"expected 16 numbers, got {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite numbers")
    return values.reshape(4, 4)
