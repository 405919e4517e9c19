"""Where the answer stands: the last closed <tag> … </tag> outside the thinking, in time linear in the text.

Every parser of tagged answers goes through `find_section`. A text as it was asked for takes a few `str.find`s, any
other one pass of a small state machine over its tags. Both give the same (tests/rewards/test_tags.py).
"""

import re
from functools import lru_cache
from typing import NamedTuple


class Section(NamedTuple):
    """start, end: the content of the last closed pair outside the thinking, text[start:end]; both -1 without one.

    reason: "ok", or why there is none. thinking: "ok" where the text, white space aside, begins with <think> … </think>
    that has a letter or digit; "empty_think" where it has none; "no_think". think_end: where the first thinking of a
    text that begins with one ends, behind its tag; -1 without. has_think: any think tag at all.
    """

    start: int
    end: int
    reason: str
    thinking: str
    think_end: int
    has_think: bool


def find_section(text: str, tag: str) -> Section:
    """The last closed <tag> … </tag> outside the thinking. Thinking that the prompt's template opened ("… </think>"
    alone) is thinking. Never raises for what the text holds."""
    return _find_plain(text, tag) or _find_any(text, tag)


_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def says_something(text: str, start: int = 0, end: int | None = None) -> bool:
    """Whether text[start:end] has a letter or a digit outside any <tag>."""
    return _LETTER_OR_DIGIT.search(_ANY_TAG.sub("", text[start:end])) is not None


_ANY_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9_]{0,15} ?/?>")


def _find_plain(text: str, tag: str) -> Section | None:
    """For a text with one thinking at its start, or none at all; None for any other."""
    close_think = text.find("</think>")
    if close_think < 0:
        if "<think>" in text:
            return None
        body, thinking, think_end = 0, "no_think", -1
    else:
        begin = 0 if text.startswith("<") else len(text) - len(text.lstrip())
        body = close_think + 8
        if not text.startswith("<think>", begin) or text.find("</think>", body) >= 0 or text.find("<think>", body) >= 0:
            return None
        said = _LETTER_OR_DIGIT.search(text, begin + 7, close_think)
        if said is not None and text[said.start() - 1] in "</":  # perhaps a tag's name
            return None
        thinking, think_end = "empty_think" if said is None else "ok", body
    opening, closing = f"<{tag}>", f"</{tag}>"
    end = text.rfind(closing, body)
    if end < 0:
        reason = "no_tag" if text.find(opening, body) < 0 else "unclosed_tag"
        return Section(-1, -1, reason, thinking, think_end, think_end >= 0)
    start = text.rfind(opening, body, end)
    if start < 0 or text.find(closing, start, end) >= 0:
        return None
    return Section(start + len(opening), end, "ok", thinking, think_end, think_end >= 0)


def _find_any(text: str, tag: str) -> Section:
    answer: tuple[int, int] | None = None
    first_visible, begins_answer = len(text) - len(text.lstrip()), False
    opened = think_start = None
    has_think, thinking, think_end = False, "no_think", -1
    for found in _tags(tag).finditer(text):
        closing, name = found[1] == "/", found[2]
        if name == "think":
            has_think = True
            if not closing:
                if think_start is None:
                    think_start, opened = found.end(), None
                    begins_answer = found.start() == first_visible
            elif think_start is None:
                # A chat template may have opened the thinking in the prompt: all of it up to here was thinking.
                answer = opened = None
            else:
                if begins_answer:
                    thinking = "ok" if says_something(text, think_start, found.start()) else "empty_think"
                    think_end = found.end()
                think_start = None
        elif think_start is None:
            if not closing:
                opened = found.end()
            elif opened is not None:
                answer, opened = (opened, found.start()), None
    if answer is not None:
        return Section(*answer, "ok", thinking, think_end, has_think)
    reason = "unclosed_think" if think_start is not None else "unclosed_tag" if opened is not None else "no_tag"
    return Section(-1, -1, reason, thinking, think_end, has_think)


@lru_cache(64)
def _tags(tag: str) -> re.Pattern:
    return re.compile(rf"<(/?)(think|{re.escape(tag)})>")


def find_anywhere(text: str, tag: str) -> tuple[int, int, str]:
    """(start, end, reason) of the content of the last closed <tag> … </tag>, in the thinking or not."""
    opening, closing = f"<{tag}>", f"</{tag}>"
    end = text.rfind(closing)
    while end >= 0:
        start = text.rfind(opening, 0, end)
        if start < 0:
            break
        inner = text.find(closing, start, end)
        if inner < 0:
            return start + len(opening), end, "ok"
        end = inner  # the closing tag behind it has no opening one of its own
    return -1, -1, "unclosed_tag" if opening in text else "no_tag"
