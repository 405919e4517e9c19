"""Videos in order, loaded ahead by worker processes that may hang or die without harm."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, reduction
from typing import NamedTuple

from videostr.video.entry import read_entry
from videostr.video.errors import VideoError
from videostr.video.index import check_file
from videostr.video.load import check_clip, check_policy
from videostr.video.patches import VideoInputs
from videostr.video.policy import FramePolicy
from videostr.video.quarantine import Quarantine
from videostr.video.readers import get_reader
from videostr.video.sources import ImageFolder
from videostr.video.store import PatchStore
from videostr.video.worker import Settings, Task, work


class Clip(NamedTuple):
    """A file, or the part of it between start and end in seconds."""

    path: str | ImageFolder
    start: float | None = None
    end: float | None = None


def as_clip(clip: str | os.PathLike | ImageFolder | Clip) -> Clip:
    if isinstance(clip, Clip):
        return clip
    return Clip(clip if isinstance(clip, ImageFolder) else os.fspath(clip))


class Loaded(NamedTuple):
    """The clip at `position` of the list, with its video (uint8 pixel_values) or the error it ended in."""

    position: int
    clip: Clip
    video: VideoInputs | None
    error: VideoError | None


class VideoLoader:
    """Iterates over `clips` in their order, each once, whatever the workers do; an unusable file is its `error`.

        with VideoLoader(paths, policy, store=store, quarantine=Quarantine("bad.jsonl")) as loader:
            for position, clip, video, error in loader: ...

    A file that takes longer than the time limit ends its worker (reason "timeout"), one that crashes the decoder ends
    in "crashed"; a new worker takes over. Nothing is ever put in another sample's place.

    Args:
        clips: paths, `ImageFolder`s or `Clip`s.
        store: where patches are looked up and kept. Without, they go through memory and are forgotten.
        workers: processes. threads: of each, for decoding and patches.
        prefetch: clips that may be loaded or in work beyond the one handed out last; bounds the memory.
        time_limit: seconds a file may take, counted from when its worker begins it.
        memory_limit: bytes a worker may allocate besides the patches; None: no limit. Beyond it a file is "corrupt"
            or "crashed".
        quarantine: files listed there are not tried, files that fail are added.
        position: of the first clip to hand out. `loader.position` is the next one, to be saved for resuming.

    Workers start with the first clip. As with every use of multiprocessing, the main script needs its
    `if __name__ == "__main__"`.

    Raises ValueError, TypeError for a wrong argument, RuntimeError where a worker fails for a reason that is not the
    video (a full disk, a missing library, ended from outside); iterating again tries that clip again.
    """

    _pump: _Pump | None = None

    def __init__(
        self,
        clips: Sequence[str | os.PathLike | ImageFolder | Clip],
        policy: FramePolicy,
        *,
        store: PatchStore | None = None,
        reader: str = "auto",
        workers: int = 2,
        threads: int = 1,
        prefetch: int = 8,
        time_limit: float = 120.0,
        memory_limit: int | None = 8 << 30,
        quarantine: Quarantine | None = None,
        position: int = 0,
    ):
        for name, value in (("workers", workers), ("threads", threads), ("prefetch", prefetch)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an int >= 1, got {value!r}")
        if not time_limit > 0:
            raise ValueError(f"time_limit: expected seconds above 0, got {time_limit!r}")
        if not 0 <= position <= len(clips):
            raise ValueError(f"position: expected 0 to {len(clips)}, the number of clips, got {position!r}")
        get_reader(reader)
        check_policy(policy)
        self.clips = [as_clip(clip) for clip in clips]
        for clip in self.clips:
            check_clip(clip.start, clip.end)
        self.policy, self.reader, self.prefetch, self.time_limit = policy, reader, prefetch, time_limit
        self.quarantine, self.position, self.workers = quarantine, position, workers
        store_at = (str(store.folder), store.max_bytes) if store is not None else (None, None)
        self._settings = Settings(*store_at, threads, memory_limit)

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Loaded]:
        """From `position` on. A second iteration begins where the first stopped."""
        while self.position < len(self.clips):
            at, clip = self.position, self.clips[self.position]
            if self._pump is None:
                self._pump = _Pump(self)
            try:
                outcome = self._pump.take(at)
            except BaseException:  # whoever goes on begins with this clip again
                self.close()
                raise
            self.position += 1
            if isinstance(outcome, VideoError):
                if self.quarantine is not None:
                    self.quarantine.add(outcome, clip.start, clip.end)
                yield Loaded(at, clip, None, outcome)
            else:
                yield Loaded(at, clip, outcome, None)
        self.close()

    def close(self) -> None:
        """End the workers. Iterating again starts new ones."""
        if self._pump is not None:
            self._pump.stop()
            self._pump = None

    def __enter__(self) -> VideoLoader:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        self.close()


@dataclass
class _Worker:
    process: object
    pipe: connection.Connection
    at: int | None = None  # the clip in work
    deadline: float = float("inf")
    ready: bool = False


STARTING_S = 300.0  # a process that does not come up in this time never will


class _Pump:
    """Keeps the workers busy from a thread of its own, so that time limits hold while the caller computes."""

    def __init__(self, loader: VideoLoader):
        self.clips, self.policy, self.reader = loader.clips, loader.policy, loader.reader
        self.time_limit, self.prefetch, self.quarantine = loader.time_limit, loader.prefetch, loader.quarantine
        self.settings, self.count = loader._settings, loader.workers
        self.context = get_context("forkserver" if hasattr(os, "fork") else "spawn")
        if hasattr(os, "fork"):  # the libraries are then loaded once, and a new worker is there in milliseconds
            self.context.set_forkserver_preload(["videostr.video.worker"])
        self.taken = self.next = loader.position
        self.results: dict[int, VideoInputs | VideoError | Exception] = {}
        self.changed, self.stopping = threading.Condition(), False
        self.wake_read, self.wake_write = os.pipe()
        self.workers: list[_Worker] = []
        self.thread = threading.Thread(target=self._run, name="video loader", daemon=True)
        self.thread.start()

    def take(self, at: int) -> VideoInputs | VideoError:
        with self.changed:
            while at not in self.results:
                if not self.thread.is_alive():
                    raise RuntimeError("the video loader was closed")
                self.changed.wait(1.0)
            outcome = self.results.pop(at)
            self.taken = at + 1
        os.write(self.wake_write, b"x")
        if isinstance(outcome, VideoInputs | VideoError):
            return outcome
        raise RuntimeError(f"{os.fspath(self.clips[at].path)}: the video loader's worker failed: {outcome}")

    def stop(self) -> None:
        self.stopping = True
        os.write(self.wake_write, b"x")
        self.thread.join()
        for file in (self.wake_read, self.wake_write):
            os.close(file)

    def _run(self) -> None:
        try:
            while not self.stopping:
                self._hand_out()
                self._wait()
        except Exception as error:  # shown to the caller at the next clip
            with self.changed:
                self.results |= {at: error for at in range(self.taken, len(self.clips)) if at not in self.results}
                self.changed.notify_all()
        for worker in self.workers:
            self._end(worker)

    def _hand_out(self) -> None:
        while self.next < min(len(self.clips), self.taken + self.prefetch):
            at = self.next
            outcome = self._without_worker(at)
            if outcome is None:
                worker = next((w for w in self.workers if w.at is None and w.ready), None)
                if worker is None:
                    if len(self.workers) < self.count and all(w.at is not None for w in self.workers):
                        self.workers.append(self._start())
                    return
                clip = self.clips[at]
                worker.at, worker.deadline = at, time.monotonic() + self.time_limit
                worker.pipe.send(Task(clip.path, self.policy, self.reader, clip.start, clip.end))
            else:
                self._put(at, outcome)
            self.next += 1

    def _without_worker(self, at: int) -> VideoError | None:
        """What can be said without opening the file."""
        try:
            if self.quarantine is not None:
                self.quarantine.check(*self.clips[at])
            if not isinstance(self.clips[at].path, ImageFolder):
                check_file(self.clips[at].path)
        except VideoError as error:
            return error
        return None

    def _wait(self) -> None:
        pipes = {w.pipe: w for w in self.workers}
        first = min((w.deadline for w in self.workers), default=None)
        left = None if first in (None, float("inf")) else max(0.0, first - time.monotonic())
        for source in connection.wait([*pipes, self.wake_read], left):
            if source == self.wake_read:
                os.read(self.wake_read, 4096)
            else:
                self._receive(pipes[source])
        now = time.monotonic()
        for worker in [w for w in self.workers if w.deadline <= now]:
            if worker.pipe.poll():  # just in time
                self._receive(worker)
            elif worker.at is None:
                raise RuntimeError(f"a worker process did not start within {STARTING_S:.0f} s")
            else:
                detail = f"more than {self.time_limit:g} s"
                self._lose(worker, VideoError(os.fspath(self.clips[worker.at].path), "timeout", detail))

    def _receive(self, worker: _Worker) -> None:
        try:
            message = worker.pipe.recv()
            if message == "video":
                file = reduction.recv_handle(worker.pipe)
                try:
                    message = read_entry(file)
                finally:
                    os.close(file)
        except (EOFError, OSError):
            worker.process.join()
            if worker.at is None or worker.process.exitcode == -signal.SIGTERM:  # no decoder sends that
                raise RuntimeError(f"a worker process was ended ({worker.process.exitcode})") from None
            detail = f"exit code {worker.process.exitcode}"
            self._lose(worker, VideoError(os.fspath(self.clips[worker.at].path), "crashed", detail))
            return
        if not worker.ready:
            worker.ready, worker.deadline = True, float("inf")
            return
        at, worker.at, worker.deadline = worker.at, None, float("inf")
        if message is None:
            message = RuntimeError("its entry is not whole")
        self._put(at, message if isinstance(message, VideoInputs | VideoError) else RuntimeError(message))

    def _lose(self, worker: _Worker, error: VideoError) -> None:
        at = worker.at
        self._end(worker)
        self.workers.remove(worker)
        self._put(at, error)

    def _put(self, at: int, outcome: VideoInputs | VideoError | Exception) -> None:
        with self.changed:
            self.results[at] = outcome
            self.changed.notify_all()

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(theirs, self.settings), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, deadline=time.monotonic() + STARTING_S)

    def _end(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.process.close()
        worker.pipe.close()
