"""What a task yields, what it is given, and how objects are named in a question."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videostr.data.stv.scene import Clip, Track

TASKS = (
    "object counting",
    "relative direction",
    "relative distance",
    "appearance order",
    "object size",
    "motion tracking",
    "object localisation",
    "displacement",
)
"""The eight of the paper (C)."""

FILTERS = {
    "ambiguous_distance": "the two distances that decide differ by less than the margin",
    "ambiguous_direction": "nearer to a boundary between two answers than the margin",
    "ambiguous_order": "two of the objects appear within the margin of one another",
    "ambiguous_count": "an object of the class is there, but never seen well enough to be counted",
    "ambiguous_motion": "neither clearly moving nor clearly still, or between two directions",
    "too_close": "observer, landmark and target stand in one place, or boxes touch",
    "too_small": "too few pixels, or too short",
    "hidden": "truncated or occluded: less of it is seen than asked for",
    "several_of_a_class": "the question needs one object of the class, the scene has more",
    "incomplete_class": "the set does not annotate every object of the class",
    "too_large": "the box covers most of the picture, or hardly moved: guessed without looking",
}
"""Why a question was not asked; each with its count in the report."""


@dataclass(frozen=True)
class Rules:
    """The thresholds of the filters; all ours (O).

    margin: share by which two distances or sizes must differ; and least_gap metres. boundary: degrees from a boundary.
    visible: the least share of an object that must be seen. pixels: least height of a box. order_gap: seconds between
    two appearances. limit: questions a scene and task, by source, before balancing.
    """

    margin: float = 0.15
    least_gap: float = 0.15
    boundary: float = 10.0
    visible: float = 0.5
    pixels: float = 25.0
    order_gap: float = 0.4
    limit: dict[str, int] = field(default_factory=lambda: {"kitti": 400, "scannet": 60, "tao": 60})


@dataclass
class Question:
    """A question before its options are put in order.

    kind: "choice", "number" or "box". answer: the right option's text, the number, or x1, y1, x2, y2 of 0 to 1000.
    options: with the right one among them. keys: what each option says to one who sees no video (its class, its
    direction); key: the right one's, or the number's bin. group: what else the question gives away (the class).
    frames: indices into the clip's times. names: the classes that it mentions. subject: what it asks about beyond its
    options: two questions with one subject, family, frames and options are one, however they are worded.
    """

    task: str
    family: str
    kind: str
    text: str
    answer: Any
    frames: tuple[int, ...]
    names: tuple[str, ...]
    key: str
    options: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    unit: str | None = None
    group: str = ""
    boxes: bool = False
    subject: tuple[str, ...] = ()


@dataclass
class Asking:
    """A clip to ask about. dropped: counts of `FILTERS`."""

    clip: Clip
    rng: random.Random
    rules: Rules
    dropped: Counter

    @property
    def limit(self) -> int:
        return self.rules.limit.get(self.clip.source, 60)

    def phrase(self, phrasings: Sequence[str], **words: str) -> str:
        return self.rng.choice(phrasings).format(**words)


Task = Callable[[Asking], Iterator[Question]]


def seen_rows(ask: Asking, frame: int) -> list[tuple[Track, int]]:
    """The objects that are seen well in a frame, with their rows. What is left out is counted."""
    rows, rules = [], ask.rules
    for track in ask.clip.tracks:
        row = track.row(frame)
        if row is None:
            continue
        if track.visible_F[row] < rules.visible:
            ask.dropped["hidden"] += 1
        elif track.box_F4[row, 3] - track.box_F4[row, 1] < rules.pixels:
            ask.dropped["too_small"] += 1
        else:
            rows.append((track, row))
    return rows


def named(ask: Asking, track: Track, row: int) -> tuple[str, bool]:
    """(how the object is named, whether by its box): "the tram", or "the car at [412, 310, 480, 390]" where the frame
    has several of the class, seen well or not, or may have some that are not annotated."""
    clip, frame = ask.clip, int(track.frame_F[row])
    alone = sum(other.row(frame) is not None for other in clip.by_name[track.name]) == 1
    if alone and is_complete(clip, track.name):
        return f"the {track.name}", False
    return f"the {track.name} at {list(box_1000(clip, track, row))}", True


def is_complete(clip: Clip, name: str) -> bool:
    """Whether every object of the class is annotated."""
    return clip.complete is None or name in clip.complete


def box_1000(clip: Clip, track: Track, row: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in thousandths of the picture's width and height."""
    scale = np.array([clip.width, clip.height, clip.width, clip.height]) / 1000
    x1, y1, x2, y2 = (int(v) for v in np.clip(np.rint(track.box_F4[row] / scale), 0, 1000))
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)


def seconds(time: float) -> str:
    return f"{time:.1f} s"


def number_bin(value: float) -> str:
    """Bins a quarter wider than the one before: what the answers' distribution is levelled over."""
    return str(round(math.log(value) / math.log(1.25))) if value > 0 else "0"


def plural(name: str) -> str:
    """Of an English class name, for "how many"."""
    irregular = {"person": "people", "sitting person": "sitting people", "shelf": "shelves", "mouse": "mice"}
    if name in irregular:
        return irregular[name]
    if name.endswith(("s", "x", "ch", "sh")):
        return name if name.endswith("s") and not name.endswith("ss") else f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in "aeiou" else f"{name}s"


def sampled_frames(ask: Asking, most: int) -> list[int]:
    """Frames of the clip at random, in order."""
    count = len(ask.clip.times_T)
    return sorted(ask.rng.sample(range(count), min(most, count)))


def unique_tracks(ask: Asking) -> list[Track]:
    """A room's objects that are the only ones of their class, and not too small to be seen."""
    kept = []
    for name, tracks in sorted(ask.clip.by_name.items()):
        if len(tracks) > 1:
            ask.dropped["several_of_a_class"] += 1
        elif not is_complete(ask.clip, name):
            ask.dropped["incomplete_class"] += 1
        elif tracks[0].longest < ask.rules.least_gap:
            ask.dropped["too_small"] += 1
        else:
            kept.append(tracks[0])
    return kept
