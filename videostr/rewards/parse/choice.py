"""Which option of a multiple-choice question an answer names."""

import re
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_uppercase
from typing import NamedTuple

from videostr.rewards.parse.answer import read_answer


class ParsedChoice(NamedTuple):
    """letter: "A", "B", … or None; reason: one of `REASONS`."""

    letter: str | None
    reason: str


_MAX_CONTENT = 500
_LEAD = re.compile(
    r"(?:(?:the|my|final|correct|best|right) )*(?:answer|option|choice|letter)(?: is| would be)?\s?[:=]?\s?(?=\W*\w)",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[(\[]?([A-Za-z])(?:[)\]]|(?=[.:,;]|$))[.:,;)]?")
_HEDGE = re.compile(r"\b(?:or|and|and/or)\b|[,/&]")


def parse_choice(
    text: str, options: Sequence[str] | None = None, *, count: int = 26, where: str = "answer"
) -> ParsedChoice:
    """The option that a completion's answer names.

    Read: "B", "b", "(B)", "B.", "**B**", "Option B", "The answer is B.", "B. its text", and an option's text alone
    (case, white space and a final full stop aside). Refused: two letters ("A or B", "A, B": ambiguous), a letter with
    another option's text (ambiguous), a letter beyond the options (out_of_range), and anything else (no_choice): a
    sentence that happens to begin with "A" names nothing.

    Args:
        options: the options' texts, in order, with or without their letter; None: they are not known.
        count: how many options there are where their texts are not known.
        where: "answer": the last closed <answer> outside the thinking; "boxed": the last \\boxed{…}.

    Raises TypeError if `text` is not a str.
    """
    content, reason = read_answer(text, where)
    if content is None:
        return ParsedChoice(None, reason)
    if len(content) > _MAX_CONTENT:
        return ParsedChoice(None, "too_long")
    return _choose(content, None if options is None else tuple(options), count)


@lru_cache(4096)  # the answers of a group are few
def _choose(content: str, options: tuple[str, ...] | None, count: int) -> ParsedChoice:
    plain = content.replace("*", "").strip()
    texts = None if options is None else [option_text(option) for option in options[: len(ascii_uppercase)]]
    named = None if texts is None else _by_text(plain, texts)
    if named is not None:
        return named
    lead = _LEAD.match(plain)
    plain = plain[lead.end() :] if lead else plain
    letter = _LETTER.match(plain)
    if letter is None:
        named = None if texts is None or lead is None else _by_text(plain, texts)
        return named or ParsedChoice(None, "ambiguous" if _two_letters(plain) else "no_choice")
    rest = plain[letter.end() :].strip()
    chosen = letter[1].upper()
    if _two_letters(plain):
        return ParsedChoice(None, "ambiguous")
    if ascii_uppercase.index(chosen) >= (count if texts is None else len(texts)):
        return ParsedChoice(None, "out_of_range")
    if rest and texts is not None and (other := _by_text(rest, texts)) is not None and other.letter != chosen:
        return ParsedChoice(None, "ambiguous")
    return ParsedChoice(chosen, "ok")


@lru_cache(4096)  # a group has the same options
def option_text(option: str) -> str:
    """An option without its letter ("B. the red chair"), case and spacing aside."""
    return _normal(re.sub(r"^\s*[(\[]?[A-Z][)\].:]\s*", "", option))


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".").rstrip()


def _by_text(text: str, texts: Sequence[str]) -> ParsedChoice | None:
    """The one option whose text this is."""
    text = _normal(text)
    found = [index for index, other in enumerate(texts) if other and other == text]
    if not found:
        return None
    if len(found) > 1:
        return ParsedChoice(None, "ambiguous")
    return ParsedChoice(ascii_uppercase[found[0]], "ok")


def _two_letters(text: str) -> bool:
    """ "A or B", "A, C", "(A) and (B)": only letters and what joins them, two different ones at least."""
    words = [word.strip("()[].:; ") for word in _HEDGE.sub(" ", text).split()]
    letters = {word.upper() for word in words if word}
    return len(letters) > 1 and all(len(word) == 1 and word.isalpha() for word in letters)
