"""Appearance order: which classes come into view first, by the first frame in which an object is seen well enough."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from videostr.data.stv.question import Asking, Question, is_complete, seconds

PHRASINGS = (
    "{when}In what order do these first come into view: {names}?",
    "{when}What is the order of first appearance of {names}?",
    "{when}Which comes into sight first, which next: {names}?",
    "{when}Put these in the order in which the video first shows them: {names}.",
)
_LEAST = 0.3  # of an object, in the frame that counts as its appearance


def appearance_order(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if not len(clip.times_T) or (clip.static and clip.pose_T44 is None):
        return
    last, seen = len(clip.times_T), set()
    complete = [name for name in sorted(clip.by_name) if is_complete(clip, name)]
    ask.dropped["incomplete_class"] += len(clip.by_name) - len(complete)
    for _ in range(ask.limit // 2 if clip.source == "kitti" else ask.limit):
        start, end = 0, last
        if clip.source == "kitti" and last > 20:
            start = ask.rng.randrange(last - 20)
            end = min(last, start + int(ask.rng.uniform(4, 20) * clip.fps))
        first = {name: appearance(ask, name, start, end) for name in complete}
        names = [name for name, frame in first.items() if frame is not None]
        if len(names) < 3:
            continue
        picked = ask.rng.sample(names, min(len(names), ask.rng.choice((3, 4))))
        times = {name: float(clip.times_T[first[name]]) for name in picked}
        order = sorted(picked, key=times.get)
        if any(times[b] - times[a] < ask.rules.order_gap for a, b in itertools.pairwise(order)):
            ask.dropped["ambiguous_order"] += 1
            continue
        if (start, tuple(order)) in seen:
            continue
        seen.add((start, tuple(order)))
        wrong = [list(p) for p in itertools.permutations(picked) if list(p) != order]
        orders = [order, *ask.rng.sample(wrong, 3)]
        options = tuple(", ".join(names) for names in orders)
        whole = start == 0 and end == last
        when = "" if whole else f"Between {seconds(clip.times_T[start])} and {seconds(clip.times_T[end - 1])}: "
        text = ask.phrase(PHRASINGS, when=when, names=", ".join(ask.rng.sample(picked, len(picked))))
        frames = tuple(sorted({start, *(first[name] for name in picked)}))
        yield Question(
            "appearance order", "order", "choice", text, options[0], frames, tuple(sorted(picked)), order[0],
            options, tuple(names[0] for names in orders),
        )  # fmt: skip


def appearance(ask: Asking, name: str, start: int, end: int) -> int | None:
    """The first frame of [start, end) that shows enough of an object of the class."""
    frames = []
    for track in ask.clip.by_name[name]:
        enough = track.visible_F >= _LEAST
        if track.box_F4 is not None:
            enough &= track.box_F4[:, 3] - track.box_F4[:, 1] >= ask.rules.pixels
        shown = track.frame_F[enough & (track.frame_F >= start) & (track.frame_F < end)]
        if len(shown):
            frames.append(int(np.min(shown)))
    return min(frames, default=None)
