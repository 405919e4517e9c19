"""An mp4's tables give what its packets give, or are not used."""

import pytest
from video_clips import encode, real_clips

from videostr.video import index
from videostr.video.mp4 import composition_offsets, is_cut_off

KINDS = {
    "b frames": ({}, True),
    "no b frames": ({"b_frames": 0}, True),
    "index first": ({"container": {"movflags": "faststart"}}, True),
    "variable rate": ({"times": [0, 40, 50, 400, *range(500, 1500, 40)]}, True),
    "sound": ({"audio": True}, True),
    "intra refresh": ({"x264-params": "intra-refresh=1:keyint=20", "b_frames": 0, "frames": 60}, True),
    "open groups": ({"x264-params": "open-gop=1:bframes=3:scenecut=0", "frames": 60}, True),
    "hevc": ({"codec": "libx265", "x265-params": "log-level=none"}, True),
    "fragments": ({"container": {"movflags": "frag_keyframe+empty_moov"}}, False),
    "negative offsets": ({"container": {"movflags": "negative_cts_offsets"}}, False),
    "short": ({"frames": 8}, False),
}


def both_ways(path, monkeypatch):
    """What the tables give (None: not used), and what the packets give."""
    with index.open_video(str(path)) as (container, stream):
        tables = index._from_tables(str(path), container, stream)
        again = index._Scan("", stream.time_base, None, None, [], index.Fraction(0))
        index._from_packets(again, str(path), container, stream, per_stream=True)  # the container is at its beginning
    with monkeypatch.context() as patch:
        patch.setattr(index, "_from_tables", lambda *_: None)
        packets = index._scan(str(path))
    assert (again.packets, again.last_end) == (packets.packets, packets.last_end)
    return tables, packets


@pytest.mark.parametrize("name", KINDS)
def test_tables_are_the_packets(tmp_path, monkeypatch, name):
    options, used = KINDS[name]
    if "times" in options:
        options = options | {"frames": len(options["times"]), "time_base": index.Fraction(1, 1000)}
    path = encode(tmp_path / "a.mp4", **options)
    tables, packets = both_ways(path, monkeypatch)
    assert (tables is not None) == used
    if used:
        assert tables == packets.packets
        assert index._scan(str(path)) == packets


@pytest.mark.parametrize("clip", real_clips(), ids=lambda p: p.stem)
def test_tables_of_real_clips(monkeypatch, clip):
    tables, packets = both_ways(clip, monkeypatch)
    assert tables == packets.packets


@pytest.mark.parametrize("damage", ["ctts count", "ctts offset", "cut"])
def test_tables_that_are_wrong_are_not_used(tmp_path, monkeypatch, damage):
    path = encode(tmp_path / "a.mp4", container={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    at = data.index(b"ctts") + 12  # the first run: its length, then its offset
    if damage == "cut":
        del data[-40:]
    else:
        place = at if damage == "ctts count" else at + 4
        data[place : place + 4] = (int.from_bytes(data[place : place + 4], "big") + 3).to_bytes(4, "big")
    path.write_bytes(data)
    if damage == "ctts offset":  # FFmpeg reads the same table: then it is the file's word
        tables, packets = both_ways(path, monkeypatch)
        assert tables is None or tables == packets.packets
    else:
        assert both_ways(path, monkeypatch)[0] is None
        assert is_cut_off(str(path)) == (damage == "cut")


def test_offsets_of_files_that_are_none(tmp_path):
    path = tmp_path / "a.mp4"
    for content in (b"", b"\0" * 7, b"\0\0\0\x10ftypisom\0\0\0\0", b"\0\0\0\x08moov", b"\0\0\0\x20moov" + b"\xff" * 24):
        path.write_bytes(content)
        assert composition_offsets(str(path), 1, 5) is None
