"""Any list of records, with the fields' names given by the user: for files whose format is not documented, and your
own.

    --field video=path --field query=caption --field start=t0 --field end=t1

Needed: video, query, and span (one interval or a list of them) or start and end. Optional: id, duration, response.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, as_spans, each, need, need_label, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import SourceError, records

NAMES = ("id", "video", "query", "span", "start", "end", "duration", "response")


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    names = dict(options.fields)
    interval = ("span",) if "span" in names else ("start", "end")
    missing = [name for name in ("video", "query", *interval) if name not in names]
    unknown = [name for name in names if name not in NAMES]
    if missing or unknown:
        wrong = f"missing {', '.join(missing)}" if missing else f"unknown {', '.join(unknown)}"
        raise SourceError(f"fields: {wrong}; the names are {', '.join(NAMES)}")

    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, query = need(record, names["video"], str), need(record, names["query"])
        if "span" in names:
            spans = as_spans(need_label(record, names["span"]))
        else:
            spans = [[need(record, names["start"]), need(record, names["end"])]]
        key = str(need(record, names["id"])) if "id" in names else f"{stem(source)}:{item.number}"
        duration = record.get(names["duration"]) if "duration" in names else None
        response = record.get(names["response"]) if "response" in names else None
        yield Annotation(key, (video,), query, spans, duration, item.line, {}, response)

    return each(records(source), make)


READER = Reader("fields", "any records, fields named by the user", ("*.jsonl", "*.json"), "the user", read)
