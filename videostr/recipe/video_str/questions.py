"""The STV builder's own questions about a scene that was just drawn, with exact answers.

The scene's annotations go through the files and the readers of its set, as those of the samples do; there is no clip.
"""

import random
import tempfile
from collections import Counter
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


def ask(clip: Clip, rng: random.Random, count: int) -> list[Sample]:
    """At most `count` questions about a clip, of different families; of one family every answer is as likely as the
    others that the clip has."""
    rules = Rules(limit={clip.source: TRIES})
    families: dict[tuple[str, str], dict[str, list[Question]]] = {}
    for task, asker in ASKERS.items():
        for question in asker(Asking(clip, rng, rules, Counter())):
            families.setdefault((task, question.family), {}).setdefault(question.key, []).append(question)
    grapher, samples = Grapher(clip), []
    for family in rng.sample(sorted(families), len(families)):
        question = rng.choice(rng.choice(list(families[family].values())))
        if rng.random() >= COMMON.get(question.key, 1.0):
            continue
        graph = grapher(question.frames, question.names)
        if graph is not None and len(samples) < count:
            record = candidate(question, clip, graph, "train", 0, digest_of(question, clip))
            samples.append(to_sample(record, Letters()))
    return samples


def _raise(file: str, line: int, what: str) -> None:
    raise AssertionError(f"{file}, line {line}: {what}")
