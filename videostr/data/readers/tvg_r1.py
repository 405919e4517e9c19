"""TVG-R1's released RL file, TVG_RL.json: a JSON list (or lines) with dataset, problem, choices, video, video_length,
gt_frame ([start, end] in seconds, despite its name) and ground_truth.

Seen: zjuruizhechen/TVG-R1 (EasyR1/verl/utils/dataset_video.py, which reads .json and .jsonl; examples/data_config).
The loader asks the model `problem` followed by the choices, and so does the query here. A record with `images` is
read there as frames from a folder; it is no video file, and is left out.

The cold-start file (TVG_Coldstart.json) is public, its fields are not documented anywhere we could read: known is
only that its times are the annotating model's (the repository's issue 1). Name its fields yourself with the reader
`fields`.
"""

from collections.abc import Iterator
from typing import Any

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
    pick,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def question(problem: Any, choices: Any) -> str:
    """`problem` and its choices, joined as the released loader does."""
    if isinstance(choices, list):
        choices = " ".join(map(str, choices))
    return str(problem) + (choices if isinstance(choices, str) else "")


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        record = item.value
        problem = need(record, "problem", str)
        if "images" in record:
            raise BadEntry("frames in 'images' instead of a video", "no_video_file")
        video = need(record, "video", str)
        spans = as_spans(need_label(record, "gt_frame"))
        meta = pick(record, "dataset", "ground_truth")
        query = question(problem, record.get("choices"))
        yield Annotation(
            f"{stem(source)}:{item.number}", (video,), query, spans, record.get("video_length"), item.line, meta
        )

    return each(records(source), make)


READER = Reader(
    "tvg_r1", "TVG-R1 RL data", ("TVG_RL*.json", "TVG_RL*.jsonl"), "zjuruizhechen/TVG-R1, EasyR1 dataset_video.py", read
)
