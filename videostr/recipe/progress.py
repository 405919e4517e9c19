"""Progress on one line of a terminal, or a line now and then in a log file."""

import sys
import time

from accelerate import PartialState


class Progress:
    """progress(done, note) says how far a stage is; at most twice a second on a terminal, every 20 s elsewhere."""

    def __init__(self, name: str, total: int):
        self.name, self.total = name, total
        self.terminal = sys.stdout.isatty()
        self.started = self.last = time.monotonic()
        self.quiet = not PartialState().is_main_process

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        final = done >= self.total
        if self.quiet or (not final and now - self.last < (0.5 if self.terminal else 20.0)):
            return
        self.last = now
        line = f"  {self.name} {done}/{self.total}  {now - self.started:.0f} s  {note}"
        if self.terminal:
            print(f"\r\x1b[K{line}", end="\n" if final else "", flush=True)
        else:
            print(line, flush=True)
