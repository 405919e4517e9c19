"""Settings of the two-stage temporal grounding recipe.

The defaults are the embedded run: a generated world, a small model.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from videostr.data.difficulty import select
from videostr.data.world import WorldConfig
from videostr.grpo import GRPOConfig, SamplingConfig
from videostr.recipe.config import RecipeConfig, WarmupConfig
from videostr.rewards import RewardSpec
from videostr.sft import SFTConfig
from videostr.training.config import LoopConfig, OptimConfig, at_least


@dataclass
class DataConfig:
    """Where samples come from. Without `train` a world is generated, of so many clips a set.

    train, test, cold_start: JSON-lines files of samples (docs/data.md). Without `cold_start` the train samples that
    have a response serve; without `test` every tenth video is held out.
    Raises ValueError for test or cold_start without train, and for a number of clips below 1.
    """

    train: str | None = None
    test: str | None = None
    cold_start: str | None = None
    cold_start_clips: int = 1400
    train_clips: int = 300
    test_clips: int = 200
    world: WorldConfig = field(default_factory=WorldConfig)

    def __post_init__(self) -> None:
        for name in ("test", "cold_start"):
            if self.train is None and getattr(self, name) is not None:
                raise ValueError(f"data.{name} is given without data.train, which names the samples to train on")
        at_least("data", self, 1, "cold_start_clips", "train_clips", "test_clips")


@dataclass
class GroundingWarmupConfig(WarmupConfig):
    """captions: the share of clips without a sentence (videostr.recipe.grounding.warmup)."""

    captions: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.captions <= 1:
            raise ValueError(f"warmup.captions must be a share in [0, 1], got {self.captions}")


@dataclass
class DifficultyConfig:
    """Which samples GRPO sees. answers: rollouts a sample, at `temperature`; sampler: see videostr.data.difficulty.

    max_samples: at most so many are scored, the first ones (null: all). options: the sampler's own arguments.
    every_epoch: before each further epoch score again with the policy as it then is, and choose anew (Time-R1's way).
    """

    sampler: Literal["band", "time_r1", "timelens", "all"] = "band"
    answers: int = 8
    temperature: float = 1.0
    max_samples: int | None = None
    count: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    every_epoch: bool = False

    def __post_init__(self) -> None:
        at_least("difficulty", self, 2 if self.sampler == "band" else 1, "answers")
        at_least("difficulty", self, 1, "max_samples")
        if not self.temperature > 0:
            raise ValueError(f"difficulty.temperature must be above 0, got {self.temperature}")
        try:
            select([], self.sampler, self.count, **self.options)  # so that a typo shows before hours of scoring
        except (TypeError, ValueError) as error:
            raise ValueError(f"difficulty.options or .count do not fit sampler {self.sampler!r}: {error}") from error


@dataclass
class TwoStageConfig(RecipeConfig):
    """min_iou: of the annotator's interval with the true one, for a cold-start sample to be kept.

    reward: its task must be a term "iou" of type "interval".
    """

    skippable: ClassVar = ("base", "cold_start", "sft", "sft_eval", "difficulty", "rl", "rl_eval")

    data: DataConfig = field(default_factory=DataConfig)
    warmup: GroundingWarmupConfig = field(default_factory=GroundingWarmupConfig)
    min_iou: float = 0.5
    sft: SFTConfig = field(
        default_factory=lambda: SFTConfig(
            steps=300,
            batch_size=32,
            micro_batch=16,
            optim=OptimConfig(lr=1e-3, lr_vision=3e-4, schedule="cosine", warmup_ratio=0.05, beta2=0.98),
            loop=LoopConfig(save_every=100, eval_every=50),
        )
    )
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    grpo: GRPOConfig = field(
        default_factory=lambda: GRPOConfig(
            steps=240,
            prompts_per_step=16,
            prompts_per_update=16,
            micro_batch=8,
            sampling=SamplingConfig(max_new_tokens=48, rollout_batch=16),
            optim=OptimConfig(lr=1e-4, lr_vision=3e-5, weight_decay=0.0),
            loop=LoopConfig(save_every=40, eval_every=40),
        )
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_iou <= 1:
            raise ValueError(f"min_iou must be in [0, 1], got {self.min_iou}")
        super().__post_init__()

    def scorer(self) -> RewardSpec:
        """The reward of training, difficulty and evaluation."""
        spec = super().scorer()
        if spec.task != ["iou"] or spec.terms["iou"].type != "interval":
            raise ValueError(
                f"reward {self.reward!r}: this recipe's metrics are of one interval, so expected the task "
                f"[iou], a term of type 'interval', got {spec.task}"
            )
        return spec
