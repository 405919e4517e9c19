"""Stages of a recipe: each runs once, is remembered, and is redone only when something it depends on has changed."""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import PartialState

from videostr import atomic


class Stages:
    """Runs stages in order and keeps their results under OUT/stages.

    A stage's key is a hash of its settings and of all stages before it that later ones build on.

    Same key and done: the kept result is returned. Same key and not done, or an output was deleted since: the stage
    continues (trainers from their checkpoint, scoring from its finished batches). Another key: what the stage had
    written is removed and it starts anew.
    """

    def __init__(self, out: Path, seed: int, skip: Sequence[str] = ()):
        self.out = out
        self.skip = set(skip)
        self.results: dict[str, dict] = {}
        self.seconds: dict[str, float] = {}
        self._state = PartialState()
        self._chain = _digest("seed", seed)
        if self._state.is_main_process:
            for path in out.rglob(".*.tmp"):  # what `atomic` was writing when a run was killed
                path.unlink(missing_ok=True)

    def depend_on(self, settings: object) -> None:
        """Make all later stages depend on `settings` (anything JSON can say)."""
        self._chain = _digest(self._chain, settings)

    def run(
        self,
        name: str,
        settings: object,
        outputs: Sequence[str],
        work: Callable[[], dict | None],
        *,
        scratch: Sequence[str] = (),
        leaf: bool = False,
    ) -> dict:
        """Run `work`, or return what it returned last time.

        settings: anything JSON can say; a change redoes this stage and, unless it is a leaf, all later ones.
        outputs: what the stage writes, relative to OUT. scratch: glob patterns of what it needs only while it runs.
        leaf: no later stage builds on this one. The result is a dict JSON can say. A skipped stage returns {} and
        changes nothing.
        """
        skipped = name in self.skip
        key = _digest(self._chain, name, "skipped" if skipped else settings)
        if not leaf:
            self._chain = key
        if skipped:
            self.say(f"[{name}] skipped")
            return {}
        record_path = self.out / "stages" / f"{name}.json"
        record = json.loads(record_path.read_text()) if record_path.exists() else {}
        gone = [output for output in record.get("outputs", ()) if not (self.out / output).exists()]
        self._state.wait_for_everyone()
        if record.get("key") != key:
            if self._state.is_main_process:
                for pattern in (*outputs, *scratch):
                    for path in self.out.glob(pattern):
                        _remove(path)
            self._write(record_path, {"key": key, "done": False, "seconds": 0.0})
            record = {"seconds": 0.0}
            self._state.wait_for_everyone()
        if record.get("done") and not gone:
            self.say(f"[{name}] done before")
        else:
            self.say(f"[{name}] …")
            start, earlier = time.perf_counter(), record.get("seconds", 0.0)
            record = {"key": key, "done": False}
            try:
                record["result"] = work() or {}
            except BaseException:
                # A killed attempt's time is lost, an interrupted one's is kept; unless the disk is full.
                record["seconds"] = earlier + time.perf_counter() - start
                with contextlib.suppress(OSError):
                    self._write(record_path, record)
                raise
            record["outputs"] = [output for output in outputs if (self.out / output).exists()]
            record |= {"done": True, "seconds": earlier + time.perf_counter() - start}
            self._write(record_path, record)
            self.say(f"[{name}] {record['seconds']:.1f} s")
        self.results[name], self.seconds[name] = record["result"], record["seconds"]
        return record["result"]

    def _write(self, path: Path, record: dict) -> None:
        if self._state.is_main_process:
            atomic.write_json(path, record)

    def say(self, message: str) -> None:
        if self._state.is_main_process:
            print(message, flush=True)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
