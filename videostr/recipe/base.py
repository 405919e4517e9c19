"""What recipes share: models and prompts, the training and evaluation stages, the summary and the page of a run.

A recipe is a subclass that names its stages in order (`work`) and says what is its own: where samples come from, what
else happens between them, and by what task answers are scored.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from videostr import atomic
from videostr.config import save_config, to_dict
from videostr.data.samples import Sample
from videostr.eval.score import held_out_scores, score_samples
from videostr.eval.task import Task
from videostr.fingerprint import fingerprint
from videostr.grpo import EpochSamples, train_grpo
from videostr.model import Policy, load_policy
from videostr.recipe.config import RecipeConfig
from videostr.recipe.progress import Progress
from videostr.recipe.sample_sets import read_set
from videostr.recipe.stages import Stages
from videostr.recipe.warmup import DrawLessons, warm_up
from videostr.report import write_report
from videostr.rollout import SamplingParams
from videostr.sft import train_sft
from videostr.training.loop import save_policy
from videostr.training.prompter import Prompter, model_frames
from videostr.training.sharding import check_sharding, keep_models_whole
from videostr.versions import software_versions
from videostr.video import FramePolicy, Quarantine, read_clips

NOT_SHOWN = ("store", "store_gib", "workers", "time_limit")  # of a prompt's settings: they change no number


class Recipe(ABC):
    """sets: the names of the sample files that `prepare` writes. evaluations: model -> the stage that scores it."""

    sets: ClassVar[tuple[str, ...]] = ("cold_start", "train", "test")
    evaluations: ClassVar[dict[str, str]] = {"base": "base", "sft": "sft_eval", "rl": "rl_eval"}

    def __init__(self, config: RecipeConfig, out: Path, seed: int, task: Task):
        self.config, self.out, self.seed, self.task = config, out, seed, task
        self.reward = config.scorer()
        self.settings = to_dict(config)
        self.accelerator = self.new_accelerator()
        check_sharding(self.accelerator)
        self.stages = Stages(out, seed, config.skip)
        self.store = config.prompt.patch_store(out)

    # What a recipe brings.

    @abstractmethod
    def work(self, settings: dict[str, Any]) -> None:
        """Run the stages in order. settings: the configuration without what changes no number."""

    @abstractmethod
    def prepare_data(self) -> None:
        """Write the files of `sets` under OUT/data. The main process alone calls it."""

    @abstractmethod
    def prepare_model(self) -> None:
        """Write the small model to OUT/models/tiny. The main process alone calls it, and only without a checkpoint."""

    @abstractmethod
    def lessons(self) -> DrawLessons | None:
        """What the small model is warmed up on; None where the videos are the user's."""

    def findings(self) -> dict[str, Any]:
        """What else the summary says."""
        return {}

    # The run.

    def run(self) -> None:
        """Run every stage that is not done yet and write OUT/summary.json and OUT/index.html."""
        if self.accelerator.is_main_process:
            save_config(self.config, self.out / "config.yaml")
        self.work(self._what_matters())
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self._write_summary(self.skipped.to_list())
            write_report(self.out)
        self.stages.say(f"summary: {self.out / 'summary.json'}   page: {self.out / 'index.html'}")

    def _what_matters(self) -> dict[str, Any]:
        """The settings without those that change neither a stage's result nor its meaning."""
        settings = copy.deepcopy(self.settings)
        del settings["grpo"]["sampling"]["rollout_batch"]
        for name in NOT_SHOWN:
            del settings["prompt"][name]
        for section in settings.values():
            if isinstance(section, dict):
                section.pop("loop", None)
        return settings

    def _write_summary(self, skipped: list[dict[str, str]]) -> None:
        results, seconds = self.stages.results, self.stages.seconds
        scored = {
            name: results[stage] | {"seconds": seconds[stage] + seconds.get(name, 0.0) * (stage != name)}
            for name, stage in self.evaluations.items()
            if results.get(stage)
        }
        about = {"seed": self.seed, "versions": software_versions(), "config": self.settings}
        times = {"seconds": sum(seconds.values()), "seconds_by_stage": seconds}
        whole = {"task": self.task.name, "stages": scored} | self.findings() | times | {"skipped": skipped} | about
        atomic.write_json(self.out / "summary.json", whole)

    # Stages.

    def prepare_stages(self, data: Any, files: Sequence[str | None], model: Any) -> None:
        """prepare, model. data, model: settings; files: the user's, whose contents count."""
        self.stages.run(
            "prepare", [data, [fingerprint(path) for path in files]], ["data"], self._prepare, scratch=["skipped"]
        )
        self.skipped = Quarantine(self.out / "skipped/videos.jsonl")
        self.stages.run("model", model, ["models/tiny"], self._make_model)

    def warmup_stage(self, settings: Any) -> None:
        outputs = ["models/base", "metrics/warmup.jsonl"]
        self.stages.run("warmup", settings, outputs, self.warmup, scratch=["checkpoints/warmup"])

    def sft_stage(self, settings: Any) -> None:
        self.stages.run("sft", settings, ["models/sft", "metrics/sft.jsonl"], self.sft, scratch=["checkpoints/sft"])

    def rl_stage(self, settings: Any, scratch: Sequence[str] = ()) -> None:
        outputs = ["models/rl", "metrics/rl.jsonl"]
        self.stages.run("rl", settings, outputs, self.rl, scratch=["checkpoints/rl", *scratch])

    def evaluation_stage(self, model: str, answers: Any) -> None:
        path = f"eval/{model}.jsonl"
        scratch = [f"{path}.part*"]
        name = self.evaluations[model]
        self.stages.run(name, answers, [path], lambda: self.evaluate(model), scratch=scratch, leaf=True)

    def _prepare(self) -> dict:
        if self.accelerator.is_main_process:
            self.prepare_data()
        self.accelerator.wait_for_everyone()
        return {name: len(self.samples(name)) for name in self.sets}

    def _make_model(self) -> None:
        if self.accelerator.is_main_process and self.config.model.path is None:
            self.prepare_model()
        self.accelerator.wait_for_everyone()

    def warmup(self) -> dict:
        """The small model learns to see; a checkpoint, or a small model for the user's own videos, stays as it is."""
        if self.config.model.path is not None:
            return {}
        config, lessons = self.config.warmup, self.lessons()
        accelerator = self.new_accelerator(config.loop.trackers)
        prompter = self.prompter("tiny")
        if lessons is not None:
            progress = Progress("warmup", config.steps)
            warm_up(
                prompter,
                lessons,
                config,
                out_dir=self.out,
                accelerator=accelerator,
                seed=self.seed,
                on_step=lambda step, row: progress(step, f"loss {row['loss']:.3f}"),
            )
        save_policy(prompter.policy, self.out / "models/base", accelerator)
        return {}

    def cold_start_samples(self) -> list[Sample]:
        """The samples that SFT learns from, each with a response."""
        return [sample for sample in self.samples("cold_start") if sample.response]

    def sft(self) -> dict:
        samples = self.cold_start_samples()
        if not samples:
            if self.config.model.path is None:
                refused = self.stages.results.get("cold_start", {}).get("reasons")
                raise ValueError(
                    f"no cold-start sample is left (refused: {refused or 'none, there were none'}), and a model made "
                    "from nothing cannot start with GRPO: give samples with a response (data.cold_start), or a trained "
                    "checkpoint (model.path)"
                )
            self.stages.say("  no written answers: GRPO starts from the base model")
            return {"samples": 0}
        accelerator = self.new_accelerator(self.config.sft.loop.trackers)
        prompter = self.prompter("base", freeze_vision=self.config.model.sft_freeze_vision)
        samples = self._readable(samples, prompter.frames)
        if not samples:
            raise ValueError(f"no video of the cold-start samples can be read: {self.skipped.counts()}")
        progress = Progress("sft", self.config.sft.steps)
        train_sft(
            prompter,
            samples,
            self.config.sft,
            out_dir=self.out,
            accelerator=accelerator,
            seed=self.seed,
            on_step=lambda step, row: progress(step, f"loss {row['loss']:.3f}"),
            evaluate=lambda: self._held_out(prompter, accelerator),
        )
        save_policy(prompter.policy, self.out / "models/sft", accelerator)
        return {"samples": len(samples)}

    def rl_samples(self, prompter: Prompter) -> Sequence[Sample] | EpochSamples:
        """The samples of GRPO, with the policy as it is before."""
        return self.samples("train")

    def rl(self) -> dict:
        config = self.config.grpo
        accelerator = self.new_accelerator(config.loop.trackers)
        parent = self.model_of("sft")
        prompter = self.prompter(parent, freeze_vision=self.config.model.rl_freeze_vision)
        samples = self.rl_samples(prompter)
        self.read_ahead(samples(0) if callable(samples) else samples, prompter.frames)
        progress = Progress("rl", config.steps)
        train_grpo(
            prompter,
            samples,
            self.reward,
            config,
            out_dir=self.out,
            accelerator=accelerator,
            seed=self.seed,
            reference=self._policy(parent) if config.loss.kl_coef > 0 else None,
            on_step=lambda step, row: progress(step, f"reward {row.get('reward', 0):.3f}"),
            evaluate=lambda: self._held_out(prompter, accelerator),
        )
        save_policy(prompter.policy, self.out / "models/rl", accelerator)
        return {"samples": len(samples(0) if callable(samples) else samples)}

    def _held_out(self, prompter: Prompter, accelerator: Accelerator) -> dict[str, float]:
        """What the policy in training scores on the first test samples."""
        config = self.config.eval
        return held_out_scores(
            prompter,
            self.samples("test")[: config.curve_samples],
            self.task,
            max_new_tokens=config.max_new_tokens,
            seed=self.seed,
            batch_size=config.batch_size,
            accelerator=accelerator,
        )

    def evaluate(self, model: str) -> dict:
        """Greedy answers of a stage's model to the test samples."""
        if self.model_of(model) != model:
            self.stages.say(f"  there is no model of stage {model!r} to evaluate")
            return {}
        return self.evaluate_on("test", model, f"eval/{model}.jsonl")

    def evaluate_on(self, name: str, model: str, path: str) -> dict:
        """Greedy answers of a model to the samples of OUT/data/NAME.jsonl, kept in OUT/`path`; their metrics."""
        samples = self.samples(name)
        params = SamplingParams(greedy=True, max_new_tokens=self.config.eval.max_new_tokens)
        rows = self.score(self.prompter(model), samples, path, params)
        if not rows:
            raise ValueError(f"none of the {len(samples)} {name} samples has a readable video: {self.skipped.counts()}")
        metrics = self.task.metrics(rows)
        self.stages.say(
            f"  {model}: " + "  ".join(f"{key} {metrics[key]:.3f}" for key in self.task.headline if key in metrics)
        )
        return metrics

    # What stages are made of.

    def samples(self, name: str) -> list[Sample]:
        return read_set(self.out / "data" / f"{name}.jsonl")

    def model_of(self, stage: str) -> str:
        """The folder of a stage's model; the one before it where the stage was skipped or made none."""
        order = ["base", "sft", "rl"]
        for name in reversed(order[1 : order.index(stage) + 1]):
            if name not in self.stages.skip and (self.out / "models" / name).is_dir():
                return name
        return "base"

    def _readable(self, samples: Sequence[Sample], frames: FramePolicy) -> list[Sample]:
        """The samples whose video can be read; each process tries a share of the files, and all are then stored."""
        videos = sorted({sample.video for sample in samples})
        mine = videos[self.accelerator.process_index :: self.accelerator.num_processes]
        bad, progress = set(), Progress("videos read", len(mine))
        for done, loaded in enumerate(read_clips(mine, frames, self.config.prompt, self.store, self.skipped)):
            if loaded.error is not None:
                bad.add(loaded.clip.path)
            progress(done + 1)
        bad = set(gather_object(sorted(bad)))
        return [sample for sample in samples if sample.video not in bad]

    def read_ahead(self, samples: Sequence[Sample], frames: FramePolicy) -> None:
        """Where there are worker processes they read a stage's videos: a file that hangs or crashes is then known."""
        if self.config.prompt.workers:
            self._readable(samples, frames)

    def score(self, prompter: Prompter, samples: Sequence[Sample], path: str, params: SamplingParams) -> list[dict]:
        """A row an answer, kept in OUT/`path`."""
        batch = self.config.eval.batch_size
        self.read_ahead(samples, prompter.frames)
        progress = Progress(path, -(-len(samples) // batch))
        return score_samples(
            prompter,
            samples,
            self.task,
            answers=1,
            params=params,
            seed=self.seed,
            batch_size=batch,
            path=self.out / path,
            accelerator=self.accelerator,
            on_batch=lambda done, total: progress(done),
        )

    def prompter(self, model: str, freeze_vision: bool = False) -> Prompter:
        policy = self._policy(model, freeze_vision)
        prompt = self.config.prompt
        frames = model_frames(policy, prompt.frames)
        return Prompter(policy, prompt.name, prompt.written_times, frames, self.store, self.skipped)

    def _policy(self, model: str, freeze_vision: bool = False) -> Policy:
        config = self.config.model
        torch.manual_seed(self.seed)  # LoRA draws its weights: the same ones whichever stages ran before
        return load_policy(
            self.model_path(model),
            dtype=getattr(torch, config.dtype),
            device=self.accelerator.device,
            freeze_vision=freeze_vision,
            lora=config.lora,
            gradient_checkpointing=config.gradient_checkpointing,
        )

    def model_path(self, model: str) -> str:
        given = self.config.model.path
        return given if model == "base" and given else str(self.out / "models" / model)

    def new_accelerator(self, trackers: Sequence[str] = ()) -> Accelerator:
        """A fresh one a stage: what an accelerator has prepared would otherwise go into later stages' checkpoints."""
        accelerator = Accelerator(
            mixed_precision=self.config.mixed_precision,
            log_with=list(trackers) or None,
            project_dir=str(self.out / "trackers"),
        )
        keep_models_whole(accelerator)
        return accelerator
