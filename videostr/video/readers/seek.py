"""Where to seek on the way through the wanted frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from videostr.video.index import FrameIndex

SEEK_PAYS = 24  # frames that a seek must leave out: emptying and refilling the decoder's threads costs a few


class Stretch(NamedTuple):
    """positions_n[low:high], decoded in one go. seek: the key frame to begin at; None: where the decoder stands."""

    seek: int | None
    low: int
    high: int


def stretches(index: FrameIndex, positions_n: np.ndarray) -> list[Stretch]:
    """Where to seek on the way through the wanted frames, decided from the key frames' times alone."""
    if not index.has_pts:
        return [Stretch(None, 0, len(positions_n))]
    wanted = index.pts_N[positions_n]
    keys = index.keys_K[np.maximum(np.searchsorted(index.keys_K, wanted, side="right") - 1, 0)]
    left_out = np.searchsorted(index.pts_N, keys[1:]) - positions_n[:-1] - 1
    indexed = "mp4" in index.container or "matroska" in index.container  # elsewhere a seek searches through the file
    begins = [0, *(np.flatnonzero(left_out >= SEEK_PAYS) + 1).tolist()] if indexed else [0]
    seeks = [int(keys[begin]) for begin in begins]
    first = None if seeks[0] <= index.keys_K[0] else seeks[0]
    return [
        Stretch(seek, low, high)
        for seek, low, high in zip([first, *seeks[1:]], begins, [*begins[1:], len(wanted)], strict=True)
    ]
