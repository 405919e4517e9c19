"""Group-relative policy optimisation. See docs/training.md."""

from videostr.grpo.config import AdvantageConfig, GRPOConfig, LossConfig, PlateauConfig, SamplingConfig
from videostr.grpo.order import EpochSamples
from videostr.grpo.trainer import train_grpo

__all__ = [
    "AdvantageConfig",
    "EpochSamples",
    "GRPOConfig",
    "LossConfig",
    "PlateauConfig",
    "SamplingConfig",
    "train_grpo",
]
