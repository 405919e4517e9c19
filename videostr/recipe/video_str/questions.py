"""The STV builder's own questions about a scene that was just drawn, with exact answers.

The scene's annotations go through the files and the readers of its set, as those of the samples do; there is no clip.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from videostr.data.samples import Sample
from videostr.data.scenes import Scene, write_annotations
from videostr.data.stv.build import READERS
from videostr.data.stv.graphs import Grapher
from videostr.data.stv.question import Asking, Question, Rules
from videostr.data.stv.record import Letters, candidate, digest_of, to_sample
from videostr.data.stv.scene import Clip, Sources
from videostr.data.stv.tasks import ASKERS

EVERY = 3  # of a street's frames so many-th is looked at: drawing them is what takes time
# Answers that most scenes have are asked for less often: nothing is to be learned of how common they are.
COMMON = {"it hardly moves": 0.25, "front-left": 0.3, "front-right": 0.3, "left": 0.3, "right": 0.3}
TRIES = 12  # how often a task may try to find a question
EACH = 3  # so often a family of choices is asked about a clip


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


def ask(clip: Clip, rng: random.Random, count: int) -> tuple[list[Sample], Sample | None]:
    """(at most `count` choices, one question of any kind where there is one). Of one family every answer is as likely
    as the others that the clip has, and as many questions are asked of each family."""
    rules = Rules(limit={clip.source: TRIES})
    families: dict[tuple[str, str], dict[str, list[Question]]] = {}
    choices = set()
    for task, asker in ASKERS.items():
        for question in asker(Asking(clip, rng, rules, Counter())):
            family = (task, question.family)
            families.setdefault(family, {}).setdefault(question.key, []).append(question)
            if question.kind == "choice" and not question.boxes:
                choices.add(family)
    grapher, letters = Grapher(clip), Letters()

    def sample(family: tuple[str, str]) -> Sample | None:
        question = rng.choice(rng.choice(list(families[family].values())))
        if rng.random() >= COMMON.get(question.key, 1.0):
            return None
        graph = grapher(question.frames, question.names)
        return graph and to_sample(candidate(question, clip, graph, "train", 0, digest_of(question, clip)), letters)

    asked: dict[str, Sample] = {}
    for family in _in_turn(sorted(choices), EACH, rng):
        if len(asked) < count and (found := sample(family)) is not None:
            asked[found.query.split("\n")[0]] = found
    any_kind = (sample(family) for family in _in_turn(sorted(families), 1, rng))
    return list(asked.values()), next((found for found in any_kind if found is not None), None)


def _in_turn(families: list[tuple[str, str]], times: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    for _ in range(times):
        yield from rng.sample(families, len(families))


def _raise(file: str, line: int, what: str) -> None:
    raise AssertionError(f"{file}, line {line}: {what}")
