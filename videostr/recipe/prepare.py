"""The first stage: samples in OUT/data, and the model a run starts from."""

import random
from collections.abc import Sequence
from pathlib import Path

from videostr import atomic
from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample, read_samples, write_samples
from videostr.data.world import COLOURS, NOTHING, write_world
from videostr.model.tiny import write_tiny_policy
from videostr.recipe.config import DataConfig, TwoStageConfig
from videostr.recipe.progress import Progress


def prepare_data(config: DataConfig, directory: Path, seed: int) -> None:
    """Write cold_start.jsonl, train.jsonl and test.jsonl under `directory`: the user's samples, or a generated world's.

    Raises SampleError for a file that is not what docs/data.md describes.
    """
    sets = _generated(config, directory / "world", seed) if config.train is None else _given(config, seed)
    for name, samples in sets.items():
        write_set(directory / f"{name}.jsonl", samples)


def write_set(path: Path, samples: Sequence[Sample]) -> None:
    """`write_samples`, or an empty file where there is none."""
    if samples:
        write_samples(path, samples)
    else:
        atomic.write_text(path, "")


def read_set(path: Path) -> list[Sample]:
    """What `write_set` wrote; nothing where there is no file."""
    return read_samples(path) if path.exists() and path.stat().st_size else []


def prepare_model(config: TwoStageConfig, out: Path, seed: int) -> None:
    """Make the small model under OUT/models/tiny, its vocabulary learned from the samples.

    Nothing to do for a checkpoint.
    """
    if config.model.path is not None:
        return
    texts = [PROMPTS[config.prompt.name], *(f" {word}" for word in (*COLOURS, NOTHING))]
    for name in ("cold_start", "train"):
        for sample in read_set(out / "data" / f"{name}.jsonl"):
            texts += [sample.query, sample.response or ""]
    write_tiny_policy(out / "models/tiny", texts, config.model.tiny, seed)


def _generated(config: DataConfig, directory: Path, seed: int) -> dict[str, list[Sample]]:
    sets = {}
    for name, clips in (
        ("cold_start", config.cold_start_clips),
        ("train", config.train_clips),
        ("test", config.test_clips),
    ):
        sets[name] = list(write_world(directory, clips, seed, config.world, name, Progress(f"{name} clips", clips)))
    return sets


def _given(config: DataConfig, seed: int) -> dict[str, list[Sample]]:
    train = read_samples(config.train)
    if config.test is not None:
        test = read_samples(config.test)
    else:
        videos = sorted({sample.video for sample in train})
        random.Random(seed).shuffle(videos)
        held_out = set(videos[: max(1, len(videos) // 10)])
        test = [sample for sample in train if sample.video in held_out]
        train = [sample for sample in train if sample.video not in held_out]
        if not train:
            raise ValueError(f"data.train: {config.train} has one video only; give data.test as well")
    cold_start = read_samples(config.cold_start) if config.cold_start else [s for s in train if s.response]
    question = next((sample for sample in (*train, *test, *cold_start) if not sample.spans), None)
    if question is not None:
        raise ValueError(
            f"data: sample {question.id!r} is a question without an interval; this recipe grounds sentences"
        )
    tested = {sample.video for sample in test}
    cold_start = [sample for sample in cold_start if sample.video not in tested]
    return {"cold_start": cold_start, "train": train, "test": test}
