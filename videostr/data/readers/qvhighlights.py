"""QVHighlights: JSON lines with qid, query, duration, vid, relevant_windows [[start, end], …] in seconds.

Seen: jayleicn/moment_detr (data/README.md and data/highlight_test_with_gt.jsonl). highlight_test_release.jsonl has no
windows, the later highlight_test_with_gt.jsonl does. vid is {youtube id}_{start}_{end}, and the file is that cut.
relevant_clip_ids and saliency_scores are not kept.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, each, need, need_label
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        qid, video, query = need(record, "qid", (int, str)), need(record, "vid", str), need(record, "query")
        windows = need_label(record, "relevant_windows")
        yield Annotation(str(qid), (video,), query, windows, record.get("duration"), item.line, {"qid": qid})

    return each(records(source), make)


READER = Reader("qvhighlights", "QVHighlights", ("highlight_*.jsonl",), "jayleicn/moment_detr, data/README.md", read)
