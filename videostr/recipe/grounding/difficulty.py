"""Which samples a model should be trained on: rollouts, then one of the samplers. The recipe's stage and
`videostr data difficulty` both come through `score_and_select`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator

from videostr import atomic
from videostr.config import save_config, to_dict
from videostr.data.difficulty import DifficultySelection, RolloutScore, select
from videostr.data.samples import Sample, read_samples
from videostr.eval.grounding import GroundingTask
from videostr.eval.rollouts import RolloutStore, store_name
from videostr.fingerprint import digest, fingerprint
from videostr.model import load_policy
from videostr.recipe.base import NOT_SHOWN
from videostr.recipe.config import PromptConfig
from videostr.recipe.grounding.config import DifficultyConfig
from videostr.recipe.progress import Progress
from videostr.recipe.sample_sets import write_set
from videostr.report.plots import difficulty_figure, to_png
from videostr.rewards import RewardSpec, load_reward
from videostr.rollout import SamplingParams
from videostr.training.config import at_least
from videostr.training.prompter import Prompter, model_frames
from videostr.video import Quarantine, read_clips


@dataclass
class DifficultyRunConfig:
    """model: a checkpoint, folder or hub id. data: sample files. prompt, difficulty, reward: as in the recipe.

    max_new_tokens: of an answer. batch_size: answers sampled at once."""

    model: str
    data: list[str]
    prompt: PromptConfig = field(default_factory=lambda: PromptConfig(name="tvg_think", written_times=False))
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    reward: str = "tvg"
    max_new_tokens: int = 1024
    batch_size: int = 32
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("difficulty run", self, 1, "max_new_tokens", "batch_size")
        if not self.data:
            raise ValueError("data: expected at least one sample file, got none")
        self.scorer()

    def scorer(self) -> RewardSpec:
        spec = load_reward(self.reward)
        if "iou" not in spec.terms or spec.terms["iou"].type != "interval":
            raise ValueError(
                f"reward {self.reward!r}: expected a term 'iou' of type 'interval', got {list(spec.terms)}"
            )
        return spec


def open_store(
    folder: Path,
    model: str,
    prompt: PromptConfig,
    difficulty: DifficultyConfig,
    reward: RewardSpec,
    *,
    max_new_tokens: int,
    seed: int,
    dtype: str,
    mixed_precision: str,
) -> RolloutStore:
    """The store under `folder` of this model, asked so."""
    asked = to_dict(prompt)
    for name in NOT_SHOWN:
        del asked[name]
    sampling = {"answers": difficulty.answers, "temperature": difficulty.temperature, "max_new_tokens": max_new_tokens}
    sampling |= {"seed": seed, "dtype": dtype, "mixed_precision": mixed_precision, "reward": to_dict(reward)}
    weights = model_hash(model)
    about = {"model": {"path": model, "hash": weights}, "prompt": asked, "sampling": sampling}
    return RolloutStore(folder / store_name(weights, asked, sampling), about)


def score_and_select(
    store: RolloutStore,
    prompter: Callable[[], Prompter],
    samples: Sequence[Sample],
    task: GroundingTask,
    config: DifficultyConfig,
    *,
    max_new_tokens: int,
    batch_size: int,
    seed: int,
    accelerator: Accelerator,
    name: str,
) -> tuple[list[Sample], DifficultySelection]:
    """(the chosen samples in their order, what `select` says). batch_size: answers at once; name: for the progress."""
    batch = max(1, batch_size // config.answers)
    progress = Progress(name, -(-len(samples) // (batch * accelerator.num_processes)))
    scores: list[RolloutScore] = store.score(
        prompter,
        samples,
        task,
        answers=config.answers,
        params=SamplingParams(temperature=config.temperature, max_new_tokens=max_new_tokens),
        seed=seed,
        batch_size=batch,
        accelerator=accelerator,
        on_batch=lambda done, total: progress(done),
    )
    selection = select(scores, config.sampler, config.count, seed, **config.options)
    chosen = set(selection.ids)
    return [sample for sample in samples if sample.id in chosen], selection


def run_difficulty(config: DifficultyRunConfig, out: Path) -> dict[str, Any]:
    """Score, choose, and write OUT/selected.jsonl, report.json, histogram.png and config.yaml; scores stay in
    OUT/scores, so that another sampler, or more samples, repeat nothing.

    Returns the report of `select`, with store, scored, unreadable, and models: mean IoU of every model that was asked
    the same in OUT, over the samples that both have scores of.

    Raises SampleError, ValueError, OSError.
    """
    accelerator = Accelerator(mixed_precision=config.mixed_precision)
    reward = config.scorer()
    samples = _read(config.data)[: config.difficulty.max_samples]
    store = open_store(
        out / "scores",
        config.model,
        config.prompt,
        config.difficulty,
        reward,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
        dtype=config.dtype,
        mixed_precision=config.mixed_precision,
    )
    prompt = config.prompt
    patches = prompt.patch_store(out)
    skipped = Quarantine(out / "skipped/videos.jsonl")

    def prompter() -> Prompter:
        policy = load_policy(config.model, dtype=getattr(torch, config.dtype), device=accelerator.device)
        frames = model_frames(policy, prompt.frames)
        if prompt.workers:
            videos = sorted({sample.video for sample in samples})
            mine = videos[accelerator.process_index :: accelerator.num_processes]
            for _ in read_clips(mine, frames, prompt, patches, skipped):
                pass  # what cannot be read is in `skipped` now
            accelerator.wait_for_everyone()
        return Prompter(policy, prompt.name, prompt.written_times, frames, patches, skipped)

    chosen, selection = score_and_select(
        store,
        prompter,
        samples,
        GroundingTask(reward),
        config.difficulty,
        max_new_tokens=config.max_new_tokens,
        batch_size=config.batch_size,
        seed=config.seed,
        accelerator=accelerator,
        name="samples scored",
    )
    accelerator.wait_for_everyone()
    unreadable = skipped.to_list()
    report = {
        **selection.report,
        "store": store.folder.name,
        "scored": selection.report["total"],
        "unreadable": unreadable,
        "models": _models(store),
    }
    if accelerator.is_main_process:
        write_set(out / "selected.jsonl", chosen)
        atomic.write_bytes(out / "histogram.png", to_png(difficulty_figure(report["histogram"])))
        save_config(config, out / "config.yaml")
        atomic.write_json(out / "report.json", report)
    accelerator.wait_for_everyone()
    return report


def model_hash(path: str) -> str:
    """Of a folder's weights; of name and commit for a hub id, whose commit names its weights."""
    if Path(path).exists():
        return fingerprint(path)
    from transformers import AutoConfig

    return digest([path, getattr(AutoConfig.from_pretrained(path), "_commit_hash", None)])


def _read(files: Sequence[str]) -> list[Sample]:
    samples = [sample for file in files for sample in read_samples(file)]
    if len({sample.id for sample in samples}) < len(samples):
        raise ValueError(f"data: {', '.join(files)} use an id twice between them")
    return samples


def _models(store: RolloutStore) -> list[dict[str, Any]]:
    """How the models that were asked the same fared on the samples that `store` has scores of."""
    asked = store.folder.name.partition("-")[2]
    ours = store.read()
    found = []
    for other in sorted(store.folder.parent.glob(f"*-{asked}")):
        theirs = RolloutStore(other).read()
        means = [sum(row["iou"] for row in rows) / len(rows) for key, rows in theirs.items() if key in ours]
        mean = sum(means) / len(means) if means else None
        found.append({"model": other.name.partition("-")[0], "samples": len(means), "mean_iou": mean})
    return found
