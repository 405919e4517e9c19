"""Scores between the stages, and samples chosen anew before every epoch of GRPO."""

import json
import shutil

import pytest

from recipe.runs import numbers, rows

AGAIN = ["--set", "difficulty.every_epoch=true", "difficulty.count=5"]
AGAIN += ["grpo.loop.eval_every=1", "eval.curve_samples=99"]
KILLS = [
    ("videostr.eval.score._score_batch", 5, "kill after"),  # while the second epoch's samples are scored
    ("videostr.recipe.grounding.stages.write_set", 1, "kill"),  # scored, not chosen
    ("videostr.recipe.grounding.stages.write_set", 1, "kill after"),
    ("videostr.training.loop.TrainLoop.update", 2, "kill after"),
]


@pytest.mark.slow
def test_chosen_anew_before_every_epoch(recipe, finished, tmp_path):
    whole, cut = (shutil.copytree(finished, tmp_path / name) for name in ("whole", "cut"))
    assert recipe(whole, *AGAIN).status == 0
    first, second, third = (
        rows(next((whole / "difficulty").glob(f"{pattern}/0of1.jsonl")))
        for pattern in ("[!r]*", "rl_epoch_1", "rl_epoch_2")
    )
    assert len(first) == len(second) == len(third) > 3  # all train samples
    assert {len(line["rows"]) for line in (*first, *second, *third)} == {2}
    texts = [[row["text"] for line in scored for row in line["rows"]] for scored in (first, second, third)]
    assert texts[0] != texts[1] != texts[2]  # the policy has become another one
    assert len(rows(whole / "data/rl_epoch_2.jsonl")) == 5
    assert not (whole / "data/rl_epoch_3.jsonl").exists()
    # Five samples by four a step: two steps an epoch.
    for at, call, do in KILLS:
        result = recipe(cut, *AGAIN, sabotage={"at": at, "call": call, "do": do})
        assert result.status == -9, (at, call, result.stdout, result.stderr)
    assert recipe(cut, *AGAIN).status == 0
    assert numbers(cut) == numbers(whole)


@pytest.mark.slow
def test_the_curve_meets_the_evaluation(recipe, finished, tmp_path):
    """After the last step the score between the stages is the stage's own."""
    out = tmp_path / "out"
    settings = ["sft.loop.eval_every=5", "grpo.loop.eval_every=5", "eval.curve_samples=99"]
    assert recipe(out, "--set", *settings).status == 0
    stages = json.loads((out / "summary.json").read_text())["stages"]
    for name in ("sft", "rl"):
        scored = [row for row in rows(out / f"metrics/{name}.jsonl") if "eval/miou" in row]
        assert [row["step"] for row in scored] == [5]
        for key in ("miou", "r1@0.5", "parse_rate"):
            assert scored[0][f"eval/{key}"] == pytest.approx(stages[name][key], abs=1e-12)
    # Looking does not change what is learned.
    assert numbers(out)["models/rl/model.safetensors"] == numbers(finished)["models/rl/model.safetensors"]
