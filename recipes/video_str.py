"""Spatio-temporal reasoning with relation graphs (arXiv 2510.10976): warm-up SFT, then graph-based GRPO.

    python recipes/video_str.py    # generated scenes, small model, two CPU cores
    python recipes/video_str.py --config recipes/configs/video_str_qwen2_5_vl_7b.yaml --out runs/str \\
        --set data.train=stv/train.jsonl data.test=stv/val.jsonl

    python recipes/video_str.py --ablation --out runs/ablation

Stages: prepare, model, warmup, base (of a checkpoint), sft, sft_eval, rl, rl_eval, turned. Each is remembered under
OUT; the same command continues an interrupted run.
"""

import sys

from videostr.recipe.command import run_recipe
from videostr.recipe.video_str import VideoStrConfig, run_ablation, run_video_str

SMOKE = (
    "data.cold_start_scenes=6",
    "data.train_scenes=3",
    "data.test_scenes=3",
    "data.test_pairs=24",
    "warmup.steps=10",
    "warmup.batch_size=4",
    "sft.steps=12",
    "sft.loop.save_every=6",
    "sft.loop.eval_every=0",
    "eval.max_new_tokens=48",
    "grpo.steps=3",
    "grpo.prompts_per_step=4",
    "grpo.prompts_per_update=4",
    "grpo.sampling.max_new_tokens=48",
    "grpo.advantage.gate=reward",
    "grpo.loop.save_every=1",
    "grpo.loop.eval_every=0",
)

if __name__ == "__main__":
    ablation = ("what each part of the reward is worth: GRPO with and without it", run_ablation)
    sys.exit(run_recipe(__doc__, VideoStrConfig, SMOKE, run_video_str, instead={"--ablation": ablation}))
