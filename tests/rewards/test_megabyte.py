"""A megabyte of anything is read. A parser that took quadratic time takes minutes a case; there is no clock here."""

import pytest

from videostr.graph import parse_graph
from videostr.graph.columns import parse_graphs
from videostr.rewards import NAMES, load_reward
from videostr.rewards.parse import (
    find_interval,
    parse_box,
    parse_choice,
    parse_interval,
    parse_intervals,
    parse_number,
    parse_segments,
    parse_tube,
    read_answer,
    read_json,
)

MEGABYTE = 1_000_000


def fill(piece):
    return piece * (MEGABYTE // len(piece))


UNITS = [
    "<think>",
    "</think>",
    "<time>",
    "</time>",
    "<answer>",
    "</answer>",
    "<answer>1-2</answer>",
    "<graph>",
    "</graph>",
]
UNITS += [
    "<graph></graph>",
    "\\boxed{",
    "\\boxed{}",
    "{",
    "}",
    "[",
    "]",
    "[]",
    "[[],",
    '"',
    "'",
    '\\"',
    "\\",
    '"\\',
    "{'a':",
]
UNITS += [
    '{"a":1}',
    "5",
    "5.",
    "5-",
    "1-2 ",
    "1,",
    " ",
    "\n",
    "<",
    "/",
    ".",
    "-",
    "a",
    "one ",
    "A or ",
    "five ",
    "nan",
    "\x00\ud800",
]
UNITS += ["5 to ", "5:", "1e", "</think><answer>", "</think> ", "²", '["chair",1,2],', "(1,2),"]

SHAPES = {
    "alone": "{junk}",
    "answer": "<think>a</think><answer>{junk}</answer>",
    "thinking": "<think>{junk}</think><time>[1, 2]</time><answer>B</answer>",
    "graph": "<graph>{junk}</graph>",
    "open": "<think>a</think><answer>{junk}",
    "number": "<answer>5{junk}x</answer>",
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_of_anything_is_read(shape):
    for unit in UNITS:
        text = SHAPES[shape].format(junk=fill(unit))
        assert list(parse_intervals([text])) == [parse_interval(text)]
        parse_interval(text, "paper")
        find_interval(text)
        parse_segments(text)
        parse_choice(text, ["a", "b"])
        parse_number(text, unit="m")
        (parse_box if shape == "number" else parse_tube)(text)  # both read the answer's JSON
        assert parse_graphs([text]).reasons == [parse_graph(text).reason]
        read_answer(text, "boxed")


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_json(unit):
    for text in (fill(unit), "[" + fill(unit), '{"a": "' + fill(unit), "'" + fill(unit)):
        assert read_json(text).reason in ("ok", "empty", "bad_json", "too_deep")


@pytest.mark.parametrize("name", NAMES)
def test_a_megabyte_is_rewarded(name):
    truth = {"spans": [[1, 2]], "duration": 9.0, "answer": "B", "answer_kind": "choice", "options": ["x", "y"]}
    truth["graph"] = {"chair": [[1, 2]]}
    texts = [
        SHAPES[shape].format(junk=fill(unit)) for shape in ("alone", "answer") for unit in ("<think>", "</think> ")
    ]
    batch = load_reward(name)(texts, {key: [value] * 4 for key, value in truth.items()}, tokens=[1] * 4)
    paper = ["</think> "] if name == "spacer" else []  # what its pattern matches; it looks at nothing inside
    assert (batch.total_N > 0).sum() <= 2 * len(paper)
