"""Time-R1's own files: the benchmark TVGBench and the 2.5K RL samples.

TVGBench, a JSON list: path, question, answer "START-END", start, end, duration, question_type, source, dataset_name
(not in every record), qsemtype, bins. train_2k5, a JSON list: video, duration, timestamp [start, end], sentence, qid,
video_start, video_end, difficulty, pred.

Seen: xiaomi-research/time-r1 (dataset/timer1/annotations/tvgbench.json and train_2k5.json,
src/vllm_inference/data/data_loader.py). Where start and end are not null the times count from `start` of a longer
video, and duration = end - start (so in every record looked at). The released evaluation cuts the file there, the
released trainer opens it whole: `--segments` decides.
"""

import re
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
    need_label,
    number,
    pick,
    segment,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records

_ANSWER = re.compile(r"\s*([0-9.]+)\s*-\s*([0-9.]+)\s*")


def parse_answer(text: str) -> list[float]:
    """ "13.4-28.1" -> [13.4, 28.1]. Raises BadEntry."""
    match = _ANSWER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadEntry(f"answer: expected START-END, got {text!r:.60}")
    return [number(match[1], "answer"), number(match[2], "answer")]


def read_tvgbench(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, question = need(record, "path", str), need(record, "question")
        span, times = parse_answer(need(record, "answer")), (record.get("start"), record.get("end"))
        spans, duration, meta = segment(video, *times, record.get("duration"), [span], options.segments)
        meta |= pick(record, "dataset_name", "qsemtype", "bins")
        yield Annotation(f"{stem(source)}:{item.number}", (video,), question, spans, duration, item.line, meta)

    return each(records(source), make)


def read_time_r1(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        video, sentence = need(record, "video", str), need(record, "sentence")
        span, times = as_spans(need_label(record, "timestamp")), (record.get("video_start"), record.get("video_end"))
        spans, duration, meta = segment(video, *times, record.get("duration"), span, options.segments)
        meta |= pick(record, "qid", "difficulty", "pred")
        yield Annotation(f"{stem(source)}:{item.number}", (video,), sentence, spans, duration, item.line, meta)

    return each(records(source), make)


_SEEN = "xiaomi-research/time-r1, dataset/timer1/annotations"
TVGBENCH = Reader("tvgbench", "TVGBench", ("tvgbench.json",), _SEEN, read_tvgbench)
READER = Reader("time_r1", "Time-R1 RL data", ("train_2k5.json",), _SEEN, read_time_r1)
