"""HiREST: one JSON object {query: {"ID.mp4": {relevant, clip, v_duration, bounds, steps: [{index, heading,
absolute_bounds}]}}}, seconds.

Seen: j-min/HiREST (README.md; data/splits/all_data_{train,val,test}.json). A query with `bounds` is one annotation
(meta.task "moment"), every step with its heading another ("step"), as in VideoMind's hirest_grounding and
hirest_step. A video that is not relevant, or is so from end to end (clip false), has no interval to find.
"""

from collections.abc import Iterator
from typing import Any

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, need, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import entries


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    for item in entries(source):
        if item.problem is not None or not isinstance(item.value, dict):
            yield Skip(item.line, "malformed", item.problem or "expected an object of videos", item.number)
            continue
        for video, record in item.value.items():
            try:
                moment, steps = _moment(source, item, video, record)
            except BadEntry as error:
                yield Skip(item.line, error.reason, f"{video}: {error.detail}", item.number)
                continue
            yield moment
            for step in steps:
                try:
                    yield _step(moment, step)
                except BadEntry as error:
                    yield Skip(item.line, error.reason, f"{video}: step: {error.detail}", item.number)


def _moment(source: str, item: Item, video: str, record: Any) -> tuple[Annotation, list]:
    """The query's annotation, and the steps as they stand there."""
    if not need(record, "relevant", bool):
        raise BadEntry("not relevant to the query", "not_relevant")
    if not need(record, "clip", bool):
        raise BadEntry("relevant from end to end", "whole_video")
    bounds, steps = need(record, "bounds", list), record.get("steps") or []
    if not isinstance(steps, list):
        raise BadEntry(f"steps: expected a list, got {steps!r:.60}")
    key = f"{stem(source)}:{item.key}:{video}"
    meta = {"task": "moment"}
    return Annotation(key, (video,), item.key, [bounds], record.get("v_duration"), item.line, meta), steps


def _step(moment: Annotation, step: Any) -> Annotation:
    bounds, heading = need(step, "absolute_bounds", list), need(step, "heading")
    key, meta = f"{moment.key}:{need(step, 'index', int)}", {"task": "step", "goal": moment.query}
    return Annotation(key, moment.videos, heading, [bounds], moment.duration, moment.line, meta)


READER = Reader("hirest", "HiREST", ("all_data_train.json", "all_data_val.json"), "j-min/HiREST, README.md", read)
