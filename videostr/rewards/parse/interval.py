"""A model's text -> the interval it answers, whether the answer is well formed, and if not, why.

Two readings. `strict` (the default) is ours: tolerant in how seconds are written, strict about what earns anything.
`paper` gives the released TVG-R1 behaviour, faults included, for comparison (docs/rewards.md lists both side by side).
Both run in time linear in the text: tags are found in one pass, and only what stands between a pair of <time> tags, if
short, meets a larger regular expression.
"""

import json
import math
import re
from typing import Literal, NamedTuple

from videostr.text.seconds import PAIR, Span, checked, read_pair, spaced
from videostr.text.tags import find_section

Mode = Literal["strict", "paper"]
MODES = ("strict", "paper")


class ParsedInterval(NamedTuple):
    """span: (start, end) in seconds or None; format_ok: earns the format reward; reason: one of `REASONS`."""

    span: Span | None
    format_ok: bool
    reason: str


def parse_interval(text: str, mode: Mode = "strict", think: bool = True) -> ParsedInterval:
    """The interval that a completion answers.

    strict: the last closed <time> tag outside the thinking counts; "[5.2, 7]", "5.2s to 7s", "00:05 - 0:07.5",
    "1:02:03, 1:02:10" and a missing bracket are all read; NaN, infinite, negative, reversed and zero-length intervals
    are refused. The format is right if the interval is, and the text (white space aside) begins with a <think> …
    </think> that says something (`think=True`), or has none (`think=False`).

    paper: the released code's reading (grade C): the first <time> counts, inside the thinking too; what it holds must
    be JSON of two things that float() takes; the format is right if the text, from its very first character, is
    <think>…</think>…<time>…</time>… (`think=False`: without the first two).

    Args:
        text: anything at all; never raises for what it holds.
        mode: "strict" or "paper".
        think: whether the answer was to begin with its thinking.

    Raises:
        TypeError: `text` is not a str. ValueError: unknown `mode`.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    if mode == "strict":
        return _parse_strict(text, think)
    if mode == "paper":
        return _parse_paper(text, think)
    raise ValueError(f"mode: expected one of {MODES}, got {mode!r}")


def _parse_strict(text: str, think: bool) -> ParsedInterval:
    section = find_section(text, "time")
    if section.reason != "ok":
        return ParsedInterval(None, False, section.reason)
    span, reason = _read_content(text, section.start, section.end)
    if span is None:
        return ParsedInterval(None, False, reason)
    if think and section.thinking != "ok":
        return ParsedInterval(span, False, section.thinking)
    if not think and section.has_think:
        return ParsedInterval(span, False, "unexpected_think")
    return ParsedInterval(span, True, "ok")


_MAX_CONTENT = 200  # longer than any way of writing two times
_PAIR = re.compile(PAIR)
_AS_ASKED = re.compile(r"\[([0-9]{1,9}(?:\.[0-9]{1,9})?), ?([0-9]{1,9}(?:\.[0-9]{1,9})?)\]")


def _read_content(text: str, start: int, end: int) -> tuple[Span | None, str]:
    match = _AS_ASKED.fullmatch(text, start, end)
    if match is not None:
        return checked(float(match[1]), float(match[2]))
    content = spaced(text[start:end])
    if not content.strip("[]() ,"):
        return None, "empty"
    match = _PAIR.fullmatch(content) if len(content) <= _MAX_CONTENT else None
    return (None, "bad_number") if match is None else read_pair(match)


def _parse_paper(text: str, think: bool) -> ParsedInterval:
    format_ok = _in_order(text, ("<think>", "</think>", "<time>", "</time>") if think else ("<time>", "</time>"))
    start = text.find("<time>")
    if start < 0:
        return ParsedInterval(None, format_ok, "no_tag")
    end = text.find("</time>", start)
    if end < 0:
        return ParsedInterval(None, format_ok, "unclosed_tag")
    content = text[start + len("<time>") : end].strip()
    if not content:
        return ParsedInterval(None, format_ok, "empty")
    try:
        first, last = json.loads(content)
        span = float(first), float(last)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return ParsedInterval(None, format_ok, "bad_number")
    if not all(map(math.isfinite, span)):
        return ParsedInterval(None, format_ok, "not_finite")
    if span[1] <= span[0]:  # no overlap with anything: the released score is 0 as well
        return ParsedInterval(None, format_ok, "reversed" if span[1] < span[0] else "zero_length")
    return ParsedInterval(span, format_ok, "ok" if format_ok else "no_think")


def _in_order(text: str, tags: tuple[str, ...]) -> bool:
    """Whether the whole text matches the tags with anything after each: what `re.fullmatch("<a>.*<b>.*…", DOTALL)`
    says, in linear time."""
    if not text.startswith(tags[0]):
        return False
    position = 0
    for tag in tags:
        position = text.find(tag, position)
        if position < 0:
            return False
        position += len(tag)
    return True


# A search, so bounded everywhere: it looks at a number of characters from each position, and no start is in a number.
_FREE = re.compile(
    r"(?<![0-9.:\-−])((?:[0-9]{1,4}:)?[0-9]{1,4}:[0-9]{2}(?:\.[0-9]{1,9})?|[0-9]{1,9}(?:\.[0-9]{1,9})?)(?![0-9.:])"
    r" ?(?:s|sec|secs|seconds?)? {0,2}(?:-|–|—|~|to|and) {0,2}"
    r"((?:[0-9]{1,4}:)?[0-9]{1,4}:[0-9]{2}(?:\.[0-9]{1,9})?|[0-9]{1,9}(?:\.[0-9]{1,9})?)(?!\.?[0-9:])"
)


def _behind_thinking(text: str) -> int:
    place = text.rfind("</think>")
    return 0 if place < 0 else place + len("</think>")


def find_interval(text: str) -> ParsedInterval:
    """The interval of an answer in plain words, as TimeLens asks for: "The event happens in 5.2 - 7 seconds".

    The first pair of times outside the thinking counts, in <answer> … </answer> where there is one (grade S: a fork of
    its code; the released reader itself is not public). The format is right if there is an interval: TimeLens has no
    format reward.

    Raises TypeError if `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    section = find_section(text, "answer")
    if section.reason == "unclosed_think":
        return ParsedInterval(None, False, "unclosed_think")
    start, end = (section.start, section.end) if section.reason == "ok" else (_behind_thinking(text), len(text))
    match = _FREE.search(text, start, end)
    if match is None:
        return ParsedInterval(None, False, "empty" if not text[start:end].strip() else "bad_number")
    span, reason = read_pair(_PAIR.fullmatch(f"{match[1]},{match[2]}"))
    return ParsedInterval(span, span is not None, reason)
