"""Drawn frames -> an H.264 file, for the generated worlds."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, frames: Iterable[np.ndarray], fps: int, width: int, height: int) -> None:
    """Encode (height, width, 3) uint8 RGB frames as H.264 (yuv420p, frame k at exactly k / fps seconds) to `path`.

    The sides are even numbers of pixels. One thread, so that the same frames always give the same file.
    """
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
