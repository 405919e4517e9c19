"""Boxes [x1, y1, x2, y2], one or one a point in time (a tube)."""

import math
import re
from typing import NamedTuple

from videostr.rewards.parse.answer import read_answer
from videostr.rewards.parse.seconds import read_time
from videostr.rewards.parse.tolerant_json import read_json

Box = tuple[float, float, float, float]
BOX_KEYS = ("bbox_2d", "bbox", "box", "xyxy", "coordinates")
TIME_KEYS = ("timestamp", "time", "t", "second", "frame")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_MAX_BOXES = 4096


class ParsedBox(NamedTuple):
    """box: x1 < x2, y1 < y2, finite, or None; reason: one of `REASONS`."""

    box: Box | None
    reason: str


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


def read_box(value: object) -> ParsedBox:
    """A box from a JSON value: four numbers, two corners, or an object that has one."""
    if isinstance(value, dict):
        keys = {str(key).lower(): item for key, item in value.items()}
        corners = next((names for names in _CORNERS if all(name in keys for name in names)), None)
        value = next((keys[key] for key in BOX_KEYS if key in keys), None)
        value = [keys[name] for name in corners] if corners and value is None else value
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, list) and len(v) == 2 for v in value):
        value = [*value[0], *value[1]]
    if not isinstance(value, list) or len(value) != 4:
        return ParsedBox(None, "bad_box")
    numbers = [number(item) for item in value]
    if None in numbers:
        return ParsedBox(None, "bad_box")
    x1, y1, x2, y2 = numbers
    if not all(map(math.isfinite, numbers)):
        return ParsedBox(None, "not_finite")
    if x2 < x1 or y2 < y1:
        return ParsedBox(None, "reversed")
    if x2 == x1 or y2 == y1:
        return ParsedBox(None, "zero_length")
    return ParsedBox((x1, y1, x2, y2), "ok")


def number(value: object) -> float | None:
    """A float from a JSON number (NaN and infinity too), None for anything else; too large a number is infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
