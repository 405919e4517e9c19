"""The process that loads videos for a `VideoLoader`: a fault in a decoder ends it, and not the run."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import connection, parent_process, reduction
from typing import NamedTuple

import torch

from videostr.video.entry import write_entry
from videostr.video.errors import VideoError
from videostr.video.index import set_decoder_threads
from videostr.video.load import plan
from videostr.video.policy import FramePolicy
from videostr.video.readers import get_reader
from videostr.video.sources import ImageFolder
from videostr.video.store import PatchStore


class Task(NamedTuple):
    path: str | ImageFolder
    policy: FramePolicy
    reader: str
    start: float | None
    end: float | None


class Settings(NamedTuple):
    """threads: of a worker's decoder and operators. memory: bytes that it may allocate, None: no limit."""

    store: str | None
    max_bytes: int | None
    threads: int
    memory: int | None


def work(pipe: connection.Connection, settings: Settings) -> None:
    """Answer every task with a file descriptor of its entry, a VideoError, or the text of an error of ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the loader ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory(settings.memory)
    torch.set_num_threads(settings.threads)
    set_decoder_threads(settings.threads)
    store = PatchStore(settings.store, settings.max_bytes) if settings.store else None
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            file = _load(task, store)
        except VideoError as error:
            pipe.send(error)
            continue
        except BaseException as error:  # a wrong argument, a full disk: the caller's to see
            pipe.send(f"{type(error).__name__}: {error}")
            continue
        pipe.send("video")
        reduction.send_handle(pipe, file, os.getppid())
        os.close(file)


def _load(task: Task, store: PatchStore | None) -> int:
    """A descriptor of the task's entry."""
    if store is not None:
        file = store.descriptor(task.path, task.policy, task.reader, start=task.start, end=task.end)
        if file is not None:
            return file
    read, planned = get_reader(task.reader, task.path), plan(task.path, task.policy, start=task.start, end=task.end)
    file = _nameless_file()
    try:
        write_entry(file, planned, task.policy, read)
    except BaseException:
        os.close(file)
        raise
    return file


def _nameless_file() -> int:
    """A file that is gone with its last descriptor and mapping, whoever is killed; in memory on Linux."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("videostr")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _limit_memory(size: int | None) -> None:
    if size is not None:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (size if hard < 0 else min(size, hard), hard))
