"""Killed anywhere and started again, a run ends with the uninterrupted run's numbers, to the last bit."""

import shutil

import pytest

from recipe.runs import numbers, rows

# In the order in which a run meets them: all are struck in one and the same directory.
KILLS = [
    ("videostr.data.world.encode_scene", 2, "kill after"),
    ("videostr.data.world.encode_scene", 3, "kill"),
    ("videostr.model.tiny.train_tokenizer", 1, "kill after"),
    ("videostr.training.loop.TrainLoop.log", 2, "kill after"),  # of the warm-up
    ("videostr.eval.score._score_batch", 2, "kill"),
    ("videostr.training.metrics.MetricsLog.append", 2, "cut row"),  # of SFT, before any checkpoint
    ("videostr.training.metrics.MetricsLog.append", 4, "kill after"),
    ("accelerate.Accelerator.save_state", 2, "kill after"),  # complete, but not renamed
    ("torch.save", 2, "kill after"),  # in the middle of a checkpoint
    ("videostr.recipe.base.save_policy", 1, "kill"),
    ("os.rename", 1, "kill"),
    ("os.replace", 1, "kill"),
    ("videostr.recipe.stages.Stages._write", 1, "kill"),  # the model is there, the stage not marked as done
    ("videostr.eval.score._score_batch", 4, "kill after"),
    ("videostr.training.metrics.MetricsLog.append", 1, "kill after"),  # of GRPO
    ("videostr.training.loop.TrainLoop.update", 5, "kill after"),
    ("videostr.training.loop.TrainLoop.save", 1, "kill"),
    ("shutil.rmtree", 5, "kill"),  # the last checkpoint is there, the oldest is to be deleted
    ("videostr.eval.score._score_batch", 1, "kill after"),
    ("videostr.recipe.base.write_report", 1, "kill"),
]


@pytest.mark.slow
def test_killed_at_every_stage(recipe, finished, tmp_path):
    out = tmp_path / "out"
    for at, call, do in KILLS:
        result = recipe(out, sabotage={"at": at, "call": call, "do": do})
        assert result.status == -9, (at, call, result.stdout, result.stderr)
    result = recipe(out, report=True)
    assert result.status == 0, result.stderr
    assert numbers(out) == numbers(finished)
    assert not [path for path in out.rglob("*") if path.suffix in (".tmp", ".partial", ".old") or ".part" in path.name]


def test_groups_taught_something(finished):
    """Otherwise the test above would compare runs of GRPO that did nothing."""
    informative = [row["informative"] for row in rows(finished / "metrics/rl.jsonl")]
    assert max(informative) > 0
    assert any(0 < share < 1 for share in informative) or min(informative) == 1
    sft, rl = ((finished / f"models/{name}/model.safetensors").read_bytes() for name in ("sft", "rl"))
    assert sft != rl


def test_a_finished_run_does_nothing_again(recipe, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    result = recipe(out, sabotage={"at": "videostr.model.load.load_tokenizer", "call": 1, "do": "kill"})
    assert result.status == 0, result.stderr
    assert result.stdout.count("done before") == 10
    assert numbers(out) == numbers(finished)


def test_seed_changes_everything(recipe, finished, tmp_path):
    result = recipe(tmp_path / "out", "--seed", "1")
    assert result.status == 0, result.stderr
    ours, theirs = numbers(tmp_path / "out"), numbers(finished)
    for name in ("data/train.jsonl", "models/base/model.safetensors", "models/rl/model.safetensors", "eval/rl.jsonl"):
        assert ours[name] != theirs[name]
