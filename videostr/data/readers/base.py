"""What a reader of a public set is, and what it yields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from videostr.data.readers.json_stream import Item
from videostr.data.samples import finite_number

Segments = Literal["auto", "whole", "cut"]
SEGMENTS = ("auto", "whole", "cut")


@dataclass(frozen=True)
class Annotation:
    """What a set says of one sentence, unchecked.

    key: unique in the set. videos: the names its file may have, a path or an id with or without extension, the set's
    own first. spans: [[start, end], …] in seconds from the file's first frame. line: where it stands.
    """

    key: str
    videos: tuple[str, ...]
    query: Any
    spans: Any
    duration: Any = None
    line: int = 0
    meta: dict[str, Any] = field(default_factory=dict)
    response: Any = None


@dataclass(frozen=True)
class Skip:
    """An entry that is no sample: a reason of `check.REASONS`, and what exactly."""

    line: int
    reason: str
    detail: str = ""
    entry: int = 0


class BadEntry(Exception):
    """Raised while an entry is read: it becomes a `Skip`."""

    def __init__(self, detail: str, reason: str = "malformed"):
        super().__init__(detail)
        self.detail, self.reason = detail, reason


@dataclass(frozen=True)
class ReadOptions:
    """durations: video id -> seconds, for sets that do not give them. segments: see `segment`. fields: our name -> the
    file's, for the reader that takes any file."""

    durations: Mapping[str, float] = field(default_factory=dict)
    segments: Segments = "auto"
    fields: Mapping[str, str] = field(default_factory=dict)


Read = Callable[[str, ReadOptions], Iterator["Annotation | Skip"]]


@dataclass(frozen=True)
class Reader:
    """name: on the command line. files: what to read in a folder, as globs. seen: where the format is documented.
    read: (source, options) -> annotations."""

    name: str
    title: str
    files: tuple[str, ...]
    seen: str
    read: Read


def each(items: Iterable[Item], make: Callable[[Item], Iterable[Annotation]]) -> Iterator[Annotation | Skip]:
    """The annotations of every item; an item that cannot be read, or for which `make` raises BadEntry, is a Skip."""
    for item in items:
        if item.problem is not None:
            yield Skip(item.line, "malformed", item.problem, item.number)
            continue
        try:
            yield from make(item)
        except BadEntry as error:
            yield Skip(item.line, error.reason, error.detail, item.number)


def need(record: Any, name: str, kind: type | tuple[type, ...] = object) -> Any:
    """record[name], of the kind stated. Raises BadEntry where it is not there or something else."""
    if not isinstance(record, dict):
        raise BadEntry(f"expected an object, got {type(record).__name__}")
    if name not in record:
        raise BadEntry(f"field {name!r} is missing")
    value = record[name]
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise BadEntry(f"{name}: expected {' or '.join(k.__name__ for k in kinds)}, got {value!r:.60}")
    return value


def need_label(record: dict, name: str) -> list:
    """A list that the test splits of a set leave out."""
    if record.get(name) is None:
        raise BadEntry(f"no {name!r}: a split without labels", "no_label")
    return need(record, name, list)


def pick(record: dict, *names: str) -> dict[str, Any]:
    """Those fields that are there and not null: what is kept as `meta`."""
    return {name: record[name] for name in names if record.get(name) is not None}


def as_spans(value: Any) -> Any:
    """[start, end] -> [[start, end]]; anything else stays what it is."""
    return (
        [value]
        if isinstance(value, list) and len(value) == 2 and not any(isinstance(x, list) for x in value)
        else value
    )


def stem(source: str) -> str:
    """The file's name without folder and extension: tells the splits of a set apart in ids."""
    return Path(source.partition("@")[0] if source.startswith("hf://") else source).stem


_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number(text: str, what: str) -> float:
    """A decimal number as files write it; BadEntry for anything else float() would take or refuse."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text.strip()):
        raise BadEntry(f"{what}: expected a number, got {text!r:.60}")
    return float(text)


def paired(record: dict, times: str, sentences: str) -> Iterator[tuple[int, Any, Any]]:
    """(index, interval, sentence) of two lists that belong together."""
    pairs, texts = need(record, times, list), need(record, sentences, list)
    if len(pairs) != len(texts):
        raise BadEntry(f"{len(pairs)} {times} for {len(texts)} {sentences}")
    if not pairs:
        raise BadEntry(f"{times}: empty", "no_label")
    yield from ((index, *pair) for index, pair in enumerate(zip(pairs, texts, strict=True)))


def segment(video: str, start: Any, end: Any, duration: Any, spans: list, segments: Segments) -> tuple[list, Any, dict]:
    """Times that count from `start` of a longer video -> (spans in the file, the file's duration or None, meta).

    "whole": the file is the longer video, so `start` is added and the length of the file is not known. "cut": the file
    is the segment alone. "auto" (ours, O): a file whose name carries a time range (ID_00:00:15:300_00:00:57:700) is the
    segment, every other the longer video, which is how the released evaluation opens them.
    """
    if start is None and end is None:
        return spans, duration, {}
    if None in (finite_number(start), finite_number(end)):
        raise BadEntry(f"expected two numbers where the segment begins and ends, got {start!r:.40} and {end!r:.40}")
    meta = {"segment": [start, end]}
    if segments == "cut" or (segments == "auto" and _RANGE.search(video)):
        return spans, duration, meta
    return [_moved(span, start) for span in spans], None, meta


def _moved(span: Any, seconds: float) -> Any:
    """The interval so much later; what is no pair of numbers stays, for the check to refuse."""
    if not isinstance(span, list) or None in (times := [finite_number(time) for time in span]):
        return span
    return [time + seconds for time in times]


_RANGE = re.compile(r"_[0-9]{2}:[0-9]{2}:[0-9]{2}[:.][0-9]{3}_[0-9]{2}:[0-9]{2}:[0-9]{2}[:.][0-9]{3}")
