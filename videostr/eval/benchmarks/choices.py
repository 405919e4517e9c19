"""Reading answers that are no interval: an option in whatever form it is given, a free answer."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from videostr.rewards.parse import ParsedChoice, parse_choice, read_answer
from videostr.text.tags import find_section

_THINKING_END = "</think>"


def letters(count: int) -> str:
    return ascii_uppercase[:count]


def read_choice(text: str, options: Sequence[str] | None, count: int = 26) -> ParsedChoice:
    """`parse_choice` of <answer>, of \\boxed{}, or of all that stands behind the thinking where there is neither."""
    for where in ("answer", "boxed"):
        parsed = parse_choice(text, options, count=count, where=where)
        if parsed.reason not in ("no_tag", "unclosed_tag"):
            return parsed
    if find_section(text, "answer").reason == "unclosed_think":
        return ParsedChoice(None, "unclosed_think")
    return parse_choice(f"<answer>{_plain(behind_thinking(text))}</answer>", options, count=count)


def behind_thinking(text: str) -> str:
    """What stands behind the last </think>; all of a text without one; nothing of a thinking that does not end."""
    place = text.rfind(_THINKING_END)
    if place < 0 and text.lstrip().startswith("<think>"):
        return ""
    return text[place + len(_THINKING_END) :].strip() if place >= 0 else text.strip()


def said(text: str) -> str:
    """A free answer: in <answer> where there is one, else what stands behind the thinking."""
    content, _ = read_answer(text)
    return content if content is not None else behind_thinking(text)


_TAG = re.compile(r"</?[A-Za-z_]{1,16}>")


def _plain(text: str) -> str:
    """Without tags and times, so that an option named beside an interval can be read alone."""
    return _TAG.sub(" ", re.sub(r"<time>.{0,200}?</time>", " ", text, flags=re.DOTALL)).strip()


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options as TVG-R1's released evaluation writes them (VideoMind's: C)."""
    lines = [f"({letter}) {option.capitalize()}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([f"{question}\nOptions:", *lines])


def options_of(meta: dict) -> list[str] | None:
    """A sample's options, where it has any."""
    options = meta.get("options")
    usable = isinstance(options, list) and len(options) > 1 and all(isinstance(option, str) for option in options)
    return options if usable else None


def truth_of(meta: dict, options: Sequence[str]) -> str | None:
    """The letter of the right option: `ans` as a letter, or `answer` as a letter, an index or the option's text."""
    for name in ("ans", "answer"):
        value = meta.get(name)
        if isinstance(value, str) and len(value.strip()) == 1 and value.strip().upper() in letters(len(options)):
            return value.strip().upper()
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(options):
            return ascii_uppercase[value]
        if isinstance(value, str) and value in options:
            return ascii_uppercase[options.index(value)]
    return None
