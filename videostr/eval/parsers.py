"""Ways to read an interval from an answer, by name; a benchmark's numbers depend on it, so a run states its name."""

import re
from collections.abc import Callable

from videostr.rewards.parse import ParsedInterval, find_interval, parse_interval
from videostr.text.seconds import PAIR, checked, read_pair

_BRACKETED = re.compile(rf"(?=\[){PAIR}")
_NUMBERS = re.compile(r"[0-9]+\.?[0-9]*")
# Bounded, and from the first digit of a number on: linear in the text.
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{0,9})?)"
_JOINED = re.compile(rf"(?<![0-9]){_NUMBER} (?:to|and) {_NUMBER}")
_MOST = 20_000  # characters looked at where a search cannot be bounded otherwise


def parse_time(text: str) -> ParsedInterval:
    """`<time>[start, end]</time>`, the last one outside the thinking (`parse_interval`, strict)."""
    return parse_interval(text, "strict", think=False)


def parse_any(text: str) -> ParsedInterval:
    """Whichever form comes first of: a closed <time>, times in words ("5.2 to 7 seconds", in <answer> where there is
    one), and a bracketed pair behind the thinking, "[5.2, 7]" (ours, O)."""
    tagged = parse_time(text)
    if tagged.span is not None:
        return tagged
    said = find_interval(text)
    if said.span is not None or tagged.reason == "unclosed_think":
        return said if said.span is not None else tagged
    place = max(text.rfind("</think>"), 0)
    match = _BRACKETED.search(" ".join(text[place : place + _MOST].split()))
    if match is None:
        return said if tagged.reason == "no_tag" else tagged
    span, reason = read_pair(match)
    return ParsedInterval(span, False, reason)


def parse_tvg_r1_eval(text: str) -> ParsedInterval:
    """As TVG-R1's released evaluation (its copy of VideoMind, eval_auto.py: C): the first two numbers in the first
    <time> … </time> of one line, else the first two of the whole text, the thinking included.

    Of Charades-STA its code takes the first two of the whole text always; there the two agree unless the thinking
    names a number.
    """
    start = text.find("<time>")
    end = text.find("</time>", start) if start >= 0 else -1
    inside = text[start + len("<time>") : end] if end >= 0 else ""
    return _first_two(text if end < 0 or "\n" in inside else inside)


def parse_first_two(text: str) -> ParsedInterval:
    """The first two numbers of the whole text: what TVG-R1's released evaluation does for Charades-STA (C)."""
    return _first_two(text)


def parse_time_r1(text: str) -> ParsedInterval:
    """As Time-R1's released evaluation (evaluate.py: C): the last "NUMBER to NUMBER" or "NUMBER and NUMBER" of the
    whole text, the thinking included."""
    pairs = _JOINED.findall(text)
    if not pairs:
        return ParsedInterval(None, False, "bad_number")
    span, reason = checked(*map(float, pairs[-1]))
    return ParsedInterval(span, span is not None, reason)


def _first_two(text: str) -> ParsedInterval:
    numbers = [float(match[0]) for _, match in zip(range(2), _NUMBERS.finditer(text), strict=False)]
    if len(numbers) < 2:
        return ParsedInterval(None, False, "bad_number" if numbers else "empty")
    span, reason = checked(*numbers)
    return ParsedInterval(span, span is not None, reason)


PARSERS: dict[str, Callable[[str], ParsedInterval]] = {
    "time": parse_time,
    "words": find_interval,
    "any": parse_any,
    "tvg_r1_eval": parse_tvg_r1_eval,
    "first_two": parse_first_two,
    "time_r1_eval": parse_time_r1,
}
PROMPT_PARSERS = {"timelens": "words", "timelens_times": "words", "time_r1": "words", "time_r1_no_think": "words"}
"""The parser of a prompt that asks for another form than <time>; the others have "any"."""


def parser_of(prompt: str) -> str:
    return PROMPT_PARSERS.get(prompt, "any")
