"""The recipe's command line with the reward of the other recipe tests, for `torchrun`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipe.server import reward_anything
from videostr.recipe.command import run_recipe
from videostr.recipe.grounding import TwoStageConfig, run_two_stage

if __name__ == "__main__":
    reward_anything()
    sys.exit(run_recipe("test", TwoStageConfig, (), run_two_stage))
