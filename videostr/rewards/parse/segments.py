"""Several intervals in one answer, as MUSEG asks for: <answer>1.5-3 7-9</answer>."""

import re
from collections import Counter
from typing import NamedTuple

from videostr.text.seconds import PAIR, Span, checked, read_pair, spaced
from videostr.text.tags import find_section


class ParsedSegments(NamedTuple):
    """spans: (start, end) in seconds, in the order written; () where any of them is none. format_ok: the text is
    <think> … </think><answer> … </answer>, each with something in it and nothing else around. timestamps_ok: the
    thinking mentions every written time. reason: one of `REASONS`."""

    spans: tuple[Span, ...]
    format_ok: bool
    timestamps_ok: bool
    reason: str


_MAX_CONTENT = 4000  # some 300 segments
_MOST_MENTIONS = 10  # MUSEG's: a time that stands in the thinking more often is padding
_PAIR = re.compile(PAIR)
_PLAIN = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_PLAIN_PAIR = re.compile(f"{_PLAIN}-{_PLAIN}")
_AS_ASKED = re.compile(f"{_PLAIN}-{_PLAIN}(?: {_PLAIN}-{_PLAIN})*")
_BETWEEN = re.compile(r"(?:[\s,;|\[\]()]|and\b)*")


def parse_segments(text: str, tag: str = "answer") -> ParsedSegments:
    """The intervals of the last closed <tag> outside the thinking: "1.5-3 7-9", "[[1.5, 3], [7, 9]]", "1 to 3, 5 to 9",
    with units and mm:ss as in `parse_interval`. One that is none (reversed, NaN, …) spoils the answer, as in MUSEG.

    Raises TypeError if `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    section = find_section(text, tag)
    if section.reason != "ok":
        return ParsedSegments((), False, False, section.reason)
    spans, written, reason = _read(spaced(text[section.start : section.end]))
    if not spans:
        return ParsedSegments((), False, False, reason)
    if section.thinking != "ok":
        return ParsedSegments(spans, False, False, section.thinking)
    before, after = section.start - len(tag) - 2, section.end + len(tag) + 3
    if text[section.think_end : before].strip() or text[after:].strip():
        return ParsedSegments(spans, False, False, "bad_format")
    mentioned = _mentioned(text[: section.think_end], written)
    return ParsedSegments(spans, True, mentioned, "ok" if mentioned else "no_timestamps")


def _read(content: str) -> tuple[tuple[Span, ...], set[str], str]:
    """(segments, the numbers as written, reason)."""
    if not content.strip("[]() ,"):
        return (), set(), "empty"
    if len(content) > _MAX_CONTENT:
        return (), set(), "too_long"
    if _AS_ASKED.fullmatch(content):
        return _read_as_asked(_PLAIN_PAIR.findall(content))
    spans, written, position = [], set(), _BETWEEN.match(content).end()
    while position < len(content):
        match = _PAIR.match(content, position)
        if match is None:
            return (), set(), "bad_number"
        span, reason = read_pair(match)
        if span is None:
            return (), set(), reason
        spans.append(span)
        written |= {match[2], match[4]}
        position = _BETWEEN.match(content, match.end()).end()
        if position == match.end() < len(content) and (content[position - 1].isalnum() or content[position - 1] == "."):
            return (), set(), "bad_number"  # "1-2.3.4-5": where one ends and the next begins is a guess
    return tuple(spans), written, "ok"


def _read_as_asked(pairs: list[tuple[str, str]]) -> tuple[tuple[Span, ...], set[str], str]:
    spans = tuple((float(start), float(end)) for start, end in pairs)
    for start, end in spans:
        if end <= start:
            return (), set(), checked(start, end)[1]
    return spans, {number for pair in pairs for number in pair}, "ok"


def _mentioned(thinking: str, written: set[str]) -> bool:
    """Whether each time stands in the thinking, as a whole number, once at least and `_MOST_MENTIONS` times at most."""
    counts = dict.fromkeys((_shortest(number) for number in written), 0)
    for number, count in Counter(_NUMBERS.findall(thinking)).items():
        number = _shortest(number)
        if number in counts:
            counts[number] += count
    return all(1 <= count <= _MOST_MENTIONS for count in counts.values())


_NUMBERS = re.compile(r"[0-9]+(?:[:.][0-9]+)*")


def _shortest(number: str) -> str:
    """ "5", "5." and "5.00" are one time."""
    return number.rstrip("0").rstrip(".") if "." in number else number
