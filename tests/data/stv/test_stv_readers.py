"""The three formats: malformed entries are reported with file and line, and nothing else is lost."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.stv_sets import write_kitti, write_scannet, write_tao
from videostr.data.readers.json_stream import json_sections
from videostr.data.stv.kitti import read_kitti
from videostr.data.stv.ply import read_vertices
from videostr.data.stv.scannet import read_scannet
from videostr.data.stv.scene import BadInput, Sources
from videostr.data.stv.tao import read_tao

CAR = "0 1 Car 0 0 -1.9 776.2 167.3 1241.0 374.0 1.5 1.8 4.9 2.9 1.5 6.3 -1.57"


def read_all(reader, folder, work=None, frame_times=None):
    """(clips, problems)"""
    problems = []
    sources = Sources(lambda *problem: problems.append(problem), work or folder, frame_times)
    clips = [read() for _, _, read in reader(folder, sources)]
    return [clip for clip in clips if clip is not None], problems


def kitti(folder, *lines):
    (folder / "label_02").mkdir(exist_ok=True)
    (folder / "label_02" / "0000.txt").write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return read_all(read_kitti, folder)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0 1 Car 0 0", "expected 17 columns, got 5"),
        (CAR.replace("Car", "Car x"), "column 4"),
        (CAR.replace("776.2", "nan"), "column 7: expected a number"),
        (CAR.replace("1241.0", "12.0"), "right > left"),
        (CAR.replace("1.5 1.8", "-1.5 1.8"), "lengths > 0"),
        (CAR.replace("0 1 Car", "0.5 1 Car"), "whole numbers"),
        (CAR.replace("0 1 Car", "0 1 Van"), "track 1 was a car before, is a van here"),
        (CAR, "track 1 stands twice in frame 0"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_kitti_lines(tmp_path, line, what):
    other = CAR.replace("0 1 Car", "1 2 Truck")
    (clip,), problems = kitti(tmp_path, CAR, line, other)
    assert [(file.endswith("label_02/0000.txt"), at) for file, at, _ in problems] == [(True, 2)]
    assert what in problems[0][2]
    assert [track.name for track in clip.tracks] == ["car", "truck"]


@given(st.lists(st.text(max_size=60) | st.permutations(CAR.split()).map(" ".join), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_kitti_never_raises(tmp_path, lines):
    lines = [line for line in lines if "\r" not in line and "\n" not in line and line.isprintable()]
    clips, _ = kitti(tmp_path, *lines, CAR.replace("0 1 Car", "7 99 Tram"))
    assert clips[0].by_name["tram"][0].frame_F.tolist() == [7]


def test_poses_that_are_not_usable(tmp_path):
    rng = np.random.default_rng(0)
    write_kitti(tmp_path, 1, 30, rng)
    (clip,), problems = read_all(read_kitti, tmp_path)
    assert clip.pose_T44 is not None and not problems
    oxts, calib = tmp_path / "oxts" / "0000.txt", tmp_path / "calib" / "0000.txt"
    text, calibration = oxts.read_text(), calib.read_text()
    for bad, at in ((text.replace("49.", "x9.", 1), 1), ("\n".join(text.splitlines()[:3]), 4)):
        oxts.write_text(bad)
        (clip,), ((file, line, _),) = read_all(read_kitti, tmp_path)
        assert clip.pose_T44 is None and file == str(oxts) and line == at
    oxts.write_text(text)
    calib.write_text(calibration.replace("R_rect", "R_other"))
    (clip,), ((file, _, what),) = read_all(read_kitti, tmp_path)
    assert clip.pose_T44 is None and file == str(calib) and "R_rect" in what


def test_frames_a_video_does_not_have(tmp_path):
    kitti(tmp_path, CAR, CAR.replace("0 1 Car", "5 1 Car"))
    (clip,), _ = read_all(read_kitti, tmp_path, frame_times=lambda video: np.arange(3) / 25 + 0.02)
    assert clip.times_T.tolist() == pytest.approx([0.02, 0.06, 0.1]) and clip.fps == pytest.approx(25)
    assert clip.tracks[0].frame_F.tolist() == [0] and clip.duration == pytest.approx(0.14)


def test_the_pictures_size(tmp_path):
    (clip,), _ = kitti(tmp_path, CAR)
    assert (clip.width, clip.height) == (1242, 375)
    (tmp_path / "image_02" / "0000").mkdir(parents=True)
    Image.new("RGB", (1224, 370)).save(tmp_path / "image_02" / "0000" / "000000.png")
    (clip,), _ = kitti(tmp_path, CAR)
    assert (clip.width, clip.height) == (1224, 370)


def scannet(folder, change):
    write_scannet(folder, 2, np.random.default_rng(0))
    data = json.loads((folder / "boxes.json").read_text())
    change(data["scene0000_00"])
    (folder / "boxes.json").write_text(json.dumps(data, indent=1))
    return read_all(read_scannet, folder)


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("centroid", [1, 2], "centroid: expected 3"),
        ("centroid", [1, 2, "x"], "centroid: expected 3 finite"),
        ("axesLengths", [1, 0, 1], "lengths > 0"),
        ("normalizedAxes", [1, 0, 0, 1, 0, 0, 0, 0, 1], "right angles"),
        ("normalizedAxes", None, "normalizedAxes: expected list"),
    ],
)
def test_scannet_boxes(tmp_path, field, value, what):
    clips, problems = scannet(tmp_path, lambda scene: scene["object_bbox"]["chair"][0].update({field: value}))
    assert len(clips) == 2 and len(problems) == 1
    file, line, text = problems[0]
    assert file.endswith("boxes.json") and line == 2 and "scene0000_00, chair[0]" in text and what in text
    assert "chair" not in clips[0].complete and "chair" in clips[1].complete  # cannot be counted any more


def test_scannet_scenes_and_counts(tmp_path):
    clips, problems = scannet(tmp_path, lambda scene: scene.pop("object_bbox"))
    assert [clip.scene for clip in clips] == ["scene0000_01"] and "object_bbox" in problems[0][2]
    clips, problems = scannet(tmp_path, lambda scene: scene["object_counts"].update(chair=99))
    assert not problems and "chair" not in clips[0].complete and clips[0].group == "scene0000"
    (tmp_path / "boxes.json").write_text('{"a": {"object_bbox": {}},\n "b": {oops},\n "c": 5}')
    clips, problems = read_all(read_scannet, tmp_path)
    assert not clips and [line for _, line, _ in problems] == [2, 3]


def ply(vertices, kind="binary_little_endian"):
    head = f"ply\nformat {kind} 1.0\ncomment x\nelement vertex {len(vertices)}\nproperty float x\nproperty float y\n"
    head += "property float z\nproperty uchar red\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    if kind == "ascii":
        return head.encode() + "".join(f"{x} {y} {z} 7\n" for x, y, z in vertices).encode()
    order = "<" if "little" in kind else ">"
    return head.encode() + b"".join(struct.pack(order + "fffB", *v, 7) for v in vertices)


@pytest.mark.parametrize("kind", ["binary_little_endian", "binary_big_endian", "ascii"])
def test_ply(tmp_path, kind):
    vertices = np.float32(np.random.default_rng(0).normal(size=(20, 3)))
    path = tmp_path / "mesh.ply"
    path.write_bytes(ply(vertices, kind))
    np.testing.assert_allclose(read_vertices(path), vertices, rtol=1e-6)
    path.write_bytes(ply(vertices, kind)[:-200])
    with pytest.raises(ValueError, match="ends before"):
        read_vertices(path)


@given(st.binary(max_size=80))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ply_of_anything(tmp_path, data):
    path = tmp_path / "mesh.ply"
    for content in (data, b"ply\n" + data, ply([(1, 2, 3)])[:-13] + data):
        path.write_bytes(content)
        try:
            read_vertices(path)
        except ValueError:
            pass


def test_scannets_own_files(tmp_path):
    """Boxes from segments and groups, moved by the alignment."""
    scan = tmp_path / "scans" / "scene0001_00"
    scan.mkdir(parents=True)
    rng = np.random.default_rng(0)
    table = rng.uniform([-1, -0.5, 0], [1, 0.5, 0.7], (400, 3))
    lamp = rng.uniform([2, 2, 1], [2.2, 2.3, 1.4], (100, 3))
    (scan / "scene0001_00_vh_clean_2.ply").write_bytes(ply(np.concatenate([table, lamp])))
    segments = [1] * 200 + [2] * 200 + [7] * 100
    (scan / "scene0001_00_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": segments}))
    groups = [{"label": "table", "segments": [1, 2]}, {"label": "lamp", "segments": [7]}]
    groups += [{"label": "bin", "segments": [9]}, {"label": "wall", "segments": [7]}, 5]
    (scan / "scene0001_00.aggregation.json").write_text(json.dumps({"segGroups": groups}))
    (scan / "scene0001_00.txt").write_text("axisAlignment = 0 -1 0 5 1 0 0 0 0 0 1 0 0 0 0 1\n")
    (clip,), problems = read_all(read_scannet, tmp_path)
    assert [what.split(":")[0] for _, _, what in problems] == ["segGroups[2]", "segGroups[4]"]
    assert [(track.name, clip.complete) for track in clip.tracks] == [
        ("table", frozenset(("table", "lamp"))),
        ("lamp", frozenset(("table", "lamp"))),
    ]
    np.testing.assert_allclose(clip.tracks[0].size_3, [2, 1, 0.7], atol=0.06)
    np.testing.assert_allclose(clip.tracks[1].centre_F3[0], [5 - 2.15, 2.1, 1.2], atol=0.06)
    (scan / "scene0001_00_vh_clean_2.ply").write_bytes(b"ply\n")
    clips, ((file, _, _),) = read_all(read_scannet, tmp_path)
    assert not clips and file.endswith(".ply")


def test_scannet_poses(tmp_path):
    write_scannet(tmp_path, 1, np.random.default_rng(2), poses=40)
    lost, bad = (tmp_path / "scans" / "scene0000_00" / "pose" / f"{n}.txt" for n in (15, 30))
    lost.write_text("-inf " * 16)
    bad.write_text("1 2 3")
    (clip,), problems = read_all(read_scannet, tmp_path)
    assert [file for file, _, _ in problems] == [str(bad)]
    assert clip.number_T.tolist() == [0, *range(45, 600, 15)] and clip.pose_T44.shape == (38, 4, 4)
    np.testing.assert_allclose(clip.pose_T44[0, :3, 1], [1, 0, 0], atol=1e-6)  # ahead of the first camera
    boxes = tmp_path / "boxes.json"
    boxes.write_text(boxes.read_text().replace('"frame": "scan"', '"frame": "room"'))
    (elsewhere,), _ = read_all(read_scannet, tmp_path)
    assert elsewhere.pose_T44 is None and not len(elsewhere.times_T)
    seen = sum(len(track.frame_F) > 0 for track in clip.tracks)
    assert seen > len(clip.tracks) / 2 and all(0 < v <= 1 for track in clip.tracks for v in track.visible_F)


def tao(folder, change):
    write_tao(folder, 2, np.random.default_rng(0))
    path = folder / "annotations" / "train.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=0))
    return data, path.read_text().splitlines(), read_all(read_tao, folder)


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("bbox", [1, 2, 3], "bbox: expected"),
        ("bbox", [1, 2, 0, 4], "bbox: expected"),
        ("bbox", [5000, 2, 9, 4], "outside the picture"),
        ("image_id", 999_999, "not there"),
        ("image_id", True, "image_id: expected int"),
        ("id", 2, "was there before"),
        ("id", 2**70, "64 bits"),
        ("track_id", "x", "track_id: expected int"),
    ],
)
def test_tao_annotations(tmp_path, field, value, what):
    def change(data):
        data["annotations"][4][field] = value

    data, lines, (clips, problems) = tao(tmp_path, change)
    assert len(clips) == 2 and len(problems) == 1 and what in problems[0][2]
    assert problems[0][1] == lines.index('"annotations": [') + 2 + 4 * _lines_of(data["annotations"][0])
    assert sum(len(t.frame_F) for clip in clips for t in clip.tracks) == len(data["annotations"]) - 1


def _lines_of(record):
    return len(json.dumps([record], indent=0).splitlines()) - 2


def test_tao_clips(tmp_path):
    _, _, (clips, problems) = tao(tmp_path, lambda data: data.pop("tracks"))
    assert not problems and [clip.scene for clip in clips] == ["train/part/clip00001", "train/part/clip00002"]
    assert clips[0].times_T[:3].tolist() == [0, 1, 2] and clips[0].number_T[:3].tolist() == [0, 30, 60]
    assert clips[0].video.endswith("videos/part/clip00001.mp4") and "thing 0" not in clips[0].complete
    (tmp_path / "annotations" / "train.json").write_text('{"videos": [{"id": 1}, {oops}], "images": 3')
    clips, problems = read_all(read_tao, tmp_path)
    assert not clips and len(problems) >= 4 and all(line >= 0 for _, line, _ in problems)


@given(st.lists(st.sampled_from(['{"a":', "[", "]", "}", "{", '"b":', "1", ",", '"', "\n", '[{"c": 2}]'])).map("".join))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sections_of_anything(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    found = list(json_sections(path))
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and len(value) == text.count(":") - text.count('"c"'):
        expected = [(k, x) for k, v in value.items() if isinstance(v, list) for x in v]
        assert [(k, item.value) for k, item in found] == expected and not any(item.problem for _, item in found)


@pytest.mark.parametrize("reader", [read_kitti, read_scannet, read_tao])
def test_folders_of_something_else(tmp_path, reader):
    with pytest.raises(BadInput, match=str(tmp_path)):
        read_all(reader, tmp_path)
