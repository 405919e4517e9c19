"""Frames that are no video file: a folder of images, an array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from videostr.video.index import as_video_error, check_file
from videostr.video.picture import Picture
from videostr.video.sources import ArrayIndex, ImageIndex


def read_images(index: ImageIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    for position in positions_n.tolist():
        check_file(index.files[position])  # opening a FIFO would block for ever
        with as_video_error(index.files[position], "corrupt"), Image.open(index.files[position]) as image:
            rgb = np.array(image.convert("RGB"))
        yield Picture((rgb,))


def read_array(index: ArrayIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    for position in positions_n.tolist():
        yield Picture((index.frames[position],))
