"""What other trainers train on, back to samples: what `videostr data export` writes, and rows of the same form.

The formats are those of `videostr.data.export.rows`, which says where each was read. The fields that only our export
adds (id, query, spans, duration, source) count where they are there; without them the query is the question's text
without its <video>, and the intervals are the ground truth, which then has to be JSON: [start, end] or a list of them,
in seconds. An answer of the assistant becomes the response.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from videostr.data.readers.base import (
    Annotation,
    BadEntry,
    Reader,
    ReadOptions,
    Skip,
    as_spans,
    each,
    need,
    stem,
)
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


class _Row(NamedTuple):
    """question: text, or a list of parts. facts: where our own fields are."""

    question: Any
    truth: Any
    facts: dict[str, Any]
    response: Any = None


def _reader(name: str, title: str, seen: str, take: Callable[[dict], _Row]) -> Reader:
    def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
        def make(item: Item) -> Iterator[Annotation]:
            row = take(item.value)
            query = row.facts.get("query") or _text(row.question)
            spans = row.facts.get("spans")
            spans = _spans(row.truth) if spans is None else as_spans(spans)
            key = row.facts.get("id") or f"{stem(source)}:{item.number}"
            meta = {"source": row.facts["source"]} if row.facts.get("source") else {}
            yield Annotation(
                str(key), (_video(item.value),), query, spans, row.facts.get("duration"), item.line, meta, row.response
            )

        return each(records(source), make)

    return Reader(name, title, ("*.jsonl", "*.parquet", "*.json"), seen, read)


def _ms_swift(record: dict) -> _Row:
    said = _by_role(need(record, "messages", list))
    return _Row(said.get("user"), record.get("solution"), record, said.get("assistant"))


def _trl(record: dict) -> _Row:
    return _Row(_by_role(need(record, "prompt", list)).get("user"), record.get("solution"), record)


def _verl(record: dict) -> _Row:
    said = _by_role(need(record, "prompt", list))
    facts = record.get("extra_info")
    truth = need(record, "reward_model", dict).get("ground_truth")
    return _Row(said.get("user"), truth, facts if isinstance(facts, dict) else {})


def _easyr1(record: dict) -> _Row:
    return _Row(need(record, "prompt", str), record.get("answer"), record)


def _by_role(messages: list) -> dict[str, Any]:
    """The last message of each role."""
    return {need(message, "role", str): need(message, "content") for message in messages}


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise BadEntry(f"no question: expected text, got {content!r:.60}")
    return content.replace("<video>", "")


def _spans(truth: Any) -> Any:
    if truth is None:
        raise BadEntry("no ground truth", "no_label")
    if isinstance(truth, str):
        try:
            truth = json.loads(truth)
        except (ValueError, RecursionError) as error:
            raise BadEntry(f"ground truth: expected intervals as JSON, got {truth!r:.60}") from error
    return as_spans(truth)


def _video(record: dict) -> str:
    """The one video's path; a list of frames is none."""
    videos = need(record, "videos", list)
    if len(videos) != 1:
        raise BadEntry(f"expected one video, got {len(videos)}")
    (video,) = videos
    if isinstance(video, dict):
        video = video.get("video")
    if isinstance(video, list):
        raise BadEntry("the video is a list of frames", "no_video_file")
    if not isinstance(video, str):
        raise BadEntry(f"videos: expected a path, got {video!r:.60}")
    return video


READERS = (
    _reader("ms_swift", "ms-swift, SFT or GRPO", "modelscope/ms-swift, Custom-dataset.md", _ms_swift),
    _reader("trl", "TRL, conversational prompts", "huggingface/trl, data_utils.py", _trl),
    _reader("verl", "verl", "volcengine/verl, prepare_data.rst and rl_dataset.py", _verl),
    _reader("easyr1", "EasyR1", "hiyouga/EasyR1, verl/utils/dataset.py", _easyr1),
)
