"""What is redone when settings change, and what is left out."""

import json
import re
import shutil

import pytest

from recipe.runs import numbers, rows


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


def redone(result) -> list[str]:
    """The stages that were computed, in order."""
    assert result.status == 0, result.stderr
    return re.findall(r"^\[(\w+)\] …$", result.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("grpo.optim.lr=3e-4", ["rl", "rl_eval"]),
        ("model.rl_freeze_vision=true", ["rl", "rl_eval"]),
        ("difficulty.max_samples=5", ["difficulty", "rl", "rl_eval"]),
        ("grpo.sampling.temperature=0.8", ["difficulty", "rl", "rl_eval"]),
        ("eval.max_new_tokens=7", ["base", "sft_eval", "rl_eval"]),
        ("sft.optim.lr=1e-4", ["sft", "sft_eval", "difficulty", "rl", "rl_eval"]),
        ("min_iou=0.6", ["cold_start", "sft", "sft_eval", "difficulty", "rl", "rl_eval"]),
        # What changes no number redoes nothing.
        ("sft.loop.save_every=1", []),
        ("grpo.sampling.rollout_batch=1", []),
        ("prompt.store_gib=0.5", []),
        ("prompt.workers=1", []),
        ("eval.batch_size=3", []),
    ],
)
def test_a_changed_setting_redoes_what_depends_on_it(recipe, copy, setting, expected):
    before = (copy / "models/sft/model.safetensors").read_bytes()
    assert redone(recipe(copy, "--set", setting)) == expected
    assert ((copy / "models/sft/model.safetensors").read_bytes() == before) == ("sft" not in expected)


def test_redone_equals_a_fresh_run(recipe, copy, tmp_path):
    recipe(copy, "--set", "sft.steps=3", sabotage={"at": "videostr.recipe.base.train_sft", "call": 1, "do": "kill"})
    assert redone(recipe(copy, "--set", "sft.steps=3"))[0] == "sft"
    fresh = tmp_path / "fresh"
    assert redone(recipe(fresh, "--set", "sft.steps=3"))
    ours, theirs = numbers(copy), numbers(fresh)
    ours = {name: value for name, value in ours.items() if name in theirs}  # the earlier model's scores are kept too
    assert ours == theirs


def test_batches_scored_with_other_settings_are_not_continued(recipe, finished, tmp_path):
    out = tmp_path / "out"
    kill = {"at": "videostr.eval.score._score_batch", "call": 2, "do": "kill"}
    assert recipe(out, "--set", "eval.max_new_tokens=3", sabotage=kill).status == -9
    assert [path.name for path in (out / "eval").iterdir()] == ["base.jsonl.part0of1"]
    redone(recipe(out, "--set", "skip=[sft,rl]"))
    assert numbers(out)["eval/base.jsonl"] == numbers(finished)["eval/base.jsonl"]


def test_scores_are_kept_by_model(recipe, copy):
    scores = {path: path.read_bytes() for path in (copy / "difficulty").glob("*/*")}
    assert sorted(path.name for path in scores) == ["0of1.jsonl", "about.json"]
    kill = {"at": "videostr.eval.score._score_batch", "call": 1, "do": "kill"}
    settings = ["difficulty.count=3", "grpo.sampling.top_p=0.9"]
    result = recipe(copy, "--set", *settings, "skip=[rl]", sabotage=kill)  # nothing is scored
    assert redone(result) == ["difficulty", "rl_eval"]
    assert {path: path.read_bytes() for path in (copy / "difficulty").glob("*/*")} == scores
    assert len(rows(copy / "data/rl.jsonl")) == 3
    # Some of the samples are known too; another way of asking is scored anew.
    result = recipe(copy, "--set", "difficulty.max_samples=5", "skip=[rl,rl_eval]", sabotage=kill)
    assert redone(result) == ["difficulty"]
    assert recipe(copy, "--set", "difficulty.answers=3", "skip=[rl]", sabotage=kill).status == -9


def test_a_deleted_output_is_made_again(recipe, copy, finished):
    shutil.rmtree(copy / "models/sft")
    (copy / "eval/base.jsonl").unlink()
    assert redone(recipe(copy)) == ["base", "sft"]
    assert (copy / "models/sft/model.safetensors").read_bytes() == (
        finished / "models/sft/model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("skip", "scored"),
    [
        ("[base, sft_eval, rl_eval]", []),
        ("[rl]", ["base", "sft"]),
        ("[sft]", ["base", "rl"]),
        ("[cold_start, difficulty]", ["base", "sft", "rl"]),
    ],
)
def test_skip(recipe, copy, skip, scored):
    for out in (copy, copy.with_name("fresh")):  # with another run's leftovers there, and without
        redone(recipe(out, "--set", f"skip={skip}", report=skip == "[sft]"))
        summary = json.loads((out / "summary.json").read_text())
        assert list(summary["stages"]) == scored
    if skip == "[rl]":
        assert not (copy.with_name("fresh") / "models/rl").exists()
    ours, theirs = (json.loads((out / "summary.json").read_text())["stages"] for out in (copy, copy.with_name("fresh")))
    for stage in scored:
        assert ours[stage] | {"seconds": 0} == theirs[stage] | {"seconds": 0}


def test_skipping_evaluations_changes_nothing_else(recipe, copy):
    assert redone(recipe(copy, "--set", "skip=[base,sft_eval]")) == []


def test_without_difficulty_every_sample_trains(recipe, tmp_path):
    out = tmp_path / "out"
    redone(recipe(out, "--set", "skip=[base,cold_start,difficulty,sft_eval,rl_eval]"))
    assert len(rows(out / "metrics/rl.jsonl")) == 5
    assert not (out / "data/rl.jsonl").exists()
