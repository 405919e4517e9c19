"""decord: RGB frames from the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error
from videostr.video.picture import Picture
from videostr.video.readers.base import CHUNK, check_planned, refuse


def read_decord(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    refuse(index, "decord")
    if not any(name in index.container for name in ("mp4", "matroska", "flv")):  # seen: other frames in MPEG-TS
        raise VideoError(index.path, "reader", f"decord does not seek exactly in {index.container}")
    if index.pts_N[0] != 0 or index.keys_K[0] != 0:  # seen: other frames after a seek
        raise VideoError(index.path, "reader", "decord does not seek exactly in files that do not begin at time 0")
    # decord retries a frame that does not decode this often, 10,240 times unless told: hours on a damaged file
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "1024")
    import decord

    with as_video_error(index.path, "corrupt"):
        video = decord.VideoReader(index.path, ctx=decord.cpu(0))
        if len(video) < len(index.pts_N):
            raise VideoError(index.path, "reader", f"decord finds {len(video)} frames, not {len(index.pts_N)}")
        starts = video.get_frame_timestamp(range(len(index.pts_N)))[:, 0].astype(np.float64)
    for at in range(0, len(positions_n), CHUNK):
        positions = positions_n[at : at + CHUNK]
        check_planned(index, "decord", positions, starts[positions] - starts[0])
        with as_video_error(index.path, "corrupt"):
            batch = video.get_batch(positions.tolist()).asnumpy()
        yield from (Picture((rgb,)) for rgb in batch)
