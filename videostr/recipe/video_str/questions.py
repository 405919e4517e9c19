"""The STV builder's own questions about a scene that was just drawn, with exact answers.

The scene's annotations go through the files and the readers of its set, as those of the samples do; there is no clip.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videostr.data.samples import Sample
from videostr.data.scenes import KINDS, Scene, ScenesConfig, draw_scene, write_annotations
from videostr.data.stv.build import READERS
from videostr.data.stv.graphs import Grapher
from videostr.data.stv.question import Asking, Question, Rules
from videostr.data.stv.record import Letters, candidate, digest_of, to_sample
from videostr.data.stv.scene import Clip, Sources
from videostr.data.stv.tasks import ASKERS

EVERY = 4  # of a street's frames so many-th is looked at: drawing them is what takes time
TRIES = 24  # how often a task may try to find a question
SCENES = 100  # of each kind, which show how common an answer is
RARE = 0.05  # an answer that comes less often does not make the others of its group as rare


class Group(NamedTuple):
    """Choices that offer the same to one who does not see the scene; keys: what, sorted."""

    source: str
    task: str
    family: str
    keys: tuple[str, ...]


def read_scene(scene: Scene, rng: random.Random) -> Clip | None:
    """The scene as its set's reader gives it, under a name of its own; None where nothing is annotated."""
    with tempfile.TemporaryDirectory(prefix="videostr-scene-") as folder:
        # Not a word of its files can be wrong: they are ours.
        sources = Sources(_raise, Path(folder), lambda video: np.arange(scene.frames) / scene.fps)
        annotations = Path(folder) / "set"
        frames = range(rng.randrange(EVERY), scene.frames, EVERY)
        write_annotations(annotations, f"{rng.getrandbits(64):016x}", scene, frames)
        for _, _, read in READERS[scene.kind](annotations, sources):
            return read()
        return None


def ask(clip: Clip, world: ScenesConfig, rng: random.Random, most: int) -> tuple[list[Sample], Sample | None]:
    """(choices, at most `most` of a family, a question of another kind where there is one). world: that the clip is of.

    In a group of choices every answer is as common as the others: all that helps to answer is to look.
    """
    choices, others = _find(clip, rng)
    grapher, letters = Grapher(clip), Letters()

    def samples(questions: Sequence[Question]) -> Iterator[Sample]:
        for question in rng.sample(questions, len(questions)):
            graph = grapher(question.frames, question.names)
            if graph is not None:
                yield to_sample(candidate(question, clip, graph, "train", 0, digest_of(question, clip)), letters)

    common = how_common(world)
    kept: dict[str, list[Question]] = {}
    for group, questions in choices.items():
        shares = _shares(common.get(group, Counter()), group)
        kept.setdefault(group.family, []).extend(q for q in questions if rng.random() < shares[q.key])
    family = rng.choice(sorted(others)) if others else None
    return (
        [sample for questions in kept.values() for sample in islice(samples(questions), most)],
        next(samples(others[family]), None) if family else None,
    )


@cache
def how_common(world: ScenesConfig) -> dict[Group, Counter[str]]:
    """How often each answer comes in its group, of scenes that are the same in every run."""
    rng, common = random.Random("how common"), {}
    for kind in KINDS * SCENES:
        clip = read_scene(draw_scene(rng, kind, world), rng)
        for group, questions in _find(clip, rng)[0].items() if clip is not None else ():
            common.setdefault(group, Counter()).update(question.key for question in questions)
    return common


def _shares(common: Counter[str], group: Group) -> dict[str, float]:
    """Which share is kept of the questions with an answer, so that all answers are as common as the rarest."""
    rarest = max(1.0, RARE * common.total(), min(common[key] for key in group.keys))
    return {key: min(1.0, rarest / max(common[key], 1)) for key in group.keys}


def _find(clip: Clip, rng: random.Random) -> tuple[dict[Group, list[Question]], dict[str, list[Question]]]:
    """(choices that name no box by group, questions of the other kinds by family), none of them twice."""
    rules = Rules(limit={clip.source: TRIES})
    found = {
        digest_of(question, clip): (task, question)
        for task, asker in ASKERS.items()
        for question in asker(Asking(clip, rng, rules, Counter()))
    }
    choices: dict[Group, list[Question]] = {}
    others: dict[str, list[Question]] = {}
    for task, question in found.values():
        if question.kind != "choice":
            others.setdefault(f"{task}/{question.family}", []).append(question)
        elif not question.boxes:
            group = Group(clip.source, task, question.family, tuple(sorted(set(question.keys))))
            choices.setdefault(group, []).append(question)
    return choices, others


def _raise(file: str, line: int, what: str) -> None:
    raise AssertionError(f"{file}, line {line}: {what}")
