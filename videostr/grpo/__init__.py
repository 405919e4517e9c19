"""Group-relative policy optimisation. See docs/training.md."""

from videostr.grpo.config import AdvantageConfig, ContrastConfig, GRPOConfig, LossConfig, PlateauConfig, SamplingConfig
from videostr.grpo.order import EpochSamples
from videostr.grpo.trainer import train_grpo

__all__ = [
    "AdvantageConfig",
    "ContrastConfig",
    "EpochSamples",
    "GRPOConfig",
    "LossConfig",
    "PlateauConfig",
    "SamplingConfig",
    "train_grpo",
]
