"""Boxes, numbers and the names of their keys in JSON values that a model wrote."""

import math
from typing import NamedTuple

Box = tuple[float, float, float, float]
BOX_KEYS = ("bbox_2d", "bbox", "box", "xyxy", "coordinates")
TIME_KEYS = ("timestamp", "time", "t", "second", "frame")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))


class ParsedBox(NamedTuple):
    """box: x1 < x2, y1 < y2, finite, or None; reason: one of `videostr.rewards.parse.REASONS`."""

    box: Box | None
    reason: str


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
