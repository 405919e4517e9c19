"""White space in answers, columns of other trainers, samples without a truth, options by letter."""

import json

import numpy as np
import pytest

from videostr.config import from_dict
from videostr.data import Sample
from videostr.integrations.columns import plain_columns
from videostr.integrations.verl import compute_score
from videostr.rewards import RewardSpec, load_reward, parse_interval
from videostr.rewards.parse import parse_choice, parse_segments
from videostr.rewards.parse.interval import find_interval
from videostr.rewards.score import score_answers

WIDE = " " * 1500  # where runs are divided in every way, hours


@pytest.mark.parametrize("space", [WIDE, "\n\t" * 600])
def test_long_white_space(space):
    gaps = f"1{space[:60]},{space[:60]}2"
    assert parse_interval(f"<think>a</think><time>[{gaps}]</time>").span == (1.0, 2.0)
    assert parse_interval(f"<think>a</think><time>[{gaps}x</time>").reason == "bad_number"
    assert parse_segments(f"<think>1 2</think><answer>1{space}-{space}2</answer>").spans == ((1.0, 2.0),)
    assert parse_segments(f"<think>a</think><answer>1{space},{space}x</answer>").reason == "bad_number"


def test_columns_do_not_mix():
    terms = {"a": {"type": "number"}, "b": {"type": "interval", "options": {"kind": "time_r1"}}}
    spec = from_dict(RewardSpec, {"terms": terms, "task": ["a"]}, "test", "here")
    columns = {"answer": np.array([3, 4, 5]), "duration": np.array([20, 30, 40]), "spans": [[[1, 2]]] * 3}
    found = plain_columns(spec, columns)
    assert found["answer"] == [3, 4, 5] and found["duration"] == [20, 30, 40]


def test_one_column_of_the_data_for_two_of_ours():
    terms = {"a": {"type": "choice"}, "b": {"type": "box"}, "c": {"type": "interval"}}
    spec = from_dict(
        RewardSpec, {"terms": terms, "task": ["c"], "columns": {"spans": "truth", "answer": "truth"}}, "", ""
    )
    assert spec.needs == ("duration", "options", "truth")  # each once
    interval = from_dict(
        RewardSpec, {"terms": {"c": {"type": "interval"}}, "task": ["c"], "columns": {"spans": "truth"}}, "test", "here"
    )
    assert interval(["<think>a</think><time>[1, 2]</time>"], {"truth": [[(1, 2)]]}).total_N.tolist() == [1.0]


def test_a_sample_without_a_graph():
    text = "<think>it is there</think><answer>B</answer>"
    truth = {"answer": "B", "answer_kind": "choice", "graph": None}
    assert compute_score("x", text, truth, {"response_length": 400}, reward="video_str")["answer"] == 1
    sample = Sample(id="a", video="v.mp4", query="q", spans=((0.0, 1.0),), meta=truth)
    assert score_answers(load_reward("video_str"), sample, [text], [400]).terms["answer"].tolist() == [1.0]


@pytest.mark.parametrize("name", ["score", "reason"])
def test_names_that_trainers_use(name):
    with pytest.raises(ValueError, match=f"terms.{name}: this name"):
        RewardSpec(**{"terms": {name: _term("choice")}, "task": [name]})


def test_a_gate_that_is_no_number():
    spec = {"terms": {"a": {"type": "choice"}, "f": {"type": "format", "gate": {"term": "a", "above": float("nan")}}}}
    with pytest.raises(Exception, match="gate.above: expected a finite number"):
        from_dict(RewardSpec, spec | {"task": ["a"]}, "test", "here")


@pytest.mark.parametrize("options", [{"A": "red", "B": "blue"}, json.dumps({"A": "red", "B": "blue"}), ["red", "blue"]])
def test_options_by_letter(options):
    spec = RewardSpec(terms={"choice": _term("choice")}, task=["choice"])
    texts = [f"<think>x</think><answer>{answer}</answer>" for answer in ("blue", "B", "red")]
    batch = spec(texts, {"answer": ["B"] * 3, "options": [options] * 3})
    assert batch.total_N.tolist() == [1.0, 1.0, 0.0]


def test_options_that_are_none():
    spec = RewardSpec(terms={"choice": _term("choice")}, task=["choice"])
    for options in ({"B": "red", "C": "blue"}, "red, blue", [str(i) for i in range(27)], [1, 2]):
        with pytest.raises(ValueError, match=r"options\[0\]: expected"):
            spec(["<answer>A</answer>"], {"answer": ["A"], "options": [options]})
    assert parse_choice("<answer>opt 27</answer>", [f"opt {i + 1}" for i in range(30)]).letter is None


def test_words_behind_nothing():
    assert find_interval("<think>x</think>").reason == "empty"


def _term(kind):
    from videostr.rewards.spec import TermSpec

    return TermSpec(type=kind)
