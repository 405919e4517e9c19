"""Where decoding of H.264 may begin, read from the packets themselves."""

import av
import pytest
from video_clips import encode

from videostr.video.h264 import can_begin
from videostr.video.index import read_index

AVCC = bytes([1, 100, 0, 10, 0xFF])  # NAL units after four-byte lengths


def units(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def annex_b(*parts: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + part for part in parts)


IDR, SLICE = b"\x65\x88\x84", b"\x41\x88\x84"
WHOLE, GRADUAL = b"\x06\x06\x01\xc4\x80", b"\x06\x06\x01\x50\x80"  # recovery_frame_cnt 0 and 9
OTHER = b"\x06\x05\xff\x02" + bytes(257) + b"\x06\x01\x50\x80"  # 257 bytes of user data, then a gradual one


@pytest.mark.parametrize("join", [units, annex_b])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((IDR,), True),
        ((b"\x67\x64", b"\x68\xef", IDR), True),
        ((SLICE,), False),
        ((WHOLE, SLICE), True),
        ((GRADUAL, SLICE), False),
        ((OTHER, SLICE), False),
        ((GRADUAL, IDR), False),
        ((), False),
        ((b"\x06\x06",), False),
        ((b"\x06\xff\xff",), False),
    ],
)
def test_can_begin(join, parts, expected):
    assert can_begin(join(*parts), AVCC if join is units else b"") == expected


def test_any_bytes_are_answered():
    for length in range(40):
        for first in (0, 1, 6, 255):
            assert can_begin(bytes([first] * length), AVCC) in (True, False)
            assert can_begin(b"\0\0\1" + bytes([first] * length), b"") in (True, False)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_open_and_closed_groups_are_keys_and_refreshes_are_not(tmp_path, suffix):
    container = {"format": "mpegts"} if suffix == "ts" else None
    options = {"frames": 60, "gop": 15, "container": container}
    for name, parameters in (
        ("closed", "open-gop=0"),
        ("open", "open-gop=1:bframes=2"),
        ("refresh", "intra-refresh=1"),
    ):
        path = encode(
            tmp_path / f"{name}.{suffix}", **options, **{"x264-params": f"{parameters}:scenecut=0", "b_frames": 0}
        )
        with av.open(str(path)) as file:
            marked = sum(packet.is_keyframe for packet in file.demux(video=0) if packet.size)
        keys = len(read_index(path).keys_K)
        assert (keys, marked > 1) == ((1, True) if name == "refresh" else (4, True)), (name, keys, marked)
