"""torchcodec's VideoDecoder: RGB frames from the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videostr.video.index import FrameIndex, as_video_error
from videostr.video.picture import Picture
from videostr.video.readers.base import CHUNK, check_planned, refuse


def read_torchcodec(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    refuse(index, "torchcodec")
    from torchcodec.decoders import VideoDecoder

    with as_video_error(index.path, "corrupt"):
        decoder = VideoDecoder(index.path, dimension_order="NHWC", num_ffmpeg_threads=0, seek_mode="exact")
        first = decoder.metadata.begin_stream_seconds
    for at in range(0, len(positions_n), CHUNK):
        positions = positions_n[at : at + CHUNK]
        with as_video_error(index.path, "corrupt"):
            batch = decoder.get_frames_at(positions.tolist())
        check_planned(index, "torchcodec", positions, batch.pts_seconds.double().numpy() - first)
        yield from (Picture((rgb,)) for rgb in batch.data.numpy())
