"""JSON files entry by entry, in memory that does not grow with the file, and past entries that are broken.

A list is read element by element, an object member by member, JSON lines line by line. A broken entry is reported
with its line and skipped; reading goes on behind it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_CHUNK = 1 << 16
_LIMIT = 1 << 26  # an entry that has not ended after so many characters never will
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[\[\]{},]')
_DECODER = json.JSONDecoder()


class Item(NamedTuple):
    """An entry of a file.

    line: 1-based, where it begins (a row's number in a table). number: 1-based among the entries of a JSON file, which
    may be one line long; elsewhere the line. key: its name in an object. problem: why it could not be read, or None;
    then value is None.
    """

    line: int
    value: Any = None
    key: str | None = None
    problem: str | None = None
    number: int = 0


class _Broken(Exception):
    pass


class _Window:
    """The part of a file that is being read: text[at:] is what comes next, on line `line`."""

    def __init__(self, file: BinaryIO):
        self.file, self.text, self.at, self.line, self.ended = file, "", 0, 1, False
        # A byte that is not UTF-8 becomes a lone surrogate: the one entry that holds it is refused later.
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        if self.ended:
            return False
        chunk = self.file.read(max(_CHUNK, len(self.text) - self.at))  # doubling: linear in long entries too
        self.ended = not chunk
        self.text = self.text[self.at :] + self.decoder.decode(chunk, final=self.ended)
        self.at = 0
        return True

    def advance(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            self.advance(_SPACE.match(self.text, self.at).end())
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def value(self, closer: str) -> Any:
        """The value that begins here, inside something that ends with `closer`. A broken one is passed over, and
        _Broken says what is wrong."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - 16
                if cut and len(self.text) - self.at < _LIMIT and self.more():
                    continue
                line = self.line + self.text.count("\n", self.at, error.pos)
                self._pass_over(closer)
                raise _Broken(f"not JSON: {error.msg}, on line {line}") from error
            except (RecursionError, ValueError) as error:
                self._pass_over(closer)
                raise _Broken(f"not usable JSON: {error}") from error
            if len(self.text) - end < 4 and self.more():  # a number may go on: 1 | .5, 1 | e+05
                continue
            self.advance(end)
            return value

    def _pass_over(self, closer: str) -> None:
        """To the comma or `closer` behind a broken value, or behind the brackets it opened."""
        depth = 0
        while True:
            match = _TOKEN.search(self.text, self.at)
            unsure = match is None or (match[0][0] == '"' and match.end() >= len(self.text) - 1)
            if unsure and not self.ended:
                self.advance(len(self.text) if match is None else match.start())
                self.more()
                continue
            if match is None:
                self.advance(len(self.text))
                return
            token = match[0]
            if token[0] == '"' and (len(token) == 1 or token[-1] != '"'):  # no string goes over a line: a stray quote
                self.advance(match.start() + 1)
                continue
            if depth == 0 and token in (",", closer):
                self.advance(match.start())
                return
            self.advance(match.end())
            if token in "[{":
                depth += 1
            elif token in "]}" and depth:
                depth -= 1
                if depth == 0:
                    return


def first_character(path: Path) -> str:
    """The first one that is not white space: "[" or "{" in a JSON file; "" in an empty one."""
    with open(path, "rb") as file:
        return _Window(file).peek()


def json_entries(path: Path) -> Iterator[Item]:
    """The elements of a file that holds one list, or the members of one that holds one object."""
    with open(path, "rb") as file:
        window = _Window(file)
        opener = window.peek()
        if opener not in ("[", "{"):
            yield Item(window.line, problem="expected a JSON list or object" if opener else "the file is empty")
            return
        closer = "]" if opener == "[" else "}"
        window.advance(window.at + 1)
        number = 0
        while (character := window.peek()) != closer:
            if character == "":
                yield Item(window.line, problem=f"the file ends before its closing {closer!r}")
                return
            if character == ",":
                window.advance(window.at + 1)
                continue
            line, key, number = window.line, None, number + 1
            try:
                if opener == "{":
                    key = _member_name(window)
                value = window.value(closer)
            except _Broken as error:
                yield Item(line, key=key, problem=str(error), number=number)
            else:
                yield Item(line, value, key, number=number)


def json_sections(path: Path) -> Iterator[tuple[str, Item]]:
    """(name, element) of every list that is a member of the one object in a file; its other members are passed over.

    What cannot be read is an Item with a problem, under the name of its list ("" outside of any)."""
    with open(path, "rb") as file:
        window = _Window(file)
        if (opener := window.peek()) != "{":
            yield "", Item(window.line, problem="expected a JSON object" if opener else "the file is empty")
            return
        window.advance(window.at + 1)
        while (character := window.peek()) != "}":
            if character == "":
                yield "", Item(window.line, problem="the file ends before its closing '}'")
                return
            if character == ",":
                window.advance(window.at + 1)
                continue
            line = window.line
            try:
                name = _member_name(window)
                if window.peek() != "[":
                    window.value("}")
                    continue
            except _Broken as error:
                yield "", Item(line, problem=str(error))
                continue
            window.advance(window.at + 1)
            for item in _elements(window, "]"):
                yield name, item


def _elements(window: _Window, closer: str) -> Iterator[Item]:
    """The elements of a list whose bracket was read, and its end."""
    number = 0
    while (character := window.peek()) != closer:
        if character == "":
            yield Item(window.line, problem=f"the file ends before its closing {closer!r}")
            return
        if character == ",":
            window.advance(window.at + 1)
            continue
        line, number = window.line, number + 1
        try:
            value = window.value(closer)
        except _Broken as error:
            yield Item(line, problem=str(error), number=number)
        else:
            yield Item(line, value, number=number)
    window.advance(window.at + 1)


def _member_name(window: _Window) -> str:
    key = window.value("}")
    if not isinstance(key, str) or window.peek() != ":":
        window._pass_over("}")
        raise _Broken("expected a name and a colon")
    window.advance(window.at + 1)
    window.peek()
    return key


def json_lines(path: Path) -> Iterator[Item]:
    """The lines of a JSON-lines file; blank ones are passed over."""
    for line in text_lines(path):
        if line.problem is None:
            try:
                line = line._replace(value=json.loads(line.value))
            except (ValueError, RecursionError) as error:
                line = Item(line.line, problem=f"not JSON: {error}", number=line.line)
        yield line


def text_lines(path: Path) -> Iterator[Item]:
    """The lines of a text file, stripped; blank ones are passed over."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                yield Item(number, problem=f"not UTF-8: {error.reason} at byte {error.start}", number=number)
                continue
            if text:
                yield Item(number, text, number=number)
