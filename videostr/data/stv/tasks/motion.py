"""Motion tracking and displacement: which way, where to, and how far."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videostr.data.stv.question import Asking, Question, box_1000, named, number_bin, seconds
from videostr.data.stv.scene import Clip, Track

GROUND = ("away from the camera", "towards the camera", "to the left", "to the right", "it hardly moves")
PICTURE = ("to the left", "to the right", "up", "down", "it hardly moves")
WAY = (
    "Which way does {a} move{frame} between {start} and {end}?",
    "From {start} to {end}, in which direction does {a} move{frame}?",
    "How does {a} move{frame} from {start} to {end}?",
    "Follow {a} from {start} to {end}: which way does it go{frame}?",
)
WHERE = (
    "At {start} {a} is at {box}. Where is it at {end}? Answer with its box.",
    "Follow {a}, which is at {box} at {start}. Give its box at {end}.",
    "{a} is at {box} at {start}: what is its box at {end}?",
    "Track {a} from {box} at {start} to {end} and give the box it then has.",
)
FAR = (
    "How far does {a} move{frame} from {start} to {end}, in a straight line, in metres?",
    "What is the straight-line distance in metres between where {a} is at {start} and where it is at {end}{frame}?",
    "Between {start} and {end}, by how many metres does {a} change its place{frame}?",
    "Estimate in metres how far {a} gets from {start} to {end}{frame} (straight line).",
)
ACROSS = (
    "By how many per cent of the picture's width does the centre of {a} move from {start} to {end}?",
    "From {start} to {end}, how far does the centre of {a} move in the picture, in per cent of its width?",
    "How many per cent of the picture's width lie between the centre of {a} at {start} and at {end}?",
    "Between {start} and {end}, what distance does the centre of {a} cover, in per cent of the picture's width "
    "(straight line)?",
)
_MOVES, _STILL = 2.0, 0.3  # metres
_PICTURE_MOVES, _PICTURE_STILL = 0.08, 0.015  # of the picture's width


def motion_tracking(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if clip.static:
        return
    for track, first, last in _stretches(ask, ask.limit):
        words = _words(ask, track, first, last)
        moved = _moved(clip, track, first, last)
        frames = (int(track.frame_F[first]), int(track.frame_F[last]))
        yield from _box(ask, track, first, last, frames)
        if moved is not None:
            answer, choices = ground_way(moved), GROUND
            words["frame"] = "" if clip.pose_T44 is not None else " relative to the camera"
            family = "way" if clip.pose_T44 is not None else "way relative to the camera"
        else:
            answer, choices, family = picture_way(_across(clip, track, first, last)), PICTURE, "way in the picture"
            words["frame"] = " in the picture"
        if answer is None:
            ask.dropped["ambiguous_motion"] += 1
            continue
        by_box = words.pop("by_box")
        text = f"{ask.phrase(WAY, **words)} ({', '.join(choices[:-1])}, or {choices[-1]})"
        yield Question(
            "motion tracking", family, "choice", text, answer, frames, (track.name,), answer, choices, choices,
            boxes=by_box, subject=(track.id,),
        )  # fmt: skip


def displacement(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if clip.pose_T44 is not None and len(clip.times_T) > 1:
        yield from _camera(ask)
    if clip.static:
        return
    for track, first, last in _stretches(ask, ask.limit):
        words = _words(ask, track, first, last)
        by_box = words.pop("by_box")
        frames = (int(track.frame_F[first]), int(track.frame_F[last]))
        moved = _moved(clip, track, first, last)
        if moved is None:
            value = round(100 * float(np.linalg.norm(_across(clip, track, first, last))))
            phrasings, unit, family, least = ACROSS, None, "per cent", 3
        else:
            value = round(float(np.linalg.norm(moved)), 1)
            phrasings, unit, family, least = FAR, "m", "metres", 1.0
            if clip.pose_T44 is None:
                words["frame"], family = " relative to the camera", "metres relative to the camera"
        if value < least:
            ask.dropped["ambiguous_motion"] += 1
            continue
        text = ask.phrase(phrasings, **{"frame": ""} | words)
        yield Question(
            "displacement", family, "number", text, value, frames, (track.name,), number_bin(value), unit=unit,
            boxes=by_box, subject=(track.id,),
        )  # fmt: skip


def _camera(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    for _ in range(ask.limit // 2):
        first, last = sorted(ask.rng.sample(range(len(clip.times_T)), 2))
        gap = float(np.linalg.norm(clip.pose_T44[last, :3, 3] - clip.pose_T44[first, :3, 3]))
        if clip.times_T[last] - clip.times_T[first] > 20:
            continue
        if gap < 0.3:
            ask.dropped["ambiguous_motion"] += 1
            continue
        gap = round(gap, 1)
        text = ask.phrase(
            FAR, a="the camera", frame="", start=seconds(clip.times_T[first]), end=seconds(clip.times_T[last])
        )
        yield Question("displacement", "camera", "number", text, gap, (first, last), (), number_bin(gap), unit="m")


def _stretches(ask: Asking, count: int) -> Iterator[tuple[Track, int, int]]:
    """(track, first row, last row): one to six seconds, seen well at both ends."""
    clip, rules = ask.clip, ask.rules
    tracks = [track for track in clip.tracks if len(track.frame_F) > 1]
    for _ in range(count if tracks else 0):
        track = ask.rng.choice(tracks)
        first = ask.rng.randrange(len(track.frame_F) - 1)
        start = clip.times_T[track.frame_F[first]]
        after = np.flatnonzero(
            (clip.times_T[track.frame_F] >= start + 0.9) & (clip.times_T[track.frame_F] <= start + 6.1)
        )
        if not len(after):
            continue
        last = int(ask.rng.choice(after.tolist()))
        rows = [first, last]
        if (track.visible_F[rows] < rules.visible).any():
            ask.dropped["hidden"] += 1
        elif (track.box_F4[rows, 3] - track.box_F4[rows, 1] < rules.pixels).any():
            ask.dropped["too_small"] += 1
        else:
            yield track, first, last


def _words(ask: Asking, track: Track, first: int, last: int) -> dict:
    name, by_box = named(ask, track, first)
    start, end = (seconds(ask.clip.times_T[track.frame_F[row]]) for row in (first, last))
    return {"a": name, "by_box": by_box, "start": start, "end": end}


def _moved(clip: Clip, track: Track, first: int, last: int) -> np.ndarray | None:
    """(2,) metres on the ground: x to the right and y ahead of the camera at the first frame. The camera's own motion
    is taken out where its poses are known. None without places in metres."""
    if track.centre_F3 is None:
        return None
    moved = track.centre_F3[last] - track.centre_F3[first]
    if clip.pose_T44 is not None:
        moved = clip.pose_T44[track.frame_F[first], :3, :3].T @ moved
    return moved[:2]


def _across(clip: Clip, track: Track, first: int, last: int) -> np.ndarray:
    """(2,) how far the box's centre moves, both in picture widths; y down."""
    box = track.box_F4
    return ((box[last, :2] + box[last, 2:]) - (box[first, :2] + box[first, 2:])) / 2 / clip.width


def ground_way(moved_2: np.ndarray) -> str | None:
    """One of GROUND; None between two of them."""
    return _way(moved_2, _STILL, _MOVES, ("to the right", "to the left", "away from the camera", "towards the camera"))


def picture_way(moved_2: np.ndarray) -> str | None:
    """One of PICTURE; None between two of them."""
    return _way(moved_2, _PICTURE_STILL, _PICTURE_MOVES, ("to the right", "to the left", "down", "up"))


def _way(moved_2: np.ndarray, still: float, moves: float, names: tuple[str, str, str, str]) -> str | None:
    length = float(np.linalg.norm(moved_2))
    if length < still:
        return "it hardly moves"
    x, y = np.abs(moved_2)
    if length < moves or min(x, y) > 0.6 * max(x, y):  # within 14 degrees of the diagonal
        return None
    axis = int(y > x)
    return names[2 * axis + int(moved_2[axis] < 0)]


def _box(ask: Asking, track: Track, first: int, last: int, frames: tuple[int, int]) -> Iterator[Question]:
    before, after = (box_1000(ask.clip, track, row) for row in (first, last))
    if _iou(before, after) > 0.5:
        ask.dropped["too_large"] += 1
        return
    start, end = (seconds(ask.clip.times_T[frame]) for frame in frames)
    text = ask.phrase(WHERE, a=f"the {track.name}", box=str(list(before)), start=start, end=end)
    text = text[0].upper() + text[1:]
    yield Question(
        "motion tracking",
        "box",
        "box",
        text,
        list(after),
        frames,
        (track.name,),
        cell(after),
        boxes=True,
        subject=(track.id,),
    )


def _iou(a: tuple, b: tuple) -> float:
    width, height = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(area) - width * height)


def cell(box: tuple) -> str:
    """Which ninth of the picture the centre is in."""
    return f"{min((box[0] + box[2]) // 667, 2)}{min((box[1] + box[3]) // 667, 2)}"
