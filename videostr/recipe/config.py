"""Settings that every recipe has. The defaults are for the small model."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from videostr.data.prompts import PROMPTS
from videostr.grpo import GRPOConfig
from videostr.model.tiny import TinyConfig
from videostr.rewards import RewardSpec, load_reward
from videostr.sft import SFTConfig
from videostr.training.config import LoopConfig, OptimConfig, at_least
from videostr.video import FramePolicy, ReadingConfig


@dataclass
class ModelConfig:
    """path: a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint (folder or hub id); without it `tiny` is made from nothing.

    sft_freeze_vision, rl_freeze_vision: keep the vision tower as it is in that stage.
    lora: arguments of peft.LoraConfig.
    """

    path: str | None = None
    tiny: TinyConfig = field(default_factory=TinyConfig)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    sft_freeze_vision: bool = False
    rl_freeze_vision: bool = False
    lora: dict[str, Any] | None = None
    gradient_checkpointing: bool = False


@dataclass
class PromptConfig(ReadingConfig):
    """name: of `videostr.data.prompts.PROMPTS`. written_times: write each frame pair's time before it, in seconds.

    frames: which frames and what size; patch and merge size, mean and std are the model's own and are filled in.
    workers: they read a stage's videos into the store before it begins.
    """

    name: str = "plain"
    written_times: bool = True
    frames: FramePolicy = field(
        default_factory=lambda: FramePolicy(rule="transformers_qwen2_vl", min_pixels=28 * 28, max_pixels=28 * 28)
    )

    def __post_init__(self) -> None:
        if self.name not in PROMPTS:
            raise ValueError(f"prompt.name must be one of {', '.join(PROMPTS)}, got {self.name!r}")
        super().__post_init__()


@dataclass
class EvalConfig:
    """Greedy answers; batch_size prompts at once.

    curve_samples: the first so many test samples are scored between the stages too, every `loop.eval_every` steps.
    """

    batch_size: int = 25
    max_new_tokens: int = 48
    curve_samples: int = 75

    def __post_init__(self) -> None:
        at_least("eval", self, 1, "batch_size", "max_new_tokens", "curve_samples")


@dataclass
class WarmupConfig:
    """The small model's substitute for pretraining (videostr.recipe.warmup).

    steps: updates. batch_size: draws an update; a recipe may draw several lessons at once."""

    steps: int = 800
    batch_size: int = 32
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(lr=2e-3, lr_vision=1e-3, schedule="cosine", warmup_ratio=0.05, beta2=0.98)
    )
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(save_every=100))

    def __post_init__(self) -> None:
        at_least("warmup", self, 1, "steps", "batch_size")


@dataclass
class RecipeConfig:
    """What a recipe's own configuration extends.

    reward: a spec's name or YAML file (docs/rewards.md). skip: stages to leave out, of `skippable`.
    """

    skippable: ClassVar[tuple[str, ...]] = ()

    model: ModelConfig = field(default_factory=ModelConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    warmup: WarmupConfig = field(default_factory=WarmupConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    reward: str = "tvg"
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    skip: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.skip:
            if name not in self.skippable:
                raise ValueError(
                    f"skip: {name!r} is no stage that can be left out; these are: {', '.join(self.skippable)}"
                )
        terms, contrast = self.scorer().terms, self.grpo.contrast
        if contrast.weight and contrast.term not in terms:
            raise ValueError(
                f"grpo.contrast.term: {contrast.term!r} is none of the terms of reward {self.reward!r}: "
                f"{', '.join(terms)}"
            )

    def scorer(self) -> RewardSpec:
        """The reward of training and evaluation. Raises ValueError for one that the recipe cannot use."""
        return load_reward(self.reward)
