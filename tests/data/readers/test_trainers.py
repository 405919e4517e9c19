"""Samples to other trainers' formats and back, and rows that others wrote."""

import json

import pytest

from videostr.data import Sample, read_samples, write_samples
from videostr.data.export import export
from videostr.data.readers import convert

THOUGHT = "<think>After the door.</think><time>[1, 2.5]</time>"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "v").mkdir()
    for name in ("a.mp4", "b c.mp4"):
        (tmp_path / "v" / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("format", "suffix"),
    [("ms-swift", "jsonl"), ("trl", "jsonl"), ("verl", "parquet"), ("verl", "json"), ("easyr1", "parquet")],
)
def test_there_and_back(folder, format, suffix):
    pytest.importorskip("datasets")
    samples = [
        Sample("a", str(folder / "v/a.mp4"), "a dog runs", ((1.0, 2.5), (4.0, 5.0)), None, "didemo"),
        Sample("b", str(folder / "v/b c.mp4"), 'ein Hund "läuft"', ((0.0, 3.0),), 9.5),
    ]
    write_samples(folder / "s.jsonl", samples)
    export(format, folder / "s.jsonl", folder / f"out.{suffix}")
    name = format.replace("-", "_")
    report = convert(name, [str(folder / f"out.{suffix}")], folder / "back.jsonl", videos=[folder / "v"])
    assert report["written"] == 2, report
    for before, after in zip(samples, read_samples(folder / "back.jsonl"), strict=True):
        assert after.id == f"{name}:{before.id}" and after.source == name
        assert after.meta == ({"source": before.source} if before.source else {})
        for field in ("video", "query", "spans", "duration"):
            assert getattr(after, field) == getattr(before, field), field


def back(folder, name, *rows):
    path = folder / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    report = convert(name, [str(path)], folder / "o.jsonl", videos=[folder / "v"])
    return (read_samples(folder / "o.jsonl") if report["written"] else []), report["rejected"]


def test_rows_that_others_wrote(folder):
    ask, answer = (
        {"role": "user", "content": "<video>When does the dog run?"},
        {"role": "assistant", "content": THOUGHT},
    )
    row = {"messages": [ask, answer], "videos": ["./x/a.mp4"], "solution": "[1, 2.5]"}
    wrong = [
        "{",
        {**row, "solution": "from 1 to 2"},
        {"messages": [ask, answer], "videos": ["a.mp4"]},  # SFT without a truth
        {**row, "videos": ["a.mp4", "b.mp4"]},
        {**row, "videos": [["f1.jpg", "f2.jpg"]]},
        {**row, "messages": [answer]},
        {**row, "messages": "x"},
        {**row, "solution": "[2.5, 1]"},
    ]
    (sample,), rejected = back(folder, "ms_swift", row, *wrong)
    assert sample.query == "When does the dog run?" and sample.spans == ((1.0, 2.5),) and sample.response == THOUGHT
    assert sample.id == "ms_swift:rows:1"
    assert rejected == {"malformed": 5, "no_label": 1, "no_video_file": 1, "reversed": 1}

    video = {"type": "video", "video": "file/a.mp4", "fps": 2.0}
    row = {"prompt": [ask], "videos": [video], "reward_model": {"style": "rule", "ground_truth": "[[1, 2.5]]"}}
    (sample,), rejected = back(
        folder, "verl", row, {**row, "reward_model": "rule"}, {**row, "extra_info": 7, "videos": 1}
    )
    assert sample.spans == ((1.0, 2.5),) and rejected == {"malformed": 2}

    row = {"prompt": "<video>When?", "answer": [1, 2.5], "videos": ["a.mp4"]}
    (sample,), rejected = back(folder, "easyr1", row, {**row, "prompt": None}, [row])
    assert sample.query == "When?" and rejected == {"malformed": 2}

    parts = [{"type": "video", "video": "a.mp4"}, {"type": "text", "text": "When?"}]
    row = {"prompt": [{"role": "user", "content": parts}], "videos": ["a.mp4"], "spans": [[1, 2.5]]}
    (sample,), rejected = back(folder, "trl", row, {**row, "spans": [1]}, {"prompt": []})
    assert sample.query == "When?" and rejected == {"bad_time": 1, "malformed": 1}
