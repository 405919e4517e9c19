"""The two-stage recipe, stage by stage. `recipes/vtg_two_stage.py` is its command line."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from videostr import atomic
from videostr.config import save_config, to_dict
from videostr.data.curation import filter_cold_start
from videostr.data.samples import Sample
from videostr.eval.metrics import best_constant, temporal_metrics
from videostr.eval.rollouts import RolloutStore
from videostr.eval.score import held_out_scores, score_samples
from videostr.fingerprint import fingerprint
from videostr.grpo import train_grpo
from videostr.model import Policy, load_policy
from videostr.recipe.command import RunArguments
from videostr.recipe.config import TwoStageConfig
from videostr.recipe.difficulty import open_store, score_and_select
from videostr.recipe.prepare import prepare_data, prepare_model, read_set, write_set
from videostr.recipe.progress import Progress
from videostr.recipe.stages import Stages
from videostr.recipe.videos import read_videos
from videostr.recipe.warmup import warm_up
from videostr.report import write_report
from videostr.rollout import SamplingParams
from videostr.sft import train_sft
from videostr.training.loop import save_policy
from videostr.training.prompter import Prompter, model_frames
from videostr.training.sharding import check_sharding, keep_models_whole
from videostr.versions import software_versions
from videostr.video import FramePolicy, PatchStore, Quarantine


def run_two_stage(arguments: RunArguments) -> None:
    """Run every stage that is not done yet and write OUT/summary.json and OUT/index.html."""
    TwoStage(arguments.config, arguments.out, arguments.seed).run()


class TwoStage:
    def __init__(self, config: TwoStageConfig, out: Path, seed: int):
        self.config, self.out, self.seed = config, out, seed
        self.reward = config.scorer()
        self.settings = to_dict(config)
        self.accelerator = self._accelerator()
        check_sharding(self.accelerator)
        self.stages = Stages(out, seed, config.skip)
        self.store = PatchStore(config.prompt.store or out / "patches", int(config.prompt.store_gib * 2**30))

    def run(self) -> None:
        settings, stages = copy.deepcopy(self.settings), self.stages
        if self.accelerator.is_main_process:
            save_config(self.config, self.out / "config.yaml")
        data, model, prompt, sft, grpo = (settings[name] for name in ("data", "model", "prompt", "sft", "grpo"))
        # Left out of what a stage depends on: what changes neither its result nor its meaning.
        for section, names in (
            (prompt, ["store", "store_gib", "workers", "time_limit"]),
            (settings["warmup"], ["loop"]),
            (sft, ["loop"]),
            (grpo, ["loop"]),
            (grpo["sampling"], ["rollout_batch"]),
        ):
            for name in names:
                del section[name]
        answers = settings["eval"]["max_new_tokens"]
        files = [fingerprint(path) for path in (data["train"], data["test"], data["cold_start"])]
        stages.run("prepare", [data, files], ["data"], self.prepare, scratch=["skipped"])
        self.skipped = Quarantine(self.out / "skipped/videos.jsonl")
        stages.run("model", [model["path"], model["tiny"], prompt["name"]], ["models/tiny"], self.make_model)
        stages.run(
            "warmup",
            [settings["warmup"], prompt],
            ["models/base", "metrics/warmup.jsonl"],
            self.warmup,
            scratch=["checkpoints/warmup"],
        )
        stages.depend_on([prompt, to_dict(self.reward), model["dtype"], settings["mixed_precision"]])
        self._evaluation("base", "base", answers)
        stages.run("cold_start", settings["min_iou"], ["data/cold_start_kept.jsonl"], self.filter_cold_start)
        sft = [sft, model["sft_freeze_vision"], model["lora"]]
        stages.run("sft", sft, ["models/sft", "metrics/sft.jsonl"], self.sft, scratch=["checkpoints/sft"])
        self._evaluation("sft_eval", "sft", answers)
        stages.run("difficulty", [settings["difficulty"], grpo["sampling"]], ["data/rl.jsonl"], self.difficulty)
        rl = [grpo, model["rl_freeze_vision"], model["lora"]]
        stages.run(
            "rl",
            rl,
            ["models/rl", "metrics/rl.jsonl"],
            self.rl,
            scratch=["checkpoints/rl", "data/rl_epoch_*", "difficulty/rl_epoch_*"],
        )
        self._evaluation("rl_eval", "rl", answers)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.write_summary()
            write_report(self.out)
        stages.say(f"summary: {self.out / 'summary.json'}   page: {self.out / 'index.html'}")

    def prepare(self) -> dict:
        if self.accelerator.is_main_process:
            prepare_data(self.config.data, self.out / "data", self.seed)
        self.accelerator.wait_for_everyone()
        return {name: len(self.samples(name)) for name in ("cold_start", "train", "test")}

    def make_model(self) -> None:
        if self.accelerator.is_main_process:
            prepare_model(self.config, self.out, self.seed)
        self.accelerator.wait_for_everyone()

    def warmup(self) -> dict:
        """The small model learns to see; a checkpoint, or a small model for the user's own videos, stays as it is."""
        if self.config.model.path is not None:
            return {}
        accelerator = self._accelerator(self.config.warmup.loop.trackers)
        prompter = self._prompter("tiny")
        if self.config.data.train is None:
            progress = Progress("warmup", self.config.warmup.steps)
            warm_up(
                prompter,
                self.config.data.world,
                self.config.warmup,
                out_dir=self.out,
                accelerator=accelerator,
                seed=self.seed,
                on_step=lambda step, row: progress(step, f"loss {row['loss']:.3f}"),
            )
        save_policy(prompter.policy, self.out / "models/base", accelerator)
        return {}

    def filter_cold_start(self) -> dict:
        samples = self.samples("cold_start")
        kept, report = filter_cold_start(samples, self.reward.parse, self.config.min_iou)
        if self.accelerator.is_main_process:
            write_set(self.out / "data/cold_start_kept.jsonl", kept)
        self.accelerator.wait_for_everyone()
        self.stages.say(f"  kept {report['kept']} of {report['total']} written answers")
        return report

    def sft(self) -> dict:
        samples = self.samples("cold_start" if "cold_start" in self.stages.skip else "cold_start_kept")
        samples = [sample for sample in samples if sample.response]
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
        accelerator = self._accelerator(self.config.sft.loop.trackers)
        prompter = self._prompter("base", freeze_vision=self.config.model.sft_freeze_vision)
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

    def difficulty(self) -> dict:
        config = self.config.difficulty
        parent = self.model_of("sft")
        # Scores belong to the weights and to what was asked: another run of the same model finds them again.
        store = open_store(
            self.out / "difficulty",
            self._path(parent),
            self.config.prompt,
            config,
            self.reward,
            max_new_tokens=self.config.grpo.sampling.max_new_tokens,
            seed=self.seed,
            dtype=self.config.model.dtype,
            mixed_precision=self.config.mixed_precision,
        )
        report = self._select(lambda: self._prompter(parent), store, "rl")
        if not report["kept"]:
            raise ValueError(
                f"difficulty.sampler {config.sampler!r} kept none of {report['total']} samples (reasons: "
                f"{report['dropped']}): the cold start is too weak or the samples are too few; try sampler=all"
            )
        return report

    def _select(self, prompter: Callable[[], Prompter], store: RolloutStore, name: str) -> dict:
        """Score the train samples by rollouts, choose among them and write those as data/NAME.jsonl; returns the
        report."""
        config = self.config.difficulty
        samples = self.samples("train")[: config.max_samples]

        def ready() -> Prompter:
            made = prompter()
            self._prepare(samples, made.frames)
            return made

        chosen, selection = score_and_select(
            store,
            ready,
            samples,
            self.reward,
            config,
            max_new_tokens=self.config.grpo.sampling.max_new_tokens,
            batch_size=self.config.eval.batch_size,
            seed=self.seed,
            accelerator=self.accelerator,
            name=f"difficulty/{name}",
        )
        if self.accelerator.is_main_process:
            write_set(self.out / f"data/{name}.jsonl", chosen)
        self.accelerator.wait_for_everyone()
        self.stages.say(f"  {config.sampler}: kept {selection.report['kept']} of {selection.report['total']} samples")
        return selection.report

    def rl(self) -> dict:
        config = self.config.grpo
        accelerator = self._accelerator(self.config.grpo.loop.trackers)
        parent = self.model_of("sft")
        prompter = self._prompter(parent, freeze_vision=self.config.model.rl_freeze_vision)
        skipped = "difficulty" in self.stages.skip
        samples = self.samples("train" if skipped else "rl")
        again = self.config.difficulty.every_epoch and not skipped
        self._prepare(samples, prompter.frames)
        reference = self._policy(parent) if config.loss.kl_coef > 0 else None
        progress = Progress("rl", config.steps)
        train_grpo(
            prompter,
            (lambda epoch: self._epoch_samples(epoch, prompter)) if again else samples,
            self.reward,
            config,
            out_dir=self.out,
            accelerator=accelerator,
            seed=self.seed,
            reference=reference,
            on_step=lambda step, row: progress(step, f"reward {row.get('reward', 0):.3f}"),
            evaluate=lambda: self._held_out(prompter, accelerator),
        )
        save_policy(prompter.policy, self.out / "models/rl", accelerator)
        return {"samples": len(samples)}

    def _epoch_samples(self, epoch: int, prompter: Prompter) -> list[Sample]:
        """The samples of an epoch of GRPO: those of the difficulty stage, then chosen by the policy as it is."""
        if epoch == 0:
            return self.samples("rl")
        name = f"rl_epoch_{epoch}"
        if not (self.out / f"data/{name}.jsonl").exists():
            self._select(lambda: prompter, RolloutStore(self.out / "difficulty" / name), name)
        return self.samples(name)

    def _held_out(self, prompter: Prompter, accelerator: Accelerator) -> dict[str, float]:
        """What the policy in training scores on the first test samples."""
        config = self.config.eval
        return held_out_scores(
            prompter,
            self.samples("test")[: config.curve_samples],
            self.reward,
            max_new_tokens=config.max_new_tokens,
            seed=self.seed,
            batch_size=config.batch_size,
            accelerator=accelerator,
        )

    def evaluate(self, name: str) -> dict:
        if self.model_of(name) != name:
            self.stages.say(f"  there is no model of stage {name!r} to evaluate")
            return {}
        samples = self.samples("test")
        params = SamplingParams(greedy=True, max_new_tokens=self.config.eval.max_new_tokens)
        rows = self._score(self._prompter(name), samples, f"eval/{name}.jsonl", params)
        if not rows:
            raise ValueError(f"none of the {len(samples)} test samples has a readable video: {self.skipped.counts()}")
        metrics = temporal_metrics([row["pred"] for row in rows], [row["spans"] for row in rows])
        self.stages.say(
            f"  {name}: mIoU {metrics['miou']:.3f}  R1@0.5 {metrics['r1@0.5']:.3f}  parsed {metrics['parse_rate']:.3f}"
        )
        return metrics

    def write_summary(self) -> None:
        results, seconds = self.stages.results, self.stages.seconds
        names = {"base": "base", "sft": "sft_eval", "rl": "rl_eval"}
        atomic.write_json(
            self.out / "summary.json",
            {
                "stages": {
                    name: results[stage] | {"seconds": seconds[stage] + seconds.get(name, 0.0) * (stage != name)}
                    for name, stage in names.items()
                    if results.get(stage)
                },
                "constant": self.constant_baseline(),
                "cold_start": results.get("cold_start", {}),
                "difficulty": results.get("difficulty", {}),
                "seconds": sum(seconds.values()),
                "seconds_by_stage": seconds,
                "skipped": self.skipped.to_list(),
                "seed": self.seed,
                "versions": software_versions(),
                "config": self.settings,
            },
        )

    def constant_baseline(self) -> dict:
        """What the best interval of the train samples scores on the test samples, the videos unseen."""
        train, test = ([sample.spans for sample in self.samples(name)] for name in ("train", "test"))
        # Half a second, or a fortieth of the longest video: the search is over all pairs of steps.
        longest = max(end for spans in train for _, end in spans)
        interval = best_constant(train[:500], step=max(0.5, longest / 40))
        return {"interval": list(interval)} | temporal_metrics([interval] * len(test), test)

    def samples(self, name: str) -> list[Sample]:
        return read_set(self.out / "data" / f"{name}.jsonl")

    def model_of(self, stage: str) -> str:
        """The folder of a stage's model; the one before it where the stage was skipped or made none."""
        order = ["base", "sft", "rl"]
        for name in reversed(order[1 : order.index(stage) + 1]):
            if name not in self.stages.skip and (self.out / "models" / name).is_dir():
                return name
        return "base"

    def _evaluation(self, stage: str, model: str, answers: int) -> None:
        path = f"eval/{model}.jsonl"
        self.stages.run(stage, answers, [path], lambda: self.evaluate(model), scratch=[f"{path}.part*"], leaf=True)

    def _readable(self, samples: Sequence[Sample], frames: FramePolicy) -> list[Sample]:
        """The samples whose video can be read; each process tries a share of the files, and all are then stored."""
        videos = sorted({sample.video for sample in samples})
        mine = videos[self.accelerator.process_index :: self.accelerator.num_processes]
        bad, progress = set(), Progress("videos read", len(mine))
        for done, (video, error) in enumerate(read_videos(mine, frames, self.store, self.skipped, self.config.prompt)):
            if error is not None:
                self.skipped.add(error)
                bad.add(video)
            progress(done + 1)
        bad = set(gather_object(sorted(bad)))
        return [sample for sample in samples if sample.video not in bad]

    def _prepare(self, samples: Sequence[Sample], frames: FramePolicy) -> None:
        """Where there are worker processes they read a stage's videos: a file that hangs or crashes is then known."""
        if self.config.prompt.workers:
            self._readable(samples, frames)

    def _score(self, prompter: Prompter, samples: Sequence[Sample], path: str, params: SamplingParams) -> list[dict]:
        batch = self.config.eval.batch_size
        self._prepare(samples, prompter.frames)
        progress = Progress(path, -(-len(samples) // batch))
        return score_samples(
            prompter,
            samples,
            self.reward,
            answers=1,
            params=params,
            seed=self.seed,
            batch_size=batch,
            path=self.out / path,
            accelerator=self.accelerator,
            on_batch=lambda done, total: progress(done),
        )

    def _prompter(self, model: str, freeze_vision: bool = False) -> Prompter:
        policy = self._policy(model, freeze_vision)
        prompt = self.config.prompt
        frames = model_frames(policy, prompt.frames)
        return Prompter(policy, prompt.name, prompt.written_times, frames, self.store, self.skipped)

    def _policy(self, model: str, freeze_vision: bool = False) -> Policy:
        config = self.config.model
        torch.manual_seed(self.seed)  # LoRA draws its weights: the same ones whichever stages ran before
        return load_policy(
            self._path(model),
            dtype=getattr(torch, config.dtype),
            device=self.accelerator.device,
            freeze_vision=freeze_vision,
            lora=config.lora,
            gradient_checkpointing=config.gradient_checkpointing,
        )

    def _path(self, model: str) -> str:
        given = self.config.model.path
        return given if model == "base" and given else str(self.out / "models" / model)

    def _accelerator(self, trackers: Sequence[str] = ()) -> Accelerator:
        """A fresh one a stage: what an accelerator has prepared would otherwise go into later stages' checkpoints."""
        accelerator = Accelerator(
            mixed_precision=self.config.mixed_precision,
            log_with=list(trackers) or None,
            project_dir=str(self.out / "trackers"),
        )
        keep_models_whole(accelerator)
        return accelerator
