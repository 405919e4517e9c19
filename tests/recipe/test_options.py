"""Options that change how a stage computes: each runs through SFT and GRPO; some must resume in their own way."""

import pytest

from recipe.runs import numbers, rows

FEW = "skip=[base,sft_eval,difficulty,rl_eval]"
OPTIONS = {
    "bf16 autocast": ["mixed_precision=bf16"],
    "bf16 weights": ["model.dtype=bfloat16"],
    "lora": ["model.lora={r: 4}"],
    "gradient checkpointing": ["model.gradient_checkpointing=true"],
    "frozen vision": ["model.sft_freeze_vision=true", "model.rl_freeze_vision=true"],
    "kl": ["grpo.loss.kl_coef=0.1", "grpo.prompts_per_update=4"],
    "dapo": ["grpo.loss.loss_type=dapo", "grpo.loss.clip_high=0.28", "grpo.micro_batch=2"],
    "dr_grpo": ["grpo.loss.loss_type=dr_grpo", "grpo.advantage.scale=none"],
    "gspo": ["grpo.loss.loss_type=gspo", "grpo.loss.importance=sequence_mask"],
    "sapo": ["grpo.loss.loss_type=sapo", "grpo.loss.sapo_temperature=[2.0, 3.0]"],
    "top_p": ["grpo.sampling.top_p=0.8", "grpo.sampling.top_k=20", "grpo.sampling.temperature=0.9"],
    "another question": ["prompt.name=tvg_think", "prompt.written_times=false"],
    "another reward": ["reward=time_r1"],
    "plateau": ["grpo.plateau.window=1", "grpo.plateau.tolerance=10"],
}
RESUMED = ("lora", "kl", "plateau")  # what else there is to remember or to draw again


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_option(recipe, tmp_path, name):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    result = recipe(whole, "--set", FEW, *OPTIONS[name])
    assert result.status == 0, result.stderr
    metrics = rows(whole / "metrics/rl.jsonl")
    assert len(metrics) == (2 if name == "plateau" else 5)
    assert max(row["informative"] for row in metrics) > 0
    if name not in RESUMED:
        return
    # Before the first checkpoint of SFT, and between the last update of GRPO and its checkpoint.
    steps = 2 if name == "plateau" else 5
    for at, call in (("videostr.training.metrics.MetricsLog.append", 4), ("videostr.recipe.base.train_grpo", 1)):
        assert recipe(cut, "--set", FEW, *OPTIONS[name], sabotage={"at": at, "call": call, "do": "kill"}).status == -9
    stop = {"at": "videostr.training.metrics.MetricsLog.append", "call": steps, "do": "kill after"}
    assert recipe(cut, "--set", FEW, *OPTIONS[name], sabotage=stop).status == -9
    result = recipe(cut, "--set", FEW, *OPTIONS[name])
    assert result.status == 0, result.stderr
    assert numbers(cut) == numbers(whole)
