"""Frames that are no video file: folders of images and arrays, sampled and cut like files."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from video_clips import pattern

from videostr.video import FrameArray, FramePolicy, ImageFolder, PatchStore, VideoError, VideoLoader, load_video, plan
from videostr.video.jpeg import jpeg_frames
from videostr.video.patches import frames_to_inputs

SMALL = FramePolicy(min_pixels=784, max_pixels=3136)


@pytest.fixture(scope="module")
def frames():
    return np.stack([pattern(t, 48, 60) for t in range(24)])


@pytest.fixture(scope="module")
def folder(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(frames):  # names that only sort by their numbers
        Image.fromarray(frame).save(path / f"frame_{number}.png")
    (path / "labels.json").write_text("{}")
    return path


@pytest.mark.parametrize("kind", ["folder", "array"])
@pytest.mark.parametrize("clip", [{}, {"start": 2.0, "end": 5.0}], ids=["whole", "clip"])
def test_the_planned_frames_at_their_times(frames, folder, kind, clip):
    source = ImageFolder(folder, fps=3) if kind == "folder" else FrameArray(frames, fps=3)
    planned, video = plan(source, SMALL, **clip), load_video(source, SMALL, **clip)
    positions = np.round(planned.timestamps * 3).astype(int)
    assert np.allclose(planned.timestamps, positions / 3)
    assert len(positions) == (16 if not clip else 6) and (positions[0], positions[-1]) == ((6, 15) if clip else (0, 23))
    want = frames_to_inputs(frames[positions], planned.timestamps, SMALL, planned.duration)
    assert torch.equal(video.pixel_values, want.pixel_values)
    assert planned.duration == pytest.approx(10 / 3 if clip else 8.0)
    assert video.grid_thw.tolist() == list(planned.grid_thw)
    assert video.seconds_per_grid == planned.seconds_per_grid
    assert video.timestamps.tolist() == planned.padded_timestamps.tolist()


def test_a_folder_in_store_and_loader(folder, tmp_path):
    source, store = ImageFolder(folder, fps=3), PatchStore(tmp_path / "store")
    with VideoLoader([source, ImageFolder(tmp_path / "none", fps=3)], SMALL, store=store, workers=1) as loader:
        first, second = loader
    assert torch.equal(first.video.normalised(SMALL).pixel_values, load_video(source, SMALL).pixel_values)
    assert second.error.reason == "missing"
    assert store.find(source, SMALL) is not None and store.find(ImageFolder(folder, fps=2), SMALL) is None
    with pytest.raises(ValueError, match="FrameArray"):
        store.load(FrameArray(np.zeros((2, 8, 8, 3), np.uint8), 1.0), SMALL)


def test_folders_that_cannot_be_used(folder, tmp_path):
    def reason(path):
        with pytest.raises(VideoError) as caught:
            load_video(ImageFolder(path, fps=3), SMALL)
        return caught.value.reason

    assert reason(tmp_path / "none") == "missing"
    assert reason(folder / "frame_1.png") == "not_a_folder"
    assert reason(tmp_path) == "no_frames"
    (tmp_path / "1.jpg").write_bytes(b"no image")
    assert reason(tmp_path) == "corrupt"
    (tmp_path / "1.jpg").write_bytes((folder / "frame_1.png").read_bytes()[:-40])
    assert (tmp_path / "1.jpg").stat().st_size > 0
    assert reason(tmp_path) == "corrupt"
    (tmp_path / "1.jpg").write_bytes((folder / "frame_1.png").read_bytes())
    (tmp_path / "1.jpg").rename(tmp_path / "1.png")
    os.mkfifo(tmp_path / "2.png")  # opening it would wait for a writer for ever
    assert reason(tmp_path) == "not_a_file"


def test_jpeg_of_a_folder(folder):
    out = jpeg_frames(ImageFolder(folder, fps=3), SMALL)
    assert [seconds for seconds, _ in out] == plan(ImageFolder(folder, fps=3), SMALL).timestamps.tolist()


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "3"])
def test_wrong_rates(folder, fps):
    with pytest.raises(ValueError, match="fps"):
        ImageFolder(folder, fps)


def test_wrong_arrays_and_readers(frames, folder):
    with pytest.raises(TypeError, match="uint8"):
        FrameArray(frames.astype(np.float32), 2.0)
    with pytest.raises(ValueError, match="shape"):
        FrameArray(frames[0], 2.0)
    with pytest.raises(ValueError, match="reader: expected 'auto' for FrameArray"):
        load_video(FrameArray(frames, 2.0), SMALL, "pyav")
    with pytest.raises(ValueError, match="reader"):
        load_video("a.mp4", SMALL, "images")
