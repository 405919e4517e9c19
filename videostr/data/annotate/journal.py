"""What was asked and what came back, on the disk before anything is made of it.

One JSON object a line, each flushed to the disk before the program goes on:

    settings   the first line: what every request of this journal has in common
    start      a request is about to be sent
    answer     a usable answer came back: its text, tokens and how it ended
    error      the request ended in another way; `paid` is true, false or null (not known: a timeout)
    failed     the sample was given up

A `start` that nothing follows was in flight when the program was killed: the one case in which a request may have been
paid for and its answer lost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class JournalError(ValueError):
    """A journal that cannot be continued."""


class Journal:
    """Opens (and locks) a journal, or begins one. Keys name requests: see `annotate`.

    answers: key -> its record. failed: key -> reason. open: keys in flight when the program was killed. errors: counts
    by reason. tokens, wasted: tokens by the usage's names, in all and of paid responses that were no answers;
    without_usage: paid responses that did not say. started: requests. unknown: those of them that ended, by a kill or a
    timeout, so that they may have been paid for without an answer.

    Raises JournalError for a journal of other settings, one that another process writes, and a file that is none.
    """

    def __init__(self, path: str | os.PathLike, settings: Mapping[str, Any]):
        self.path = Path(path)
        self.answers: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self.open: set[str] = set()
        self.errors: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.wasted: Counter[str] = Counter()
        self.started = self.unknown = self.without_usage = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            self._read(dict(settings))
        except BaseException:
            os.close(self._file)
            raise
        self.in_doubt = frozenset(self.open)

    def add(self, kind: str, **record: Any) -> None:
        """Append a record; on return it is on the disk."""
        record = {"type": kind, **record}
        data = (json.dumps(record, allow_nan=False) + "\n").encode("ascii")
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)
        self._take(record)

    def close(self) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(f"{self.path}: another process is writing it") from error

    def _read(self, settings: dict[str, Any]) -> None:
        data = Path(self.path).read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # the kill came in the middle of a line
            os.ftruncate(self._file, whole)
        lines = data[:whole].splitlines()
        if not lines:
            self.add("settings", settings=settings)
            return
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                if number == 1:
                    self._compare(record["settings"], json.loads(json.dumps(settings)))
                else:
                    self._take(record)
            except JournalError:
                raise
            except (ValueError, KeyError, TypeError) as error:
                raise JournalError(f"{self.path}, line {number}: no record of a journal: {error!r}") from error

    def _compare(self, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
        different = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
        if different:
            says = "; ".join(
                f"{name}: {theirs.get(name)!r:.60} there, {ours.get(name)!r:.60} now" for name in different
            )
            raise JournalError(f"{self.path} was begun with other settings ({says}): give another --out")

    def _take(self, record: dict[str, Any]) -> None:
        kind, key = record["type"], record.get("key", "")
        if kind == "start":
            self.started += 1
            self.unknown += key in self.open
            self.open.add(key)
            self.failed.pop(key, None)
        elif kind == "answer":
            self.open.discard(key)
            self.answers[key] = record
            self._use(record)
        elif kind == "error":
            self.open.discard(key)
            self.errors[record["reason"]] += 1
            self.unknown += record["paid"] is None
            if record["paid"]:
                self._use(record)
                self.wasted.update(record["usage"] or {})
        elif kind == "failed":
            self.failed[key] = record["reason"]
        elif kind != "settings":
            raise ValueError(f"unknown type {kind!r}")

    def _use(self, record: dict[str, Any]) -> None:
        self.tokens.update(record["usage"] or {})
        self.without_usage += not record["usage"]
