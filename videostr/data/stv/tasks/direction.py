"""Relative direction: where C is for an observer who stands at A and faces B."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videostr.data.stv.geometry import bearing
from videostr.data.stv.question import Asking, Question, named, sampled_frames, seconds, seen_rows, unique_tracks

QUADRANTS = ("front-left", "front-right", "back-left", "back-right")
SIDES = ("left", "right", "back")
PHRASINGS = (
    "{when}If I stand at {a} and face {b}, where is {c}: to my {choices}?",
    "{when}Imagine you stand by {a}, looking towards {b}. Is {c} to your {choices}?",
    "{when}An observer at {a} faces {b}. In which direction does the observer find {c}: {choices}?",
    "{when}Standing at {a} and facing {b}, which way is {c}: {choices}?",
)
_APART = 0.5  # metres between observer, landmark and target on the ground


def relative_direction(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if not clip.spatial:
        return
    if clip.static:
        objects = [(track, 0) for track in unique_tracks(ask)]
        if len(objects) >= 3:
            for _ in range(ask.limit * 2):
                yield from _ask(ask, objects, None)
        return
    for frame in sampled_frames(ask, ask.limit // 3):
        objects = seen_rows(ask, frame)
        if len(objects) >= 3:
            for _ in range(4):
                yield from _ask(ask, objects, frame)


def _ask(ask: Asking, objects: list, frame: int | None) -> Iterator[Question]:
    (a, ra), (b, rb), (c, rc) = ask.rng.sample(objects, 3)
    at, facing, target = a.centre_F3[ra], b.centre_F3[rb], c.centre_F3[rc]
    if min(np.linalg.norm((at - facing)[:2]), np.linalg.norm((at - target)[:2])) < _APART:
        ask.dropped["too_close"] += 1
        return
    angle = bearing(at, facing, target)
    family = ask.rng.choice(("quadrant", "side"))
    answer = quadrant(angle, ask.rules.boundary) if family == "quadrant" else side(angle, ask.rules.boundary)
    if answer is None:
        ask.dropped["ambiguous_direction"] += 1
        return
    choices = QUADRANTS if family == "quadrant" else SIDES
    when, names, boxes = "", [f"the {track.name}" for track in (a, b, c)], False
    if frame is not None:
        when = f"At {seconds(ask.clip.times_T[frame])}: "
        names, by_box = zip(*(named(ask, *pair) for pair in ((a, ra), (b, rb), (c, rc))), strict=True)
        boxes = any(by_box)
    text = ask.phrase(
        PHRASINGS, when=when, a=names[0], b=names[1], c=names[2], choices=f"{', '.join(choices[:-1])} or {choices[-1]}"
    )
    frames = () if frame is None else (frame,)
    classes = tuple(dict.fromkeys(track.name for track in (a, b, c)))
    yield Question(
        "relative direction",
        family,
        "choice",
        text,
        answer,
        frames,
        classes,
        answer,
        choices,
        choices,
        boxes=boxes,
        subject=(a.id, b.id, c.id),
    )


def quadrant(angle: float, margin: float) -> str | None:
    """Degrees to the left of ahead -> a quadrant; None within `margin` of a boundary."""
    if min(abs(abs(angle) - edge) for edge in (0, 90, 180)) < margin:
        return None
    return f"{'front' if abs(angle) < 90 else 'back'}-{'left' if angle > 0 else 'right'}"


def side(angle: float, margin: float) -> str | None:
    """As VSI-Bench's medium questions: behind from 135 degrees on."""
    if min(abs(angle), abs(abs(angle) - 135)) < margin:
        return None
    return "back" if abs(angle) > 135 else "left" if angle > 0 else "right"
