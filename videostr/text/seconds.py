"""Times as models write them: seconds, mm:ss, h:mm:ss, with or without a unit. Plain ASCII digits only."""

import math
import re

Span = tuple[float, float]

_CLOCK = r"(?:[0-9]{1,6}:)?[0-9]{1,6}:[0-9]{1,2}(?:\.[0-9]*)?"
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
# One space at most: neighbouring runs of white space would be divided in every way there is.
TIME = rf"([+\-−]?) ?({_CLOCK}|(?:{_NUMBER})) ?(?:seconds?|secs?|s)?"
"""A time: group 1 its sign, group 2 its digits, for `seconds`. For texts that `spaced` has gone over."""
BETWEEN = r" ?(?:,|;|-|–|—|−|~|to|and) ?"
PAIR = rf"[\[(]? ?{TIME}{BETWEEN}{TIME} ?[\])]?"
"""Two times, for `read_pair`."""


def spaced(text: str) -> str:
    """The text with every run of white space as one space, and none around it."""
    return " ".join(text.split())


def seconds(sign: str, digits: str) -> float | None:
    """A number of seconds, "mm:ss" or "h:mm:ss"; None for a clock that shows more than 59 seconds or minutes."""
    parts = [float(part) for part in digits.split(":")]
    if len(parts) > 1 and (parts[-1] >= 60 or (len(parts) == 3 and parts[1] >= 60)):
        return None
    value = 0.0
    for part in parts:
        value = 60.0 * value + part
    return -value if sign in ("-", "−") else value


def read_pair(match: re.Match, group: int = 1) -> tuple[Span | None, str]:
    """The interval of a match of `PAIR` whose first group is `group`, or None, and a reason."""
    start, end = seconds(match[group], match[group + 1]), seconds(match[group + 2], match[group + 3])
    if start is None or end is None:
        return None, "bad_number"
    return checked(start, end)


def checked(start: float, end: float) -> tuple[Span | None, str]:
    """(start, end) where it is an interval of a video, else None and what is wrong."""
    if not (math.isfinite(start) and math.isfinite(end)):
        return None, "not_finite"
    if start < 0 or end < 0:
        return None, "negative"
    if end < start:
        return None, "reversed"
    if end == start:
        return None, "zero_length"
    return (start + 0.0, end), "ok"  # + 0.0: "-0" is 0


_TIME = re.compile(TIME)


def read_time(text: object) -> float | None:
    """A point in time >= 0, from text or a number; None for anything else."""
    if isinstance(text, str):
        match = _TIME.fullmatch(spaced(text)) if len(text) <= 40 else None
        value = None if match is None else seconds(match[1], match[2])
    elif isinstance(text, int | float) and not isinstance(text, bool):
        try:
            value = float(text)
        except OverflowError:
            return None
    else:
        return None
    return value + 0.0 if value is not None and math.isfinite(value) and value >= 0 else None
