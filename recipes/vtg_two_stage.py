"""Video temporal grounding in two stages (arXiv 2507.18100): a cold start, then difficulty-controlled GRPO.

    python recipes/vtg_two_stage.py    # generated world, small model, two CPU cores
    python recipes/vtg_two_stage.py --config recipes/configs/tvg_r1_qwen2_5_vl_7b.yaml --out runs/tvg \\
        --set data.train=my.jsonl

Stages: prepare, model, warmup, base, cold_start, sft, sft_eval, difficulty, rl, rl_eval. Each is remembered under OUT;
the same command continues an interrupted run.
"""

import sys

from videostr.recipe.command import run_recipe
from videostr.recipe.grounding import TwoStageConfig, run_two_stage

SMOKE = (
    "data.cold_start_clips=24",
    "data.train_clips=8",
    "data.test_clips=6",
    "warmup.steps=10",
    "warmup.batch_size=8",
    "sft.steps=12",
    "sft.loop.save_every=6",
    "difficulty.sampler=all",
    "difficulty.answers=2",
    "difficulty.max_samples=8",
    "grpo.steps=3",
    "grpo.prompts_per_step=4",
    "grpo.prompts_per_update=4",
    "grpo.loop.save_every=1",
    "grpo.advantage.gate=reward",
)

if __name__ == "__main__":
    sys.exit(run_recipe(__doc__, TwoStageConfig, SMOKE, run_two_stage))
