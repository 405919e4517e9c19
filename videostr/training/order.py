"""Everything random about a step as a pure function of the seed: there is no loader or generator state to save."""

import functools
import random
import zlib


def step_indices(count: int, per_step: int, step: int, seed: int | str) -> list[int]:
    """Indices (0 … count-1) of the samples of training step `step` (from 0), shuffled anew in every epoch.

    Epochs follow each other without a gap: a step may end one and begin the next. Every epoch holds every index once.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}: there is nothing to train on")
    positions = range(step * per_step, (step + 1) * per_step)
    return [_epoch(count, position // count, seed)[position % count] for position in positions]


@functools.lru_cache(maxsize=2)
def _epoch(count: int, epoch: int, seed: int | str) -> list[int]:
    indices = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(indices)
    return indices


def group_seed(seed: int, step: int, sample_id: str) -> int:
    """The seed of one group's sampling: the same whichever process draws it and whenever a run is resumed."""
    return zlib.crc32(f"{seed}/{step}/{sample_id}".encode())
