"""Video temporal grounding in two stages; `recipes/vtg_two_stage.py` is its command line."""

from videostr.recipe.grounding.config import TwoStageConfig
from videostr.recipe.grounding.stages import run_two_stage

__all__ = ["TwoStageConfig", "run_two_stage"]
