"""`videostr data difficulty`: rollouts that are kept, killed, shared by processes, and chosen from."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from videostr.cli import main
from videostr.data import read_samples
from videostr.training.metrics import read_rows

SETTINGS = ["prompt.name=plain", "prompt.written_times=true", "prompt.frames.rule=transformers_qwen2_vl"]
SETTINGS += ["prompt.frames.fps=1.0", "prompt.frames.min_pixels=784", "prompt.frames.max_pixels=784"]
SETTINGS += ["max_new_tokens=8", "batch_size=4"]


def command(finished, out, *more, model="sft"):
    args = ["data", "difficulty", "--model", str(finished / "models" / model), "--out", str(out), "--answers", "2"]
    return [*args, "--data", str(finished / "data/train.jsonl"), "--set", *SETTINGS, *more]


def scores(out):
    """Sample -> texts, over all files of all stores."""
    lines = [line for path in (out / "scores").rglob("*of*.jsonl") for line in read_rows(path)]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: [row["text"] for row in line["rows"]] for line in lines}


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("difficulty") / "out"
    assert main(command(finished, out, "difficulty.sampler=all")) == 0
    return out


def test_chooses_and_reports(whole, finished, capsys):
    samples = read_samples(finished / "data/train.jsonl")
    assert [s.id for s in read_samples(whole / "selected.jsonl")] == [s.id for s in samples]
    report = json.loads((whole / "report.json").read_text())
    assert report["total"] == report["scored"] == report["kept"] == len(samples) and report["sampler"] == "all"
    assert sum(report["histogram"]["before"]) == len(samples) and report["unreadable"] == []
    assert (whole / "histogram.png").read_bytes()[:4] == b"\x89PNG"
    assert list(scores(whole)) == [s.id for s in samples] and all(len(texts) == 2 for texts in scores(whole).values())
    about = json.loads(next(whole.glob("scores/*/about.json")).read_text())
    assert about["sampling"]["answers"] == 2 and about["prompt"]["name"] == "plain"
    assert report["store"].startswith(about["model"]["hash"][:12])


def test_another_sampler_needs_no_model_and_another_model_another_store(whole, finished, tmp_path, monkeypatch, capsys):
    out = shutil.copytree(whole, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("videostr.recipe.grounding.difficulty.load_policy", None)  # would fail
        assert main(command(finished, out, "difficulty.sampler=timelens", "difficulty.count=3")) == 0
        # Too small a model never writes an interval: nothing is neither hopeless nor solved.
        assert main(command(finished, out)) == 1
        assert "too_hard: " in (printed := capsys.readouterr()).out and "no sample was chosen" in printed.err
    assert len(read_samples(out / "selected.jsonl") if (out / "selected.jsonl").stat().st_size else []) == 0
    assert scores(out) == scores(whole)
    # After more training every sample is scored anew, and the models stand beside each other.
    assert main(command(finished, out, "difficulty.sampler=all", model="rl")) == 0
    assert len(list((out / "scores").iterdir())) == 2
    models = json.loads((out / "report.json").read_text())["models"]
    assert len(models) == 2 and {model["samples"] for model in models} == {len(scores(whole))}


KILLED = """
import os, signal, sys
from videostr.cli import main
from videostr.eval import score
original, calls = score._score_batch, 0
def killed(*args):
    global calls
    calls += 1
    if calls == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
score._score_batch = killed
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_and_continued_by_two_processes(whole, finished, tmp_path):
    out = tmp_path / "out"
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    args = command(finished, out, "difficulty.sampler=all")
    assert subprocess.run([sys.executable, "-c", KILLED, *args], env=environment).returncode == -signal.SIGKILL
    (first,) = (out / "scores").rglob("*of*.jsonl")
    kept = first.read_bytes()
    assert 0 < len(read_rows(first)) < len(scores(whole))
    with first.open("a") as file:
        file.write('{"key": "cut')
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run([*launch, "-m", "videostr.cli", *args], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert first.read_bytes().startswith(kept)
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "0of1.jsonl", "0of2.jsonl", "1of2.jsonl", "about.json",
    ]  # fmt: skip
    assert scores(out) == scores(whole)
    assert (out / "selected.jsonl").read_text().count("\n") == len(scores(whole))


def test_wrong_arguments(finished, tmp_path, capsys):
    out = str(tmp_path / "out")
    data = ["--data", str(finished / "data/train.jsonl")]
    model = ["--model", "m"]
    for wrong, says in (
        (data, "model"),
        ([*model, "--data", str(tmp_path / "none.jsonl")], "cannot be read"),
        ([*model, *data, data[1]], "use an id twice"),
        ([*model, *data, "--answers", "1"], "difficulty.answers must be at least 2"),
        ([*model, *data, "--sampler", "timelens"], "needs a number of samples"),
        ([*model, *data, "--set", "reward=video_str"], "expected a term 'iou'"),
        ([*model, *data, "--set", "batch=1"], "batch_size"),
    ):
        assert main(["data", "difficulty", "--out", out, *wrong]) == 2
        assert says in capsys.readouterr().err
