"""InternVid-VTime: JSON lines with vid (a YouTube id), duration, query and span [start, end] in seconds.

Seen: yeliudev/VideoMind (sub_classes/internvit_vtime.py), file anno_internvid_vtime_query_gpt4o_mini.jsonl; a later
version of that code takes the duration from durations.json instead (see `--durations`).
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, as_spans, each, need, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, query, span = need(record, "vid", str), need(record, "query"), need(record, "span", list)
        key = f"{stem(source)}:{video}:{item.number}"
        yield Annotation(key, (video,), query, as_spans(span), record.get("duration"), item.line)

    return each(records(source), make)


READER = Reader(
    "internvid_vtime",
    "InternVid-VTime",
    ("anno_internvid_vtime*.jsonl",),
    "yeliudev/VideoMind, internvit_vtime.py",
    read,
)
