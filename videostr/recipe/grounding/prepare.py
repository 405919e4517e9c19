"""The first stages: samples in OUT/data, and the model a run starts from."""

from pathlib import Path

from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample
from videostr.data.world import COLOURS, NOTHING, write_world
from videostr.model.tiny import write_tiny_policy
from videostr.recipe.grounding.config import DataConfig, TwoStageConfig
from videostr.recipe.progress import Progress
from videostr.recipe.sample_sets import given_sets, read_set, write_set


def prepare_data(config: DataConfig, directory: Path, seed: int) -> None:
    """Write cold_start.jsonl, train.jsonl and test.jsonl under `directory`: the user's samples, or a generated world's.

    Raises SampleError for a file that is not what docs/data.md describes.
    """
    if config.train is None:
        sets = _generated(config, directory / "world", seed)
    else:
        sets = given_sets(config.train, config.test, config.cold_start, seed)
    for name, samples in sets.items():
        write_set(directory / f"{name}.jsonl", samples)


def prepare_model(config: TwoStageConfig, out: Path, seed: int) -> None:
    """Make the small model under OUT/models/tiny, its vocabulary learned from the samples."""
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
