"""NExT-GQA: a CSV of questions (video_id, frame_count, width, height, question, answer, qid, type, a0 … a4), the
intervals in gsub_{split}.json, {video: {"duration": s, "location": {qid: [[start, end], …]}}}, and
map_vid_vidorID.json, {video: path of the file}.

Seen: doc-doc/NExT-GQA (datasets/nextgqa: README.md, val.csv, gsub_val.json), yeliudev/VideoMind
(sub_classes/nextgqa.py). The sentence to ground is the question, capitalised and with its question mark, as there.
The train split (from NExT-QA) has no intervals.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, need, need_label, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import beside, load_object, records

CHOICES = ("a0", "a1", "a2", "a3", "a4")


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    grounded = load_object(beside(source, f"gsub_{stem(source)}.json"))
    paths = load_object(beside(source, "map_vid_vidorID.json"))

    def make(item: Item) -> Iterator[Annotation]:
        row = item.value
        video, qid = str(need(row, "video_id")), str(need(row, "qid"))
        if video not in grounded:
            raise BadEntry(f"{video} is not in gsub_{stem(source)}.json", "no_label")
        location = need(grounded[video], "location", dict)
        spans = need_label(location, qid)
        question = str(need(row, "question")).strip()
        options_ = [row.get(name) for name in CHOICES]
        meta = {"qid": qid, "type": row.get("type"), "options": options_, "answer": row.get("answer")}
        names = (f"{paths[video]}", video) if video in paths else (video,)
        query = question.capitalize() + "?" if question else ""
        yield Annotation(
            f"{stem(source)}:{video}:{qid}", names, query, spans, grounded[video].get("duration"), item.line, meta
        )

    return each(records(source), make)


READER = Reader(
    "nextgqa", "NExT-GQA", ("val.csv", "test.csv"), "doc-doc/NExT-GQA, datasets/nextgqa; yeliudev/VideoMind", read
)
