"""Loaded videos kept in memory, so that rollout, training and evaluation decode a file once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from videostr.video.index import check_file
from videostr.video.load import load_video
from videostr.video.patches import VideoInputs
from videostr.video.policy import FramePolicy


class VideoCache:
    """`load` is `load_video` that remembers, up to max_bytes of tensors; the least recently used goes first.

    The key is the file's path, modification time and size, and the policy and clip, so that a changed file is read
    again. What it returns is shared: do not write into it. Safe to use from several threads.
    """

    def __init__(self, max_bytes: int):
        if not isinstance(max_bytes, int) or max_bytes < 0:
            raise ValueError(f"max_bytes: expected an int >= 0, got {max_bytes!r}")
        self.max_bytes = max_bytes
        self.nbytes = self.hits = self.misses = 0
        self._items: OrderedDict[tuple, VideoInputs] = OrderedDict()
        self._lock = threading.Lock()

    def load(
        self,
        path: str | os.PathLike,
        policy: FramePolicy,
        reader: str = "auto",
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> VideoInputs:
        """As `load_video`, with its errors."""
        name = check_file(path)
        info = os.stat(name)
        key = (name, info.st_mtime_ns, info.st_size, policy, reader, start, end)
        with self._lock:
            if key in self._items:
                self.hits += 1
                self._items.move_to_end(key)
                return self._items[key]
            self.misses += 1
        video = load_video(name, policy, reader, start=start, end=end)
        with self._lock:
            if key not in self._items and video.nbytes <= self.max_bytes:
                self._items[key] = video
                self.nbytes += video.nbytes
                while self.nbytes > self.max_bytes:
                    self.nbytes -= self._items.popitem(last=False)[1].nbytes
        return video
