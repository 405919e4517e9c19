"""The spatio-temporal recipe, small: every stage, resuming, the user's files, the ablation."""

import json
import re
import shutil

import pytest

from recipe.runs import MODEL, nested, rows
from videostr.config import ConfigError, from_dict
from videostr.data.samples import read_samples, write_samples
from videostr.recipe import base
from videostr.recipe.command import run_recipe
from videostr.recipe.video_str import VideoStrConfig, run_ablation, run_video_str
from videostr.recipe.video_str.ablation import VARIANTS

SETTINGS = {
    **{f"model.tiny.{name}": value for name, value in MODEL.items()},
    "data.cold_start_scenes": 2,
    "data.train_scenes": 2,
    "data.test_scenes": 2,
    "data.world.width": 64,
    "data.world.duration": 2,
    "data.questions": 4,
    "data.test_pairs": 40,
    "warmup.steps": 2,
    "warmup.batch_size": 2,
    "sft.steps": 2,
    "sft.batch_size": 2,
    "sft.micro_batch": 2,
    "sft.loop.eval_every": 0,
    "grpo.steps": 2,
    "grpo.prompts_per_step": 2,
    "grpo.prompts_per_update": 2,
    "grpo.group_size": 2,
    "grpo.sampling.max_new_tokens": 6,
    "grpo.loop.save_every": 1,
    "grpo.loop.eval_every": 0,
    "grpo.advantage.gate": "reward",
    "eval.max_new_tokens": 6,
}
STAGES = ["prepare", "model", "warmup", "sft", "sft_eval", "rl", "rl_eval", "turned"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(json.dumps(nested(SETTINGS)))
    return path


@pytest.fixture
def run(config, capsys, monkeypatch):
    monkeypatch.setattr(base, "write_report", lambda out: None)

    def run(out, *settings, ablation=False):
        argv = ["--config", str(config), "--out", str(out)] + (["--ablation"] if ablation else [])
        argv += ["--set", *settings] if settings else []
        status = run_recipe("test", VideoStrConfig, (), run_video_str, argv, {"--ablation": ("", run_ablation)})
        printed = capsys.readouterr()
        return status, re.findall(r"^\[(\w+)\] …$", printed.out, flags=re.MULTILINE), printed.err

    return run


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "out"
    argv = ["--config", str(config), "--out", str(out)]
    assert run_recipe("test", VideoStrConfig, (), run_video_str, argv) == 0
    return out


def test_a_run_from_scenes_to_page(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert list(summary["stages"]) == ["sft", "rl"] and summary["task"] == "spatial"
    assert set(summary["turned"]) == {"sft", "rl"} and set(summary["data"]) == {"cold_start", "train", "test"}
    assert summary["data"]["train"]["blind"]["overall"]
    for stage in ("sft", "rl"):
        found = rows(finished / f"eval/{stage}.jsonl")
        assert {row["kind"] for row in found} <= {"choice", "number", "box"}
        assert summary["stages"][stage]["samples"] == len(found) == len(read_samples(finished / "data/test.jsonl"))
        assert summary["stages"][stage]["tasks"].keys() == {row["task"] for row in found}
    assert "well-formed" in (finished / "index.html").read_text()
    assert {row["step"] for row in rows(finished / "metrics/rl.jsonl")} == {1, 2}


def test_the_turned_rooms_are_asked_the_same(finished):
    test = {sample.id: sample for sample in read_samples(finished / "data/test.jsonl")}
    for sample in read_samples(finished / "data/turned.jsonl"):
        same = test[sample.id.removeprefix("turned-")]
        assert (sample.query, sample.meta) == (same.query, same.meta)
        assert sample.video != same.video and sample.source == "scannet"


def test_a_second_run_does_nothing_and_a_changed_reward_redoes_rl(run, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    assert run(out)[:2] == (0, [])
    assert run(out, "reward_change.drop=[node]")[:2] == (0, ["rl", "rl_eval", "turned"])


def test_an_interrupted_run_continues(run, finished, tmp_path, monkeypatch):
    out, save, calls = tmp_path / "out", base.save_policy, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 3:  # after the last step of RL
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(base, "save_policy", stop)
    assert run(out)[0] == 130
    monkeypatch.setattr(base, "save_policy", save)
    status, done, _ = run(out)
    assert (status, done) == (0, STAGES[STAGES.index("rl") :])
    weights = "models/rl/model.safetensors"
    assert (out / weights).read_bytes() == (finished / weights).read_bytes()


def test_files_of_ones_own(run, finished, tmp_path):
    """Without a test file videos are held out; a sample without an answer is refused by name."""
    samples = [*read_samples(finished / "data/train.jsonl"), *read_samples(finished / "data/cold_start.jsonl")]
    mine = tmp_path / "mine.jsonl"
    write_samples(mine, samples)
    status, done, _ = run(tmp_path / "out", f"data.train={mine}", "skip=[rl]")
    assert status == 0 and done == ["prepare", "model", "warmup", "sft", "sft_eval", "rl_eval"]
    del samples[3].meta["answer"]
    write_samples(mine, samples)
    status, _, error = run(tmp_path / "other", f"data.train={mine}")
    assert status == 1 and samples[3].id in error and "'answer'" in error


def test_the_ablation_is_a_table_and_continues(run, tmp_path):
    chosen = ["ablation.seeds=[0]", "ablation.variants=[full,no_graph]", "data.test_pairs=40"]
    status, done, _ = run(tmp_path, *chosen, ablation=True)
    assert status == 0
    # Every variant starts from the warm model: no SFT of its own.
    assert done == [
        "prepare",
        "model",
        "warmup",
        "sft",
        "sft_eval",
        "turned",
        *2 * ["prepare", "model", "warmup", "rl", "rl_eval", "turned"],
    ]
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert list(found) == ["warm", "full", "no_graph"]
    table = (tmp_path / "ablation.md").read_text()
    assert "| full | 1 |" in table and "| no graph | 1 |" in table
    gain = {
        name: found[name]["seed_0"]["test"]["node"] - found["warm"]["seed_0"]["test"]["node"]
        for name in ("full", "no_graph")
    }
    head, _, *rows = table[table.index("| gain in the test |") :].splitlines()
    at = head.split(" | ").index("node")
    assert [row.split(" | ")[at] for row in rows] == [f"{gain['full']:+.3f}", f"{gain['no_graph']:+.3f}"]
    assert (tmp_path / "ablation.png").stat().st_size > 1000
    assert run(tmp_path, *chosen, ablation=True)[:2] == (0, [])
    status, _, error = run(tmp_path, "ablation.variants=[none]", ablation=True)
    assert status == 1 and "no_graph" in error


def test_the_ablation_of_a_checkpoint_without_written_answers(run, finished, tmp_path):
    """Every variant starts from the checkpoint itself, which is scored as the others are."""
    data = [f"data.{name}={finished / f'data/{name}.jsonl'}" for name in ("train", "test", "turned")]
    settings = [*data, f"model.path={finished / 'models/sft'}", "ablation.seeds=[0]", "ablation.variants=[no_gate]"]
    status, done, _ = run(tmp_path, *settings, ablation=True)
    assert status == 0 and done[:5] == ["prepare", "model", "warmup", "base", "sft"]
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert list(found) == ["warm", "no_gate"] and set(found["warm"]["seed_0"]["turned"]) >= {"accuracy", "mra"}
    assert (tmp_path / "ablation.png").stat().st_size > 1000


def test_variants_change_the_reward():
    specs = {}
    for name, variant in VARIANTS.items():
        specs[name] = from_dict(VideoStrConfig, variant.changes).scorer()
    assert list(specs["full"].terms) == ["answer", "format", "node", "edge", "length"]
    assert specs["no_graph"].task == ["answer"] and "node" not in specs["no_node"].terms
    assert specs["no_gate"].terms["node"].gate.above < 0 < specs["full"].terms["node"].gate.above
    assert specs["direction"].terms["edge"].options["angle"] == "direction"
    assert "map" in specs["spacer_map"].terms
    assert from_dict(VideoStrConfig, VARIANTS["t_grpo"].changes).grpo.contrast.weight == 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reward": "tvg"}, "answer"),
        ({"reward_change": {"drop": ["iou"]}}, "iou"),
        ({"reward_change": {"drop": ["answer"]}}, "answer"),
        ({"skip": ["difficulty"]}, "difficulty"),
        ({"grpo": {"contrast": {"weight": 0.3, "term": "iou"}}}, "grpo.contrast.term: 'iou'.*answer, format"),
        ({"data": {"test": "x.jsonl"}}, "data.train"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        from_dict(VideoStrConfig, settings)
