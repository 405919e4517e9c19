"""A clip as a film strip: frames at even times, side by side, on the same time axis as the intervals under them."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from videostr.video.index import read_index
from videostr.video.readers import get_reader

HEIGHT = 112  # pixels of a frame in the strip
_ASPECT = 9.5  # of the whole strip, about


class Strip(NamedTuple):
    """image: the strip, cell k of `cells` covers duration * [k, k + 1] / cells and shows the frame at the middle of it;
    duration: seconds."""

    image: Image.Image
    cells: int
    duration: float


def film_strip(path: str, cells: int | None = None, height: int = HEIGHT) -> Strip:
    """Decode a clip into a strip.

    Args:
        path: the video file.
        cells: number of frames; None takes as many as give a strip of the usual proportions (5 to 16).
        height: pixels of a frame.

    Raises:
        VideoError: the file cannot be read.
    """
    index = read_index(path)
    seconds_N = index.seconds(index.pts_N)
    duration = float(index.seconds(index.end))
    if cells is None:
        cells = int(np.clip(round(_ASPECT * index.height / index.width), 5, 16))
    middle = (np.arange(cells) + 0.5) * duration / cells
    # What is on screen at a time is the last frame that began before it.
    position = np.clip(np.searchsorted(seconds_N, middle, side="right") - 1, 0, len(seconds_N) - 1)
    width = max(1, round(height * index.width / index.height))
    strip = Image.new("RGB", (cells * width, height), "white")
    for cell, picture in enumerate(get_reader()(index, position)):
        strip.paste(
            Image.fromarray(picture.rgb()).resize((width - 2, height), Image.Resampling.BILINEAR), (cell * width + 1, 0)
        )
    return Strip(strip, cells, duration)


def to_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
