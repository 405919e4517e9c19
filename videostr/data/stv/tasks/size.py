"""Object size: the longest side of an object, and which of two is larger."""

from __future__ import annotations

from collections.abc import Iterator

from videostr.data.stv.question import (
    Asking,
    Question,
    named,
    number_bin,
    sampled_frames,
    seconds,
    seen_rows,
    unique_tracks,
)

LONGEST = (
    "{when}How long is the longest side of {a}, in {unit}?",
    "{when}What does the longest dimension (length, width or height) of {a} measure in {unit}?",
    "{when}Estimate the longest dimension of {a} in {unit}.",
    "{when}In {unit}, how large is {a} along its longest side?",
)
LARGER = (
    "{when}Which has the longer longest side: {choices}?",
    "{when}Compare the longest dimensions: which is larger, {choices}?",
    "{when}Of {choices}, which one is larger along its longest side?",
    "{when}Which of these is the larger one by its longest dimension: {choices}?",
)


def object_size(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if not clip.spatial:
        return
    if clip.static:
        objects = [(track, 0) for track in unique_tracks(ask)]
        for track, row in objects:
            yield _longest(ask, track, row, None)
        yield from _larger(ask, objects, None, ask.limit // 2)
        return
    for frame in sampled_frames(ask, ask.limit // 4):
        objects = seen_rows(ask, frame)
        for track, row in ask.rng.sample(objects, min(2, len(objects))):
            yield _longest(ask, track, row, frame)
        yield from _larger(ask, objects, frame, 2)


def _longest(ask: Asking, track, row: int, frame: int | None) -> Question:
    when, name, boxes, frames = _words(ask, track, row, frame)
    centimetres = ask.clip.static
    value = round(track.longest * 100) if centimetres else round(track.longest, 1)
    text = ask.phrase(LONGEST, when=when, a=name, unit="centimetres" if centimetres else "metres")
    return Question(
        "object size", "longest", "number", text, value, frames, (track.name,), number_bin(value),
        unit="cm" if centimetres else "m", group=track.name, boxes=boxes, subject=(track.id,),
    )  # fmt: skip


def _larger(ask: Asking, objects: list, frame: int | None, count: int) -> Iterator[Question]:
    if len(objects) < 2:
        return
    for _ in range(count):
        (a, ra), (b, rb) = ask.rng.sample(objects, 2)
        if abs(a.longest - b.longest) < max(0.1, ask.rules.margin * max(a.longest, b.longest)):
            ask.dropped["ambiguous_distance"] += 1
            continue
        when, first, box_a, frames = _words(ask, a, ra, frame)
        _, second, box_b, _ = _words(ask, b, rb, frame)
        if first == second:
            continue
        right, key = (first, a.name) if a.longest > b.longest else (second, b.name)
        text = ask.phrase(LARGER, when=when, choices=f"{first} or {second}")
        yield Question(
            "object size", "larger", "choice", text, right, frames, tuple(dict.fromkeys((a.name, b.name))), key,
            (first, second), (a.name, b.name), boxes=box_a or box_b,
        )  # fmt: skip


def _words(ask: Asking, track, row: int, frame: int | None) -> tuple[str, str, bool, tuple[int, ...]]:
    if frame is None:
        return "", f"the {track.name}", False, ()
    return (f"At {seconds(ask.clip.times_T[frame])}: ", *named(ask, track, row), (frame,))
