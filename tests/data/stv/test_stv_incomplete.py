"""Classes of which not every object is annotated: "the dog" may be another one, and the first one may be unknown."""

import random
from collections import Counter

import numpy as np
import pytest

from videostr.data.stv.question import Asking, Rules, named
from videostr.data.stv.scene import Clip, Track
from videostr.data.stv.tasks.distance import relative_distance
from videostr.data.stv.tasks.motion import displacement
from videostr.data.stv.tasks.order import appearance_order


def clip(complete) -> Clip:
    names, frames = ("dog", "cat", "cow", "hen"), np.arange(10)
    tracks = []
    for at, name in enumerate(names):
        rows = frames[at:]
        left = 100.0 * at + 60.0 * rows
        box = np.column_stack([left, 0 * left + 100, left + 80, 0 * left + 200])
        tracks.append(Track(str(at), name, rows, np.ones(len(rows)), box))
    return Clip("tao", "a", "a", "a.mp4", 30 * frames, 1.0 * frames, 1280, 720, 30.0, tracks, complete=complete)


def room(complete) -> Clip:
    empty = np.zeros(0, np.int64)
    tracks = [
        Track(str(k), name, empty, np.zeros(0), None, np.array([[k * k, 0.0, 0.5]]), np.eye(3)[None], np.full(3, 0.5))
        for k, name in enumerate(("bed", "sofa", "lamp", "desk", "sink", "stove", "door"))
    ]
    return Clip("scannet", "r", "r", "r.mp4", empty, np.zeros(0), 64, 64, 30.0, tracks, static=True, complete=complete)


def asking(clip) -> Asking:
    return Asking(clip, random.Random(0), Rules(), Counter())


@pytest.mark.parametrize(("complete", "by_box"), [(None, False), ({"dog", "cat"}, False), ({"cat"}, True)])
def test_named_by_its_box_where_there_may_be_others(complete, by_box):
    ask = asking(clip(None if complete is None else frozenset(complete)))
    assert named(ask, ask.clip.tracks[0], 0) == ("the dog at [0, 139, 62, 278]" if by_box else "the dog", by_box)
    questions = [q for q in displacement(ask) if q.names == ("dog",)]
    assert questions and all(q.boxes == by_box and ("the dog at [" in q.text) == by_box for q in questions)


def test_their_first_appearance_is_not_known():
    whole, partly = asking(clip(None)), asking(clip(frozenset(("cat", "cow", "hen"))))
    assert any("dog" in question.names for question in appearance_order(whole))
    found = list(appearance_order(partly))
    assert found and not any("dog" in question.names for question in found)
    assert partly.dropped["incomplete_class"] == 1 and not whole.dropped["incomplete_class"]


def test_distances_between_them_are_not_asked():
    names = frozenset(("sofa", "lamp", "desk", "sink", "stove", "door"))
    ask = asking(room(names))
    found = list(relative_distance(ask))
    assert {question.family for question in found} >= {"metres", "closest"}
    assert not any("bed" in question.names for question in found) and ask.dropped["incomplete_class"] == 1
