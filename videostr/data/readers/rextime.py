"""ReXTime: records with qid, vid, duration, question, answer, source, category, options, span [start, end] and ans (a
letter).

Seen: ReXTime/ReXTime (README.md, data/rextime_val.jsonl) and the JSON list of the same records in
zjuruizhechen/TVG-R1 (VideoMind/rextime/rextime_val.json). The released test split has neither span nor ans. Videos
are ActivityNet's (v_…) and QVHighlights'.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, as_spans, each, need, need_label, pick
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        qid, video, question = need(record, "qid", (int, str)), need(record, "vid", str), need(record, "question")
        spans = as_spans(need_label(record, "span"))
        meta = pick(record, "qid", "source", "category", "options", "answer", "ans")
        yield Annotation(str(qid), (video,), question, spans, record.get("duration"), item.line, meta)

    return each(records(source), make)


READER = Reader(
    "rextime", "ReXTime", ("rextime_*.jsonl", "rextime_*.json"), "ReXTime/ReXTime; zjuruizhechen/TVG-R1", read
)
