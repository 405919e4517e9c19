"""Frames of every pixel format and size as `picture_of` takes them: the RGB of PyAV, planes where that is possible."""

import av
import numpy as np
import pytest

from videostr.video.picture import picture_of

KINDS = [
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuvj422p",
    "yuv444p",
    "yuvj444p",
    "yuv420p10le",
    "yuv422p10le",
    "gray",
    "gbrp",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", [2, 1, 9])
@pytest.mark.parametrize(("height", "width"), [(36, 52), (35, 52), (36, 51), (4, 6), (1, 1), (480, 130)])
def test_the_rgb_is_pyavs(kind, space, height, width):
    random = np.random.default_rng(0)
    frame = av.VideoFrame(width, height, kind)
    frame.colorspace = space
    for plane in frame.planes:
        samples = np.frombuffer(plane, np.uint16 if "10" in kind else np.uint8)
        samples[:] = random.integers(0, 1024 if "10" in kind else 256, samples.shape)
    picture = picture_of(frame)
    assert np.array_equal(picture.rgb(), frame.to_ndarray(format="rgb24"))
    even = height % 2 == 0 and width % 2 == 0
    if even and height > 4 and "10" not in kind and kind not in ("gray", "gbrp"):
        assert len(picture.planes) == 3  # not converted
