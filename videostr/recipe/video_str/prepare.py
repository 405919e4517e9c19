"""The first stages: samples in OUT/data, and the model a run starts from.

Generated scenes go the way of the real sets: annotations in their formats, read and asked about by `videostr data stv`.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from videostr.data.prompts import render_prompt
from videostr.data.samples import Sample, read_samples
from videostr.data.scenes import KINDS, write_scenes
from videostr.data.stv.annotate import write_response
from videostr.data.stv.build import Options, build
from videostr.data.stv.question import Rules
from videostr.model.tiny import GRAPH_TAGS, WORDS_AND_SIGNS, write_tiny_policy
from videostr.recipe.progress import Progress
from videostr.recipe.sample_sets import given_sets, read_set, write_set
from videostr.recipe.video_str.config import DataConfig, VideoStrConfig
from videostr.recipe.video_str.warmup import words
from videostr.video.index import frame_seconds

OFTEN = 200  # a word that comes so often in the texts becomes a token

# What a camera that stands elsewhere does not change.
SAME_FROM_ELSEWHERE = ("object counting", "relative direction", "relative distance", "object size")


def prepare_data(config: DataConfig, directory: Path, seed: int) -> None:
    """Write cold_start, train, test and turned.jsonl under `directory`: the user's samples, or about generated scenes.

    Raises SampleError for a file that is not what docs/data.md describes, ValueError for a sample without what the
    recipe needs in its meta.
    """
    if config.train is None:
        sets = _generated(config, directory, seed)
    else:
        sets = given_sets(config.train, config.test, config.cold_start, seed)
        sets["turned"] = read_samples(config.turned) if config.turned else []
        for name, samples in sets.items():
            _check(name, samples)
    for name, samples in sets.items():
        write_set(directory / f"{name}.jsonl", samples)


def prepare_model(config: VideoStrConfig, out: Path, seed: int) -> None:
    """Make the small model under OUT/models/tiny, its vocabulary learned from the samples."""
    texts = []
    for name in ("cold_start", "train"):
        for sample in read_set(out / "data" / f"{name}.jsonl"):
            (message,) = render_prompt(config.prompt.name, sample.query, None, sample.meta)
            texts += [part["text"] for part in message["content"] if part["type"] == "text"]
            texts.append(sample.response or "")
    if config.data.train is None:
        texts += words() * OFTEN
    write_tiny_policy(out / "models/tiny", texts, config.model.tiny, seed, GRAPH_TAGS, WORDS_AND_SIGNS)


def _check(name: str, samples: list[Sample]) -> None:
    for sample in samples:
        for field in ("answer", "answer_kind", "graph"):
            if sample.meta.get(field) is None:
                raise ValueError(
                    f"data.{name}: sample {sample.id!r} has no {field!r} in its meta; this recipe trains on what "
                    "`videostr data stv` writes (docs/video-str.md)"
                )


def _generated(config: DataConfig, directory: Path, seed: int) -> dict[str, list[Sample]]:
    sets = {}
    for name, scenes, pairs in (
        ("cold_start", config.cold_start_scenes, config.pairs),
        ("train", config.train_scenes, config.pairs),
        ("test", config.test_scenes, config.test_pairs),
    ):
        world = directory / "world" / name
        write_scenes(world, dict.fromkeys(KINDS, scenes), seed, config.world, name, _progress(name, 3 * scenes))
        options = Options(
            count=pairs, seed=seed, validation=0.0, rules=Rules(limit=dict.fromkeys(KINDS, config.questions))
        )
        build({kind: world / kind for kind in KINDS}, directory / "stv" / name, options, frame_times=frame_seconds)
        sets[name] = read_samples(directory / "stv" / name / "train.jsonl")
    sets["cold_start"] = [
        replace(sample, response=write_response(sample, config.annotator, random.Random(f"{seed}/{sample.id}")))
        for sample in sets["cold_start"]
    ]
    sets["turned"] = _turned(config, directory, seed, sets["test"])
    return sets


def _turned(config: DataConfig, directory: Path, seed: int, test: list[Sample]) -> list[Sample]:
    """The test's questions about rooms, each with the same room filmed from elsewhere; answers and graphs stay."""
    world = replace(config.world, turn=config.turn)
    folder, count = directory / "world/turned", config.test_scenes
    write_scenes(folder, {"scannet": count}, seed, world, "test", _progress("turned", count))
    videos = (folder / "scannet/videos").absolute()  # as the builder names those of the other sets
    return [
        replace(sample, id=f"turned-{sample.id}", video=str(videos / Path(sample.video).name))
        for sample in test
        if sample.source == "scannet" and sample.meta["task"] in SAME_FROM_ELSEWHERE
    ]


def _progress(name: str, scenes: int) -> Callable[[int], None]:
    return Progress(f"{name} scenes", scenes)
