"""Reading a narration as an interval, and what is said of a stage's answers."""

import pytest

from benchmarks.grounding import describe, narrated


@pytest.mark.parametrize(
    "text,span",
    [
        ("0 no 1 red 2 red 3 no", [1.0, 3.0]),
        ("<think>0 no 1 no 2 blue</think><time>[4.0, 5.0]</time>", [2.0, 2.5]),
        ("0 no 1 no", [0.0, 0.0]),
        ("", [0.0, 0.0]),
    ],
)
def test_narrated(text, span):
    assert narrated(text, duration=2.5 if "blue" in text else 4.0) == span


def test_describe_counts_near_answers_only_as_late():
    def row(text, pred, start, iou):
        return {"text": text, "duration": 9.0, "pred": pred, "spans": [[start, start + 2.0]], "iou": iou}

    rows = [row("1 red 2 red", [1.5, 3.5], 1.0, 0.6), row("0 no", [8.0, 9.0], 2.0, 0.0), row("", None, 3.0, 0.0)]
    assert describe(rows) == "narration 0.333, late by +0.50 s and +0.50 s, correlation of starts 1.00"
    assert describe(rows[2:]) == "narration 0.000"
