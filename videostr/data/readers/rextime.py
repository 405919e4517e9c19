"""ReXTime, in the two forms that are public.

- JSON lines with qid, query, duration, vid, relevant_windows [[start, end]] and ans (a letter): ReXTime/ReXTime
  (data/rextime_val.jsonl).
- a JSON list with qid, vid, duration, question, answer, source, category, options, span [start, end] and ans:
  zjuruizhechen/TVG-R1 (VideoMind/rextime/rextime_val.json), as yeliudev/VideoMind reads it (sub_classes/rextime.py).

The released test split has no intervals. Videos are ActivityNet's (v_…) and QVHighlights'.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, as_spans, each, need, need_label, pick
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        qid, video = need(record, "qid", (int, str)), need(record, "vid", str)
        question = need(record, "question" if "question" in record else "query")
        spans = as_spans(need_label(record, "relevant_windows" if "relevant_windows" in record else "span"))
        meta = pick(record, "qid", "source", "category", "options", "answer", "ans")
        yield Annotation(str(qid), (video,), question, spans, record.get("duration"), item.line, meta)

    return each(records(source), make)


READER = Reader(
    "rextime",
    "ReXTime",
    ("rextime_*.jsonl", "rextime_*.json"),
    "ReXTime/ReXTime, data/rextime_val.jsonl; zjuruizhechen/TVG-R1",
    read,
)
