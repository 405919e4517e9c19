"""Text -> numbers: parsing of model output and the rewards of the recipes."""

from videostr.rewards.parse import REASONS, ParsedInterval, parse_interval
from videostr.rewards.temporal import RewardBatch, TemporalReward

__all__ = ["REASONS", "ParsedInterval", "RewardBatch", "TemporalReward", "parse_interval"]
