"""DiDeMo: a JSON list with annotation_id, description, video and times, one pair of 5-second parts for each
annotator.

(1, 4) means from 1 x 5 s to (4 + 1) x 5 s, or to the end of the video where that is earlier.

Seen: LisaAnne/LocalizingMoments (README.md; data/{train,val,test}_data.json). The annotators' pairs become one
interval as in yeliudev/VideoMind (sub_classes/didemo.py, from whose data TVG-R1's is): the mean of the first parts
and the mean of the last, in seconds, rounded. Every annotator's own interval is kept in meta.annotators.
"""

from collections.abc import Iterator
from typing import Any

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, need, need_label
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records

PART = 5  # seconds
MOST = 10**6  # parts of a video


def agreed(times: list) -> tuple[list[float], list[list[float]]]:
    """Pairs of parts -> (the mean interval, each annotator's), in seconds. Raises BadEntry."""
    for pair in times:
        known = isinstance(pair, list) and all(type(part) is int and abs(part) <= MOST for part in pair)
        if not known or len(pair) != 2:
            raise BadEntry(f"times: expected pairs of part numbers, got {pair!r:.60}")
    if not times:
        raise BadEntry("times: empty", "no_label")
    first, last = (sum(column) / len(times) for column in zip(*times, strict=True))
    mean = [float(round(first * PART)), float(round((last + 1) * PART))]
    return mean, [[float(a * PART), float((b + 1) * PART)] for a, b in times]


def cap(end: float, duration: Any) -> float:
    """The last part of a video may be shorter than 5 s."""
    known = isinstance(duration, int | float) and duration > end - PART
    return min(end, duration) if known else end


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        key = str(need(record, "annotation_id", (int, str)))
        video, sentence = need(record, "video", str), need(record, "description")
        bare = video.partition(".")[0]
        (start, end), annotators = agreed(need_label(record, "times"))
        duration = options.durations.get(video, options.durations.get(bare))
        spans = [[start, cap(end, duration)]]
        yield Annotation(key, (video, bare), sentence, spans, duration, item.line, {"annotators": annotators})

    return each(records(source), make)


READER = Reader("didemo", "DiDeMo", ("*_data.json",), "LisaAnne/LocalizingMoments, README.md", read)
