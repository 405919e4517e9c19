"""The sample record, one JSON object a line: a video, a sentence, and the intervals that the sentence describes.

The format is documented, with an example, in docs/data.md.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from videostr import atomic

DURATION_TOLERANCE = 1.0  # seconds an interval may pass the stated duration: annotators round up


class SampleError(ValueError):
    """A sample file that cannot be used; `.path` and `.line` (1-based, None for the whole file) say where."""

    def __init__(self, path: str | os.PathLike, line: int | None, problem: str):
        self.path, self.line, self.problem = os.fspath(path), line, problem
        super().__init__(f"{self.path}{f', line {line}' if line else ''}: {problem}")

    def __reduce__(self):
        return type(self), (self.path, self.line, self.problem)


@dataclass(frozen=True)
class Sample:
    """One sentence about one video.

    id: unique in its file. video: path; a relative one is relative to the JSONL file, made absolute on reading.
    query: the sentence, or a question. spans: (start, end) in seconds from the video's first frame, at least one; a
    question (`is_question`) may have none. duration: the video's length in seconds, if known. source: the data set it
    comes from. response: an annotator's full text, for the cold start. meta: anything else; kept.
    """

    id: str
    video: str
    query: str
    spans: tuple[tuple[float, float], ...]
    duration: float | None = None
    source: str = ""
    response: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


FIELDS = tuple(f.name for f in fields(Sample))
REQUIRED = ("id", "video", "query", "spans")


def finite_number(value: Any) -> float | None:
    """A finite float, or None for anything else (true and false are not numbers here)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def is_question(meta: dict[str, Any]) -> bool:
    """Whether a sample's truth is an answer (`meta` has answer and answer_kind, as rewards read them), with or without
    intervals."""
    return meta.get("answer") is not None and meta.get("answer_kind") is not None


def _parse_spans(value: Any, meta: dict[str, Any], duration: float | None) -> tuple[tuple[float, float], ...]:
    if value == [] and is_question(meta):
        return ()
    if not isinstance(value, list) or not value:
        raise ValueError(f"spans: expected a list of [start, end] pairs in seconds, at least one, got {value!r:.80}")
    spans = []
    for pair in value:
        numbers = [finite_number(x) for x in pair] if isinstance(pair, list) and len(pair) == 2 else [None]
        if None in numbers:
            raise ValueError(f"spans: expected pairs of two finite numbers, got {pair!r:.80}")
        start, end = numbers
        if start < 0:
            raise ValueError(f"spans: expected a start >= 0, got {pair!r:.80}")
        if end <= start:
            kind = "has no length" if end == start else "is reversed"
            raise ValueError(f"spans: {pair!r:.80} {kind}: expected end > start")
        if duration is not None and end > duration + DURATION_TOLERANCE:
            raise ValueError(f"spans: {pair!r:.80} ends after the video (duration {duration} s)")
        spans.append((start, end))
    return tuple(spans)


def _parse_record(record: Any, folder: Path) -> Sample:
    """A decoded JSON value -> Sample. Raises ValueError with what is wrong, where wrong."""
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    for name in record:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(FIELDS)}"
            raise ValueError(f"unknown field {name!r:.80}; {hint} (own data goes into 'meta')")
    for name in REQUIRED:
        if name not in record:
            raise ValueError(f"field {name!r} is missing")
    for name in ("id", "video", "query", "source", "response"):
        value = record.get(name)
        if value is None and name in ("source", "response"):
            continue
        if not isinstance(value, str) or (name in REQUIRED and not value.strip()):
            raise ValueError(f"{name}: expected a {'non-empty ' if name in REQUIRED else ''}string, got {value!r:.80}")
    if "\0" in record["video"]:
        raise ValueError(f"video: expected a path, got {record['video']!r:.80}")
    duration = record.get("duration")
    if duration is not None:
        duration = finite_number(duration)
        if duration is None or duration <= 0:
            raise ValueError(f"duration: expected seconds > 0 or null, got {record['duration']!r:.80}")
    meta = record.get("meta")
    if meta is not None and not isinstance(meta, dict):
        raise ValueError(f"meta: expected a JSON object, got {meta!r:.80}")
    return Sample(
        id=record["id"],
        video=os.path.normpath(folder / record["video"]),  # an absolute path stays what it is
        query=record["query"],
        spans=_parse_spans(record["spans"], meta or {}, duration),
        duration=duration,
        source=record.get("source") or "",
        response=record.get("response"),
        meta=meta or {},
    )


def _not_a_number(text: str) -> float:
    raise ValueError(f"{text:.80} is not a finite number: write one, or null where that is allowed")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_a_number(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"field {twice!r:.80} appears twice")
    return out


def iter_samples(path: str | os.PathLike) -> Iterator[tuple[int, Sample]]:
    """(line, sample), one after the other, for files that need not fit in memory. Raises SampleError as `read_samples`,
    but for ids that are used twice and a file without samples."""
    for number, sample in stream_samples(path):
        if isinstance(sample, SampleError):
            raise sample
        yield number, sample


def stream_samples(path: str | os.PathLike, after: int = 0) -> Iterator[tuple[int, Sample | SampleError]]:
    """(line, sample) one by one; a line that is no sample comes with the SampleError that `read_samples` would raise,
    and reading goes on behind it. Lines up to `after` are passed over. Ids are not compared with each other.

    Raises SampleError for a file that cannot be read.
    """
    folder = Path(os.path.abspath(path)).parent
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                if number <= after:
                    continue
                try:
                    sample = _parse_line(raw, number, folder)
                except ValueError as e:
                    sample = SampleError(path, number, str(e))
                if sample is not None:
                    yield number, sample
    except (OSError, ValueError) as e:
        raise SampleError(path, None, f"cannot be read: {e}") from e


def _parse_line(raw: bytes, number: int, folder: Path) -> Sample | None:
    """None for a blank line. Raises ValueError with what is wrong."""
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            return None
        record = json.loads(text, parse_constant=_not_a_number, parse_float=_finite, object_pairs_hook=_unique)
        if "\\u" in text:  # an escaped half of a surrogate pair: no text, and could not be written again
            json.dumps(record, ensure_ascii=False).encode("utf-8")
        return _parse_record(record, folder)
    except json.JSONDecodeError as e:
        raise ValueError(f"not JSON: {e.msg} at column {e.colno}") from e
    except RecursionError as e:
        raise ValueError("not usable JSON: nested too deeply") from e


def read_samples(path: str | os.PathLike) -> list[Sample]:
    """Reads and checks a JSON-lines file; blank lines are skipped.

    Raises SampleError, naming file and line, for: a file that cannot be read or holds no sample, a line that is not
    JSON or not UTF-8, an unknown, missing or mistyped field, NaN or infinity, an interval that is reversed, empty,
    negative or ends more than DURATION_TOLERANCE after the video, and an id used twice.
    """
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for number, sample in iter_samples(path):
        if sample.id in lines:
            raise SampleError(path, number, f"id {sample.id!r:.80} was already used on line {lines[sample.id]}")
        lines[sample.id] = number
        samples.append(sample)
    if not samples:
        raise SampleError(path, None, "holds no samples")
    return samples


def _to_record(sample: Sample, folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"id": sample.id, "video": sample.video, "query": sample.query}
    video = Path(sample.video)
    if video.is_absolute() and video.is_relative_to(folder):  # so that the folder can be moved as a whole
        record["video"] = video.relative_to(folder).as_posix()
    record["spans"] = [list(span) for span in sample.spans]
    for name in FIELDS[4:]:
        if getattr(sample, name) not in (None, "", {}):
            record[name] = getattr(sample, name)
    return record


def encode_sample(sample: Sample, folder: Path) -> str:
    """The line of a sample file in `folder` (absolute) that `read_samples` gives back, without its end.

    Raises ValueError, TypeError or AttributeError for a sample that reading would refuse.
    """
    text = json.dumps(_to_record(sample, folder), ensure_ascii=False, allow_nan=False)
    _parse_record(json.loads(text), folder)
    text.encode("utf-8")
    return text


def write_samples(path: str | os.PathLike, samples: Iterable[Sample]) -> None:
    """Writes a file that `read_samples` gives back, all or nothing.

    Videos under the file's folder are written relative to it. Raises SampleError for a sample that reading would
    refuse (the line is the one it would have had), OSError where the disk refuses.
    """
    path = Path(os.path.abspath(path))
    seen: set[str] = set()
    lines = []
    for number, sample in enumerate(samples, start=1):
        try:
            text = encode_sample(sample, path.parent)
        except (ValueError, TypeError, AttributeError) as e:
            raise SampleError(path, number, str(e)) from e
        if sample.id in seen:
            raise SampleError(path, number, f"id {sample.id!r:.80} is used twice")
        seen.add(sample.id)
        lines.append(text + "\n")
    if not lines:
        raise SampleError(path, None, "there are no samples to write")
    atomic.write_bytes(path, "".join(lines).encode("utf-8"))
