"""Spatio-temporal reasoning: what a row keeps and what the rows come to, whatever reward the model was trained with."""

import pytest

from videostr.data.samples import Sample
from videostr.eval.spatial import SpatialTask
from videostr.rewards import load_reward, score_answers

GRAPH = {"objects": [[1, "chair", 2, 2], [2, "table", 8, 2], [3, "bed", 2, 6]]}
TRUTH = '<graph>{"objects":[[1,"chair",2,2],[2,"table",8,2],[3,"bed",2,6]]}</graph>'
TURNED = '<graph>{"objects":[[1,"chair",2,2],[2,"table",2,8],[3,"bed",-2,2]]}</graph>'  # by 90 degrees about the chair
MIRRORED = '<graph>{"objects":[[1,"chair",2,2],[2,"table",8,2],[3,"bed",2,-2]]}</graph>'


def sample(kind, answer, task, **meta):
    meta |= {"answer_kind": kind, "answer": answer, "task": task, "graph": GRAPH}
    return Sample(f"{kind}-{task}", "v.mp4", "q", ((0.0, 1.0),), source="scannet", meta=meta)


CHOICE = sample("choice", "B", "relative direction", options=["left", "right"])
NUMBER = sample("number", 2.0, "relative distance", unit="m")
BOX = sample("box", [0, 0, 500, 500], "object localisation")


def rows_of(task, sample, *texts):
    return task.rows(sample, texts, score_answers(task.reward, sample, texts, [50] * len(texts)))


def said(graph, answer):
    return f"<think>{graph}</think><answer>{answer}</answer>"


def test_graph_parts_see_what_they_should():
    task = SpatialTask(load_reward("video_str"))
    true, turned, mirrored, none = rows_of(
        task, CHOICE, said(TRUTH, "B"), said(TURNED, "A"), said(MIRRORED, "A"), "<answer>B</answer>"
    )
    for part in ("node", "distance", "angle", "direction"):
        assert true[part] == 1.0 and none[part] == 0.0
    # Turned as a whole: the edges' lengths and turns are the same, places and directions are not.
    assert turned["distance"] == 1.0 and turned["angle"] == pytest.approx(1.0)
    assert turned["node"] < 0.8 and turned["direction"] == pytest.approx(0.5)
    assert mirrored["distance"] == 1.0 and mirrored["angle"] < 0.7
    assert (true["score"], turned["score"], none["score"], none["format"]) == (1.0, 0.0, 1.0, 0.0)


def test_metrics_by_kind_and_task():
    task = SpatialTask(load_reward("video_str"))
    rows = [
        *rows_of(task, CHOICE, said(TRUTH, "B"), said(TRUTH, "A")),
        *rows_of(task, NUMBER, said(TRUTH, "2"), said(TRUTH, "9")),
        *rows_of(task, BOX, said(TRUTH, "[0, 0, 500, 250]")),
    ]
    metrics = task.metrics(rows)
    assert (metrics["accuracy"], metrics["mra"], metrics["iou"]) == (0.5, 0.5, 0.5)
    assert metrics["score"] == 0.5 and metrics["samples"] == 5 and metrics["format"] == 1.0
    assert metrics["distance_error"] == 0.0 and metrics["angle_error"] == 0.0
    assert metrics["tasks"]["relative distance"] == {"mra": {"score": 0.5, "samples": 2}}
    assert set(metrics["tasks"]) == {"relative direction", "relative distance", "object localisation"}


def test_errors_are_in_cells_and_degrees():
    task = SpatialTask(load_reward("video_str"))
    moved = TRUTH.replace('"table",8,2', '"table",9,2')  # one edge a cell longer, another by 0.85
    metrics = task.metrics(rows_of(task, CHOICE, said(moved, "B")))
    assert metrics["distance_error"] == pytest.approx((1 + (65**0.5 - 52**0.5)) / 3)
    assert 0 < metrics["angle_error"] < 10


def test_what_is_measured_does_not_depend_on_the_reward():
    text = said(TURNED, "B")
    ours, theirs = (rows_of(SpatialTask(load_reward(name)), CHOICE, text) for name in ("video_str", "spacer"))
    assert ours == theirs


def test_a_kind_that_is_not_there_has_no_score():
    task = SpatialTask(load_reward("video_str"))
    metrics = task.metrics(rows_of(task, NUMBER, said(TRUTH, "2")))
    assert "accuracy" not in metrics and metrics["score"] == metrics["mra"] == 1.0
