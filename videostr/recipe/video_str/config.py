"""Settings of the spatio-temporal reasoning recipe.

The defaults are the embedded run: generated scenes, a small model.
"""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from videostr.data.scenes import ScenesConfig
from videostr.data.stv.annotate import AnnotatorConfig
from videostr.grpo import GRPOConfig, LossConfig, SamplingConfig
from videostr.model.tiny import TinyConfig
from videostr.recipe.config import EvalConfig, ModelConfig, PromptConfig, RecipeConfig, WarmupConfig
from videostr.rewards import RewardSpec, TermSpec, load_reward
from videostr.sft import SFTConfig
from videostr.training.config import LoopConfig, OptimConfig, at_least
from videostr.video import FramePolicy


@dataclass
class DataConfig:
    """Where samples come from. Without `train` scenes are generated, so many of each kind a set.

    train, test, cold_start: files of `videostr data stv`, or others with the same meta (docs/video-str.md). Without
    `cold_start` the train samples with a response serve; without `test` every tenth video is held out. turned: another
    test file, evaluated in the end alone: of the generated world the rooms, filmed from `turn` degrees further round.
    questions: at most so many a generated scene and task. pairs: at most so many a set, evenly over the tasks.
    Raises ValueError for test, cold_start or turned without train, and for a number below 1.
    """

    train: str | None = None
    test: str | None = None
    cold_start: str | None = None
    turned: str | None = None
    cold_start_scenes: int = 120
    train_scenes: int = 60
    test_scenes: int = 30
    questions: int = 24
    pairs: int = 3000
    test_pairs: int = 600
    turn: float = 90.0
    world: ScenesConfig = field(default_factory=ScenesConfig)
    annotator: AnnotatorConfig = field(default_factory=AnnotatorConfig)

    def __post_init__(self) -> None:
        for name in ("test", "cold_start", "turned"):
            if self.train is None and getattr(self, name) is not None:
                raise ValueError(f"data.{name} is given without data.train, which names the samples to train on")
        numbers = ("cold_start_scenes", "train_scenes", "test_scenes", "questions", "pairs", "test_pairs")
        at_least("data", self, 1, *numbers)


@dataclass
class RewardChange:
    """What is changed of the reward's spec, for ablations and for answers of another length.

    drop: terms that are left out. gate: what a gated term's gate must be above, in place of the spec's own; below 0 the
    gate is always open. angle: of the terms that score angles; "direction" is absolute, and changes when the camera
    turns. length: tokens from .. to that earn the bonus.
    """

    drop: list[str] = field(default_factory=list)
    gate: float | None = None
    angle: Literal["turn", "direction"] | None = None
    length: tuple[int, int] | None = None

    def __call__(self, spec: RewardSpec) -> RewardSpec:
        """Raises ValueError for a term that the spec does not have, or one that another needs."""
        for name in self.drop:
            if name not in spec.terms:
                raise ValueError(f"reward_change.drop: {name!r} is none of the terms {', '.join(spec.terms)}")
        terms = {name: self._term(term) for name, term in spec.terms.items() if name not in self.drop}
        return RewardSpec(terms, [name for name in spec.task if name in terms], spec.columns)

    def _term(self, term: TermSpec) -> TermSpec:
        options: dict[str, Any] = dict(term.options)
        if self.angle is not None and term.type == "graph":
            options["angle"] = self.angle
        if self.length is not None and term.type == "length":
            options |= dict(zip(("least", "most"), self.length, strict=True))
        gate = term.gate if term.gate is None or self.gate is None else replace(term.gate, above=self.gate)
        return replace(term, options=options, gate=gate)


@dataclass
class AblationConfig:
    """Of `--ablation`: the seeds, and the variants (videostr.recipe.video_str.ablation.VARIANTS); none: all of them."""

    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    variants: list[str] = field(default_factory=list)


@dataclass
class VideoStrConfig(RecipeConfig):
    """reward: a spec whose task has a term "answer" of type "answer"; reward_change: what is changed of it.

    scale, tolerance: of the graph's scores in evaluations, as of the graph term (docs/rewards.md).
    """

    skippable: ClassVar = ("base", "sft", "sft_eval", "rl", "rl_eval", "turned")

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            tiny=TinyConfig(
                family="qwen3_vl",
                hidden=128,
                layers=4,
                mlp=384,
                vision_hidden=96,
                vision_layers=2,
                vision_mlp=128,
                vocab_size=1024,
                patch_size=16,
            )
        )
    )
    prompt: PromptConfig = field(
        default_factory=lambda: PromptConfig(
            name="video_str_plain",
            written_times=False,  # Qwen3-VL writes them itself
            frames=FramePolicy(rule="transformers_qwen2_vl", num_frames=4, min_pixels=128 * 96, max_pixels=128 * 96),
        )
    )
    warmup: WarmupConfig = field(
        default_factory=lambda: WarmupConfig(
            steps=1400,
            batch_size=6,
            optim=OptimConfig(lr=4e-3, lr_muon=8e-3, schedule="cosine", warmup_ratio=0.05, beta2=0.98),
        )
    )
    sft: SFTConfig = field(
        default_factory=lambda: SFTConfig(
            steps=200,
            batch_size=16,
            micro_batch=16,
            optim=OptimConfig(lr=7e-4, lr_vision=2e-4, schedule="cosine", warmup_ratio=0.05, beta2=0.98),
            loop=LoopConfig(save_every=100, eval_every=100),
        )
    )
    reward: str = "video_str"
    reward_change: RewardChange = field(default_factory=lambda: RewardChange(gate=0.1, length=(30, 90)))
    grpo: GRPOConfig = field(
        default_factory=lambda: GRPOConfig(
            steps=32,
            prompts_per_step=16,
            prompts_per_update=8,
            micro_batch=8,
            sampling=SamplingConfig(max_new_tokens=128, rollout_batch=16),
            loss=LossConfig(kl_coef=0.04),
            optim=OptimConfig(
                lr=2.5e-4, lr_vision=1e-4, weight_decay=0.0, beta2=0.98, schedule="cosine", warmup_ratio=0.05
            ),
            loop=LoopConfig(save_every=16, eval_every=16),
        )
    )
    eval: EvalConfig = field(default_factory=lambda: EvalConfig(batch_size=50, max_new_tokens=128, curve_samples=100))
    scale: float | Literal["grid", "diagonal"] = "grid"
    tolerance: float = 0.25
    ablation: AblationConfig = field(default_factory=AblationConfig)

    def scorer(self) -> RewardSpec:
        """The reward of training. Raises ValueError for one that the recipe cannot use."""
        spec = self.reward_change(load_reward(self.reward))
        if "answer" not in spec.task or spec.terms["answer"].type != "answer":
            raise ValueError(
                f"reward {self.reward!r}: this recipe's questions have answers of several kinds, so expected a task "
                f"with a term 'answer' of type 'answer', got {spec.task}"
            )
        return spec
