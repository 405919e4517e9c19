"""Relative distance: which is closest or farthest, and how far apart two objects are, by their closest points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videostr.data.stv.geometry import box_distances
from videostr.data.stv.question import (
    Asking,
    Question,
    is_complete,
    named,
    number_bin,
    sampled_frames,
    seconds,
    seen_rows,
)

WHICH = (
    "{when}Measured from closest point to closest point, which of these is the {how} {to} {ref}: {choices}?",
    "{when}Which object is {how} {to} {ref}, taking the closest points of each: {choices}?",
    "{when}Of {choices}, which one is the {how} {to} {ref} (between closest points)?",
    "{when}Compare the distances between closest points: which is {how} {to} {ref}: {choices}?",
)
SEVERAL = " Of several objects of one kind, the nearest to it counts."
METRES = (
    "{when}How far apart are {a} and {b}, from closest point to closest point, in metres?",
    "{when}What is the distance in metres between the closest points of {a} and {b}?",
    "{when}Measured between their closest points, how many metres are between {a} and {b}?",
    "{when}Estimate in metres how far {a} is from {b} (closest points).",
)


def relative_distance(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if not clip.spatial:
        return
    if clip.static:
        objects = [(track, 0) for track in clip.tracks if track.longest >= ask.rules.least_gap]
        if len(objects) >= 3:
            yield from _room(ask, objects)
        return
    for frame in sampled_frames(ask, ask.limit // 4):
        objects = seen_rows(ask, frame)
        if len(objects) >= 2:
            yield from _drive(ask, objects, frame)


def _gaps(objects: list) -> np.ndarray:
    centre = np.array([track.centre_F3[row] for track, row in objects])
    axes = np.array([track.axes_F33[row] for track, row in objects])
    return box_distances(centre, np.array([track.size_3 for track, _ in objects]), axes)


def _room(ask: Asking, objects: list) -> Iterator[Question]:
    gap_NN = _gaps(objects)
    rows: dict[str, list[int]] = {}
    for at, (track, _) in enumerate(objects):
        rows.setdefault(track.name, []).append(at)
    usable = [name for name in sorted(rows) if is_complete(ask.clip, name)]
    ask.dropped["incomplete_class"] += len(rows) - len(usable)
    single = [name for name in usable if len(ask.clip.by_name[name]) == 1]
    ask.dropped["several_of_a_class"] += len(usable) - len(single)
    for _ in range(ask.limit):
        if len(usable) < 5 or not single:
            break
        ref = ask.rng.choice(single)
        names = ask.rng.sample([name for name in usable if name != ref], 4)
        gaps = {name: float(min(gap_NN[rows[ref][0], at] for at in rows[name])) for name in names}
        several = any(len(rows[name]) > 1 for name in names)
        yield from _which(ask, f"the {ref}", {f"the {n}": (gaps[n], n) for n in names}, ref, None, several, False)
    for _ in range(ask.limit // 2):
        if len(single) < 2:
            break
        a, b = ask.rng.sample(single, 2)
        yield from _metres(ask, f"the {a}", f"the {b}", (a, b), float(gap_NN[rows[a][0], rows[b][0]]), None, False)


def _drive(ask: Asking, objects: list, frame: int) -> Iterator[Question]:
    gap_NN = _gaps(objects)
    called = [named(ask, *pair) for pair in objects]
    for _ in range(3):
        a, b = ask.rng.sample(range(len(objects)), 2)
        names = (objects[a][0].name, objects[b][0].name)
        yield from _metres(
            ask, called[a][0], called[b][0], names, float(gap_NN[a, b]), frame, called[a][1] or called[b][1]
        )
        if len(objects) >= 4:
            ref, *others = ask.rng.sample(range(len(objects)), min(len(objects), 5))
            by_name = {called[o][0]: (float(gap_NN[ref, o]), objects[o][0].name) for o in others}
            if len(by_name) == len(others):
                boxes = any(called[o][1] for o in (ref, *others))
                yield from _which(ask, called[ref][0], by_name, objects[ref][0].name, frame, False, boxes)


def _which(ask, ref: str, gaps: dict[str, tuple[float, str]], name: str, frame, several: bool, boxes: bool):
    how = ask.rng.choice(("closest", "farthest"))
    order = sorted(gaps, key=lambda option: gaps[option][0], reverse=how == "farthest")
    first, second = gaps[order[0]][0], gaps[order[1]][0]
    if abs(first - second) < max(ask.rules.least_gap, ask.rules.margin * max(first, second)):
        ask.dropped["ambiguous_distance"] += 1
        return
    options = tuple(gaps)
    when = "" if frame is None else f"At {seconds(ask.clip.times_T[frame])}: "
    listed = f"{', '.join(options[:-1])} or {options[-1]}"
    text = ask.phrase(WHICH, when=when, how=how, ref=ref, choices=listed, to="to" if how == "closest" else "from")
    text += SEVERAL if several else ""
    keys = tuple(gaps[option][1] for option in options)
    yield Question(
        "relative distance", how, "choice", text, order[0], () if frame is None else (frame,),
        tuple(dict.fromkeys((name, *keys))), gaps[order[0]][1], options, keys, boxes=boxes, subject=(ref,),
    )  # fmt: skip


def _metres(ask, a: str, b: str, names: tuple[str, str], gap: float, frame, boxes: bool) -> Iterator[Question]:
    if gap < ask.rules.least_gap or a == b:
        ask.dropped["too_close"] += 1
        return
    when = "" if frame is None else f"At {seconds(ask.clip.times_T[frame])}: "
    text = ask.phrase(METRES, when=when, a=a, b=b)
    gap = round(gap, 1)
    yield Question(
        "relative distance", "metres", "number", text, gap, () if frame is None else (frame,),
        tuple(dict.fromkeys(names)), number_bin(gap), unit="m", boxes=boxes, subject=tuple(sorted((a, b))),
    )  # fmt: skip
