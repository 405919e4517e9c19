"""What the small model says at the tokens of a prompt while it is warmed up: (token, word) pairs that are true.

The words do not become part of the text. Several words at one token are each as likely as the others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from videostr.data.stv.geometry import bearing, box_distances
from videostr.graph import CELLS
from videostr.model import Prompt
from videostr.recipe.video_str.sight import Seen
from videostr.training.prompter import Prompter
from videostr.video import VideoInputs

NOTHING = "no"
COLUMNS, ROWS, HEIGHTS = "abcdefghijk", "0123456789", "lmnopqrstuv"
WAYS = {
    "to the left": " left",
    "to the right": " right",
    "up": " up",
    "down": " down",
    "away from the camera": " away",
    "towards the camera": " towards",
    "it hardly moves": " hardly",
}
LARGER, SMALLER, CLOSEST, FARTHEST = " larger", " smaller", " closest", " farthest"
FRONT, BACK, LEFT, RIGHT = "front", "back", "left", "right"
WORDS = (NOTHING, *WAYS.values(), LARGER, SMALLER, CLOSEST, FARTHEST, FRONT, BACK, LEFT, RIGHT)
_MARGIN = 0.15  # as the builder's: what differs by less is not compared
_BOUNDARY = 10.0  # degrees


def in_the_video(
    prompter: Prompter, prompt: Prompt, video: VideoInputs, seen: Sequence[Sequence[Seen]]
) -> Iterator[tuple[int, str]]:
    """What is in the first frame of each pair: at the token that holds a thing's middle its class, its column as a
    letter and its row as a number, as on a chess board, and which way it moves; at any other "no"."""
    frames = prompter.frames
    pairs, rows, columns = (int(video.grid_thw[0]), *(int(n) // frames.merge_size for n in video.grid_thw[1:]))
    words: list[list[str]] = [[] for _ in range(pairs * rows * columns)]
    for pair in range(pairs):
        for thing in seen[pair * frames.temporal_patch_size]:
            row, column = (min(int(at / CELLS * n), n - 1) for at, n in ((thing.y, rows), (thing.x, columns)))
            words[(pair * rows + row) * columns + column] += [thing.name, *_cell(thing), *_way(thing)]
    for place, here in zip(_video_places(prompter, prompt), words, strict=True):
        for word in here or [NOTHING]:
            yield place, word


def of_mentions(text: "Text", names: Sequence[str], things: Sequence[Seen]) -> Iterator[tuple[int, str]]:
    """At each of `names` that the question mentions, of the only thing of that class: its cell of the picture, how high
    it is, which way it moves, and how it stands to the one or two that were mentioned before it."""
    gaps = _gaps(things)
    before: list[Seen] = []
    for mention in re.finditer(rf"\b({'|'.join(names)})\b", text.question):
        place = text.place(mention.end())
        there = [thing for thing in things if thing.name == mention[0]]
        if not there:
            yield place, NOTHING
        if len(there) != 1:
            before = []
            continue
        (thing,) = there
        for word in (*_cell(thing), _height(thing), *_way(thing), *_relations(thing, before, gaps)):
            yield place, word
        before = [thing, *before[:1]]


def of_the_end(text: "Text", last: Sequence[Seen]) -> Iterator[tuple[int, str]]:
    """Where a question about two frames ends, the cell that the only thing it mentions is in in the last."""
    things = [thing for thing in last if re.search(rf"\b{thing.name}\b", text.question)]
    if len(things) == 1:
        for word in _cell(things[0]):
            yield text.place(len(text.question)), word


def of_the_answer(text: "Text", meta: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Where the question ends, the words by which a choice's answer differs from others, or a number's first digit."""
    if meta["answer_kind"] == "box":
        return []
    if meta["answer_kind"] == "number":
        words = [str(meta["answer"])[0]]
    else:
        key = meta["option_keys"][ord(meta["answer"]) - ord("A")]
        words = [WAYS[key]] if key in WAYS else key.split("-")
    return [(text.place(len(text.question)), word) for word in words]


def nearest(video: VideoInputs, time: float | None) -> int:
    """The frame of the video that is nearest to a second of it."""
    return int(np.abs(video.timestamps - (time or 0.0)).argmin())


class Text:
    """The text of a prompt behind its video: its question, which is a line, and the tokens of that."""

    def __init__(self, prompter: Prompter, prompt: Prompt):
        self._first = _video_places(prompter, prompt)[-1] + 1
        pieces = [prompter.policy.tokenizer.decode([token]) for token in prompt.input_ids_P[self._first :].tolist()]
        text, self._ends = "".join(pieces), list(accumulate(map(len, pieces)))
        self._start = text.rindex("<|vision_end|>") + len("<|vision_end|>")
        self.question = re.compile(r"[^\n<]*").match(text, self._start)[0]

    def place(self, end: int) -> int:
        """Of the token with the last character of the question before `end`."""
        return self._first + int(np.searchsorted(self._ends, self._start + end))


def _video_places(prompter: Prompter, prompt: Prompt) -> list[int]:
    return (prompt.input_ids_P == prompter.policy.base.config.video_token_id).nonzero().flatten().tolist()


def _cell(thing: Seen) -> tuple[str, str]:
    return COLUMNS[min(max(round(thing.x), 0), CELLS)], ROWS[min(max(round(thing.y), 0), 9)]


def _height(thing: Seen) -> str:
    return HEIGHTS[min(round(thing.height), CELLS)]


def _way(thing: Seen) -> list[str]:
    return [] if thing.way is None else [WAYS[thing.way]]


def _gaps(things: Sequence[Seen]) -> dict[tuple[int, int], float]:
    """Between two bodies that have a place, in metres; all at once, as that takes hardly longer than two do."""
    placed = [thing for thing in things if thing.placed is not None]
    if not placed:
        return {}
    arrays = zip(*(thing.placed for thing in placed), strict=True)
    gap_NN = box_distances(*(np.stack(array) for array in arrays))
    return {(a.body, b.body): gap_NN[i, j] for i, a in enumerate(placed) for j, b in enumerate(placed)}


def _relations(thing: Seen, before: Sequence[Seen], gaps: Mapping[tuple[int, int], float]) -> Iterator[str]:
    """Larger than the last? Seen from the last but one: nearer than the last, and where, for one who faces the last?"""
    bodies = {other.body for other in (thing, *before)}
    if thing.placed is None or len(bodies) <= len(before) or not before:
        return
    longest = [float(other.placed.size.max()) for other in (thing, before[0])]
    if abs(longest[0] - longest[1]) >= max(0.1, _MARGIN * max(longest)):
        yield LARGER if longest[0] > longest[1] else SMALLER
    if len(before) < 2:
        return
    facing, at = before
    last, this = gaps[at.body, facing.body], gaps[at.body, thing.body]
    if abs(last - this) >= max(0.15, _MARGIN * max(last, this)):
        yield CLOSEST if this < last else FARTHEST
    angle = bearing(at.placed.centre, facing.placed.centre, thing.placed.centre)
    if abs(abs(angle) - 90) >= _BOUNDARY:
        yield FRONT if abs(angle) < 90 else BACK
    if min(abs(angle), 180 - abs(angle)) >= _BOUNDARY:
        yield LEFT if angle > 0 else RIGHT
