"""What a user gets wrong, or the machine: one message that says what and where, and nothing lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipe.runs import numbers, rows


def expect_error(result, *words):
    assert result.status == 1, (result.status, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("error: ") == 1
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.fixture
def own(finished, tmp_path):
    """The finished run's samples and clips as a user's own files: (train.jsonl, test.jsonl, lines of train)."""
    shutil.copytree(finished / "data/world", tmp_path / "clips")
    for name in ("train", "test"):
        lines = (finished / f"data/{name}.jsonl").read_text().replace('"video": "world/', '"video": "clips/')
        (tmp_path / f"{name}.jsonl").write_text(lines)
    return tmp_path / "train.jsonl", tmp_path / "test.jsonl", rows(tmp_path / "train.jsonl")


def given(train, test):
    return ("--set", f"data.train={train}", f"data.test={test}")


def test_unreadable_videos_are_skipped_and_listed(recipe, own, tmp_path):
    train, test, lines = own
    clips = sorted({line["video"] for line in lines})
    missing, cut = (tmp_path / clip for clip in clips[:2])
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    empty = tmp_path / rows(test)[0]["video"]
    empty.write_bytes(b"")
    out = tmp_path / "out"
    # Interrupted and continued: what the first call found must not be forgotten.
    kill = {"at": "videostr.recipe.base.train_grpo", "call": 1, "do": "kill"}
    assert recipe(out, *given(train, test), sabotage=kill).status == -9
    result = recipe(out, *given(train, test), "prompt.workers=1", report=True)
    assert result.status == 0, result.stderr
    summary = json.loads((out / "summary.json").read_text())
    found = {row["path"]: row["reason"] for row in summary["skipped"]}
    assert found == {str(missing): "missing", str(cut): found[str(cut)], str(empty): "empty"}
    assert found[str(cut)] in ("truncated", "corrupt", "not_a_video")
    good = {line["id"] for line in rows(test) if tmp_path / line["video"] != empty}
    assert {row["id"] for row in rows(out / "eval/rl.jsonl")} == good
    assert summary["stages"]["rl"]["samples"] == len(good)
    trained = {line["id"] for line in rows(out / "data/rl.jsonl")}
    assert trained == {line["id"] for line in lines if line["video"] not in clips[:2]}
    assert missing.name in (out / "index.html").read_text()


def test_unreadable_videos_during_rl(recipe, own, tmp_path):
    """Without the stage that scores every sample first, GRPO itself meets the bad files."""
    train, test, lines = own
    clips = sorted({line["video"] for line in lines})
    for clip in clips[:3]:
        (tmp_path / clip).unlink()
    out = tmp_path / "out"
    result = recipe(out, *given(train, test), "skip=[base,sft,sft_eval,difficulty,rl_eval]")
    assert result.status == 0, result.stderr
    skipped = json.loads((out / "summary.json").read_text())["skipped"]
    assert [row["path"] for row in skipped] == [str(tmp_path / clip) for clip in clips[:3]]
    assert len(rows(out / "metrics/rl.jsonl")) == 5


def test_no_readable_video(recipe, own, tmp_path):
    shutil.rmtree(tmp_path / "clips")
    out = tmp_path / "out"
    expect_error(recipe(out, *given(*own[:2])), "none of the 6 test samples", "{'missing': 3}")
    expect_error(recipe(out, *given(*own[:2]), "skip=[base]"), "no video of the cold-start samples", "missing")
    result = recipe(out, *given(*own[:2]), "skip=[base,sft,sft_eval,difficulty]")
    expect_error(result, "none of the 8 samples has a readable video")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('"spans": [[2.0, 2.0]]', ["train.jsonl, line 2", "[2.0, 2.0] has no length"]),
        ('"spans": [[3.0, 2.0]]', ["train.jsonl, line 2", "[3.0, 2.0] is reversed"]),
        ('"spans": [[NaN, 2.0]]', ["train.jsonl, line 2", "NaN is not a finite number"]),
        ('"spans": [[1.0, 2.0]], "querry": "x"', ["train.jsonl, line 2", "'querry'", "did you mean 'query'?"]),
        ('"spans": [[1.0, 2.0]', ["train.jsonl, line 2", "not JSON"]),
    ],
)
def test_bad_sample(recipe, own, tmp_path, change, words):
    train, test, lines = own
    spans = f'"spans": {json.dumps(lines[1]["spans"])}'
    text = train.read_text().splitlines()
    assert spans in text[1]
    train.write_text("\n".join([text[0], text[1].replace(spans, change), *text[2:]]))
    expect_error(recipe(tmp_path / "out", *given(train, test)), *words)


def test_bad_files(recipe, own, tmp_path):
    train, test, lines = own
    out = tmp_path / "out"
    (tmp_path / "empty.jsonl").write_text("\n\n")
    expect_error(recipe(out, *given(tmp_path / "empty.jsonl", test)), "empty.jsonl", "holds no samples")
    expect_error(recipe(out, *given(tmp_path / "gone.jsonl", test)), "gone.jsonl", "No such file")
    expect_error(recipe(out, *given(tmp_path, test)), str(tmp_path), "Is a directory")
    expect_error(recipe(out, "--set", f"data.test={test}"), "data.test is given without data.train")
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps(lines[0]) + "\n")
    expect_error(recipe(out, "--set", f"data.train={one}"), "one.jsonl has one video only", "data.test")
    silent = tmp_path / "silent.jsonl"
    silent.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "response"}) + "\n" for line in lines))
    expect_error(
        recipe(out, *given(silent, test)),
        "no cold-start sample is left",
        "there were none",
        "data.cold_start",
        "model.path",
    )
    pairs = ("reward=tvg_no_think",)  # the written answers think
    expect_error(recipe(out, *given(train, test), *pairs), "no cold-start sample is left (refused: {'", "': 8}")
    (tmp_path / "file").write_text("")
    expect_error(recipe(tmp_path / "file"), str(tmp_path / "file"))
    expect_error(recipe(out, "--set", f"model.path={tmp_path / 'nowhere'}"), "nowhere")


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("grpo.optim.learning_rate=1", ["unknown key grpo.optim.learning_rate"]),
        ("reward=tvgg", ["reward 'tvgg': neither a file nor one of", "did you mean 'tvg'?"]),
        (
            "reward=museg",
            ["reward 'museg'", "expected the task [iou], a term of type 'interval', got ['f1', 'match']"],
        ),
        ("sft.stepss=1", ["unknown key sft.stepss", "did you mean sft.steps?"]),
        ("grpo.prompts_per_update=3", ["grpo.prompts_per_update (3) must divide grpo.prompts_per_step (4)"]),
        ("sft.micro_batch=3", ["sft.micro_batch (3) must divide sft.batch_size (4)"]),
        ("grpo.micro_batch=0", ["grpo.micro_batch must be at least 1, got 0"]),
        ("grpo.group_size=1", ["grpo.group_size", "got 1"]),
        ("grpo.sampling.temperature=0", ["temperature must be > 0", "got 0"]),
        ("grpo.loss.loss_type=ppo", ["grpo.loss.loss_type", "'ppo'", "bnpo"]),
        ("grpo.loop.keep=0", ["loop.keep must be at least 1, got 0"]),
        ("sft.optim.lr=-1", ["optim.lr must be above 0, got -1"]),
        ("sft.steps=many", ["sft.steps: expected int, got 'many'"]),
        ("skip=[rll]", ["'rll' is no stage", "rl_eval"]),
        ("min_iou=2", ["min_iou must be in [0, 1], got 2"]),
        ("prompt.name=plane", ["prompt.name", "plain", "'plane'"]),
        ("difficulty.options={lo: 0.2}", ["difficulty.options", "'all'", "lo"]),
        ("difficulty={sampler: band, answers: 1}", ["difficulty.answers must be at least 2"]),
        ("difficulty.sampler=timelens", ["timelens", "count"]),
        ("nonsense", ["nonsense", "expected key=value"]),
    ],
)
def test_bad_setting(recipe, tmp_path, pair, words):
    expect_error(recipe(tmp_path / "out", "--set", pair), *words)
    assert not (tmp_path / "out").exists()


def test_bad_yaml(recipe, tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("sft:\n  stepps: 3\n")
    out = tmp_path / "out"
    expect_error(recipe(out, "--config", str(file)), "unknown key sft.stepps (in", "my.yaml", "did you mean sft.steps?")
    expect_error(recipe(out, "--config", str(tmp_path / "no.yaml")), "no.yaml", "no such configuration file")


@pytest.mark.parametrize("at", ["accelerate.Accelerator.save_state", "videostr.atomic.os.fsync"])
def test_disk_full(recipe, finished, tmp_path, at):
    """The checkpoint before it stays valid, and with room again the run ends with the same numbers."""
    out = tmp_path / "out"
    stop = {"at": "videostr.recipe.base.train_grpo", "call": 1, "do": "kill"}
    assert recipe(out, sabotage=stop).status == -9
    calls = 2 if "save_state" in at else 12
    result = recipe(out, sabotage={"at": at, "call": calls, "do": "disk full"})
    expect_error(result, "the disk is full", str(out))
    assert not list((out / "checkpoints/rl").glob(".*"))
    assert recipe(out).status == 0
    assert numbers(out) == numbers(finished)


@pytest.mark.parametrize("at", ["videostr.training.loop.TrainLoop.update", "videostr.eval.score._score_batch"])
def test_interrupt(recipe, finished, tmp_path, at):
    out = tmp_path / "out"
    result = recipe(out, sabotage={"at": at, "call": 5, "do": "interrupt"})
    assert result.status == 130
    assert "Traceback" not in result.stderr and "the same command continues" in result.stderr
    assert str(out) in result.stderr
    assert recipe(out).status == 0
    assert numbers(out) == numbers(finished)
    # Time spent before the interruption is in the sum.
    stage = json.loads((out / "stages" / ("sft.json" if "update" in at else "sft_eval.json")).read_text())
    assert stage["seconds"] > 0


def test_traceback_on_request(tmp_path):
    script = Path(__file__).parents[2] / "recipes/vtg_two_stage.py"
    command = [sys.executable, str(script), "--out", str(tmp_path / "out"), "--set", "sft.stepss=1"]
    environment = dict(os.environ) | {"VIDEOSTR_TRACEBACK": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "did you mean sft.steps?" in result.stderr
