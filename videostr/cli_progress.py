"""What the commands say while they work, and when they fail."""

import sys
import time


def fail(error: Exception) -> int:
    """The exit status of a command that could not do what it was asked."""
    print(f"videostr: {error}", file=sys.stderr)
    return 2


class Progress:
    """progress(a, b, …) fills `line`, a format such as "{:,} of {:,}", and says it on stderr: on a terminal twice a
    second on one line, elsewhere a line every 20 s."""

    def __init__(self, line: str):
        self.line = line
        self.terminal = sys.stderr.isatty()
        self.last = time.monotonic()

    def __call__(self, *values: object) -> None:
        now = time.monotonic()
        if now - self.last < (0.5 if self.terminal else 20.0):
            return
        self.last = now
        line = f"  {self.line.format(*values)}"
        print(
            f"\r\x1b[K{line}\r" if self.terminal else line,
            end="" if self.terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
