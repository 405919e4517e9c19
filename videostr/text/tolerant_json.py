"""JSON as models write it, read in linear time and without recursion.

Valid JSON goes through the standard library. Anything else goes through one pass over its tokens with a stack, which
also takes single quotes, unquoted words, tuples, trailing commas, missing closing brackets and text around the value.
"""

import json
import re
from typing import NamedTuple

MAX_DEPTH = 64


class Json(NamedTuple):
    """value: dicts (a key that comes twice keeps its last value), lists, numbers, strings, None; NaN and infinity are
    floats. reason: "ok", "empty", "bad_json" or "too_deep"; the value is None unless it is "ok"."""

    value: object
    reason: str


def read_json(text: str) -> Json:
    """The JSON value of a text, or the list of them where there are several in a row. Never raises for its content."""
    text = text.strip()
    if not text:
        return Json(None, "empty")
    try:
        return Json(json.loads(text), "ok")
    except RecursionError:
        return Json(None, "too_deep")
    except ValueError:
        return _read_tolerantly(text)


_TOKEN = re.compile(r"""["'{}\[\]():,]|[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[^\W\d]\w*""")
_SHORT_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
_CLOSING = "}])"
_NO_KEY = object()


class _Open:
    """A dict or list whose end has not come yet. key: of the dict's next value, once its colon was there."""

    __slots__ = ("key", "pending", "value")

    def __init__(self, value: dict | list):
        self.value, self.key, self.pending = value, _NO_KEY, _NO_KEY

    def put(self, item: object) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is not _NO_KEY:
            self.value[self.key] = item
            self.key = _NO_KEY
        else:
            self.pending = item

    def colon(self) -> None:
        if isinstance(self.value, dict) and self.pending is not _NO_KEY and not isinstance(self.pending, dict | list):
            self.key = self.pending if isinstance(self.pending, str) else str(self.pending)
        self.pending = _NO_KEY

    def comma(self) -> None:
        self.key = self.pending = _NO_KEY


def _read_tolerantly(text: str) -> Json:
    roots: list[object] = []
    stack: list[_Open] = []
    position = 0
    while (match := _TOKEN.search(text, position)) is not None:
        token, position = match[0], match.end()
        if token in ("{", "[", "("):
            if len(stack) == MAX_DEPTH:
                return Json(None, "too_deep")
            value = {} if token == "{" else []
            (stack[-1].put if stack else roots.append)(value)
            stack.append(_Open(value))
        elif token in _CLOSING:
            if stack:
                stack.pop()
        elif token in ("'", '"'):
            string, position = _string(text, match.start())
            if stack:
                stack[-1].put(string)
        elif not stack:
            continue  # words around the value
        elif token == ",":
            stack[-1].comma()
        elif token == ":":
            stack[-1].colon()
        else:
            stack[-1].put(_scalar(token))
    if not roots:
        return Json(None, "bad_json")
    return Json(roots[0] if len(roots) == 1 else roots, "ok")


def _string(text: str, start: int) -> tuple[str, int]:
    """(the string whose opening quote is at `start`, where the text goes on); to the end where it is never closed."""
    quote, end = text[start], start
    while True:
        end = text.find(quote, end + 1)
        if end < 0:
            return text[start + 1 :], len(text)
        backslashes = 0
        while text[end - 1 - backslashes] == "\\" and end - 1 - backslashes > start:
            backslashes += 1
        if backslashes % 2 == 0:
            return text[start + 1 : end], end + 1


def _scalar(token: str) -> object:
    if _SHORT_INTEGER.fullmatch(token):
        return int(token)
    if token.lower() in _CONSTANTS:
        return _CONSTANTS[token.lower()]
    if token[0].isalpha() and token.lower() not in ("nan", "inf", "infinity"):
        return token
    try:
        return float(token)
    except ValueError:
        return token
