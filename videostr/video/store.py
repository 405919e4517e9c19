"""Decoded once: a folder of uint8 patches that every process, epoch and run of a machine shares."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import av

from videostr.video.entry import read_entry, write_entry
from videostr.video.index import check_file
from videostr.video.load import Source, check_clip, check_policy, load_video, plan
from videostr.video.patches import VideoInputs
from videostr.video.policy import FramePolicy
from videostr.video.readers import get_reader, reader_name
from videostr.video.sources import FrameArray, ImageFolder

VERSION = 2  # of the entries: to be raised whenever the same request would give other patches
SAMPLED = 16  # blocks of a file that its identity looks at
BLOCK = 4096
ABANDONED_S = 3600.0  # a temporary file that nobody wrote to for so long belongs to a process that was killed


def file_identity(path: Source) -> str:
    """What a file is, wherever it lies: digest of its size, modification time and 16 blocks from begin to end.

    Reading all of an hour of video would cost more than decoding a few frames of it. Raises VideoError.
    """
    if isinstance(path, FrameArray):
        raise ValueError("path: a FrameArray is in memory already; load_video makes its patches")
    if isinstance(path, ImageFolder):
        return path.identity()
    name = check_file(path)
    info = os.stat(name)
    digest = hashlib.sha256(f"{info.st_size} {info.st_mtime_ns}".encode())
    with open(name, "rb") as file:
        for part in range(SAMPLED):
            file.seek(max(0, info.st_size - BLOCK) * part // (SAMPLED - 1))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()


class PatchStore:
    """Patches on disk, addressed by the file's identity, the policy, the clip, the reader and the versions.

    `load` is `load_video(…, dtype=torch.uint8)` that remembers. An entry is one file, written under a temporary name
    and renamed when complete: processes may race for it, and none ever sees half of one. Entries are mapped into
    memory, so that all processes of a machine share one copy in the page cache.

    folder: made where needed. max_bytes: the entries used least recently go once the total is above it (None: no
    limit); an entry in use stays readable. Every process counts what it wrote and looks at the folder after each
    sixteenth of max_bytes, so that p processes may exceed it by p sixteenths. A folder that cannot be written is
    warned about, and videos are then decoded into memory.
    """

    def __init__(self, folder: str | os.PathLike, max_bytes: int | None = None):
        if max_bytes is not None and (not isinstance(max_bytes, int) or max_bytes < 0):
            raise ValueError(f"max_bytes: expected an int >= 0 or None, got {max_bytes!r}")
        self.folder, self.max_bytes = Path(folder), max_bytes
        self.hits = self.misses = 0
        self._seen: int | None = None  # bytes in the folder when it was last looked at
        self._written = 0  # by this process since then

    def load(
        self,
        path: Source,
        policy: FramePolicy,
        reader: str = "auto",
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> VideoInputs:
        """The video with uint8 pixel_values, not normalised (`VideoInputs.normalised` does that). Errors as
        `load_video`."""
        if (found := self._get(path, policy, reader, start, end)) is None:
            return load_video(path, policy, reader, start=start, end=end, dtype="uint8")
        os.close(found[0])
        return found[1]

    def descriptor(
        self,
        path: Source,
        policy: FramePolicy,
        reader: str = "auto",
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> int | None:
        """As `load`, but a file descriptor of the entry, the caller's to close, which no eviction takes away; None
        where the folder cannot be written."""
        found = self._get(path, policy, reader, start, end)
        return None if found is None else found[0]

    def _get(self, path: Source, policy: FramePolicy, reader: str, start, end) -> tuple[int, VideoInputs] | None:
        """Descriptor and video of the entry, which is made where it is not there."""
        entry = self.entry(path, policy, reader, start=start, end=end)
        if (found := self._open(entry)) is not None:
            self.hits += 1
            return found
        self.misses += 1
        read, planned = get_reader(reader, path), plan(path, policy, start=start, end=end)
        temporary = entry.with_name(f".{entry.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                write_entry(file, planned, policy, read)
                os.fsync(file)
                video = read_entry(file)
                os.replace(temporary, entry)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            _remove(temporary)
            warnings.warn(f"the patch store {self.folder} cannot be written ({error}): decoding anew", stacklevel=3)
            return None
        except BaseException:
            _remove(temporary)
            raise
        self._written += os.fstat(file).st_size
        self._keep_to_size(entry)
        return file, video

    def find(
        self,
        path: Source,
        policy: FramePolicy,
        reader: str = "auto",
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> VideoInputs | None:
        """As `load`, but None where the store does not have it. Nothing is decoded."""
        if (found := self._open(self.entry(path, policy, reader, start=start, end=end))) is None:
            return None
        self.hits += 1
        os.close(found[0])
        return found[1]

    def entry(self, path: Source, policy: FramePolicy, reader: str, *, start: float | None, end: float | None) -> Path:
        """The file that holds this request's patches, there or not. Raises VideoError, ValueError as `load_video`."""
        check_clip(start, end)
        check_policy(policy)
        start, end = (None if seconds is None else float(seconds) for seconds in (start, end))
        wanted = asdict(policy)
        for name in ("image_mean", "image_std"):  # the patches are not normalised
            del wanted[name]
        about = [VERSION, av.__version__, file_identity(path), wanted, reader_name(reader, path), start, end]
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        return self.folder / key[:2] / key[2:]

    @property
    def nbytes(self) -> int:
        """Bytes of all entries, by looking at the folder."""
        return sum(entry.size for entry in self._entries())

    def _open(self, entry: Path) -> tuple[int, VideoInputs] | None:
        try:
            file = os.open(entry, os.O_RDONLY)
        except OSError:
            return None
        try:
            video = read_entry(file)
        except OSError:  # of the disk: made anew
            video = None
        if video is None:
            os.close(file)
            return None
        if self.max_bytes is not None:
            with contextlib.suppress(OSError):  # evicted just now, or another user's
                os.utime(entry)  # the modification time is the time of the last use
        return file, video

    def _entries(self) -> Iterator[_Entry]:
        for part in self.folder.glob("??"):
            try:
                with os.scandir(part) as files:
                    for file in files:
                        info = file.stat()
                        yield _Entry(info.st_mtime, info.st_size, file.path, file.name.endswith(".tmp"))
            except FileNotFoundError:  # evicted by another process while we look
                continue

    def _keep_to_size(self, newest: Path) -> None:
        if self.max_bytes is None:
            return
        if self._seen is not None and self._seen + self._written <= self.max_bytes:
            if self._written * 16 <= self.max_bytes:
                return
        entries = sorted(self._entries())
        now, total = time.time(), sum(entry.size for entry in entries)
        for entry in entries:
            abandoned = entry.temporary and now - entry.used > ABANDONED_S
            too_much = total > self.max_bytes and not entry.temporary and entry.path != str(newest)
            if abandoned or too_much:
                _remove(entry.path)
                total -= entry.size
        self._seen, self._written = total, 0


def _remove(path: str | os.PathLike) -> None:
    with contextlib.suppress(OSError):  # gone already, or never there
        os.unlink(path)


class _Entry(NamedTuple):
    used: float
    size: int
    path: str
    temporary: bool
