"""The other readers give the same pixels as PyAV, or an error; never other frames."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from video_clips import decode_all, encode, real_clips, set_edits

from videostr.video import FramePolicy, VideoError, available_readers, load_video
from videostr.video.index import read_index
from videostr.video.readers import READERS, get_reader

SMALL = FramePolicy(min_pixels=784, max_pixels=12544, fps=4)
OTHERS = [name for name, status in available_readers().items() if status.available and name != "pyav"]


def test_available_readers_says_what_is_missing():
    status = available_readers()
    assert list(status) == ["pyav", "torchcodec", "decord", "nvdec"] == list(READERS)
    assert status["pyav"].available
    for name, (available, note) in status.items():
        assert note and "\n" not in note
        if available:
            assert callable(get_reader(name))
        else:
            with pytest.raises(ValueError, match=name):
                get_reader(name)
    with pytest.raises(ValueError, match="opencv"):
        get_reader("opencv")


def test_at_least_decord_is_tested_here():
    assert "decord" in OTHERS  # part of the test extra; torchcodec also needs FFmpeg's shared libraries


@pytest.mark.parametrize("reader", OTHERS)
@pytest.mark.parametrize("clip", real_clips(), ids=lambda p: p.stem)
def test_same_patches_from_real_clips(reader, clip):
    want, got = load_video(clip, SMALL), load_video(clip, SMALL, reader)
    assert torch.equal(got.pixel_values, want.pixel_values)
    assert np.array_equal(got.timestamps, want.timestamps)


@pytest.mark.parametrize("reader", OTHERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"audio": True},
        {"matrix": (0, -1, 1, 0)},
        {"matrix": (-1, 0, 0, -1)},
        {"frames": 1},
        {"pixels": "yuv444p", "height": 63},
    ],
    ids=lambda o: ",".join(o) or "plain",
)
def test_same_patches_from_generated_clips(tmp_path, reader, options):
    path = encode(tmp_path / "a.mp4", **options)
    assert torch.equal(load_video(path, SMALL, reader).pixel_values, load_video(path, SMALL).pixel_values)
    clip = {"start": 0.6, "end": 1.0} if options.get("frames") != 1 else {}
    assert torch.equal(
        load_video(path, SMALL, reader, **clip).pixel_values, load_video(path, SMALL, **clip).pixel_values
    )


@pytest.mark.parametrize("reader", OTHERS)
def test_what_they_cannot_do_is_an_error(tmp_path, reader):
    mirrored = encode(tmp_path / "mirrored.mp4", matrix=(-1, 0, 0, 1))
    stream = encode(tmp_path / "a.ts", container={"format": "mpegts"})
    no_times = encode(tmp_path / "a.avi")
    for path in (mirrored, no_times, stream):
        with pytest.raises(VideoError, match=reader) as caught:
            load_video(path, SMALL, reader)
        assert caught.value.reason == "reader"
    whole = encode(tmp_path / "b.mp4", frames=100, container={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for path in (tmp_path / "cut.mp4", tmp_path / "nothing.mp4", tmp_path):
        with pytest.raises(VideoError):
            load_video(path, SMALL, reader)


@pytest.mark.parametrize("reader", OTHERS)
@pytest.mark.parametrize("kind", ["edit list", "late mkv", "late mp4"])
def test_files_that_do_not_begin_at_their_first_frame(tmp_path, reader, kind):
    """Where a library seeks wrongly its own times do not show it: the right frames, or none."""
    if kind == "edit list":
        path = encode(tmp_path / "a.mp4", frames=80)
        set_edits(path, [(2200, 1024 + 25 * 512)])
    else:
        times = {"frames": 80, "times": [680 + 40 * t for t in range(80)], "time_base": Fraction(1, 1000)}
        path = encode(tmp_path / f"a.{kind.split()[1]}", **times)
    index, frames = read_index(path), decode_all(path)[1]
    for positions in ([2, 5, 30], [30], [0, 47], [*range(4)]):
        try:
            got = [picture.rgb() for picture in READERS[reader](index, np.array(positions))]
        except VideoError as error:
            assert error.reason == "reader"
        else:
            assert all(map(np.array_equal, got, frames[positions])), positions


@pytest.mark.parametrize("reader", OTHERS)
def test_a_wrong_index_is_noticed(tmp_path, reader):
    """Frames are checked by their times, so a library that counts differently cannot hand over other frames."""
    import dataclasses

    index = read_index(encode(tmp_path / "a.mp4"))
    shifted = dataclasses.replace(index, pts_N=np.delete(index.pts_N, 3))
    with pytest.raises(VideoError, match=reader):
        list(READERS[reader](shifted, np.array([5])))


# Skipping between the wanted frames: what refers to what must not matter.
REFERENCES = {
    "pyramid": ("mp4", {"b_frames": 8, "x264-params": "b-pyramid=normal:ref=4"}),
    "no pyramid": ("mp4", {"b_frames": 3, "x264-params": "b-pyramid=none"}),
    "open gop": ("mp4", {"b_frames": 3, "x264-params": "open-gop=1:scenecut=0"}),
    "no b": ("mkv", {"b_frames": 0}),
    "mpegts": ("ts", {"container": {"format": "mpegts"}}),
    "interlaced": ("mp4", {"x264-params": "interlaced=1:tff=1"}),
    "hevc": ("mp4", {"codec": "libx265", "b_frames": 4, "x265-params": "log-level=none:bframes=4:b-pyramid=1"}),
    "hevc open gop": ("mkv", {"codec": "libx265", "x265-params": "log-level=none:bframes=4:open-gop=1:keyint=12"}),
    "hevc layers": ("mp4", {"codec": "libx265", "x265-params": "log-level=none:bframes=4:temporal-layers=3"}),
    "hevc mpegts": ("ts", {"codec": "libx265", "x265-params": "log-level=none", "container": {"format": "mpegts"}}),
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_skipping_changes_no_frame(tmp_path, kind):
    suffix, options = REFERENCES[kind]
    path = encode(tmp_path / f"a.{suffix}", frames=60, gop=24, **options)
    _, frames = decode_all(path)
    index = read_index(path)
    assert index.interlaced == (kind == "interlaced")
    for step in (1, 2, 3, 7, 13, 59):
        for first in range(0, min(step, 60), 2):
            positions = np.arange(first, 60, step)
            for position, picture in zip(positions, READERS["pyav"](index, positions), strict=True):
                assert np.array_equal(picture.rgb(), frames[position])
