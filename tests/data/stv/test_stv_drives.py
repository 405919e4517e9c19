"""Answers about drives, worked out from the labels again, in camera axes; poses from scipy and arcs on a sphere."""

import math
import re

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from benchmarks.stv_sets import write_kitti
from videostr.data import read_samples
from videostr.data.stv.build import Options, build

LAT, LON, RADIUS = 49.0, 8.4, 6378137.0


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """A car that pitches and rolls, with sensors that are not mounted straight."""
    folder, rng = tmp_path_factory.mktemp("drives"), np.random.default_rng(8)
    write_kitti(folder, 3, 160, rng)
    tilts = Rotation.from_euler("xyz", rng.uniform(-0.05, 0.05, (2, 3))).as_matrix()
    for path in sorted((folder / "oxts").glob("*.txt")):
        rows = [line.split() for line in path.read_text().splitlines()]
        for row in rows:
            row[3:5] = [f"{angle:.6f}" for angle in rng.uniform(-0.04, 0.04, 2)]
        path.write_text("\n".join(map(" ".join, rows)) + "\n")
        calib = folder / "calib" / path.name
        text = calib.read_text().replace("R_rect 1 0 0 0 1 0 0 0 1", "R_rect " + _words(tilts[0]))
        mounted = np.hstack([tilts[1], [[-0.81], [0.32], [-0.8]]])
        calib.write_text(re.sub(r"Tr_imu_velo .*", "Tr_imu_velo " + _words(mounted), text))
    build({"kitti": folder}, folder / "out", Options(validation=0, seed=2))
    return folder, read_samples(folder / "out" / "train.jsonl")


def _words(matrix) -> str:
    return " ".join(f"{value:.9f}" for value in np.ravel(matrix))


def labels(folder, scene, frame):
    lines = (folder / "label_02" / f"{scene}.txt").read_text().splitlines()
    rows = [line.split() for line in lines]
    return [row for row in rows if int(row[0]) == frame and row[1] != "-1"]


def find(folder, sample, frame, phrase):
    """The label that "the car" or "the car at [x1, y1, x2, y2]" means."""
    name, _, box = phrase.removeprefix("the ").partition(" at ")
    rows = [row for row in labels(folder, sample.meta["scene"], frame) if row[2].lower() == name]
    if box:
        wanted = np.array([int(word) for word in re.findall(r"\d+", box)]) * [1.242, 0.375, 1.242, 0.375]
        rows.sort(key=lambda row: np.abs(np.array(row[6:10], float) - wanted).max())
    else:
        assert len(rows) == 1
    return rows[0]


def middle(row) -> np.ndarray:
    """In the camera's axes: x right, y down, z ahead; the label's place is the bottom's."""
    x, y, z = map(float, row[13:16])
    return np.array([x, y - float(row[10]) / 2, z])


def to_world(folder, scene, frame):
    """(rotation, place): camera -> east, north, up."""
    numbers = {}
    for line in (folder / "calib" / f"{scene}.txt").read_text().splitlines():
        key, *values = line.replace(":", "").split()
        numbers[key] = np.array(values, float)
    velo, imu = (numbers[name].reshape(3, 4) for name in ("Tr_velo_cam", "Tr_imu_velo"))
    rect = numbers["R_rect"].reshape(3, 3)
    line = (folder / "oxts" / f"{scene}.txt").read_text().splitlines()[frame]
    latitude, longitude, altitude, roll, pitch, yaw = map(float, line.split()[:6])
    turn = Rotation.from_euler("xyz", [roll, pitch, yaw]).as_matrix()
    east = math.radians(longitude - LON) * RADIUS * math.cos(math.radians(LAT))
    north = math.radians(latitude - LAT) * RADIUS

    def world(camera_3):
        in_velo = velo[:, :3].T @ (rect.T @ camera_3 - velo[:, 3])
        return turn @ (imu[:, :3].T @ (in_velo - imu[:, 3])) + [east, north, altitude]

    return world


THING = r"the (?:car|van|truck|pedestrian|cyclist|tram)\b(?: at \[[\d, ]+\])?"


def asked(samples, task, family):
    return [s for s in samples if s.meta["task"] == task and s.meta["family"] == family]


def things(sample) -> list[str]:
    return re.findall(THING, sample.query.split("\n")[0].partition(" Boxes are")[0])


def test_displacement_of_objects_and_camera(drives):
    folder, samples = drives
    checked = 0
    for sample in asked(samples, "displacement", "metres") + asked(samples, "displacement", "camera"):
        first, last = sample.meta["frames"]
        scene = sample.meta["scene"]
        before, after = (to_world(folder, scene, frame) for frame in (first, last))
        if sample.meta["family"] == "camera":
            moved = np.linalg.norm(after(np.zeros(3)) - before(np.zeros(3)))
        else:
            row = find(folder, sample, first, things(sample)[0])
            (later,) = [other for other in labels(folder, scene, last) if other[1] == row[1]]
            step = after(middle(later)) - before(middle(row))
            ground = before(np.array([0.0, 1, 0])) - before(np.zeros(3))  # the camera's own down
            moved = np.linalg.norm(step - (step @ ground) * ground)
        assert sample.meta["answer"] == pytest.approx(moved, abs=0.051 + 2e-3 * moved), sample.query
        checked += 1
    assert checked > 100


def test_which_way_objects_move(drives):
    folder, samples = drives
    found = asked(samples, "motion tracking", "way")
    for sample in found:
        first, last = sample.meta["frames"]
        row = find(folder, sample, first, things(sample)[0])
        (later,) = [other for other in labels(folder, sample.meta["scene"], last) if other[1] == row[1]]
        before, after = (to_world(folder, sample.meta["scene"], frame) for frame in (first, last))
        origin = before(np.zeros(3))
        right, ahead = (before(axis) - origin for axis in (np.array([1.0, 0, 0]), np.array([0, 0, 1.0])))
        step = after(middle(later)) - before(middle(row))
        answer = sample.meta["options"]["ABCDE".index(sample.meta["answer"])]
        x, z = step @ right, step @ ahead
        if answer == "it hardly moves":
            assert math.hypot(x, z) < 0.31
        else:
            sides = ("to the right", "to the left", "away from the camera", "towards the camera")
            assert answer == sides[int(np.argmax([x, -x, z, -z]))]
    assert len(found) > 20


def test_directions_are_the_observers(drives):
    folder, samples = drives
    found = asked(samples, "relative direction", "quadrant")
    for sample in found:
        (frame,) = sample.meta["frames"]
        a, b, c = (middle(find(folder, sample, frame, phrase)) for phrase in things(sample))
        ahead, to = (b - a)[[0, 2]], (c - a)[[0, 2]]
        right = np.array([ahead[1], -ahead[0]])  # of somebody who looks along z, x is to the right
        answer = sample.meta["options"]["ABCD".index(sample.meta["answer"])]
        assert answer == f"{'front' if to @ ahead > 0 else 'back'}-{'right' if to @ right > 0 else 'left'}"
    assert len(found) > 50


def box_of(row):
    """The devkit's box: half axes (3, 3) in camera axes."""
    height, width, length = map(float, row[10:13])
    c, s = math.cos(float(row[16])), math.sin(float(row[16]))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) * np.array([[length], [height], [width]]) / 2


def gap(a, b) -> float:
    result = lsq_linear(np.hstack([box_of(a).T, -box_of(b).T]), middle(b) - middle(a), bounds=(-1, 1), tol=1e-12)
    return math.sqrt(2 * result.cost)


def test_distances_are_between_closest_points(drives):
    folder, samples = drives
    metres = asked(samples, "relative distance", "metres")
    for sample in metres:
        (frame,) = sample.meta["frames"]
        a, b = (find(folder, sample, frame, phrase) for phrase in things(sample))
        # a track's size is the median over its labels, which differ by nothing here
        assert sample.meta["answer"] == pytest.approx(gap(a, b), abs=0.06), sample.query
    for sample in asked(samples, "relative distance", "closest"):
        (frame,) = sample.meta["frames"]
        options = sample.meta["options"]
        words = sample.query.split("\n")[0].partition(" Boxes are")[0]
        for option in options:
            words = words.replace(option, "", 1)
        (reference,) = re.findall(THING, words)
        ref = find(folder, sample, frame, reference)
        gaps = [gap(ref, find(folder, sample, frame, option)) for option in options]
        assert int(np.argmin(gaps)) == "ABCD".index(sample.meta["answer"]), sample.query
    assert len(metres) > 50
