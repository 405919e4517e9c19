"""Rows as the other trainers' own loading code takes them."""

import json
import re

import pytest

from videostr.cli import main
from videostr.data import Sample, SampleError, write_samples
from videostr.data.export import FORMATS, ExportError, export
from videostr.data.export.rows import easyr1, ms_swift, trl, verl
from videostr.data.prompts import PROMPTS, SYSTEM

datasets = pytest.importorskip("datasets")

ANSWER = "<think>After the door.</think><time>[1, 2]</time>"
SAMPLES = [
    Sample("a", "/v/a.mp4", "a dog runs", ((1.0, 2.5), (4.0, 5.0)), None, "didemo"),
    Sample("b", "/v/b c.mp4", 'ein Hund "läuft"', ((0.0, 3.0),), 9.5, "", ANSWER, {"x": 1}),
    Sample("c", "/v/c.mp4", "the text <video> is shown", ((0.0, 3.0),)),
]
ASKED = PROMPTS["tvg_think"].replace("{video}", "").replace("{query}", SAMPLES[0].query)


@pytest.fixture
def source(tmp_path):
    write_samples(tmp_path / "s.jsonl", SAMPLES)
    return tmp_path / "s.jsonl"


def load(path):
    kind = "parquet" if path.suffix == ".parquet" else "json"
    return list(datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(path.parent / "cache")))


def test_ms_swift(tmp_path, source):
    # Custom-dataset.md: messages, videos, one <video> for each; what else there is goes to the reward.
    report = export("ms-swift", source, tmp_path / "o.jsonl")
    assert report == {"read": 3, "written": 2, "skipped": {"placeholder": 1}}
    first, second = load(tmp_path / "o.jsonl")
    assert first["messages"] == [{"role": "user", "content": "<video>" + ASKED}] and first["videos"] == ["/v/a.mp4"]
    assert json.loads(first["solution"]) == first["spans"] == [[1.0, 2.5], [4.0, 5.0]]
    assert second["duration"] == 9.5 and second["id"] == "b"
    report = export("ms-swift-sft", source, tmp_path / "sft.jsonl")
    assert report == {"read": 3, "written": 1, "skipped": {"no_response": 1, "placeholder": 1}}
    (row,) = load(tmp_path / "sft.jsonl")
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"] and row["messages"][1]["content"] == ANSWER


def test_trl(tmp_path, source):
    trl = pytest.importorskip("trl.data_utils")
    jinja2 = pytest.importorskip("jinja2")
    assert export("trl", source, tmp_path / "o.jsonl")["written"] == 3
    # A part counts as a video if it merely has the key, as in Qwen's own template: no text part may have got it.
    template = jinja2.Template(
        "{% for m in messages %}{% for c in m.content %}"
        "{% if c.type == 'video' or 'video' in c %}[{{ c.video }}]{% elif 'text' in c %}{{ c.text }}{% endif %}"
        "{% endfor %}{% endfor %}"
    )
    for row, sample in zip(load(tmp_path / "o.jsonl"), SAMPLES, strict=True):
        assert trl.is_conversational(row) and row["videos"] == [sample.video]
        messages = trl.prepare_multimodal_messages(row["prompt"])
        text = template.render(messages=messages)
        assert text.startswith(f"[{sample.video}]") and sample.query in text and text.count("[/v/") == 1


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json"])
def test_verl(tmp_path, source, suffix):
    export("verl", source, tmp_path / f"o{suffix}")
    rows = load(tmp_path / f"o{suffix}")
    assert [row["extra_info"]["index"] for row in rows] == [0, 1]
    for row, sample in zip(rows, SAMPLES, strict=False):
        assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info", "videos"}
        (message,) = row["prompt"]
        parts = re.split("(<image>|<video>)", message["content"])  # what its RLHFDataset does
        assert parts.count("<video>") == 1 == len(row["videos"]) and row["videos"][0]["video"] == sample.video
        assert row["reward_model"]["style"] == "rule"
        assert json.loads(row["reward_model"]["ground_truth"]) == [list(span) for span in sample.spans]
        assert row["extra_info"]["duration"] == sample.duration
    assert [row["data_source"] for row in rows] == ["didemo", "videostr"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_easyr1(tmp_path, source, suffix):
    export("easyr1", source, tmp_path / f"o{suffix}", prompt="tvg_no_think")
    for row, sample in zip(load(tmp_path / f"o{suffix}"), SAMPLES, strict=False):
        assert (
            isinstance(row["prompt"], str) and row["prompt"].split("<video>")[0] == "" and sample.query in row["prompt"]
        )
        assert row["videos"] == [sample.video] and json.loads(row["answer"]) == [list(span) for span in sample.spans]


def test_parquet_in_several_groups(tmp_path):
    many = [Sample(str(n), "/v.mp4", f"q{n}", ((0.0, 1.0),), None if n < 1500 else 2.0) for n in range(2100)]
    write_samples(tmp_path / "s.jsonl", many)
    assert export("verl", tmp_path / "s.jsonl", tmp_path / "o.parquet")["written"] == 2100
    rows = load(tmp_path / "o.parquet")
    assert [row["extra_info"]["id"] for row in rows] == [s.id for s in many]
    assert [row["extra_info"]["duration"] for row in rows] == [s.duration for s in many]


def test_wrong_arguments(tmp_path, source, capsys):
    for format, out, options, says in (
        ("nope", "o.jsonl", {}, "format: expected one of ms-swift"),
        ("trl", "o.parquet", {}, "ends with .jsonl for trl"),
        ("verl", "o.txt", {}, "ends with .parquet or .jsonl or .json"),
        ("trl", "o.jsonl", {"prompt": "x"}, "prompt: expected one of"),
        ("trl", source.name, {}, "is also a source"),
    ):
        with pytest.raises(ValueError, match=says):
            export(format, source, tmp_path / out, **options)
    with pytest.raises(SampleError):
        export("trl", tmp_path / "none.jsonl", tmp_path / "o.jsonl")
    write_samples(tmp_path / "c.jsonl", SAMPLES[2:])
    with pytest.raises(ExportError, match="none of 1 samples"):
        export("verl", tmp_path / "c.jsonl", tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists()
    assert main(["data", "export", "verl", str(tmp_path / "c.jsonl"), "--out", str(tmp_path / "o.parquet")]) == 2
    assert main(["data", "export", "trl", str(source), "--out", str(tmp_path / "o.jsonl")]) == 0
    assert "3 of 3 samples" in capsys.readouterr().out


def test_every_format_has_its_own_row():
    assert len({target.row for target in FORMATS.values()}) == len(FORMATS) == 5


def test_a_system_message_goes_first():
    system = SYSTEM["tvg_r1_train"]
    for row in (ms_swift(SAMPLES[0], "tvg_r1_train", 0)["messages"], verl(SAMPLES[0], "tvg_r1_train", 0)["prompt"]):
        assert [message["role"] for message in row] == ["system", "user"] and row[0]["content"] == system
        assert row[1]["content"] == f"<video>{SAMPLES[0].query}"
    first, second = trl(SAMPLES[0], "tvg_r1_train", 0)["prompt"]
    assert first == {"role": "system", "content": [{"type": "text", "text": system}]} and second["role"] == "user"
    assert easyr1(SAMPLES[0], "tvg_r1_train", 0)["prompt"] == f"<video>{SAMPLES[0].query}"
