"""Generated scenes: what is annotated is what is drawn, and the builder reads every format back."""

import json
import random
from itertools import pairwise

import av
import numpy as np
import pytest

from videostr.data.scenes import KINDS, Body, Scene, ScenesConfig, draw_scene, render, write_scenes
from videostr.data.scenes.camera import Camera, CameraPath
from videostr.data.stv.build import READERS
from videostr.data.stv.scene import Sources
from videostr.video.index import frame_seconds

SMALL = ScenesConfig(width=96, duration=2)
RED = (250, 0, 0)


def scene_of(*bodies, camera=None, width=96, height=72):
    start = camera or Camera((0.0, -8.0, 3.0), np.pi / 2, 0.3, 80.0, (width / 2, height / 2))
    return Scene("tao", 2, width, height, bodies, CameraPath(start), (100, 100, 100))


def box(x, y, colour=RED, size=(1.0, 1.0, 1.0), heading=0.0, **motion):
    return Body("box", size, colour, (x, y), heading, **motion)


def test_a_body_is_drawn_where_the_camera_sees_its_corners():
    scene = scene_of(box(1.0, 2.0, heading=0.4))
    picture, (view,) = render(scene, 0.0)
    red = (picture[..., 0] > 120) & (picture[..., 1] < 30)
    rows, columns = np.nonzero(red)
    x0, y0, x1, y1 = view.box
    assert abs(columns.min() - x0) <= 1 and abs(columns.max() + 1 - x1) <= 1
    assert abs(rows.min() - y0) <= 1 and abs(rows.max() + 1 - y1) <= 1
    assert view.pixels == red.sum() and view.visible == 1.0 and view.truncation == 0.0


def test_the_nearer_body_hides_the_farther_one_whatever_their_order():
    near, far = box(0.0, 0.0, RED, (1.5, 1.0, 2.0)), box(0.0, 3.0, (0, 0, 250))
    for bodies in ((near, far), (far, near)):
        _, views = render(scene_of(*bodies), 0.0)
        seen = {bodies[view.body].colour: view.visible for view in views}
        assert seen[RED] == 1.0 and seen[(0, 0, 250)] < 0.2


def test_truncation_is_the_share_of_the_box_outside():
    whole = render(scene_of(box(0.0, 2.0)), 0.0)[1][0]
    (cut,) = render(scene_of(box(-5.9, 2.0)), 0.0)[1]
    assert whole.truncation == 0.0 and 0.05 < cut.truncation < 0.95
    assert cut.box[0] == 0.0


def test_a_turned_camera_sees_the_turned_room():
    """Going round the room by an angle is turning the room the other way."""
    config = ScenesConfig(width=64, moving=0.0)
    scene = draw_scene(random.Random(3), "scannet", config)
    turned = draw_scene(random.Random(3), "scannet", ScenesConfig(width=64, moving=0.0, turn=90.0))
    assert turned.bodies == scene.bodies
    for body, other in zip(scene.bodies, turned.bodies, strict=True):
        x, y = body.place
        point = scene.camera.at(0).to_camera(np.array([[y, -x, 0.0]]))
        assert np.allclose(turned.camera.at(0).to_camera(np.array([[*other.place, 0.0]])), point)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, dict.fromkeys(KINDS, 3), 5, SMALL, "train")
    return folder


def clips(world, kind, tmp_path):
    problems = []
    sources = Sources(lambda *problem: problems.append(problem), tmp_path, frame_seconds)
    read = [clip() for _, _, clip in READERS[kind](world / kind, sources)]
    assert problems == []
    return read


def planned(kind):
    return [draw_scene(random.Random(f"5/train/{kind}/{index}"), kind, SMALL) for index in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_builder_reads_what_was_drawn(world, tmp_path, kind):
    for scene, clip in zip(planned(kind), clips(world, kind, tmp_path), strict=True):
        with av.open(clip.video) as file:
            stream = file.streams.video[0]
            assert (stream.width, stream.height, stream.frames) == (scene.width, scene.height, scene.frames)
        names = {track.name for track in clip.tracks}
        assert names <= {body.label.lower() for body in scene.bodies}
        if kind == "scannet":
            assert len(clip.tracks) == len(scene.bodies) and clip.pose_T44 is not None


def test_places_in_a_street_are_those_of_the_plan(world, tmp_path):
    """Through labels, calibration and GPS: the first camera's ground is the plan's, moved to its start."""
    for scene, clip in zip(planned("kitti"), clips(world, "kitti", tmp_path), strict=True):
        start = np.array(scene.camera.start.position[:2])
        for track in clip.tracks:
            body = scene.bodies[int(track.id)]
            for frame, centre in zip(track.frame_F, track.centre_F3, strict=True):
                assert np.allclose(centre[:2] + start, body.at(frame / scene.fps)[:2], atol=0.02)


def test_distances_in_a_room_are_those_of_the_plan(world, tmp_path):
    for scene, clip in zip(planned("scannet"), clips(world, "scannet", tmp_path), strict=True):
        for (a, body_a), (b, body_b) in pairwise(zip(clip.tracks, scene.bodies, strict=True)):
            if {a.name, b.name} == {body_a.label, body_b.label} and a.name != b.name:
                told = np.linalg.norm((a.centre_F3[0] - b.centre_F3[0])[:2])
                assert told == pytest.approx(np.linalg.norm(np.subtract(body_a.place, body_b.place)), abs=0.02)


def test_the_scans_say_what_the_json_says(world, tmp_path):
    scans = clips(world, "scannet", tmp_path)
    (world / "scannet/scans").rename(tmp_path / "scans")
    try:
        boxes = clips(world, "scannet", tmp_path)
    finally:
        (tmp_path / "scans").rename(world / "scannet/scans")
    for a, b in zip(boxes, scans, strict=True):
        ours, theirs = (sorted((t.name, *t.centre_F3[0]) for t in clip.tracks) for clip in (a, b))
        assert [name for name, *_ in ours] == [name for name, *_ in theirs]
        # The box is taken around points that are rounded to a centimetre.
        assert np.allclose([place for _, *place in ours], [place for _, *place in theirs], atol=0.02)


def test_boxes_in_a_meadow_are_those_of_the_picture(world, tmp_path):
    for scene, clip in zip(planned("tao"), clips(world, "tao", tmp_path), strict=True):
        scale = np.array([clip.width / scene.width, clip.height / scene.height] * 2)
        for at, time in enumerate(clip.times_T):
            drawn = [np.array(view.box) * scale for view in render(scene, float(time))[1] if view.visible >= 0.2]
            told = [track.box_F4[track.row(at)] for track in clip.tracks if track.row(at) is not None]
            assert len(told) == len(drawn)
            assert all(min(np.abs(box - other).max() for other in drawn) < 0.01 for box in told)


def test_an_interrupted_world_goes_on(world, tmp_path):
    write_scenes(tmp_path, dict.fromkeys(KINDS, 1), 5, SMALL, "train")
    write_scenes(tmp_path, dict.fromkeys(KINDS, 3), 5, SMALL, "train")
    files = sorted(path.relative_to(world) for path in world.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for file in files:
        assert (world / file).read_bytes() == (tmp_path / file).read_bytes(), file


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 8}, "width"),
        ({"bodies": (1,)}, "bodies"),
        ({"repeats": 2.0}, "repeats"),
        ({"duration": 1}, "duration"),
    ],
)
def test_settings_that_make_no_world(setting, message):
    with pytest.raises(ValueError, match=message):
        ScenesConfig(**setting)


def test_tao_lists_are_whole(world):
    document = json.loads((world / "tao/annotations/train.json").read_text())
    tracks = {track["id"]: track for track in document["tracks"]}
    images = {image["id"]: image for image in document["images"]}
    for annotation in document["annotations"]:
        assert tracks[annotation["track_id"]]["category_id"] == annotation["category_id"]
        assert images[annotation["image_id"]]["video_id"] == annotation["video_id"]
