"""Boxes [x1, y1, x2, y2], one or one a point in time (a tube)."""

import re
from typing import NamedTuple

from videostr.rewards.parse.answer import read_answer
from videostr.text.json_boxes import TIME_KEYS, Box, ParsedBox, read_box
from videostr.text.seconds import read_time
from videostr.text.tolerant_json import read_json

_MAX_BOXES = 4096


class ParsedTube(NamedTuple):
    """boxes: seconds -> box, in the order written, without those that are none; reason: one of `REASONS`."""

    boxes: dict[float, Box]
    reason: str


def parse_box(text: str, where: str = "answer") -> ParsedBox:
    """The one box that a completion answers.

    Read: "[1, 2, 30, 40]", "1, 2, 30, 40", "(1,2),(30,40)", "[[1, 2], [30, 40]]", {"bbox_2d": [1, 2, 30, 40]} and
    {"x1": 1, …}. Refused: several boxes (ambiguous), corners the wrong way round (reversed), no area (zero_length).

    Raises TypeError if `text` is not a str.
    """
    content, reason = read_answer(text, where)
    if content is None:
        return ParsedBox(None, reason)
    value, reason = read_json(content)
    if reason == "too_deep":
        return ParsedBox(None, reason)
    if reason != "ok":
        value = _four_numbers(content)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) and len(value) > 1 and all(read_box(item).reason != "bad_box" for item in value[:2]):
        return ParsedBox(None, "ambiguous")
    return read_box(value)


def parse_tube(text: str, where: str = "answer") -> ParsedTube:
    """The boxes over time that a completion answers.

    Read: {"1.5": [x1, y1, x2, y2], "2 s": …}, [{"timestamp": 1.5, "bbox": […]}, …], [[1.5, x1, y1, x2, y2], …] and
    [[1.5, [x1, y1, x2, y2]], …]. What is no box is left out, of two at one time the last counts. At most 4,096.

    Raises TypeError if `text` is not a str.
    """
    content, reason = read_answer(text, where)
    if content is None:
        return ParsedTube({}, reason)
    value, reason = read_json(content)
    if reason != "ok":
        return ParsedTube({}, reason)
    return read_tube(value)


def read_tube(value: object) -> ParsedTube:
    """A tube from a JSON value."""
    if isinstance(value, dict) and len(value) == 1:  # {"boxes": …}
        (inner,) = value.values()
        value = inner if isinstance(inner, dict | list) and read_box(inner).reason == "bad_box" else value
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = [_entry(item) for item in value]
    else:
        return ParsedTube({}, "bad_box")
    if len(entries) > _MAX_BOXES:
        return ParsedTube({}, "too_long")
    boxes, reasons = {}, []
    for when, item in entries:
        time, box = read_time(when), read_box(item)
        reasons.append("bad_number" if time is None else box.reason)
        if reasons[-1] == "ok":
            boxes[time] = box.box
    return ParsedTube(boxes, "ok" if boxes else next(iter(reasons), "empty"))


def _entry(item: object) -> tuple[object, object]:
    """(time, box) as written."""
    if isinstance(item, dict):
        when = next((value for key, value in item.items() if str(key).lower() in TIME_KEYS), None)
        return when, item
    if isinstance(item, list) and len(item) == 5:
        return item[0], item[1:]
    if isinstance(item, list) and len(item) == 2:
        return item[0], item[1]
    return None, None


_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _four_numbers(content: str) -> list[float] | None:
    """ "1, 2, 30, 40" without any bracket."""
    if len(content) > 200 or _NUMBER.sub("", content).strip(" ,;\n"):
        return None
    return [float(digits) for digits in _NUMBER.findall(content)]
