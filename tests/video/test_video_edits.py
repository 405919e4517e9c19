"""Edit lists of an mp4, as `ffmpeg -ss … -c copy` and phones write them: the frames FFmpeg shows, at their times."""

from pathlib import Path

import numpy as np
import pytest
import torch
from video_clips import decode_all, encode, set_edits

from videostr.video import FramePolicy, VideoError, frames_to_inputs, load_video, plan
from videostr.video.index import read_index
from videostr.video.readers.pyav import read_pyav

FRAME, START = 512, 1024  # ticks of the media: of a frame, and the time of the first (B-frames come before it)
EDITS = {  # (length in milliseconds, begin in the media), and the frames of the whole file that are then shown
    "begins at a key": ([(1280, START + 48 * FRAME)], range(48, 80)),
    "begins between keys": ([(2200, START + 25 * FRAME)], range(25, 80)),
    "begins at a B-frame": ([(2000, START + 30 * FRAME)], range(30, 80)),
    "ends early": ([(1500, START)], range(38)),
    "shown late": ([(1000, -1), (3200, START)], range(80)),
    "two parts": ([(800, START), (1200, START + 40 * FRAME)], [*range(20), *range(40, 70)]),
    "twice": ([(800, START), (800, START)], [*range(20), *range(20)]),
    "the end first": ([(800, START + 40 * FRAME), (800, START)], [*range(40, 60), *range(20)]),
}
POLICY = FramePolicy(fps=4, min_pixels=784, max_pixels=6272)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = encode(tmp_path_factory.mktemp("edits") / "whole.mp4", frames=80)
    return path, decode_all(path)[1]


@pytest.mark.parametrize("name", EDITS)
def test_the_frames_that_are_shown(whole, tmp_path, name):
    entries, shown = EDITS[name]
    path = tmp_path / "a.mp4"
    path.write_bytes(whole[0].read_bytes())
    set_edits(path, entries)
    times, frames = decode_all(path)
    assert np.array_equal(frames, whole[1][list(shown)])  # the edit is what it is meant to be
    index = read_index(path)
    assert np.allclose(index.seconds(index.pts_N), times, rtol=0, atol=1e-9)
    assert all(map(np.array_equal, (p.rgb() for p in read_pyav(index, np.arange(len(times)))), frames))
    p, got = plan(path, POLICY), load_video(path, POLICY)
    assert p.duration == pytest.approx(len(frames) / 25)
    want = frames_to_inputs(frames[p.positions_n], times[p.positions_n], POLICY, p.duration)
    assert torch.equal(got.pixel_values, want.pixel_values) and np.allclose(got.timestamps, want.timestamps)


def test_sparse_frames_of_a_long_cut(tmp_path):
    """Seeks go to the keys that are shown, and the hidden one is never sought."""
    path = encode(tmp_path / "a.mp4", frames=80, gop=30, **{"x264-params": "scenecut=0"})
    set_edits(path, [(2600, START + 13 * FRAME)])
    index, frames = read_index(path), decode_all(path)[1]
    for positions in ([0, 60], [3, 47, 61], [64], [5]):
        got = [picture.rgb() for picture in read_pyav(index, np.array(positions))]
        assert all(map(np.array_equal, got, frames[positions]))


def test_an_edit_behind_the_end_shows_nothing(whole, tmp_path):
    path = Path(tmp_path / "a.mp4")
    path.write_bytes(whole[0].read_bytes())
    set_edits(path, [(1000, START + 200 * FRAME)])
    with pytest.raises(VideoError) as caught:
        load_video(path, POLICY)
    assert caught.value.reason in ("truncated", "no_frames")
