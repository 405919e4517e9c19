"""The builder end to end: answers that follow from the annotations, balance, splits, kill and resume, the page."""

import functools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import av
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.stv_sets import write_kitti, write_scannet, write_tao
from videostr.cli import main
from videostr.data import read_samples
from videostr.data.export import export
from videostr.data.prompts import render_prompt
from videostr.data.stv.build import Options, build, read_exclusions
from videostr.data.stv.card import card, to_text
from videostr.data.stv.question import TASKS, Rules, plural
from videostr.graph import graph_to_json, parse_graph, read_graph, render_graph
from videostr.integrations.verl import compute_score
from videostr.report import write_stv_page
from videostr.rewards import load_reward


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(5)
    write_kitti(folder / "kitti", 4, 250, rng)
    write_scannet(folder / "scannet", 24, rng, poses=30)
    write_tao(folder / "tao", 30, rng)
    return {name: folder / name for name in ("kitti", "scannet", "tao")}


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "stv"
    report = build(sources, out, Options(validation=0.25, seed=1))
    return out, report, {split: read_samples(out / f"{split}.jsonl") for split in ("train", "val")}


def everything(built):
    return [sample for samples in built[2].values() for sample in samples]


def test_every_task_kind_and_source(built):
    _, report, _ = built
    samples = everything(built)
    assert {s.meta["task"] for s in samples} == set(TASKS) and len(samples) == report["written"] > 3000
    assert {s.meta["answer_kind"] for s in samples} == {"choice", "number", "box"}
    assert {s.source for s in samples} == {"kitti", "scannet", "tao"}
    assert sum(row["count"] for row in report["counts"]) == report["written"]
    assert len({s.id for s in samples}) == len(samples)
    for task in TASKS:  # several phrasings: the first words of the questions differ
        starts = {re.sub(r"^(At|Between) .*?: ", "", s.query)[:12] for s in samples if s.meta["task"] == task}
        assert len(starts) >= 4, task
    assert set(report["dropped"]) >= {"ambiguous_distance", "ambiguous_direction", "ambiguous_order", "hidden"}


def test_a_perfect_answer_earns_everything(built):
    """The rewards, the prompt and the graph's grammar understand every sample."""
    reward = load_reward("video_str")
    samples = everything(built)[::7]
    texts, columns = [], {name: [] for name in ("answer", "answer_kind", "options", "unit", "graph")}
    for sample in samples:
        meta = sample.meta
        graph = read_graph(meta["graph"])
        assert graph.reason == "ok" and parse_graph(render_graph(graph.frames)).frames == graph.frames
        assert json.loads(json.dumps(graph_to_json(graph.frames))) == meta["graph"]
        texts.append(f"<think>I see {render_graph(graph.frames)}</think><answer>{meta['answer']}</answer>")
        for name in columns:
            columns[name].append(meta.get(name))
        (message,) = render_prompt("video_str", sample.query, meta=meta)
        words = message["content"][1]["text"]
        assert (
            sample.query in words
            and "<graph>" in words
            and "<answer>" in words
            and "{" not in words.split("</graph>")[1]
        )
    batch = reward(texts, columns, tokens=[100] * len(texts), groups=list(range(len(texts))))
    assert batch.terms["answer"].min() == 1 and batch.terms["format"].min() == 1
    assert batch.terms["node"].min() > 0.999
    many = [
        len({str(n.position) for n in f.nodes}) > 1 for s in samples for f in read_graph(s.meta["graph"]).frames[:1]
    ]
    assert batch.terms["edge"][many].min() > 0.999


@functools.lru_cache
def _rooms(path):
    return json.loads(path.read_text())


def _scene(sources, sample):
    return _rooms(sources["scannet"] / "boxes.json")[sample.meta["scene"]]["object_bbox"]


def test_directions_in_rooms_from_the_annotations(built, sources):
    checked = 0
    for sample in everything(built):
        if sample.source != "scannet" or sample.meta["task"] != "relative direction":
            continue
        boxes = _scene(sources, sample)
        question = sample.query.split("\n")[0]
        found = sorted((m.start(), name) for name in boxes for m in re.finditer(rf"the {name}\b", question))
        a, b, c = (np.array(boxes[name][0]["centroid"][:2]) for _, name in found)
        turned = Rotation.from_euler("z", -math.atan2(*(b - a)[::-1])).apply([*(c - a), 0])  # B lies along x now
        angle = math.degrees(math.atan2(turned[1], turned[0]))
        words = sample.meta["options"]["ABCD".index(sample.meta["answer"])]
        if sample.meta["family"] == "quadrant":
            assert words == f"{'front' if abs(angle) < 90 else 'back'}-{'left' if angle > 0 else 'right'}"
        else:
            assert words == ("back" if abs(angle) > 135 else "left" if angle > 0 else "right")
        checked += 1
    assert checked > 100


def test_rooms_counts_sizes_and_order(built, sources):
    for sample in everything(built):
        if sample.source != "scannet":
            continue
        boxes, meta = _scene(sources, sample), sample.meta
        if meta["task"] == "object counting":
            (name,) = [n for n in boxes if plural(n) in sample.query]
            assert meta["answer"] == len(boxes[name])
        elif meta["family"] == "longest":
            assert meta["answer"] == round(100 * max(boxes[meta["group"]][0]["axesLengths"]))
        elif meta["family"] == "larger":
            sizes = [max(boxes[o.removeprefix("the ")][0]["axesLengths"]) for o in meta["options"]]
            assert sizes["AB".index(meta["answer"])] == max(sizes)
        elif meta["task"] == "appearance order":
            assert len({tuple(sorted(o.split(", "))) for o in meta["options"]}) == 1 and len(set(meta["options"])) == 4


def test_drives_from_the_labels(built, sources):
    """Boxes and times; what is in metres: test_stv_drives.py."""
    for sample in everything(built):
        meta = sample.meta
        if sample.source != "kitti" or meta["answer_kind"] != "box":
            continue
        lines = (sources["kitti"] / "label_02" / f"{meta['scene']}.txt").read_text().splitlines()
        rows = [line.split() for line in lines]
        boxes = [[float(v) for v in r[6:10]] for r in rows if int(r[0]) == meta["frames"][-1] and r[1] != "-1"]
        scale = np.array([1242, 375, 1242, 375]) / 1000
        assert min(np.abs(np.array(meta["answer"]) * scale - box).max() for box in boxes) < 1.3
        assert meta["times"][-1] == pytest.approx(meta["frames"][-1] / 10)
        assert sample.spans[0][0] == meta["times"][0] and sample.spans[0][1] > meta["times"][-1]


def test_splits_are_by_room_drive_and_clip(built):
    groups = {}
    for split, samples in built[2].items():
        rooms = {(s.source, s.meta["scene"].split("_")[0]) for s in samples if s.source == "scannet"}
        groups[split] = rooms | {(s.source, s.meta["scene"]) for s in samples if s.source != "scannet"}
    assert groups["train"] and groups["val"] and not groups["train"] & groups["val"]
    assert {source for source, _ in groups["val"]} >= {"scannet", "tao"}


def test_blind_baseline_is_at_chance(built):
    _, report, _ = built
    overall = report["blind"]["overall"]
    assert set(overall) == {"letter", "words", "number"}
    assert all(total["excess"] <= 0.02 for total in overall.values())
    assert all(row["verdict"] != "above" for row in report["blind"]["table"])
    letters = Counter(s.meta["answer"] for s in everything(built) if len(s.meta.get("options", ())) == 4)
    assert max(letters.values()) - min(letters.values()) <= 0.02 * sum(letters.values())
    assert "chance" in to_text(report) and "not public" in card(report)
    assert all(reason in card(report) for reason in report["dropped"])


def test_same_seed_same_bytes_other_seed_others(sources, tmp_path):
    folders = {"scannet": sources["scannet"], "tao": sources["tao"]}
    rules = Rules(limit={"scannet": 10, "tao": 5})
    data = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(folders, tmp_path / name, Options(seed=seed, rules=rules))
        data.append((tmp_path / name / "train.jsonl").read_bytes())
    assert data[0] == data[1] != data[2]
    assert not (tmp_path / "a" / ".work").exists()


def test_out_may_lie_in_a_sources_folder(tmp_path):
    """What the builder writes there is not an input that has changed."""
    write_tao(tmp_path, 3, np.random.default_rng(0))
    report = build({"tao": tmp_path}, tmp_path / "stv", Options(validation=0))
    (tmp_path / "stv" / "train.jsonl").write_text("kept\n")
    assert build({"tao": tmp_path}, tmp_path / "stv", Options(validation=0)) == report
    assert (tmp_path / "stv" / "train.jsonl").read_text() == "kept\n"


def test_count_exclusions_and_missing_videos(sources, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("scene0003  # a room\nscene0000_00.mp4\n\n")
    options = Options(count=300, exclude=read_exclusions([names]), validation=0)
    report = build({"scannet": sources["scannet"]}, tmp_path / "few", options)
    samples = read_samples(tmp_path / "few" / "train.jsonl")
    assert len(samples) == report["written"] == 300 and report["left_out"]["not_needed"] > 0
    scenes = {s.meta["scene"] for s in samples}
    assert not scenes & {"scene0003_00", "scene0003_01"}
    assert not scenes & {"scene0000_00", "scene0000_01"}  # the same room
    assert report["scenes"]["scannet: excluded"] == 4
    tasks = Counter(s.meta["task"] for s in samples)
    assert len(tasks) >= 5 and max(tasks.values()) < 150
    write_tao(tmp_path / "tao", 2, np.random.default_rng(0))
    (tmp_path / "tao" / "videos" / "part" / "clip00001.mp4").unlink()
    report = build({"tao": tmp_path / "tao"}, tmp_path / "tao_out", Options(validation=0))
    assert report["scenes"]["tao: video missing"] == 1


@pytest.mark.parametrize("style", ["metres", "image"])
def test_other_coordinates(sources, tmp_path, style):
    build(sources, tmp_path / style, Options(style=style, validation=0, rules=Rules(limit=dict.fromkeys(sources, 3))))
    for sample in read_samples(tmp_path / style / "train.jsonl"):
        unit, spatial = sample.meta["coordinates"]["unit"], sample.source != "tao"
        image = "grid" if sample.source == "scannet" else "image"
        expected = {"metres": "metres" if spatial else "grid", "image": image}
        assert unit == expected[style]
        for frame in read_graph(sample.meta["graph"]).frames:
            for node in frame.nodes:
                assert len(node.position) == (3 if unit == "metres" else 2)
                assert unit != "image" or all(0 <= x <= 1 for x in node.position)


def test_malformed_lines_are_listed(sources, tmp_path):
    rng = np.random.default_rng(0)
    write_kitti(tmp_path / "kitti", 1, 60, rng)
    path = tmp_path / "kitti" / "label_02" / "0000.txt"
    path.write_text("0 1 Car\n" + path.read_text())
    report = build({"kitti": tmp_path / "kitti"}, tmp_path / "out", Options(validation=0))
    (problem,) = map(json.loads, (tmp_path / "out" / "problems.jsonl").read_text().splitlines())
    assert (
        problem == {"file": str(path), "line": 1, "problem": "expected 17 columns, got 3"} and report["problems"] == 1
    )


KILLED = """
import sys, os, signal
from videostr.data.stv import build as module
scenes = 0
def progress(read, asked):
    if read == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
module._COMMIT = 4
options = module.Options(seed=2, validation=0.3, rules=module.Rules(limit={"scannet": 8, "tao": 8}))
folders = {name: sys.argv[1] + "/" + name for name in ("scannet", "tao")}
module.build(folders, sys.argv[2], options, progress=progress)
"""


def test_killed_and_continued(sources, tmp_path):
    folder = str(sources["tao"].parent)
    with open(sources["tao"] / "annotations" / "val.json", "w") as file:
        file.write('{"videos": [{"id": "x"}]}')  # a problem, so that problems.jsonl has to agree as well
    try:
        runs = {}
        for name, kills in (("whole", [10**9]), ("killed", [6, 25, 41, 10**9])):
            for kill in kills:
                command = [sys.executable, "-c", KILLED, folder, str(tmp_path / name), str(kill)]
                code = subprocess.run(command, env=os.environ, capture_output=True, timeout=120).returncode
                assert code == (0 if kill == 10**9 else -signal.SIGKILL)
            runs[name] = [(tmp_path / name / f).read_bytes() for f in ("train.jsonl", "val.jsonl", "card.md")]
            runs[name].append(sorted((tmp_path / name / "problems.jsonl").read_text().splitlines()))
        assert runs["whole"] == runs["killed"] and len(runs["whole"][3]) == 4
    finally:
        (sources["tao"] / "annotations" / "val.json").unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"count": 0}, "count"), ({"validation": 1.0}, "validation"), ({"style": "feet"}, "style")],
)
def test_options_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_commands(sources, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["data", "stv", "--tao", str(sources["tao"]), "--out", str(out), "--count", "200", "--val", "0"]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "200 of" in first and "blind by" in first and "all, by letter" in first
    started = time.monotonic()
    assert main(command) == 0 and capsys.readouterr().out == first  # done already: the report again
    assert time.monotonic() - started < 5
    assert main(["data", "stv", "--out", str(out)]) == 2 and "folders" in capsys.readouterr().err
    assert main(["data", "stv", "--kitti", str(tmp_path), "--out", str(out / "x")]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    for name in ("ms-swift", "trl", "verl", "easyr1"):
        report = export(name, out / "train.jsonl", tmp_path / f"{name}.jsonl", prompt="video_str")
        assert report["written"] == 200
    row = json.loads((tmp_path / "verl.jsonl").read_text().splitlines()[0])
    truth = json.loads(row["reward_model"]["ground_truth"])
    assert set(truth) >= {"answer", "answer_kind", "graph"} and "<graph>" in row["prompt"][0]["content"]
    assert main(["data", "view", str(out / "train.jsonl"), "--out", str(tmp_path / "p.html"), "--count", "3"]) == 0
    assert "cannot be opened" in (tmp_path / "p.html").read_text() or "video" in (tmp_path / "p.html").read_text()


def test_tables_and_verls_reward(built, tmp_path):
    """Tables have one type a column, whatever kinds of answers are in them."""
    datasets = pytest.importorskip("datasets")
    file = built[0] / "train.jsonl"
    for name in ("verl", "easyr1"):
        report = export(name, file, tmp_path / f"{name}.parquet", prompt="video_str")
        assert report["written"] == report["read"]
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "verl.parquet"), split="train")
    for row in rows.select(range(0, len(rows), len(rows) // 9)):
        truth = row["reward_model"]["ground_truth"]
        known = json.loads(truth)
        text = f"<think>a <graph>{known['graph']}</graph></think><answer>{known['answer']}</answer>"
        info = row["extra_info"] | {"response_length": 50}
        score = compute_score(row["data_source"], text, truth, info, reward="video_str")
        assert score["answer"] == score["format"] == 1 and score["node"] == pytest.approx(1)


def test_page(tmp_path):
    """One clip that can be read: its frames are on the page with the boxes' colours, the graph and the answer."""
    write_tao(tmp_path / "tao", 1, np.random.default_rng(1))
    path = tmp_path / "tao" / "videos" / "part" / "clip00001.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, width=128, height=72)
        for t in range(600):
            frame = av.VideoFrame.from_ndarray(np.full((72, 128, 3), t % 250, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert main(["data", "stv", "--tao", str(tmp_path / "tao"), "--out", str(tmp_path / "out"), "--val", "0"]) == 0
    samples = read_samples(tmp_path / "out" / "train.jsonl")
    assert {s.duration for s in samples} == {20.0} and max(s.spans[0][1] for s in samples) <= 20.1
    shown = write_stv_page(tmp_path / "out" / "train.jsonl", tmp_path / "page.html", count=8)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<article>") == shown == min(8, len(samples)) and "http" not in page  # nothing is fetched
    assert page.count("data:image/jpeg;base64,") >= shown and "<circle" in page and "Answer: <b>" in page
    only = write_stv_page(tmp_path / "out" / "train.jsonl", tmp_path / "page.html", count=50, task="displacement")
    assert only == min(50, sum(s.meta["task"] == "displacement" for s in samples))
    with pytest.raises(ValueError, match="nonsense"):
        write_stv_page(tmp_path / "out" / "train.jsonl", tmp_path / "page.html", task="nonsense")
