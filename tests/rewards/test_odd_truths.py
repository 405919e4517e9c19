"""Truths that are none: the error names column and row, what was expected, what came. A model's text never raises."""

import math

import numpy as np
import pytest
import torch

from videostr.rewards import RewardSpec
from videostr.rewards.spec import TermSpec

TEXT = '<think>1 2</think><answer>1 - 2</answer><time>[1, 2]</time><graph>[["chair", 1, 2]]</graph>'
GOOD = {"spans": [(1.0, 2.0)], "duration": 20.0, "options": ["red", "blue"], "unit": "m", "answer_kind": "choice"}
HUGE = 10**400
NEVER = [
    "",
    "x",
    math.nan,
    math.inf,
    HUGE,
    [None],
    [["a", 1]],
    [[2, 1]],
    [[1, HUGE]],
    [1, 2, 3],
    [[1, 2], 3],
    {"1": None},
    {"1": "x"},
    {"frames": 3},
    {"objects": [{"class": "chair"}]},
    [["chair", 1, math.nan]],
    [["chair", 1, 2], ["table", 1, 2, 3]],
    [["chair", 1, 2], ["table", 1]],
    {"chair": [[1, 2]], "table": 3},
    b"ab",
    object(),
    {1, 2},
    torch.ones(2),
]
# term, its options, the column, and what is none there besides
COLUMNS = [
    ("interval", {}, "spans", [None, 3, "20", [], [[1, 2, 3]]]),
    ("segments", {}, "spans", [None, 3, "20", [], [[1, 2, 3]]]),
    ("interval", {"kind": "time_r1"}, "duration", [None, "20", "0:20", 0, -1, True, [20.0], np.ones(2)]),
    ("choice", {}, "answer", [None, 3, "C", "", []]),
    ("choice", {}, "options", [3, True, [], {}, {"B": "red"}, [1, 2]]),
    ("number", {}, "answer", [None, "", "3 m", True, [3]]),
    ("number", {}, "unit", ["furlong", 3, [], {}, True]),
    ("box", {}, "answer", [None, 3, [3, 4, 1, 2], [1, 2, 3, "4"]]),
    ("tube", {}, "answer", [None, 3, [], {}, {"A": 1}, {"1": [1, 2, 3, 4], "x": [1, 2, 3, 4]}, [{"timestamp": 1}]]),
    ("answer", {}, "answer_kind", [None, 3, "words", ["choice"], np.ones(2)]),
    ("graph", {}, "graph", [3, [], {}, {"frames": []}, {"frames": [{"t": 0, "objects": 1}]}, {"chair": [[1]]}]),
]


@pytest.mark.parametrize("term,options,column,more", COLUMNS, ids=[f"{c[0]}-{c[2]}" for c in COLUMNS])
def test_the_error_names_column_and_row(term, options, column, more):
    spec = RewardSpec(terms={"a": TermSpec(type=term, options=options)}, task=["a"])
    good = GOOD | {"answer": 3 if term == "number" else "A"}
    for odd in NEVER + more:
        if column == "options" and isinstance(odd, list | set | torch.Tensor):
            odd = [3]  # else texts, or what the cases by hand are about
        with pytest.raises(ValueError) as caught:
            spec([TEXT], {name: [odd if name == column else value] for name, value in good.items()} | {column: [odd]})
        message = str(caught.value)
        assert message.startswith(f"{column}[0]: expected ") and ", got " in message, (odd, message)
        assert len(message) < 400


def test_the_row_is_the_one_that_is_wrong():
    spec = RewardSpec(terms={"a": TermSpec(type="interval", options={"kind": "time_r1"})}, task=["a"])
    with pytest.raises(ValueError, match=r"duration\[1\]: expected seconds > 0, a number, got '20'"):
        spec([TEXT] * 2, {"spans": [(1.0, 2.0)] * 2, "duration": [np.float32(20), "20"]})
    with pytest.raises(ValueError, match="column 'duration' is needed and missing"):
        spec([TEXT], {"spans": [(1.0, 2.0)]})
    graph = RewardSpec(terms={"a": TermSpec(type="graph")}, task=["a"])
    with pytest.raises(ValueError, match=r"graph\[1\]: expected objects"):
        graph([TEXT] * 2, {"graph": [[["chair", 1, 2]], '[["chair", 1, 2], ["table", "x", 2]]']})
