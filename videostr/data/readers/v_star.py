"""V-STaR: a JSON list with vid, domain, fps, width, height, frame_count, question, chain, object, answer,
temporal_question, timestamps [start, end], spatial_question, spatial_question_2 and bboxes.

A box is {"timestamp", "frame_index", "xmin", "ymin", "xmax", "ymax"}, as the evaluation reads it, or
{"TIMESTAMP_FRAME": {"xmin", …}}, as the annotation's description has it. Seen: V-STaR-Bench/V-STaR (eval.py,
inference_demo.py, data/README.md). The other questions and the boxes, by second, are kept in `meta`.
"""

from collections.abc import Iterator
from typing import Any

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, need, number, pick, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records
from videostr.data.samples import finite_number

SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_boxes(value: Any) -> list[dict[str, Any]]:
    """[{"time": its second as text, "box": [x0, y0, x1, y1]}] of either form. Raises BadEntry."""
    if not isinstance(value, list) or not value:
        raise BadEntry(f"bboxes: expected a list of boxes, got {value!r:.60}")
    boxes = []
    for entry in value:
        if not isinstance(entry, dict):
            raise BadEntry(f"bboxes: expected objects, got {entry!r:.60}")
        found = (
            [(entry["timestamp"], entry)]
            if "timestamp" in entry
            else [(key.split("_")[0], box) for key, box in entry.items()]
        )
        for time, box in found:
            sides = [finite_number(box.get(side)) for side in SIDES] if isinstance(box, dict) else [None]
            if None in sides or sides[2] <= sides[0] or sides[3] <= sides[1]:
                raise BadEntry(f"bboxes: no box: {box!r:.80}")
            boxes.append({"time": f"{number(str(time), 'timestamp'):g}", "box": [box[side] for side in SIDES]})
    return boxes


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        row = item.value
        numbers = {name: finite_number(need(row, name)) for name in ("fps", "frame_count", "width", "height")}
        wrong = [name for name, value in numbers.items() if value is None or value <= 0]
        if wrong:
            raise BadEntry(f"{wrong[0]}: expected a number above 0, got {row[wrong[0]]!r:.40}")
        span = need(row, "timestamps", list)
        meta = {name: need(row, name, str) for name in ("temporal_question", "spatial_question", "spatial_question_2")}
        meta |= {"answer": need(row, "answer"), "answer_kind": "text", "boxes": read_boxes(need(row, "bboxes"))}
        meta |= {"size": [numbers["width"], numbers["height"]], "seconds": numbers["frame_count"] / numbers["fps"]}
        key = f"{stem(source)}:{item.number}"
        meta |= pick(row, "domain", "object")
        yield Annotation(key, (need(row, "vid", str),), need(row, "question"), [span], meta["seconds"], item.line, meta)

    return each(records(source), make)


READER = Reader("v_star", "V-STaR", ("V_STaR*.json", "v_star*.json"), "V-STaR-Bench/V-STaR, eval.py", read)
