"""The two-stage recipe, stage by stage."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from videostr.config import to_dict
from videostr.data.curation import filter_cold_start
from videostr.data.samples import Sample
from videostr.eval.grounding import GroundingTask
from videostr.eval.metrics import best_constant, temporal_metrics
from videostr.eval.rollouts import RolloutStore
from videostr.grpo import EpochSamples
from videostr.recipe.base import Recipe
from videostr.recipe.command import RunArguments
from videostr.recipe.grounding.config import TwoStageConfig
from videostr.recipe.grounding.difficulty import open_store, score_and_select
from videostr.recipe.grounding.prepare import prepare_data, prepare_model
from videostr.recipe.grounding.warmup import draw_lessons
from videostr.recipe.sample_sets import write_set
from videostr.recipe.warmup import DrawLessons
from videostr.training.prompter import Prompter


def run_two_stage(arguments: RunArguments) -> None:
    """Run every stage that is not done yet and write OUT/summary.json and OUT/index.html."""
    TwoStage(arguments.config, arguments.out, arguments.seed).run()


class TwoStage(Recipe):
    config: TwoStageConfig

    def __init__(self, config: TwoStageConfig, out: Path, seed: int):
        super().__init__(config, out, seed, GroundingTask(config.scorer()))

    def work(self, settings: dict[str, Any]) -> None:
        stages, (data, model, prompt, grpo) = self.stages, (settings[k] for k in ("data", "model", "prompt", "grpo"))
        answers = settings["eval"]["max_new_tokens"]
        files = [data["train"], data["test"], data["cold_start"]]
        self.prepare_stages(data, files, [model["path"], model["tiny"], prompt["name"]])
        self.warmup_stage([settings["warmup"], prompt])
        stages.depend_on([prompt, to_dict(self.reward), model["dtype"], settings["mixed_precision"]])
        self.evaluation_stage("base", answers)
        stages.run("cold_start", settings["min_iou"], ["data/cold_start_kept.jsonl"], self.filter_cold_start)
        self.sft_stage([settings["sft"], model["sft_freeze_vision"], model["lora"]])
        self.evaluation_stage("sft", answers)
        stages.run("difficulty", [settings["difficulty"], grpo["sampling"]], ["data/rl.jsonl"], self.difficulty)
        self.rl_stage([grpo, model["rl_freeze_vision"], model["lora"]], ["data/rl_epoch_*", "difficulty/rl_epoch_*"])
        self.evaluation_stage("rl", answers)

    def prepare_data(self) -> None:
        prepare_data(self.config.data, self.out / "data", self.seed)

    def prepare_model(self) -> None:
        prepare_model(self.config, self.out, self.seed)

    def lessons(self) -> DrawLessons | None:
        config = self.config
        return partial(draw_lessons, config.data.world, config.warmup.captions) if config.data.train is None else None

    def filter_cold_start(self) -> dict:
        samples = self.samples("cold_start")
        kept, report = filter_cold_start(samples, self.reward.parse, self.config.min_iou)
        if self.accelerator.is_main_process:
            write_set(self.out / "data/cold_start_kept.jsonl", kept)
        self.accelerator.wait_for_everyone()
        self.stages.say(f"  kept {report['kept']} of {report['total']} written answers")
        return report

    def cold_start_samples(self) -> list[Sample]:
        samples = self.samples("cold_start" if "cold_start" in self.stages.skip else "cold_start_kept")
        return [sample for sample in samples if sample.response]

    def difficulty(self) -> dict:
        config = self.config.difficulty
        parent = self.model_of("sft")
        # Scores belong to the weights and to what was asked: another run of the same model finds them again.
        store = open_store(
            self.out / "difficulty",
            self.model_path(parent),
            self.config.prompt,
            config,
            self.reward,
            max_new_tokens=self.config.grpo.sampling.max_new_tokens,
            seed=self.seed,
            dtype=self.config.model.dtype,
            mixed_precision=self.config.mixed_precision,
        )
        report = self._select(lambda: self.prompter(parent), store, "rl")
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
            self.read_ahead(samples, made.frames)
            return made

        chosen, selection = score_and_select(
            store,
            ready,
            samples,
            self.task,
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

    def rl_samples(self, prompter: Prompter) -> Sequence[Sample] | EpochSamples:
        if "difficulty" in self.stages.skip:
            return self.samples("train")
        if self.config.difficulty.every_epoch:
            return lambda epoch: self._epoch_samples(epoch, prompter)
        return self.samples("rl")

    def _epoch_samples(self, epoch: int, prompter: Prompter) -> list[Sample]:
        """The samples of an epoch of GRPO: those of the difficulty stage, then chosen by the policy as it is."""
        if epoch == 0:
            return self.samples("rl")
        name = f"rl_epoch_{epoch}"
        if not (self.out / f"data/{name}.jsonl").exists():
            self._select(lambda: prompter, RolloutStore(self.out / "difficulty" / name), name)
        return self.samples(name)

    def findings(self) -> dict[str, Any]:
        results = self.stages.results
        return {
            "constant": self.constant_baseline(),
            "cold_start": results.get("cold_start", {}),
            "difficulty": results.get("difficulty", {}),
        }

    def constant_baseline(self) -> dict:
        """What the best interval of the train samples scores on the test samples, the videos unseen."""
        train, test = ([sample.spans for sample in self.samples(name)] for name in ("train", "test"))
        # Half a second, or a fortieth of the longest video: the search is over all pairs of steps.
        longest = max(end for spans in train for _, end in spans)
        interval = best_constant(train[:500], step=max(0.5, longest / 40))
        return {"interval": list(interval)} | temporal_metrics([interval] * len(test), test)
