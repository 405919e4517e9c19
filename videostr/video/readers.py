"""Readers: file -> the RGB frames at given presentation times. One protocol, three libraries, the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import av
import numpy as np

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error, open_video, turn_upright


class Reader(Protocol):
    """Yields one (H, W, 3) uint8 RGB frame, upright, for each entry of positions_n (ascending indices into
    index.pts_N; repeats allowed), or raises VideoError. Never another frame than the one asked for."""

    def __call__(self, index: FrameIndex, positions_n: np.ndarray) -> Iterator[np.ndarray]: ...


def read_pyav(index: FrameIndex, positions_n: np.ndarray) -> Iterator[np.ndarray]:
    """Decodes from the last key frame before the first wanted frame to the last wanted one, with threads."""
    wanted = [int(x) for x in index.pts_N[positions_n]]
    at, tainted = 0, False
    with open_video(index.path) as (container, stream), as_video_error(index.path, "corrupt"):
        start = index.keys_K[np.searchsorted(index.keys_K, wanted[0], side="right") - 1]
        if start > index.keys_K[0]:
            container.seek(int(start), stream=stream)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                tainted = True  # what refers to the lost frame is wrong too, up to the next key frame
                continue
            for frame in frames:
                tainted = frame.is_corrupt or (tainted and not frame.key_frame)
                if frame.pts is None or frame.pts < wanted[at]:
                    continue
                if frame.pts > wanted[at] or tainted:
                    raise VideoError(index.path, "corrupt", f"at {float(index.seconds(wanted[at])):.3f} s")
                rgb = turn_upright(frame, frame.to_ndarray(format="rgb24"))
                while at < len(wanted) and wanted[at] == frame.pts:
                    at += 1
                    yield rgb
                if at == len(wanted):
                    return
    raise VideoError(index.path, "corrupt", f"ends before {float(index.seconds(wanted[at])):.3f} s")


READERS: dict[str, Reader] = {"pyav": read_pyav}


def get_reader(name: str = "auto") -> Reader:
    if name == "auto":
        return read_pyav
    return READERS[name]
