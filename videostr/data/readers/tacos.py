"""TACoS, in the two forms that are passed around.

- JSON lines with vid, duration, query, relevant_windows (seconds) and sometimes qid: yeliudev/VideoMind
  (sub_classes/tacos.py; train.jsonl, val.jsonl, test.jsonl); the file of s13-d21 is s13-d21-cam-002.mp4.
- one JSON object {"s13-d21.avi": {"timestamps": [[first, last], …] in FRAMES, "sentences": […], "fps",
  "num_frames"}}: as TJUMMG/PGBP reads it (datasets/tacos.py), and other code that began as 2D-TAN.

The corpus' own distribution (TACoS multi-level: tab-separated alignments) is not read: nothing public that we saw
reads it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videostr.data.readers.base import (
    Annotation,
    BadEntry,
    Reader,
    ReadOptions,
    Skip,
    each,
    need,
    need_label,
    paired,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import entries, records
from videostr.data.samples import finite_number


def _names(video: str) -> tuple[str, ...]:
    bare = video.removesuffix(".avi")
    return (video, bare, f"{bare}-cam-002")


def _seconds(span: Any, fps: float) -> Any:
    """Frame numbers -> seconds; what is no list of numbers stays, for the check to refuse."""
    if not isinstance(span, list) or None in (frames := [finite_number(frame) for frame in span]):
        return span
    return [frame / fps for frame in frames]


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def from_line(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, query = need(record, "vid", str), need(record, "query")
        key = f"{stem(source)}:{record['qid']}" if "qid" in record else f"{stem(source)}:{video}:{item.number}"
        windows = need_label(record, "relevant_windows")
        yield Annotation(key, _names(video), query, windows, record.get("duration"), item.line)

    def from_video(item: Item) -> Iterator[Annotation]:
        fps, frames = (finite_number(need(item.value, name)) for name in ("fps", "num_frames"))
        if fps is None or frames is None or fps <= 0:
            told = f"{item.value['fps']!r:.40} and {item.value['num_frames']!r:.40}"
            raise BadEntry(f"fps, num_frames: expected a number above 0 and a number, got {told}")
        for index, span, sentence in paired(item.value, "timestamps", "sentences"):
            key = f"{stem(source)}:{item.key}:{index}"
            yield Annotation(key, _names(item.key), sentence, [_seconds(span, fps)], frames / fps, item.line)

    if Path(source).suffix == ".json":
        return each(entries(source), from_video)
    return each(records(source), from_line)


READER = Reader(
    "tacos",
    "TACoS",
    ("train.jsonl", "val.jsonl", "test.jsonl", "train.json", "val.json", "test.json"),
    "yeliudev/VideoMind (JSON lines), TJUMMG/PGBP (JSON)",
    read,
)
