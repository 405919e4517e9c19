"""A few frames of a long file: seeks where they pay, the same frames as decoding everything."""

import contextlib
import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from video_clips import decode_all, encode

from videostr.video.index import read_index
from videostr.video.readers import pyav
from videostr.video.readers.seek import SEEK_PAYS, Stretch, stretches

HEVC = {"codec": "libx265", "x265-params": "log-level=none:open-gop=1:keyint=30"}
KINDS = {
    "h264": ("mp4", {}),
    "pyramid": ("mp4", {"b_frames": 8, "x264-params": "b-pyramid=normal:ref=4"}),
    "open gop": ("mkv", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    # at 32 x 48 x265 writes beyond its memory
    "hevc": ("mp4", HEVC | {"height": 64, "width": 96}),
    "vp9": ("webm", {"codec": "libvpx-vp9"}),
    "edit list": ("mp4", {"times": [400 + 40 * t for t in range(200)], "time_base": Fraction(1, 1000)}),
    "mpegts": ("ts", {"container": {"format": "mpegts"}}),
    "avi": ("avi", {}),
    "interlaced": ("mp4", {"x264-params": "interlaced=1:tff=1"}),
    "short gops": ("mp4", {"gop": 2}),
    "intra refresh mpegts": (
        "ts",
        {"x264-params": "intra-refresh=1:keyint=40", "b_frames": 0, "container": {"format": "mpegts"}},
    ),
    "intra refresh": ("mp4", {"x264-params": "intra-refresh=1:keyint=40", "b_frames": 0}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_frames_are_the_decoders(tmp_path, kind):
    suffix, options = KINDS[kind]
    scene_cuts = {"sc_threshold": 0} if "codec" not in options else {}
    options = {"frames": 200, "height": 32, "width": 48, "gop": 30} | scene_cuts | options
    path = encode(tmp_path / f"a.{suffix}", **options)
    _, frames = decode_all(path)
    index = read_index(path)
    for positions in ([0, 70, 140, 199], [45, 46, 47, 130, 131, 198], [31, 31, 95, 160], range(29, 200, 33)):
        wanted = np.array(positions)
        got = list(pyav.read_pyav(index, wanted))
        assert len(got) == len(wanted)
        for position, picture in zip(wanted, got, strict=True):
            assert np.array_equal(picture.rgb(), frames[position])


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """200 frames, a key frame every 50th."""
    path = encode(
        tmp_path_factory.mktemp("sparse") / "a.mp4", frames=200, height=16, width=16, gop=50, b_frames=0, sc_threshold=0
    )
    index = read_index(path)
    assert np.flatnonzero(np.isin(index.pts_N, index.keys_K)).tolist() == [0, 50, 100, 150]
    return index


def test_seeks_are_decided_from_the_key_frames(index):
    key = index.keys_K.tolist()
    assert stretches(index, np.array([3, 130, 160])) == [Stretch(None, 0, 1), Stretch(key[2], 1, 3)]
    assert stretches(index, np.array([60, 170])) == [Stretch(key[1], 0, 1), Stretch(key[3], 1, 2)]
    last = 50 - SEEK_PAYS - 1  # leaves out just enough
    assert stretches(index, np.array([last, 50])) == [Stretch(None, 0, 1), Stretch(key[1], 1, 2)]
    assert stretches(index, np.array([last + 1, 50])) == [Stretch(None, 0, 2)]
    assert stretches(index, np.arange(200)) == [Stretch(None, 0, 200)]
    slow = dataclasses.replace(index, container="mpegts")
    assert stretches(slow, np.array([60, 170])) == [Stretch(key[1], 0, 2)]
    assert stretches(dataclasses.replace(index, has_pts=False), np.array([60, 170])) == [Stretch(None, 0, 2)]


def test_groups_without_a_sample_are_not_decoded(index, monkeypatch):
    fed = []

    class Watched:
        def __init__(self, packet):
            self.packet, self.pts, self.is_discard = packet, packet.pts, packet.is_discard

        def decode(self):
            fed.append(self.pts)
            return self.packet.decode()

    class Container:
        def __init__(self, container):
            self.container, self.seek = container, container.seek

        def demux(self, stream):
            return map(Watched, self.container.demux(stream))

    opened = pyav.open_video

    @contextlib.contextmanager
    def watched(path):
        with opened(path) as (container, stream):
            yield Container(container), stream

    monkeypatch.setattr(pyav, "open_video", watched)
    list(pyav.read_pyav(index, np.array([2, 104, 152])))
    positions = np.searchsorted(index.pts_N, fed).tolist()
    assert positions == [0, 1, 2, *range(100, 105), *range(150, 153)]


def test_a_seek_that_lands_elsewhere_costs_time_only(index, monkeypatch):
    """As in a file whose own index is wrong: the rest is then decoded from the start."""
    _, frames = decode_all(index.path)
    for shift in (50, -50):
        late = [
            Stretch(None, 0, 1),
            *(Stretch(int(index.keys_K[2]) + shift * int(index.pts_N[1]), low, low + 1) for low in (1, 2)),
        ]
        with monkeypatch.context() as patch:
            patch.setattr(pyav, "stretches", lambda index, positions, late=late: late)
            got = list(pyav.read_pyav(index, np.array([2, 104, 152])))
        for position, picture in zip([2, 104, 152], got, strict=True):
            assert np.array_equal(picture.rgb(), frames[position])
