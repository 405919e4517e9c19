"""Stages of a recipe: each runs once, is remembered, and is redone only when something it depends on has changed."""

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

    A stage's key is a hash of its settings and of all stages before it. Same key and done: the kept result is returned.
    Same key and not done: the stage continues (trainers from their checkpoint, scoring from its finished batches).
    Another key: what the stage had written is removed and it starts anew.
    """

    def __init__(self, out: Path, seed: int, skip: Sequence[str] = ()):
        self.out = out
        self.skip = set(skip)
        self.results: dict[str, dict] = {}
        self.seconds: dict[str, float] = {}
        self._state = PartialState()
        self._chain = hashlib.sha256(f"seed {seed}".encode()).hexdigest()

    def run(self, name: str, settings: object, outputs: Sequence[str], work: Callable[[], dict | None]) -> dict:
        """Run `work`, or return what it returned last time.

        settings: anything JSON can say; a change redoes this stage and all later ones. outputs: what the stage writes,
        relative to OUT. The result is a dict JSON can say. A skipped stage returns {} and changes nothing.
        """
        if name in self.skip:
            self.say(f"[{name}] skipped")
            return {}
        self._chain = hashlib.sha256(
            f"{self._chain}/{name}/{json.dumps(settings, sort_keys=True)}".encode()
        ).hexdigest()
        record_path = self.out / "stages" / f"{name}.json"
        record = json.loads(record_path.read_text()) if record_path.exists() else {}
        self._state.wait_for_everyone()
        if record.get("key") != self._chain:
            if self._state.is_main_process:
                for output in outputs:
                    _remove(self.out / output)
                atomic.write_json(record_path, {"key": self._chain, "done": False, "seconds": 0.0})
            record = {"seconds": 0.0}
            self._state.wait_for_everyone()
        if record.get("done"):
            self.say(f"[{name}] done before")
        else:
            self.say(f"[{name}] …")
            start, earlier = time.perf_counter(), record.get("seconds", 0.0)
            try:
                record["result"] = work() or {}
            finally:
                # A killed attempt's time is lost, an interrupted one's is kept.
                record |= {
                    "key": self._chain,
                    "seconds": earlier + time.perf_counter() - start,
                    "done": "result" in record,
                }
                if self._state.is_main_process:
                    atomic.write_json(record_path, record)
            self.say(f"[{name}] {record['seconds']:.1f} s")
        self.results[name], self.seconds[name] = record["result"], record["seconds"]
        return record["result"]

    def say(self, message: str) -> None:
        if self._state.is_main_process:
            print(message, flush=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
