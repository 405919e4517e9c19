"""What a reader is, and what all of them need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex
from videostr.video.picture import Picture


class Reader(Protocol):
    """Yields one upright frame for each entry of positions_n (ascending indices into index.pts_N; repeats allowed), or
    raises VideoError. Never another frame than the one asked for."""

    def __call__(self, index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]: ...


def time_of(index: FrameIndex, position: int) -> str:
    return f"at {float(index.seconds(index.pts_N[position])):.3f} s"


def check_planned(index: FrameIndex, name: str, positions: np.ndarray, got_seconds: np.ndarray) -> None:
    """Raises unless a library's own times of the frames, in seconds from the first, are those that were planned."""
    want = index.seconds(index.pts_N[positions])
    near = float(np.diff(index.pts_N).min(initial=1 << 40) / 4 * index.time_base)  # no other frame is as near
    if not np.allclose(got_seconds, want, rtol=0, atol=near):
        raise VideoError(index.path, "reader", f"{name} finds other frame times in this file")


def refuse(index: FrameIndex, name: str) -> None:
    if not index.has_pts:
        raise VideoError(index.path, "reader", f"{name} needs frame times, {index.container} has none")
    if index.mirrored:  # both libraries turn such a picture by 180 degrees instead
        raise VideoError(index.path, "reader", f"{name} does not mirror frames")
    if index.truncated:  # decord would retry for minutes
        raise VideoError(index.path, "reader", f"{name} is not used on files that are cut off")


CHUNK = 16  # frames that the libraries below hand over at once, at the file's full size
