"""VSI-Bench: rows of parquet (test.parquet, or JSON lines) with id, dataset, scene_name, question_type, question,
ground_truth (text) and options (a list, null for numbers); the video is dataset/scene_name.mp4.

Seen: vision-x-nyu/thinking-in-space (lmms_eval/tasks/vsibench/utils.py). A sample's answer_kind is "choice" or
"number"; it has no intervals.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, need, number
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records

CHOICES = (
    "object_rel_direction_easy",
    "object_rel_direction_medium",
    "object_rel_direction_hard",
    "object_rel_distance",
    "route_planning",
    "obj_appearance_order",
)
NUMBERS = ("object_abs_distance", "object_counting", "object_size_estimation", "room_size_estimation")


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        row = item.value
        kind, truth = need(row, "question_type", str), need(row, "ground_truth")
        if kind not in CHOICES + NUMBERS:
            raise BadEntry(f"question_type {kind!r:.60} is none of the benchmark's ten")
        if truth is None:
            raise BadEntry("no 'ground_truth'", "no_label")
        truth = str(truth).strip()
        meta = {"question_type": kind, "answer_kind": "choice" if kind in CHOICES else "number"}
        if kind in CHOICES:
            given = row.get("options")
            if not isinstance(given, list) or len(given) < 2 or not all(isinstance(x, str) for x in given):
                raise BadEntry(f"options: expected a list of texts, got {given!r:.60}")
            if len(truth) != 1 or not 0 <= ord(truth.upper()) - ord("A") < len(given):
                raise BadEntry(f"ground_truth: expected the letter of an option, got {truth!r:.40}")
            meta |= {"options": given, "answer": truth.upper()}
        else:
            meta["answer"] = number(truth, "ground_truth")
        video = f"{need(row, 'dataset', str)}/{need(row, 'scene_name', str)}.mp4"
        yield Annotation(f"{need(row, 'id')}", (video,), need(row, "question"), [], None, item.line, meta)

    return each(records(source), make)


READER = Reader(
    "vsi_bench",
    "VSI-Bench",
    ("test-*.parquet", "test.parquet", "test.jsonl"),
    "vision-x-nyu/thinking-in-space, lmms_eval/tasks/vsibench/utils.py",
    read,
)
