"""The one number of an answer: digits with separators, a unit behind it, or a number word."""

import math
import re
from typing import NamedTuple

from videostr.rewards.parse.answer import read_answer


class ParsedNumber(NamedTuple):
    """value: finite, in the unit asked for, or None; reason: one of `REASONS`."""

    value: float | None
    reason: str


UNITS = {
    "length": {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "inch": 0.0254, "ft": 0.3048},
    "time": {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "angle": {"deg": math.pi / 180, "rad": 1.0},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6},
    "area": {"cm2": 1e-4, "m2": 1.0, "ft2": 0.09290304},
}
_NAMES = {
    "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres",
    "inch": "in inches",
    "ft": "foot feet",
    "ms": "millisecond milliseconds",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hour hours",
    "deg": "° degree degrees",
    "rad": "radian radians",
    "m/s": "mps",
    "km/h": "kmh kph",
    "cm2": "cm² cm^2",
    "m2": "m² m^2 sqm",
    "ft2": "ft² ft^2 sqft",
}
_UNIT = {name: unit for unit, names in _NAMES.items() for name in (unit, *names.split())}
UNIT_NAMES = tuple(unit for units in UNITS.values() for unit in units)
_SCALE = {unit: (kind, factor) for kind, units in UNITS.items() for unit, factor in units.items()}

_MAX_CONTENT = 300
_NUMBER = re.compile(
    r"(?<![\w^.])([+\-−]?)(?:([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?)"
    r"\s{0,3}((?:[a-zA-Z]+/[a-z]+|[a-zA-Z°]+)?(?:\^?2(?![0-9])|²)?)"
)
_NOT_FINITE = re.compile(r"[+\-]?(?:nan|inf|infinity)", re.IGNORECASE)
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_ONES += "seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: value for value, word in enumerate(_ONES)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_WORD = re.compile(rf"\b({'|'.join(_TENS)})[ -]({'|'.join(_ONES[1:10])})\b|\b({'|'.join(_WORDS)})\b", re.IGNORECASE)


def parse_number(text: str, *, unit: str | None = None, where: str = "answer") -> ParsedNumber:
    """The number that a completion answers.

    Read: "5", "-5.2", "1,234.5", "1.5e3", "about 5 chairs", "5 m", "five", "twenty-one" (to ninety-nine). "a chair"
    is no number, "3,5" two. Two numbers are no answer ("3 or 4", "1/2", "3 m 20 cm": ambiguous). NaN and infinity are
    refused.

    Args:
        unit: what was asked for, a key of `UNITS`' tables ("m", "s", "deg", …); a number in another unit of its kind is
            converted, a number without one is taken to be in it, and one in a unit of another kind is refused
            (bad_number). None: what stands behind the number is not looked at.
        where: as in `parse_choice`.

    Raises TypeError if `text` is not a str, ValueError for an unknown unit.
    """
    if unit is not None and unit not in _SCALE:
        raise ValueError(f"unit: expected one of {UNIT_NAMES}, got {unit!r}")
    content, reason = read_answer(text, where)
    if content is None:
        return ParsedNumber(None, reason)
    if len(content) > _MAX_CONTENT:
        return ParsedNumber(None, "too_long")
    found = list(_NUMBER.finditer(content))
    if not found:
        return _in_words(content)
    if len(found) > 1:
        return ParsedNumber(None, "ambiguous")
    match = found[0]
    if any(character.isdigit() for character in content[: match.start()] + content[match.end() :]):
        return ParsedNumber(None, "ambiguous")  # "2x4", "1.2.3": digits that belong to no number of their own
    value = float(match[2].replace(",", "") + (f"e{match[3]}" if match[3] else ""))
    value = -value if match[1] in ("-", "−") else value
    written = _UNIT.get(match[4].lower()) if unit is not None else None
    if written is not None:
        (kind, factor), (asked, base) = _SCALE[written], _SCALE[unit]
        if kind != asked:
            return ParsedNumber(None, "bad_number")
        value = value * factor / base if written != unit else value
    return ParsedNumber(value, "ok") if math.isfinite(value) else ParsedNumber(None, "not_finite")


def _in_words(content: str) -> ParsedNumber:
    if _NOT_FINITE.fullmatch(content):
        return ParsedNumber(None, "not_finite")
    found = list(_WORD.finditer(content))
    if len(found) != 1:
        return ParsedNumber(None, "ambiguous" if found else "bad_number")
    parts = [part.lower() for part in found[0].groups() if part]
    return ParsedNumber(float(sum(_WORDS[part] for part in parts)), "ok")
