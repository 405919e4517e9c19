"""A model's text -> the interval it answers, whether the answer is well formed, and if not, why.

Two readings. `strict` (the default) is ours: tolerant in how seconds are written, strict about what earns anything.
`paper` gives the released TVG-R1 behaviour, faults included, for comparison (docs/rewards.md lists both side by side).
Both run in time linear in the text: tags are found in one pass, and only what stands between a pair of <time> tags, if
short, meets a larger regular expression.
"""

import math
import re
from typing import Literal, NamedTuple

Mode = Literal["strict", "paper"]
MODES = ("strict", "paper")

REASONS = (
    "ok",
    "no_tag",  # no <time> … </time> outside the thinking
    "unclosed_tag",  # a <time> without its </time>: most often an answer cut off by the length limit
    "unclosed_think",  # <think> without </think>: cut off while thinking, no answer exists
    "empty",  # <time></time>
    "bad_number",  # something that is not two times
    "not_finite",  # NaN, infinity, or a number too large for one
    "negative",
    "reversed",  # end before start
    "zero_length",  # end equal to start
    "no_think",  # the interval is right, but no <think> … </think> begins the answer
    "empty_think",  # the same, with nothing said inside it
    "unexpected_think",  # thinking where none was asked for
)
"""Every reason code. The ones before "no_think" mean there is no interval; from "no_think" on there is one, without
format credit."""


class ParsedInterval(NamedTuple):
    """span: (start, end) in seconds or None; format_ok: earns the format reward; reason: one of `REASONS`."""

    span: tuple[float, float] | None
    format_ok: bool
    reason: str


def parse_interval(text: str, mode: Mode = "strict", think: bool = True) -> ParsedInterval:
    """The interval that a completion answers.

    strict: the last closed <time> tag outside the thinking counts; "[5.2, 7]", "5.2s to 7s", "00:05 - 0:07.5",
    "1:02:03, 1:02:10" and a missing bracket are all read; NaN, infinite, negative, reversed and zero-length intervals
    are refused. The format is right if the interval is, and the text (white space aside) begins with a <think> …
    </think> that says something (`think=True`), or has none (`think=False`).

    paper: the released parser (grade C for the listed behaviour): the first <time> counts, inside the thinking too;
    only "[number, number]" is read; the format is right if the text, from its very first character, is
    <think>…</think>…<time>…</time>… .

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


_TAG = re.compile(r"<(/?)(think|time)>")


def _parse_strict(text: str, think: bool) -> ParsedInterval:
    content, missing, has_tag, think_reason = _scan(text)
    if content is None:
        return ParsedInterval(None, False, missing)
    span, reason = _read_content(content)
    if span is None:
        return ParsedInterval(None, False, reason)
    if think and think_reason != "ok":
        return ParsedInterval(span, False, think_reason)
    if not think and has_tag:
        return ParsedInterval(span, False, "unexpected_think")
    return ParsedInterval(span, True, "ok")


def _scan(text: str) -> tuple[str | None, str, bool, str]:
    """One pass over the tags: (last closed <time> outside the thinking or None, reason if None, any think tag?, how the
    thinking looks)."""
    answer: tuple[int, int] | None = None
    first_visible, begins_answer = len(text) - len(text.lstrip()), False
    time_start = think_start = None
    has_tag, think_reason = False, "no_think"
    for tag in _TAG.finditer(text):
        closing, name = tag[1] == "/", tag[2]
        if name == "think":
            has_tag = True
            if not closing:
                if think_start is None:
                    think_start, time_start = tag.end(), None
                    begins_answer = tag.start() == first_visible
            elif think_start is None:
                # A chat template may have opened the thinking in the prompt: all of it up to here was thinking.
                answer = time_start = None
            else:
                if begins_answer:
                    think_reason = "ok" if _says_something(text, think_start, tag.start()) else "empty_think"
                think_start = None
        elif think_start is None:
            if not closing:
                time_start = tag.end()
            elif time_start is not None:
                answer, time_start = (time_start, tag.start()), None
    if answer is not None:
        return text[answer[0] : answer[1]], "ok", has_tag, think_reason
    missing = "unclosed_think" if think_start is not None else "unclosed_tag" if time_start is not None else "no_tag"
    return None, missing, has_tag, think_reason


_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def _says_something(text: str, start: int, end: int) -> bool:
    return _LETTER_OR_DIGIT.search(_TAG.sub("", text[start:end])) is not None


_MAX_CONTENT = 200  # longer than any way of writing two times
_CLOCK = r"(?:[0-9]{1,6}:)?[0-9]{1,6}:[0-9]{1,2}(?:\.[0-9]*)?"
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
_TIME = rf"([+\-−]?)\s*({_CLOCK}|(?:{_NUMBER}))\s*(?:seconds?|secs?|s)?"
_PAIR = re.compile(rf"[\[(]?\s*{_TIME}\s*(?:,|;|-|–|—|−|~|to|and)\s*{_TIME}\s*[\])]?")


def _read_content(content: str) -> tuple[tuple[float, float] | None, str]:
    content = content.strip()
    if not content.strip("[]() \t\r\n,"):
        return None, "empty"
    match = _PAIR.fullmatch(content) if len(content) <= _MAX_CONTENT else None
    if match is None:
        return None, "bad_number"
    start, end = _seconds(match[1], match[2]), _seconds(match[3], match[4])
    if start is None or end is None:
        return None, "bad_number"
    return _checked(start, end)


def _seconds(sign: str, digits: str) -> float | None:
    """A number of seconds, "mm:ss" or "h:mm:ss"; None for a clock that shows more than 59 seconds or minutes."""
    parts = [float(part) for part in digits.split(":")]
    if len(parts) > 1 and (parts[-1] >= 60 or (len(parts) == 3 and parts[1] >= 60)):
        return None
    value = 0.0
    for part in parts:
        value = 60.0 * value + part
    return -value if sign in ("-", "−") else value


def _checked(start: float, end: float) -> tuple[tuple[float, float] | None, str]:
    if not (math.isfinite(start) and math.isfinite(end)):
        return None, "not_finite"
    if start < 0 or end < 0:
        return None, "negative"
    if end < start:
        return None, "reversed"
    if end == start:
        return None, "zero_length"
    return (start + 0.0, end), "ok"  # + 0.0: "-0" is 0


# The list "[a, b]" with plain decimal numbers. How much white space and which signs the released code takes is not
# public: ours (O).
_PAPER_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
_PAPER_PAIR = re.compile(rf"\s*\[\s*{_PAPER_NUMBER}\s*,\s*{_PAPER_NUMBER}\s*\]\s*")
_PAPER_NOT_FINITE = re.compile(r"\s*\[[^\[\]]*(?:nan|inf)[^\[\]]*\]\s*", re.IGNORECASE)


def _parse_paper(text: str, think: bool) -> ParsedInterval:
    format_ok = _in_order(text, ("<think>", "</think>", "<time>", "</time>") if think else ("<time>", "</time>"))
    start = text.find("<time>")
    if start < 0:
        return ParsedInterval(None, format_ok, "no_tag")
    end = text.find("</time>", start)
    if end < 0:
        return ParsedInterval(None, format_ok, "unclosed_tag")
    content = text[start + len("<time>") : end]
    if not content.strip():
        return ParsedInterval(None, format_ok, "empty")
    content = content if len(content) <= _MAX_CONTENT else ""
    match = _PAPER_PAIR.fullmatch(content)
    if match is None:
        not_finite = _PAPER_NOT_FINITE.fullmatch(content) is not None
        return ParsedInterval(None, format_ok, "not_finite" if not_finite else "bad_number")
    span = float(match[1]), float(match[2])
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
