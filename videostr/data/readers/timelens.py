"""TimeLens: the corrected benchmark and the 100K training set.

TimeLens-Bench, one JSON object in each of {activitynet,charades,qvhighlights}-timelens.json: {video: {"duration",
"spans": [[start, end], …], "queries": […]}}. TimeLens-100K, JSON lines: video_path, source, duration, events:
[{query, span}].

Seen: TencentARC/TimeLens (timelens/dataset/timelens_data.py, README.md). An event's span is passed on there as the
list of its intervals; one interval by itself is read too.
"""

from collections.abc import Iterator

from videostr.data.readers.base import (
    Annotation,
    BadEntry,
    Reader,
    ReadOptions,
    Skip,
    as_spans,
    each,
    need,
    paired,
    pick,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import entries, records


def read_bench(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        for index, span, query in paired(item.value, "spans", "queries"):
            key = f"{stem(source)}:{item.key}:{index}"
            yield Annotation(
                key, (item.key,), query, [span], item.value.get("duration"), item.line, {"subset": stem(source)}
            )

    return each(entries(source), make)


def read_100k(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, events = need(record, "video_path", str), need(record, "events", list)
        if not events:
            raise BadEntry("events: empty", "no_label")
        for index, event in enumerate(events):
            query, spans = need(event, "query"), as_spans(need(event, "span", list))
            key = f"{stem(source)}:{item.number}:{index}"
            yield Annotation(key, (video,), query, spans, record.get("duration"), item.line, pick(record, "source"))

    return each(records(source), make)


_SEEN = "TencentARC/TimeLens, timelens/dataset/timelens_data.py"
READER = Reader("timelens_bench", "TimeLens-Bench", ("*-timelens.json",), _SEEN, read_bench)
TRAIN = Reader("timelens_100k", "TimeLens-100K", ("timelens-100k.jsonl",), _SEEN, read_100k)
