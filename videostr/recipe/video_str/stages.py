"""The spatio-temporal reasoning recipe, stage by stage."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from videostr.config import to_dict
from videostr.eval.spatial import SpatialTask
from videostr.recipe.base import Recipe
from videostr.recipe.command import RunArguments
from videostr.recipe.video_str.config import VideoStrConfig
from videostr.recipe.video_str.prepare import prepare_data, prepare_model
from videostr.recipe.video_str.warmup import draw_lessons
from videostr.recipe.warmup import DrawLessons

SETS = ("train", "test", "cold_start", "turned")


def run_video_str(arguments: RunArguments) -> None:
    """Run every stage that is not done yet and write OUT/summary.json and OUT/index.html."""
    VideoStr(arguments.config, arguments.out, arguments.seed).run()


class VideoStr(Recipe):
    config: VideoStrConfig
    sets = ("cold_start", "train", "test", "turned")

    def __init__(self, config: VideoStrConfig, out: Path, seed: int):
        super().__init__(config, out, seed, SpatialTask(config.scorer(), config.scale, config.tolerance))

    def work(self, settings: dict[str, Any]) -> None:
        stages, (data, model, prompt) = self.stages, (settings[name] for name in ("data", "model", "prompt"))
        answers = [settings["eval"]["max_new_tokens"], settings["scale"], settings["tolerance"]]
        self.prepare_stages(data, [data[name] for name in SETS], [model["path"], model["tiny"], prompt["name"]])
        self.warmup_stage([settings["warmup"], prompt])
        stages.depend_on([prompt, model["dtype"], settings["mixed_precision"]])
        if model["path"] is not None:  # the small model has not met a question yet
            self.evaluation_stage("base", answers)
        self.sft_stage([settings["sft"], model["sft_freeze_vision"], model["lora"]])
        self.evaluation_stage("sft", answers)
        self.rl_stage([settings["grpo"], to_dict(self.reward), model["rl_freeze_vision"], model["lora"]])
        self.evaluation_stage("rl", answers)
        if self.samples("turned"):
            outputs = ["eval/turned"]
            stages.run("turned", answers, outputs, self.evaluate_turned, scratch=["eval/turned/*.part*"], leaf=True)

    def prepare_data(self) -> None:
        prepare_data(self.config.data, self.out / "data", self.seed)

    def prepare_model(self) -> None:
        prepare_model(self.config, self.out, self.seed)

    def lessons(self) -> DrawLessons | None:
        return partial(draw_lessons, self.config.data.world) if self.config.data.train is None else None

    def evaluate_turned(self) -> dict:
        """The trained models on the rooms that are filmed from elsewhere."""
        models = [model for model in ("base", "sft", "rl") if self.model_of(model) == model]
        if self.config.model.path is None or "base" in self.config.skip:  # as in the test set
            models.remove("base")
        return {model: self.evaluate_on("turned", model, f"eval/turned/{model}.jsonl") for model in models}

    def findings(self) -> dict[str, Any]:
        """turned: metrics by model. data: what the builder reported of each set, the blind baseline included."""
        reports = sorted((self.out / "data/stv").glob("*/report.json"))
        kept = ("written", "counts", "dropped", "left_out", "blind")
        data = {path.parent.name: json.loads(path.read_text()) for path in reports}
        return {
            "turned": self.stages.results.get("turned", {}),
            "data": {name: {key: report[key] for key in kept} for name, report in data.items()},
        }
