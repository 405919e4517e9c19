"""NVDEC to patches on a GPU: the bits of PyAV and the C++ operator."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "video"))
from video_clips import encode, real_clips  # noqa: E402

from videostr.video import FramePolicy, available_readers, load_video  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
POLICY = FramePolicy(fps=4.0, min_pixels=784, max_pixels=50176)
KINDS = {
    "h264.mp4": {},
    "sparse.mp4": {"frames": 300, "gop": 50},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=none"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "rotated.mp4": {"matrix": (0, 1, -1, 0)},
}


@pytest.fixture(autouse=True)
def available():
    status = available_readers()["nvdec"]
    if not status.available:
        pytest.skip(status.note)


def assert_same(path, **clip):
    for dtype in (torch.float32, torch.uint8):
        got = load_video(path, POLICY, "nvdec", dtype=dtype, **clip)
        assert got.pixel_values.is_cuda
        want = load_video(path, POLICY, "pyav", dtype=dtype, **clip)
        assert torch.equal(got.pixel_values.cpu(), want.pixel_values)
        assert got.timestamps.tolist() == want.timestamps.tolist()


@pytest.mark.parametrize("clip", real_clips(), ids=lambda p: p.stem)
def test_real_clips(clip):
    assert_same(clip)
    assert_same(clip, start=1.5, end=3.0)


@pytest.mark.parametrize("name", KINDS)
def test_generated_clips(tmp_path, name):
    options = {"height": 256, "width": 320} | KINDS[name]  # NVDEC has a smallest size
    assert_same(encode(tmp_path / name, **options))
