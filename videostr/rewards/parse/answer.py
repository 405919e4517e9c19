"""The text of a completion's final answer: what stands in <answer> … </answer>, or in \\boxed{…}."""

import re

from videostr.text.tags import find_section

_BRACKET = re.compile(r"[{}]")

PLACES = ("answer", "boxed")


def read_answer(text: str, where: str = "answer") -> tuple[str | None, str]:
    """(the answer without white space around it, "ok"), or (None, why there is none).

    "answer": the last closed <answer> outside the thinking. "boxed": the last \\boxed{…} with its matching bracket,
    which TVG-R1's grounded question answering asks for.
    Raises TypeError if `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    if where == "boxed":
        start, end, reason = _find_boxed(text)
    else:
        section = find_section(text, where)
        start, end, reason = section.start, section.end, section.reason
    if reason != "ok":
        return None, reason
    content = text[start:end].strip()
    return (content, "ok") if content else (None, "empty")


def _find_boxed(text: str) -> tuple[int, int, str]:
    start = text.rfind("\\boxed{")
    if start < 0:
        return -1, -1, "no_tag"
    start += len("\\boxed{")
    depth = 1
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] == "{" else -1
        if depth == 0:
            return start, bracket.start(), "ok"
    return -1, -1, "unclosed_tag"
