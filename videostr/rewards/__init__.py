"""Text -> numbers: parsing of model output and the rewards of the recipes."""

from videostr.rewards.batch import RewardBatch
from videostr.rewards.parse import REASONS, ParsedInterval, parse_interval
from videostr.rewards.score import Reward, score_answers
from videostr.rewards.spec import NAMES, Gate, RewardSpec, TermSpec, load_reward

__all__ = [
    "NAMES",
    "REASONS",
    "Gate",
    "ParsedInterval",
    "Reward",
    "RewardBatch",
    "RewardSpec",
    "TermSpec",
    "load_reward",
    "parse_interval",
    "score_answers",
]
