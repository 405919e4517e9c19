"""VideoMind's own records, verifying_{set}_{size}.json (or a folder of such files): a JSON list with video_path,
duration, query, span [[start, end], …] and pred, the grounder's candidates, best first.

Seen: yeliudev/VideoMind (videomind/dataset/wrappers/verifying.py). The grounding sets that VideoMind-SFT collects are
in their own formats (charades_sta, qvhighlights, didemo, tacos, queryd, hirest, internvid_vtime, …): convert them by
name; its durations.json files are what `--durations` reads. The planning records have no intervals.
"""

from collections.abc import Iterator

from videostr.data.readers.base import (
    Annotation,
    Reader,
    ReadOptions,
    Skip,
    as_spans,
    each,
    need,
    need_label,
    pick,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, query = need(record, "video_path", str), need(record, "query")
        spans = as_spans(need_label(record, "span"))
        meta = pick(record, "pred", "task", "source")
        yield Annotation(
            f"{stem(source)}:{item.number}", (video,), query, spans, record.get("duration"), item.line, meta
        )

    return each(records(source), make)


READER = Reader("videomind", "VideoMind", ("verifying_*.json",), "yeliudev/VideoMind, wrappers/verifying.py", read)
