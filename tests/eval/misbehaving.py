"""A policy that does in a worker what a decoder might. Alone in its file: workers import it within the time limit."""

import os
import signal
import time
from dataclasses import dataclass

from videostr.video import FramePolicy

HANGS, CRASHES = 64, 80  # height of the videos that it trips over, in pixels


@dataclass(frozen=True)
class Misbehaving(FramePolicy):
    def frame_size(self, n, height, width):
        if height == HANGS:
            time.sleep(600)
        if height == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().frame_size(n, height, width)
