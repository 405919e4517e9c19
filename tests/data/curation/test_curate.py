"""The curation as a whole: what each step refuses, the counts, and a run that is killed."""

import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.cli import main
from videostr.data import Sample, SampleError, read_samples, write_samples
from videostr.data.curation import (
    Contamination,
    Duplicates,
    Language,
    Length,
    SentenceIndex,
    curate,
    side_files,
    video_key,
)
from videostr.data.curation.similar import shingles
from videostr.data.curation.text import words

THOUGHT = "<think>The cook comes in and then takes the pan from the wall.</think><time>[2, 6]</time>"
SENTENCES = {
    "good": "a man opens the old wooden door of the barn",
    "same": "A man opens the old, wooden door of the barn.",
    "near": "a man opens the old wooden door of the red barn",
    "other": "a woman closes the window before she leaves",
    "tested": "the child throws a small yellow ball over the garden fence",
    "cut": "she pours milk into a glass",
}


def sample(name, query, video=None, response=THOUGHT):
    return Sample(name, video or f"/v/{name}.mp4", query, ((2.0, 6.0),), 20.0, "own", response)


def test_the_command_counts_at_each_step(tmp_path, capsys):
    bench = [
        sample("b1", "the child throws a small yellow ball over the garden fence!"),
        sample("b2", "someone drinks", "/b/v_K8Kj7XUdQuQ.mp4"),
    ]
    write_samples(tmp_path / "bench.jsonl", bench)
    (tmp_path / "more.txt").write_text("AO8RW.mp4\n\n")
    chinese = "厨师走进厨房，从墙上取下平底锅。" * 2
    samples = [sample(name, query) for name, query in SENTENCES.items()]
    samples[-1] = sample("cut", SENTENCES["cut"], "/v/K8Kj7XUdQuQ_60.0_210.0.mp4")
    samples += [
        sample("listed", "a person reads a letter", "/v/AO8RW.webm"),
        sample("far", "he washes the car", response=THOUGHT.replace("[2, 6]", "[10, 12]")),
        sample("silent", "he washes the car", response=None),
        sample("hasty", "he washes the car", response="<think>Yes.</think><time>[2, 6]</time>"),
        sample("one", "walks"),
        sample("german", "Der Koch öffnet die Tür und nimmt dann die Pfanne von der Wand"),
        sample(
            "thinks",
            "a boy jumps",
            response=f"<think>{chinese}</think><time>[2, 6]</time>",
        ),
    ]
    write_samples(tmp_path / "a.jsonl", samples)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    (tmp_path / "a.jsonl").write_text("\n".join([lines[0], "{", *lines[1:], lines[3]]) + "\n")
    out = tmp_path / "kept.jsonl"
    command = ["data", "curate", str(tmp_path / "a.jsonl"), "--out", str(out), "--language", "en"]
    command += ["--benchmark", str(tmp_path / "bench.jsonl"), "--benchmark", str(tmp_path / "more.txt")]
    assert main(command) == 0
    assert [s.id for s in read_samples(out)] == ["good", "other"]
    report = json.loads(side_files(out)["report"].read_text())
    assert {step["name"]: step["refused"] for step in report["steps"]} == {
        "read": {"malformed": 1, "duplicate_id": 1},
        "answer": {"low_iou": 1, "no_response": 1},
        "length": {"response_short": 1, "query_short": 1},
        "language": {"query_language": 1, "response_language": 1},
        "contamination": {"benchmark_video": 2, "benchmark_sentence": 1},
        "duplicates": {"duplicate_sentence": 2},
    }
    assert (report["read"], report["kept"]) == (15, 2)
    assert report["steps"][1]["settings"] == {"min_iou": 0.5, "parser": "tvg"}
    for before, after in zip(report["steps"], report["steps"][1:], strict=False):
        assert after["in"] == before["out"] == before["in"] - sum(before["refused"].values())
    rejected = [json.loads(line) for line in side_files(out)["rejected"].read_text().splitlines()]
    assert rejected[0]["line"] == 2 and rejected[0]["file"].endswith("a.jsonl") and "not JSON" in rejected[0]["detail"]
    assert next(r for r in rejected if r.get("id") == "near")["detail"] == "like good"
    assert f"{tmp_path / 'a.jsonl'}, line 2: malformed: not JSON" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.jsonl", "bench.jsonl", "kept.jsonl", "kept.rejected.jsonl", "kept.report.json", "more.txt",
    ]  # fmt: skip

    # RL needs no responses, and the same sentence of two videos may stay.
    assert main([*command[:5], "--for", "rl", "--duplicates", "video"]) == 0
    kept = {s.id for s in read_samples(out)}
    assert {"same", "near", "far", "silent", "thinks"} <= kept and "one" not in kept


def test_wrong_arguments(tmp_path, capsys):
    write_samples(tmp_path / "a.jsonl", [sample("a", "he sits down")])
    (tmp_path / "bad.jsonl").write_text("{\n")
    (tmp_path / "empty.txt").write_text("\n")
    one = str(tmp_path / "a.jsonl")
    for wrong, says in (
        (["--min-iou", "2"], "min_iou: expected a number in"),
        (["--query-words", "5", "2"], "query: expected 0 <= least <= most"),
        (["--language", "xx"], "language: expected one of"),
        (["--benchmark", str(tmp_path / "bad.jsonl")], "bad.jsonl, line 1: not JSON"),
        (["--benchmark", str(tmp_path / "empty.txt")], "holds no videos"),
        (["--similar", "0"], "similar: expected a number in"),
        ([one], "different files"),
        ([str(tmp_path / "none.jsonl")], "no such file"),
    ):
        assert main(["data", "curate", one, *wrong, "--out", str(tmp_path / "o.jsonl")]) == 2
        assert says in capsys.readouterr().err
    assert main(["data", "curate", one, "--out", one]) == 2
    with pytest.raises(ValueError, match="expected one of"):
        Duplicates(scope="x")
    # Nothing kept: the old file stays.
    before = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "o.jsonl").write_bytes(before)
    assert main(["data", "curate", one, "--out", str(tmp_path / "o.jsonl"), "--query-words", "9", "9"]) == 1
    assert (tmp_path / "o.jsonl").read_bytes() == before and "not touched" in capsys.readouterr().err


def test_a_killed_run_continues_from_its_mark(tmp_path):
    pairs = [(f"n{n}", f"the {n % 70} boxes are carried to room {n % 90}") for n in range(600)]
    write_samples(tmp_path / "a.jsonl", [sample(*pair) for pair in pairs[:400]])
    write_samples(tmp_path / "b.jsonl", [sample(*pair) for pair in pairs[400:]])
    with open(tmp_path / "b.jsonl", "a") as file:
        file.write("{\n" + (tmp_path / "a.jsonl").read_text().splitlines()[0] + "\n")
    sources = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    whole = curate(sources, tmp_path / "whole.jsonl", [Length(), Duplicates()])
    assert 0 < whole["kept"] < 600 and whole["steps"][0]["refused"] == {"malformed": 1, "duplicate_id": 1}
    code = (
        "import os, signal, sys\nfrom videostr.data.curation import *\nfrom videostr.data.curation import run\n"
        "stop, seen = int(sys.argv[1]), 0\nclass Count(Length):\n"
        "    def refuse(self, sample):\n        global seen\n        seen += 1\n        print(seen, flush=True)\n"
        "        if seen == stop: os.kill(os.getpid(), signal.SIGKILL)\n        return super().refuse(sample)\n"
        f"curate({sources!r}, {str(tmp_path / 'cut.jsonl')!r}, [Count(), Duplicates()], every=50)\n"
    )
    seen = 0
    for stop in (230, 240, 10**6):
        result = subprocess.run([sys.executable, "-c", code, str(stop)], capture_output=True, text=True, timeout=120)
        assert result.returncode == (0 if stop == 10**6 else -signal.SIGKILL), result.stderr
        seen += len(result.stdout.splitlines())
    assert 600 < seen < 800  # what was decided before a mark is not decided again
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    reports = [json.loads((tmp_path / f"{name}.report.json").read_text()) for name in ("cut", "whole")]
    assert [{**r, "files": 0} for r in reports][0] == [{**r, "files": 0} for r in reports][1]
    assert not list(tmp_path.glob(".*"))
    # Another setting does not continue what was begun.
    curate(sources, tmp_path / "new.jsonl", [Length(), Duplicates()], every=50)
    os.rename(tmp_path / "new.jsonl", tmp_path / ".new.jsonl.partial")
    (tmp_path / ".new.jsonl.mark").write_text('{"key": "x", "at": [0, 5], "read": 5, "sizes": {"kept": 1}}')
    assert curate(sources, tmp_path / "new.jsonl", [Length(), Duplicates()])["kept"] == whole["kept"]


TEXTS = st.lists(st.sampled_from("a man opens the red door now".split()), max_size=7).map(" ".join)


@settings(deadline=None, max_examples=200)
@given(st.lists(TEXTS, max_size=12), TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_search_finds_what_comparing_all_pairs_finds(texts, asked, threshold):
    index = SentenceIndex(threshold)
    for number, text in enumerate(texts):
        index.add(text, str(number))
    mine, first = set(shingles(asked)), None
    for number, text in enumerate(texts):
        theirs = set(shingles(text))
        if mine and theirs and len(mine & theirs) / len(mine | theirs) >= threshold - 1e-12:
            first = str(number)
            break
    assert index.find(asked) == first and index.find(asked, "elsewhere") is None


def test_words_and_names():
    assert words("He said: “Don’t!”  Ｆｕｌｌ 12.5 s") == ["he", "said", "don’t", "full", "12", "5", "s"]
    assert words("小猫 sleeps") == ["小", "猫", "sleeps"] and words("…!") == []
    for one, other in (
        ("/a/K8Kj7XUdQuQ_60.0_210.0.mp4", "v_K8Kj7XUdQuQ.mkv"),
        ("video-K8Kj7XUdQuQ", "K8Kj7XUdQuQ_00:01:52:000_00:02:47:800.mp4"),
        ("s13-d21-cam-002.avi", "s13-d21"),
        ("x/12090392@N02_13482799053_87ef417396.mov.mp4", "12090392@N02_13482799053_87ef417396.avi"),
    ):
        assert video_key(one) == video_key(other)
    assert video_key("v_short.mp4") == "v_short" and video_key("scene0_1_2x") == "scene0_1_2x"


def test_language_needs_something_to_judge_by():
    step = Language("en")
    for query in ("a dog runs", "man walks", "camera pans left", "Make an Egg and Cheese Sandwich"):
        assert step.refuse(sample("a", query)) is None
    assert step.refuse(sample("a", "un homme ouvre la porte de la maison"))[0] == "query_language"


def test_a_benchmark_without_samples_is_an_error(tmp_path):
    with pytest.raises(SampleError, match="cannot be read"):
        Contamination([str(tmp_path / "none.txt")])
