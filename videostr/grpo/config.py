"""Settings of grouped training.

The defaults are those of the temporal grounding paper (arXiv 2507.18100; grade C) except where a comment says
otherwise.
"""

from dataclasses import asdict, dataclass, field
from typing import Literal

import torch

from videostr.ops.policy_loss import check_options
from videostr.ops.reference import LOSS_TYPES
from videostr.rollout import SamplingParams
from videostr.training.config import LoopConfig, OptimConfig, at_least


@dataclass
class SamplingConfig:
    """How answers are drawn.

    rollout_batch: prompts sampled at once on one device (a matter of memory, not of result).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 2048
    rollout_batch: int = 8

    def __post_init__(self) -> None:
        at_least("sampling", self, 1, "rollout_batch")
        self.params()

    def params(self) -> SamplingParams:
        """The same for `sample_groups`. Raises ValueError for what it cannot use."""
        return SamplingParams(self.temperature, self.top_p, self.top_k, self.max_new_tokens)


@dataclass
class LossConfig:
    """Arguments of `ops.policy_loss`, which documents them. Raises ValueError or TypeError as it does."""

    loss_type: Literal["bnpo", "grpo", "dr_grpo", "dapo", "gspo", "luspo", "cispo", "sapo", "vespo"] = "bnpo"
    clip_low: float = 0.2
    clip_high: float = 0.2
    ratio_cap: float | None = None
    sapo_temperature: tuple[float, float] = (1.0, 1.05)
    vespo_k: tuple[float, float] = (2.0, 3.0)
    vespo_lambda: tuple[float, float] = (3.0, 2.0)
    kl_coef: float = 0.0
    kl_type: Literal["k1", "k2", "k3"] = "k3"
    kl_clamp: float | None = 10.0
    kl_bias_correction: bool = False
    entropy_coef: float = 1e-3
    importance: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] | None = None
    importance_min: float = 0.0
    importance_max: float = 2.0

    def __post_init__(self) -> None:
        """Tries them on one token: a wrong one is found here, and not after the first rollout."""
        options, token_NL = asdict(self), torch.zeros(1, 1)
        loss_type = options.pop("loss_type")
        kind = LOSS_TYPES.get(loss_type)
        normalizer = 1.0 if kind is not None and kind.aggregation.endswith("norm") else None
        check_options(loss_type, normalizer, options, token_NL, token_NL, token_NL)


@dataclass
class AdvantageConfig:
    """Arguments of `ops.group_advantage`.

    gate: the groups that teach something are those in which the "task" reward varies by more than `min_std`, or the
        whole "reward". With "reward" a group whose answers differ in format alone is blown up to full-size advantages.
    """

    scale: Literal["std", "none", "batch", "loo"] = "std"
    eps: float = 1e-6
    gate: Literal["task", "reward"] = "task"  # the paper's code: reward
    min_std: float = 0.0


@dataclass
class PlateauConfig:
    """Stop when neither the mean reward nor the mean within-group std of the last `window` steps differs by more than
    `tolerance` from that of the window before. window = 0: never stop early."""

    window: int = 0
    tolerance: float = 0.005

    def __post_init__(self) -> None:
        at_least("plateau", self, 0, "window", "tolerance")


@dataclass
class ContrastConfig:
    """T-GRPO's bonus (videostr.grpo.contrast), added to answers whose reward term `term` is above `above`.

    weight: 0 for none; Video-R1's is 0.3. answers: to each shuffled video, Video-R1's half a group. ratio: how often
    the ordered video's answers must be right, as a multiple of the shuffled one's.
    """

    weight: float = 0.0
    answers: int = 4
    ratio: float = 0.8
    above: float = 0.1
    term: str = "answer"

    def __post_init__(self) -> None:
        at_least("contrast", self, 0, "weight", "ratio")
        at_least("contrast", self, 1, "answers")


@dataclass
class GRPOConfig:
    """steps: rollouts of `prompts_per_step` prompts x `group_size` answers; each is trained on in updates of
    `prompts_per_update` prompts. micro_batch: prompts per forward."""

    steps: int = 100
    prompts_per_step: int = 256
    prompts_per_update: int = 64
    group_size: int = 8
    micro_batch: int = 1
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    advantage: AdvantageConfig = field(default_factory=AdvantageConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    plateau: PlateauConfig = field(default_factory=PlateauConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=1e-6, weight_decay=1e-2))
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(save_every=10))

    def __post_init__(self) -> None:
        names = ("steps", "prompts_per_step", "prompts_per_update", "group_size", "micro_batch")
        at_least("grpo", self, 1, *names)
        if self.prompts_per_step % self.prompts_per_update:
            raise ValueError(
                f"grpo.prompts_per_update ({self.prompts_per_update}) must divide "
                f"grpo.prompts_per_step ({self.prompts_per_step})"
            )
        if self.group_size < 2 and self.advantage.scale != "none":
            raise ValueError(f"grpo.group_size must be at least 2 to compare answers, got {self.group_size}")

    @property
    def updates_per_step(self) -> int:
        return self.prompts_per_step // self.prompts_per_update
