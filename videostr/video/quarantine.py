"""The list of videos that could not be used, kept in a file so that no later pass or run tries them again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from videostr.video.errors import REASONS, SkippedVideos, VideoError

OF_A_PART = ("empty_clip", "truncated", "corrupt")  # what is wrong with the frames that were asked for, not with others
Part = tuple[float | None, float | None]


class Quarantine(SkippedVideos):
    """`SkippedVideos` in a JSON-lines file: path, part (start and end, or null), reason, detail, and size and time of
    the last change (of content or permissions) of the file then.

    Several processes may share the file: each adds whole lines at its end. A file that has changed since is let go.
    Lines that a killed process left unfinished are passed over. What is wrong with some frames only (`OF_A_PART`) holds
    for the part they were asked of. What a reader cannot deliver (`reader`) is no fault of the file: it is not kept.
    """

    def __init__(self, file: str | os.PathLike):
        super().__init__()
        self.file = Path(file)
        self._errors: dict[tuple[str, Part | None], tuple[VideoError, list[int] | None]] = {}  # None: every part
        self._read = 0  # bytes of the file that are known
        self._refresh()

    def check(self, path: str | os.PathLike, start: float | None = None, end: float | None = None) -> None:
        """Raises the VideoError under which this part of an unchanged file was listed."""
        name = os.path.abspath(path)
        keys = (name, None), (name, (start, end))
        if not any(key in self._errors for key in keys):
            self._refresh()
        for key in keys:
            error, state = self._errors.get(key, (None, None))
            if error is None:
                continue
            if state == _state(name):
                raise VideoError(error.path, error.reason, error.detail)
            del self._errors[key]
            self.reasons.pop(name, None)

    def add(self, error: VideoError, start: float | None = None, end: float | None = None) -> None:
        """List the error that loading this part of a file ended in."""
        name = os.path.abspath(error.path)
        part = None
        if error.reason in OF_A_PART:
            part = tuple(None if seconds is None else float(seconds) for seconds in (start, end))
        if error.reason == "reader":
            self.reasons.setdefault(name, error.reason)
        if error.reason == "reader" or (name, part) in self._errors:
            return
        row = {"path": name, "part": part, "reason": error.reason, "detail": error.detail, "state": _state(name)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(row, ensure_ascii=True) + "\n"
        with open(self.file, "a+b", buffering=0) as file:
            if size := os.fstat(file.fileno()).st_size:
                file.seek(size - 1)
                line = line if file.read() == b"\n" else "\n" + line  # after what a killed process left
            file.write(line.encode())  # one call with O_APPEND: lines of several processes do not mix
        self._take(row)

    def __contains__(self, path: str | os.PathLike) -> bool:
        return os.path.abspath(path) in self.reasons

    def to_list(self) -> list[dict[str, str]]:
        """Of all processes so far, sorted by path."""
        self._refresh()
        return sorted(super().to_list(), key=lambda row: row["path"])

    def _take(self, row: dict) -> None:
        error = VideoError(row["path"], row["reason"], row["detail"])
        part = None if row["part"] is None else tuple(row["part"])
        self._errors[row["path"], part] = (error, row["state"])
        self.reasons[row["path"]] = row["reason"]

    def _refresh(self) -> None:
        """Read what this and other processes have added since."""
        try:
            with open(self.file, "rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if (
                isinstance(row, dict)
                and row.get("reason") in REASONS
                and {"path", "part", "detail", "state"} <= row.keys()
            ):
                self._take(row)


def _state(path: str) -> list[int] | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return [info.st_size, info.st_ctime_ns]
