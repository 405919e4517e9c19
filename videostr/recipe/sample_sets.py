"""The sample files of a run, OUT/data/NAME.jsonl: written whole, perhaps empty; a set may be held out of another."""

import random
from collections.abc import Sequence
from pathlib import Path

from videostr import atomic
from videostr.data.samples import Sample, read_samples, write_samples


def write_set(path: Path, samples: Sequence[Sample]) -> None:
    """`write_samples`, or an empty file where there is none."""
    if samples:
        write_samples(path, samples)
    else:
        atomic.write_text(path, "")


def read_set(path: Path) -> list[Sample]:
    """What `write_set` wrote; nothing where there is no file."""
    return read_samples(path) if path.exists() and path.stat().st_size else []


def given_sets(
    train_path: str, test_path: str | None, cold_start_path: str | None, seed: int
) -> dict[str, list[Sample]]:
    """cold_start, train and test from the user's files.

    Without a test file every tenth video of the train file is held out, drawn by the seed. Without a cold-start file
    the train samples with a response serve; samples about a test video are left out.
    Raises SampleError for a file that is not what docs/data.md describes, ValueError where one video cannot be shared.
    """
    train = read_samples(train_path)
    if test_path is not None:
        test = read_samples(test_path)
    else:
        videos = sorted({sample.video for sample in train})
        random.Random(seed).shuffle(videos)
        held_out = set(videos[: max(1, len(videos) // 10)])
        test = [sample for sample in train if sample.video in held_out]
        train = [sample for sample in train if sample.video not in held_out]
        if not train:
            raise ValueError(f"data.train: {train_path} has one video only; give data.test as well")
    cold_start = read_samples(cold_start_path) if cold_start_path else [s for s in train if s.response]
    tested = {sample.video for sample in test}
    return {"cold_start": [s for s in cold_start if s.video not in tested], "train": train, "test": test}
