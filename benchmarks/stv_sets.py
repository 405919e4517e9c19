"""Annotations at random in the formats of KITTI tracking, ScanNet and TAO, of any size: for benchmark and tests."""

import json
import math
from pathlib import Path

import numpy as np

INDOOR = "bed sofa table lamp door tv fridge sink desk plant mirror clock stove toilet bathtub printer".split()
OUTDOOR = ["Car", "Van", "Truck", "Pedestrian", "Cyclist", "Tram"]
LENGTHS = {"Car": 4, "Van": 5.5, "Truck": 9, "Pedestrian": 1.7, "Cyclist": 1.8, "Tram": 14}
TAO = [f"thing_{k}" for k in range(40)]

CALIB = """P2: 721.5 0 609.5 44.8 0 721.5 172.8 0.2 0 0 1 0.003
R_rect 1 0 0 0 1 0 0 0 1
Tr_velo_cam 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
Tr_imu_velo 1 0 0 -0.81 0 1 0 0.32 0 0 1 -0.8
"""


def write_kitti(folder: Path, sequences: int, frames: int, rng: np.random.Generator, poses: bool = True) -> None:
    for name in ("label_02", "calib", "oxts", "videos"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for sequence in range(sequences):
        lines, speed, bend = [], rng.uniform(0, 12), rng.uniform(-0.1, 0.1)
        ego = []  # x, y, yaw
        x = y = 0.0
        yaw = 0.3
        for _ in range(frames):
            ego.append((x, y, yaw))
            x, y, yaw = x + speed * 0.1 * math.cos(yaw), y + speed * 0.1 * math.sin(yaw), yaw + bend * 0.1
        for track in range(max(12, frames // 8)):
            kind = OUTDOOR[int(rng.choice(6, p=[0.4, 0.1, 0.1, 0.2, 0.15, 0.05]))]
            size = LENGTHS[kind] * rng.uniform(0.85, 1.15) * np.array([0.35, 0.4, 1.0])  # h, w, l
            first = int(rng.integers(0, max(1, frames - 10)))
            sx, sy, _ = ego[first]
            place = np.array([sx, sy]) + rng.uniform([5, -12], [45, 12]) @ _turn(ego[first][2]).T
            heading, pace = rng.uniform(-math.pi, math.pi), rng.choice([0.0, rng.uniform(1, 10)])
            for frame in range(first, min(frames, first + int(rng.integers(10, 80)))):
                at = place + 0.1 * (frame - first) * pace * np.array([math.cos(heading), math.sin(heading)])
                ahead, left = (at - ego[frame][:2]) @ _turn(ego[frame][2])
                if not 3 < ahead < 60:
                    continue
                cx, cz = -left, ahead
                u = 609.5 + 721.5 * cx / cz
                bottom, top = (172.8 + 721.5 * y / cz for y in (1.65, 1.65 - size[0]))
                half = 721.5 * max(size[1], size[2] / 2) / cz / 2
                if not 0 < u < 1240:
                    continue
                turn = -(heading - ego[frame][2]) - math.pi / 2
                box = [max(u - half, 0), max(top, 0), min(u + half, 1241), min(bottom, 374)]
                if box[3] <= box[1] or box[2] <= box[0]:
                    continue
                occluded = int(rng.choice(3, p=[0.8, 0.15, 0.05]))
                numbers = [*box, *size, cx, 1.65, cz, math.remainder(turn, 2 * math.pi)]
                lines.append(
                    (frame, f"{frame} {track} {kind} 0 {occluded} 0.0 " + " ".join(f"{v:.4f}" for v in numbers))
                )
            lines.append((first, f"{first} -1 DontCare -1 -1 -10 1 1 9 9 -1000 -1000 -1000 -10 -1 -1 -1"))
        lines.sort(key=lambda line: line[0])
        name = f"{sequence:04d}"
        (folder / "label_02" / f"{name}.txt").write_text("\n".join(text for _, text in lines) + "\n")
        (folder / "videos" / f"{name}.mp4").touch()
        if poses:
            (folder / "calib" / f"{name}.txt").write_text(CALIB)
            scale = math.cos(math.radians(49.0))
            oxts = []
            for x, y, yaw in ego:
                north = 6378137.0 * math.log(math.tan(math.radians(90 + 49.0) / 2)) + y / scale
                lat = math.degrees(2 * math.atan(math.exp(north / 6378137.0))) - 90
                lon = 8.4 + math.degrees(x / scale / 6378137.0)
                oxts.append(f"{lat:.12f} {lon:.12f} 110 0 0 {yaw:.9f} " + " ".join("0" * 24))
            (folder / "oxts" / f"{name}.txt").write_text("\n".join(oxts) + "\n")


def _turn(yaw: float) -> np.ndarray:
    return np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])


def write_scannet(folder: Path, scenes: int, rng: np.random.Generator, poses: int = 0) -> None:
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    listed = {}
    for scene in range(scenes):
        name = f"scene{scene // 2:04d}_{scene % 2:02d}"
        boxes: dict[str, list] = {}
        for kind in [*rng.permutation(INDOOR)[: int(rng.integers(7, 14))], *["chair"] * int(rng.integers(1, 7))]:
            yaw, size = rng.uniform(0, math.pi), rng.uniform(0.2, 2.2) * rng.uniform(0.4, 1.0, 3)
            c, s = math.cos(yaw), math.sin(yaw)
            box = {
                "centroid": [*rng.uniform(-3.5, 3.5, 2), float(size[2] / 2)],
                "axesLengths": size.tolist(),
                "normalizedAxes": [c, s, 0, -s, c, 0, 0, 0, 1],
            }
            boxes.setdefault(str(kind), []).append(box)
        listed[name] = {"object_counts": {k: len(v) for k, v in boxes.items()}, "object_bbox": boxes, "frame": "scan"}
        (folder / "videos" / f"{name}.mp4").touch()
        if poses:
            scan = folder / "scans" / name
            (scan / "pose").mkdir(parents=True)
            (scan / "intrinsic").mkdir()
            matrix = "\n".join(["1170 0 648 0", "0 1170 484 0", "0 0 1 0", "0 0 0 1"])
            (scan / "intrinsic" / "intrinsic_color.txt").write_text(matrix)
            for frame in range(poses):
                yaw = 2 * math.pi * frame / poses
                pose = np.eye(4)
                c, s = math.cos(yaw), math.sin(yaw)
                pose[:3, :3] = np.array([[s, -c, 0], [0, 0, -1], [c, s, 0]]).T  # right, down, ahead
                pose[:3, 3] = [1.5 * math.cos(yaw / 2), 1.0 * math.sin(yaw / 2), 1.5]
                text = "\n".join(" ".join(f"{v:.8f}" for v in row) for row in pose)
                (scan / "pose" / f"{frame * 15}.txt").write_text(text)
    (folder / "boxes.json").write_text(json.dumps(listed, indent=1))


def write_tao(folder: Path, videos: int, rng: np.random.Generator) -> None:
    for name in ("annotations", "videos/part"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    data = {name: [] for name in ("videos", "images", "tracks", "annotations")}
    data["categories"] = [{"id": k + 1, "name": name, "frequency": "c"} for k, name in enumerate(TAO)]
    for video in range(1, videos + 1):
        name = f"part/clip{video:05d}"
        (folder / "videos" / f"{name}.mp4").touch()
        data["videos"].append(
            {
                "id": video,
                "name": name,
                "width": 1280,
                "height": 720,
                "not_exhaustive_category_ids": [1],
                "neg_category_ids": [],
            }
        )
        seconds = int(rng.integers(10, 31))
        for second in range(seconds):
            data["images"].append(
                {
                    "id": video * 100 + second,
                    "video_id": video,
                    "frame_index": second * 30,
                    "width": 1280,
                    "height": 720,
                }
            )
        for _ in range(int(rng.integers(3, 9))):
            track = len(data["tracks"]) + 1
            category = int(rng.integers(1, len(TAO) + 1))
            data["tracks"].append({"id": track, "category_id": category, "video_id": video})
            first = int(rng.integers(0, seconds - 2))
            at, step, size = rng.uniform([0, 0], [900, 500]), rng.normal(0, 60, 2), rng.uniform(40, 300, 2)
            for second in range(first, int(rng.integers(first + 2, seconds + 1))):
                x, y = np.clip(at + step * (second - first), 0, [1279 - size[0], 719 - size[1]])
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]) + 1,
                        "image_id": video * 100 + second,
                        "track_id": track,
                        "category_id": category,
                        "video_id": video,
                        "bbox": [float(x), float(y), *map(float, size)],
                        "area": 1.0,
                        "iscrowd": 0,
                        "segmentation": [],
                    }  # fmt: skip
                )
    (folder / "annotations" / "train.json").write_text(json.dumps(data))
