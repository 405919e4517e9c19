"""Object counting: how many of a class, in a room, a part of a drive, or a clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videostr.data.stv.question import Asking, Question, is_complete, plural, seconds

ROOM = (
    "How many {names} are in this room?",
    "How many {names} does the room have?",
    "Count the {names} in the room.",
    "What is the number of {names} in the room?",
)
PART = (
    "How many different {names} can be seen between {start} and {end}?",
    "Count the different {names} that appear from {start} to {end}.",
    "From {start} to {end}, how many {names} come into view in all?",
    "What is the number of {names} that the video shows between {start} and {end}?",
)
WHOLE = (
    "How many different {names} does the video show?",
    "Count the {names} that appear in the video.",
    "Over the whole video, how many {names} are there?",
    "What is the number of different {names} in the video?",
)


def object_counting(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if clip.static or clip.source == "tao":
        for name in sorted(clip.by_name):
            if not is_complete(clip, name):
                ask.dropped["incomplete_class"] += 1
                continue
            count = len(clip.by_name[name]) if clip.static else _seen(ask, name, 0, len(clip.times_T))
            if count:
                frames = (0, len(clip.times_T) - 1) if len(clip.times_T) else ()
                yield _question(ask, name, count, frames, ROOM if clip.static else WHOLE)
        return
    last = len(clip.times_T)
    for _ in range(ask.limit // 2):
        length = int(min(last, ask.rng.uniform(2, 10) * clip.fps))
        start = ask.rng.randrange(last - length + 1)
        names = sorted(name for name in clip.by_name if _present(ask, name, start, start + length))
        if length > 1 and names:
            name = ask.rng.choice(names)
            count = _seen(ask, name, start, start + length)
            if count:
                yield _question(ask, name, count, (start, start + length - 1), PART)


def _present(ask: Asking, name: str, start: int, end: int) -> bool:
    return any(np.searchsorted(t.frame_F, start) < np.searchsorted(t.frame_F, end) for t in ask.clip.by_name[name])


def _seen(ask: Asking, name: str, start: int, end: int) -> int:
    """How many are seen well in some frame; 0, and a reason, where one is there that never is."""
    count = 0
    for track in ask.clip.by_name[name]:
        rows = slice(*np.searchsorted(track.frame_F, (start, end)))
        if rows.start == rows.stop:
            continue
        tall = track.box_F4[rows, 3] - track.box_F4[rows, 1] >= ask.rules.pixels
        if not (tall & (track.visible_F[rows] >= ask.rules.visible)).any():
            ask.dropped["ambiguous_count"] += 1
            return 0
        count += 1
    return count


def _question(ask: Asking, name: str, count: int, frames: tuple[int, ...], phrasings) -> Question:
    words = {"names": plural(name)}
    if phrasings is PART:
        words |= {"start": seconds(ask.clip.times_T[frames[0]]), "end": seconds(ask.clip.times_T[frames[1]])}
    text = ask.phrase(phrasings, **words)
    return Question(
        "object counting", "count", "number", text, count, frames, (name,), str(count), group=name, subject=(name,)
    )
