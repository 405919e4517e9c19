"""A room in ScanNet's files (aggregation, segmentation, mesh, axis alignment), and as VSI-Bench's JSON of boxes."""

import json
import math
from pathlib import Path

import numpy as np

from videostr import atomic
from videostr.data.scenes.plan import NATIVE, Scene
from videostr.data.scenes.render import corners

MESH = "_vh_clean_2"
SEGMENTS = f"{MESH}.0.010000.segs.json"
STEPS = 5  # points along each edge of a body's surface, in the mesh


def boxes(scene: Scene) -> dict:
    """What VSI-Bench publishes of a scene: room size (square metres) and centre, counts, oriented boxes by class."""
    found: dict[str, list[dict]] = {}
    for body in scene.bodies:
        points = corners(body, 0.0)
        x, y, heading = body.at(0.0)
        sin, cos = math.sin(heading), math.cos(heading)
        found.setdefault(body.label, []).append(
            {
                "centroid": [x, y, body.size[2] / 2],
                "axesLengths": list(body.size),
                "normalizedAxes": [cos, sin, 0.0, -sin, cos, 0.0, 0.0, 0.0, 1.0],
                "min": points.min(0).tolist(),
                "max": points.max(0).tolist(),
            }
        )
    return {
        "dataset": "scannet",
        "room_size": scene.room[0] * scene.room[1],
        "room_center": [0.0, 0.0, 1.25],
        "object_counts": {label: len(list_) for label, list_ in found.items()},
        "object_bbox": found,
    }


def write(directory: Path, name: str, scene: Scene) -> None:
    """scans/NAME/… under `directory`: the mesh has one segment a body, and one for the floor, which has no label."""
    folder = directory / "scans" / name
    (folder / "pose").mkdir(parents=True, exist_ok=True)
    (folder / "intrinsic").mkdir(exist_ok=True)
    points, segments, groups = [], [], []
    for number, body in enumerate(scene.bodies):
        points.append(_surface(corners(body, 0.0)))
        segments += [number] * len(points[-1])
        groups.append({"id": number, "objectId": number, "segments": [number], "label": body.label})
    width, depth = scene.room
    floor = np.array([[x, y, 0.0] for y in (-depth / 2, depth / 2) for x in (-width / 2, width / 2)])
    segments += [len(groups)] * len(floor)
    (folder / f"{name}{MESH}.ply").write_bytes(_mesh(np.concatenate([*points, floor])))
    source = f"scannet.{name}{SEGMENTS}"
    (folder / f"{name}{SEGMENTS}").write_text(json.dumps({"sceneId": name, "segIndices": segments}))
    (folder / f"{name}.txt").write_text(
        f"axisAlignment = {' '.join(f'{value:.6f}' for value in np.eye(4).flatten())}\n"
        f"colorHeight = {NATIVE['scannet'][1]}\ncolorWidth = {NATIVE['scannet'][0]}\nnumColorFrames = {scene.frames}\n",
    )
    _write_cameras(folder, scene)
    # Last, and all or nothing: its presence says that the others are whole.
    aggregation = {"sceneId": f"scannet.{name}", "appId": "Aggregator.v2", "segGroups": groups, "segmentsFile": source}
    atomic.write_json(folder / f"{name}.aggregation.json", aggregation, indent=None)


def _write_cameras(folder: Path, scene: Scene) -> None:
    """intrinsic/intrinsic_color.txt, and pose/N.txt: camera -> scan, of every frame."""
    across, down = (native / own for native, own in zip(NATIVE["scannet"], (scene.width, scene.height), strict=True))
    camera = scene.camera.start
    intrinsics = np.diag([camera.focal * across, camera.focal * down, 1.0, 1.0])
    intrinsics[:2, 2] = camera.centre[0] * across, camera.centre[1] * down
    (folder / "intrinsic/intrinsic_color.txt").write_text(_matrix(intrinsics))
    for index in range(scene.frames):
        camera = scene.camera.at(index / scene.fps)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = camera.rotation.T, camera.position
        (folder / f"pose/{index}.txt").write_text(_matrix(pose))


def _matrix(matrix_44: np.ndarray) -> str:
    return "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in matrix_44)


def _surface(corners_83: np.ndarray) -> np.ndarray:
    """Points on the faces of a box, its corners among them."""
    share = np.linspace(0, 1, STEPS)
    grid = np.stack(np.meshgrid(share, share, share, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[((grid == 0) | (grid == 1)).any(1)]
    origin = corners_83[0]
    axes = np.stack([corners_83[1] - origin, corners_83[2] - origin, corners_83[4] - origin])
    return origin + grid @ axes


def _mesh(points_N3: np.ndarray) -> bytes:
    """A binary PLY of vertices, as ScanNet's, without faces."""
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points_N3)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    header += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue", "alpha"))
    header += "element face 0\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.zeros(len(points_N3), [("xyz", "<f4", 3), ("rgba", "u1", 4)])
    rows["xyz"], rows["rgba"] = points_N3, 255
    return header.encode() + rows.tobytes()
