"""QVHighlights, STI-Bench, VSI-Bench and V-STaR, laid out as they are published, through their real loaders."""

import json
import math

import pytest
import torch
from eval_runs import copy_clip, qvhighlights, rows, run, sti_bench, teach, v_star, vsi_bench

from videostr.rollout import Completion


def values(summary):
    return {name: metric["value"] for name, metric in summary["metrics"].items()}


def iou(span, truth):
    overlap = max(0.0, min(span[1], truth[1]) - max(span[0], truth[0]))
    return overlap / ((span[1] - span[0]) + (truth[1] - truth[0]) - overlap)


def test_qvhighlights(tmp_path, clips, grounder):
    path = qvhighlights(tmp_path, clips)
    with path.open("a") as file:
        file.write('{"qid": 1, "query": "no windows", "vid": "x", "duration": 150}\n{"qid": 2, broken\n')
    summary = run("qvhighlights", grounder, path, tmp_path / "videos", tmp_path / "out")
    results, got = rows(tmp_path / "out" / "results.jsonl"), values(summary)
    best = [max(iou((1, 4), window) for window in row["spans"]) for row in results]
    assert got["r1@0.5"] == pytest.approx(sum(x >= 0.5 for x in best) / 6) and got["r1@0.5"] > 0
    # One answered moment is right or wrong: its average precision is one true window's share of all.
    for threshold in (0.5, 0.75):
        ap = [(x >= threshold) / len(row["spans"]) for x, row in zip(best, results, strict=True)]
        assert got[f"map@{threshold}"] == pytest.approx(sum(ap) / 6)
    steps = [0.5 + 0.05 * k for k in range(10)]
    every = [sum(x >= t - 1e-9 for t in steps) / 10 / len(row["spans"]) for x, row in zip(best, results, strict=True)]
    assert got["map"] == pytest.approx(sum(every) / 6) and got["map_released"] == got["map"]
    assert summary["counts"]["left_out"] == {"no_label": 1, "malformed": 1}
    assert results[0]["meta"]["qid"] == 9000 and results[0]["video"].endswith("abcDEF-_000_60.0_210.0.mp4")


def test_tvgbench_shows_the_segment_alone(tmp_path, clips, grounder):
    """The first record is a segment [1, 5] of a longer video: its times, and the model's, count from there."""
    copy_clip(clips[0], tmp_path / "videos" / "long.mp4")
    about = {"path": "videos/long.mp4", "question": "what happens?", "question_type": "x", "source": "s"}
    records = [
        about | {"answer": "0.5-2.0", "start": 1.0, "end": 5.0, "duration": 4.0},
        about | {"answer": "1.0-4.0", "start": None, "end": None, "duration": clips[0].duration},
    ]
    path = tmp_path / "tvgbench.json"
    path.write_text(json.dumps(records))
    summary = run("tvgbench", grounder, path, tmp_path / "videos", tmp_path / "out", "--parser", "any")
    first, second = rows(tmp_path / "out" / "results.jsonl")
    assert first["spans"] == [[1.5, 3.0]] and first["answers"]["interval"]["parsed"] == [2.0, 5.0]  # it says [1, 4]
    assert first["cells"]["iou"] == pytest.approx(1.0 / 3.5) and second["cells"]["iou"] == 1
    assert first["input"]["seconds"] == pytest.approx(4.0, abs=0.3)
    assert second["input"]["seconds"] == pytest.approx(clips[0].duration, abs=0.3)
    assert summary["metrics"]["r1_above@0.7"]["value"] == 0.5


@pytest.fixture(scope="module")
def chooser(tmp_path_factory, clips):
    return teach(tmp_path_factory.mktemp("chooser"), clips, "C")


def test_sti_bench(tmp_path, clips, chooser):
    summary = run("sti_bench", chooser, sti_bench(tmp_path, clips), tmp_path / "video", tmp_path / "out")
    got, results = values(summary), rows(tmp_path / "out" / "results.jsonl")
    assert [row["answers"]["choice"]["text"] for row in results if not row["error"]] == ["C"] * 5
    assert got["acc"] == pytest.approx(4 / 6) and got["acc_released"] == pytest.approx(4 / 5)
    assert got["acc/indoor"] == pytest.approx(1 / 2) and got["acc/outdoor"] == got["acc/desktop"] == 1
    assert got["acc/Dimensional Measurement"] == pytest.approx(2 / 3)
    assert summary["counts"]["unreadable"] == {"missing": 1} and summary["counts"]["left_out"] == {"malformed": 1}
    assert results[0]["meta"]["options"] == ["1.5 m", "2.5 m", "3.5 m", "4.5 m"]


def test_vsi_bench(tmp_path, clips, chooser, tmp_path_factory):
    path = vsi_bench(tmp_path, clips)
    got = values(run("vsi_bench", chooser, path, tmp_path / "videos", tmp_path / "letters"))
    # "C" is right for medium, distance and route; easy has a second question whose video is missing.
    assert got["acc/object_rel_direction_medium"] == 1 and got["acc/object_rel_direction_easy"] == 0
    assert got["acc/object_rel_direction"] == pytest.approx(1 / 3) and got["acc/object_rel_distance"] == 1
    assert got["overall"] == pytest.approx((1 / 3 + 1 + 1) / 8) == got["overall_released"]
    numbers = teach(tmp_path_factory.mktemp("numbers"), clips, "3")
    summary = run("vsi_bench", numbers, path, tmp_path / "videos", tmp_path / "numbers")
    got = values(summary)
    # |3 - 2.9| / 2.9 = .034 <= .05: all ten thresholds; |3 - 3.3| / 3.3 = .09: nine; 57 of 60 off: none.
    assert got["mra/object_counting"] == got["mra/object_abs_distance"] == 1
    assert got["mra/room_size_estimation"] == pytest.approx(0.9) and got["mra/object_size_estimation"] == 0
    assert got["overall"] == pytest.approx((1 + 1 + 0.9) / 8) == got["overall_released"]
    assert summary["counts"]["unreadable"] == {"missing": 1} and summary["counts"]["left_out"] == {"malformed": 1}


SAID = {
    "the video in [x1": '```json\n{"2": [7, 7, 35, 35], "3": [0, 0, 3.5, 3.5]}\n```',
    "format.": '[{"2": [7, 7, 35, 35]}, {"9": [7, 7, 35, 35]}]',
    "There are 3 bounding boxes": "It starts at 2.0 and ends at 4.0.",
    "Output the start and end": "<think>1 2 3</think>From 1.0 to 4.0 seconds.",
    "identify the person": "A red square.",
}


def answer_by_question(policy, prompts, group_size, params, seeds):
    """A model that gives each of the benchmark's questions an answer of its own."""
    texts = [next(text for words, text in SAID.items() if words in prompt.text) for prompt in prompts]
    nothing = torch.zeros(1)
    return [[Completion(torch.zeros(1, dtype=torch.int64), nothing, nothing, True, text)] for text in texts]


def test_v_star(tmp_path, clips, chooser, monkeypatch):
    path = v_star(tmp_path, clips)
    silent = values(run("v_star", chooser, path, tmp_path / "videos", tmp_path / "silent"))
    assert silent["m_tiou_1"] == silent["m_viou_2"] == silent["exact"] == 0  # it says "C" to everything
    monkeypatch.setattr("videostr.eval.generate.sample_groups", answer_by_question)
    summary = run("v_star", chooser, path, tmp_path / "videos", tmp_path / "out")
    got, results = values(summary), rows(tmp_path / "out" / "results.jsonl")
    assert all(list(row["answers"]) == ["what", "when_1", "where_1", "where_2", "when_2"] for row in results[:4])
    assert got["m_tiou_1"] == pytest.approx((3 / 3 + 3 / 4 + 3 / 5 + 3 / 6 + 0) / 5)
    assert got["m_tiou_2"] == pytest.approx((2 / 3 + 2 / 4 + 2 / 5 + 2 / 6 + 0) / 5)
    assert got["r1@0.7_1"] == pytest.approx(2 / 5) and got["exact"] == pytest.approx(4 / 5)
    # The model sees 56 x 56 pixels, the video has 48: [7, 7, 35, 35] is [6, 6, 30, 30] there, one of three seconds.
    assert got["m_viou_1"] == pytest.approx(4 / 5 / 3) == got["m_viou_2"]
    assert got["ap@0.9_1"] == pytest.approx(4 / 5 / 3) and got["when+where_1"] == pytest.approx(4 / 5)
    # The released code: five numbers in the first answer, exactly two in the second; the missing video is left out.
    assert got["m_tiou_1_released"] == 0 and got["m_tiou_2_released"] == pytest.approx(got["m_tiou_2"] * 5 / 4)
    assert got["m_viou_1_released"] == pytest.approx(1 / 3) and "mam" not in got
    assert summary["counts"]["left_out"] == {"malformed": 1} and summary["counts"]["unreadable"] == {"missing": 1}
    assert math.isclose(results[0]["answers"]["where_1"]["parsed"]["2.0"][2], 30)
