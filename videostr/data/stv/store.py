"""Candidates on the disk: one line each, with what choosing needs of them in memory, in columns."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from videostr import atomic


class Journal:
    """Appends lines to files in a folder, scene by scene; after a kill it goes on behind the last commit.

    state: done, the scenes that are; facts, of the last commit; complete."""

    FILES = ("candidates", "problems")

    def __init__(self, folder: Path, fingerprint: str):
        self.folder, self.fingerprint = folder, fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        self.state: dict[str, Any] = {"fingerprint": fingerprint, "done": 0, "complete": False, "facts": {}}
        self.state["ends"] = dict.fromkeys(self.FILES, 0)
        try:
            state = json.loads((folder / "state.json").read_bytes())
            if state["fingerprint"] == fingerprint:
                self.state = state
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.files = {}
        for name in self.FILES:
            self.files[name] = open(folder / f"{name}.jsonl", "ab")  # noqa: SIM115
            self.files[name].truncate(self.state["ends"][name])
        self.seen_problems = set((folder / "problems.jsonl").read_bytes().splitlines())

    def write(self, name: str, value: Any) -> None:
        self.files[name].write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def problem(self, file: str, line: int, what: str) -> None:
        record = {"file": file, "line": line, "problem": what}
        text = json.dumps(record).encode()
        if text not in self.seen_problems:
            self.seen_problems.add(text)
            self.files["problems"].write(text + b"\n")

    def commit(self, facts: dict[str, Any], complete: bool = False) -> None:
        """Everything written so far is there after a kill."""
        for name, file in self.files.items():
            file.flush()
            os.fsync(file.fileno())
            self.state["ends"][name] = file.tell()
        self.state |= {"facts": facts, "complete": complete}
        atomic.write_json(self.folder / "state.json", self.state, indent=None)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


class Table:
    """What choosing needs of every candidate, in columns; texts are numbered once."""

    def __init__(self) -> None:
        self.offset, self.priority, self.value = array("q"), array("Q"), array("d")
        self.stratum, self.key = array("i"), array("i")
        self.keys, self.ends = array("i"), array("q", [0])
        self.numbers: dict[Any, int] = {}
        self.strata: list[tuple] = []

    def number(self, text: Any) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def add(self, offset: int, record: dict[str, Any]) -> None:
        """record: with split, source, task, family, kind, group, key, keys, answer, priority."""
        stratum = tuple(record[name] for name in ("split", "source", "task", "family", "kind", "group"))
        number = self.number(("stratum", *stratum))
        if number >= len(self.strata) or self.strata[number] != stratum:
            self.strata += [()] * (number + 1 - len(self.strata))
            self.strata[number] = stratum
        self.offset.append(offset)
        self.priority.append(record["priority"])
        self.value.append(record["answer"] if record["kind"] == "number" else 0.0)
        self.stratum.append(number)
        self.key.append(self.number(record["key"]))
        self.keys.extend(self.number(key) for key in record["keys"])
        self.ends.append(len(self.keys))

    def __len__(self) -> int:
        return len(self.offset)

    def columns(self) -> dict[str, np.ndarray]:
        names = {"offset": "q", "priority": "Q", "value": "d", "stratum": "i", "key": "i"}
        return {name: np.frombuffer(getattr(self, name), code) for name, code in names.items()} if len(self) else {}

    def option_keys(self, row: int) -> list[int]:
        return self.keys[self.ends[row] : self.ends[row + 1]].tolist()


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line)."""
    with open(path, "rb") as file:
        offset = 0
        for line in file:
            yield offset, line
            offset += len(line)
