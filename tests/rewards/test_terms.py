"""Terms against numpy, plain Python and values worked out by hand."""

import json
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st

from videostr.rewards import RewardSpec, TermSpec, load_reward
from videostr.rewards.terms.number import mean_relative_accuracy

GRAPH = {"chair": [[1, 2], [8, 3]], "table": [[5, 5]]}
WRITTEN = '<graph>{"chair": [[1, 2], [8, 3]], "table": [[5, 5]]}</graph>'


def answer(content, think="why"):
    return f"<think>{think}</think><answer>{content}</answer>"


def score(kind, texts, settings=None, tokens=None, groups=None, **columns):
    spec = RewardSpec({"it": TermSpec(kind, options=settings or {})}, ["it"])
    batch = spec(texts, columns, tokens, groups)
    return batch.terms["it"].tolist(), [reason.removeprefix("it/") for reason in batch.reasons]


def test_choice():
    texts = [answer("B"), answer("the red one"), answer("C"), answer("B or C"), "B"]
    options = [["A. x", "B. the red one", "C. y"]] * 5
    truth = ["B", "(b)", "the red one", "B. the red one", "B."]
    assert score("choice", texts, answer=truth, options=options) == (
        [1, 1, 0, 0, 0],
        ["ok", "ok", "ok", "ambiguous", "no_tag"],
    )
    assert score("choice", [r"\boxed{B}"], {"where": "boxed"}, answer=["B"])[0] == [1]
    for wrong in ("D", 1, "nothing", None):
        with pytest.raises(ValueError, match=r"answer\[0\]: expected a letter or the text of one of"):
            score("choice", texts[:1], answer=[wrong], options=options[:1])


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6).filter(lambda y: y != 0)), min_size=1, max_size=20)
)
@fuzz(max_examples=200, deadline=None)
@example([(1.05, 1.0), (0.95, 1.0), (1.5, 1.0), (0.5, 1.0), (10.5, 10.0), (-1.0, 1.0), (5e-324, 5e-324)])
def test_mra_is_vsi_benchs(pairs):
    pred, true = np.array(pairs).T
    with np.errstate(over="ignore"):
        gap = np.abs(pred - true) / np.abs(true)
    expected = np.stack([gap <= 1 - theta for theta in np.linspace(0.5, 0.95, 10)]).mean(0)
    got = mean_relative_accuracy(torch.from_numpy(pred), torch.from_numpy(true))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_numbers():
    texts = [answer("10"), answer("9.2 m"), answer("810 cm"), answer("0"), answer("1e-9"), answer("NaN"), answer("")]
    # 9.2 of 10: off by 8 %, within all limits but 5 %; 8.1 of 10 by 19 %: within .5 … .2, seven of ten.
    values, reasons = score("number", texts, answer=[10, "10", 10.0, 0, 0, 1, 1], unit=[None, "m", "m"] + [None] * 4)
    assert values == pytest.approx([1, 0.9, 0.7, 1, 0, 0, 0])
    assert reasons == ["ok"] * 5 + ["not_finite", "empty"]
    for wrong in ("many", math.nan, None, True, math.inf):
        with pytest.raises(ValueError, match=r"answer\[0\]: expected a finite number"):
            score("number", texts[:1], answer=[wrong])


def test_boxes():
    texts = [answer("[0, 0, 2, 2]"), answer("[1, 1, 3, 3]"), answer("[5, 5, 6, 6]"), answer("[2, 2, 0, 0]")]
    values, reasons = score("box", texts, answer=[[0, 0, 2, 2]] * 4)
    assert values == pytest.approx([1, 1 / 7, 0, 0]) and reasons == ["ok", "ok", "ok", "reversed"]
    with pytest.raises(ValueError, match=r"answer\[0\]: expected \[x1, y1, x2, y2\]"):
        score("box", texts[:1], answer=[[0, 0, 0, 2]])


def test_tubes():
    truth = {"1": [0, 0, 2, 2], "2": [0, 0, 2, 2], "3": [0, 0, 2, 2], "4": None}
    texts = [
        answer('{"1": [0, 0, 2, 2], "2.2": [1, 1, 3, 3], "9": [0, 0, 2, 2]}'),
        answer('[{"timestamp": 2.5, "bbox": [0, 0, 2, 2]}]'),
        answer("{}"),
    ]
    values, reasons = score("tube", texts, answer=[truth] * 3)
    assert values == pytest.approx([(1 + 1 / 7) / 3, 0, 0]) and reasons == ["ok", "ok", "empty"]
    assert score("tube", texts[1:2], {"tolerance": 0.5}, answer=[truth])[0] == pytest.approx([2 / 3])
    as_list = [{"timestamp": 1, "bbox": [0, 0, 2, 2]}]
    assert score("tube", texts[:1], answer=[as_list])[0] == [1]
    for wrong in ({"1": [2, 2, 0, 0]}, {"x": [0, 0, 2, 2]}, {}, 5):
        with pytest.raises(ValueError, match=r"answer\[0\]: expected \{seconds"):
            score("tube", texts[:1], answer=[wrong])


def test_answers_of_any_kind_in_one_batch():
    texts = [answer("B"), answer("10.8"), answer("[0, 0, 2, 2]"), answer('{"1": [0, 0, 2, 2]}'), answer("C")]
    columns = {
        "answer": ["B", 10, [0, 0, 4, 2], {"1": [0, 0, 2, 2], "2": [0, 0, 1, 1]}, "B"],
        "answer_kind": ["choice", "number", "box", "tube", "choice"],
        "options": [["x", "y", "z"], None, None, None, ["x", "y", "z"]],
    }
    values, _ = score("answer", texts, **columns)
    assert values == pytest.approx([1, 0.9, 0.5, 0.5, 0])
    with pytest.raises(ValueError, match=r"answer_kind\[0\]: expected one of .* got 'essay'"):
        score("answer", texts[:1], answer=["B"], answer_kind=["essay"])


def test_museg_by_hand():
    spec = load_reward("museg")
    text = answer("1-3 6-8", think="at 1 to 3, and 6 to 8")
    batch = spec(
        [text, answer("1-3 6-8"), answer("6-8 1-3"), answer("3-1"), answer("")], {"spans": [[[1, 3], [7, 9]]] * 5}
    )
    # Overlap 2 + 1 of 4 and 4 seconds; GIoU of [6, 8] and [7, 9] is 1/3, no gap.
    assert batch.terms["f1"].tolist() == pytest.approx([0.75] * 3 + [0, 0])
    match = (1 + (1 + 1 / 3) / 2) / 2
    # [6, 8] with [1, 3]: hull 7, gap 3; [1, 3] with [7, 9]: hull 8, gap 4.
    crossed = ((1 - 3 / 7) / 2 + (1 - 4 / 8) / 2) / 2
    assert batch.terms["match"].tolist() == pytest.approx([match, match, crossed, 0, 0])
    assert batch.terms["format"].tolist() == pytest.approx([1, 0.6, 0.6, 0, 0])
    assert batch.reasons == ["ok", "format/no_timestamps", "format/no_timestamps", "f1/reversed", "f1/empty"]


def test_timelens_and_time_r1():
    assert load_reward("timelens")(
        ["The event happens in 5.0 - 7.0 seconds."], {"spans": [[5, 8]]}
    ).total_N == pytest.approx(2 / 3)
    batch = load_reward("time_r1")(["<think>a</think><time>[3, 8]</time>"], {"spans": [[[2, 6]]], "duration": [10.0]})
    assert batch.total_N.tolist() == pytest.approx([0.5 * 0.9 * 0.8 + 1])
    with pytest.raises(ValueError, match="column 'duration' is needed and missing"):
        load_reward("time_r1")(["a"], {"spans": [[[2, 6]]]})


def test_grounded_qa_by_hand():
    text = "<think>a</think> at <time>[2, 6]</time> so \\boxed{B}."
    texts = [
        text,
        text.replace("{B}", "{C}"),
        text.replace("[2, 6]", "[4, 8]"),
        text.replace("<think>a</think>", ""),
        text[:-4],
    ]
    columns = {"spans": [[[2, 6]]] * 5, "answer": ["B"] * 5, "options": [["x", "y", "z"]] * 5}
    batch = load_reward("grounded_qa")(texts, columns)
    assert batch.total_N.tolist() == pytest.approx([1, 0.3, 0.8 + 0.2 / 3, 0.9, 0.2])
    assert batch.task_N.tolist() == pytest.approx([0.9, 0.2, 0.7 + 0.2 / 3, 0.9, 0.2])
    empty = "<think>a</think><time>...</time>\\boxed{B}"
    assert load_reward("grounded_qa")([empty], {k: v[:1] for k, v in columns.items()}).terms["format"] == 0


TEXTS = [
    answer("B"),
    "\n" + answer("B") + "\n",
    answer("B") + " so",
    "so " + answer("B"),
    answer("B", think=""),
    answer("", think="a"),
    answer("...", think="a"),
    "<think>a</think>so<answer>B</answer>",
    "<think>a</think><answer>A</answer><answer>B</answer>",
    "<think>a<answer>A</answer></think><answer>B</answer>",
    "<answer>B</answer>",
    "<think>a</think>",
    "<think>a</think><think>b</think><answer>B</answer>",
]


def test_format_by_hand():
    values, reasons = score("format", TEXTS)
    assert values == [1, 1] + [0] * 11
    assert reasons[2:] == [
        "bad_format",
        "no_think",
        "empty_think",
        "empty",
        "empty",
        "bad_format",
        "bad_format",
        "bad_format",
        "no_think",
        "no_tag",
        "bad_format",
    ]
    assert score("format", ["<answer>B</answer>", TEXTS[0]], {"think": False})[0] == [1, 0]


pieces = ["<think>", "</think>", "<answer>", "</answer>", "a", " ", "\n"]


@given(st.lists(st.sampled_from(pieces), max_size=10).map("".join))
@fuzz(max_examples=500, deadline=None)
def test_paper_format_is_spacers_pattern(text):
    expected = re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL) is not None
    assert score("format", [text], {"mode": "paper"})[0] == [float(expected)]


def test_length_looks_at_the_group():
    spec = RewardSpec({"answer": TermSpec("choice"), "length": TermSpec("length", 0.2)}, ["answer"])
    texts = [answer("B"), answer("B"), answer("C"), answer("B"), answer("B"), answer("C")]
    tokens, groups = [400, 100, 400, 320, 512, 400], [0, 0, 0, 1, 1, 1]
    columns = {"answer": ["B"] * 6}
    # Two right ones in both groups; 100 tokens are too few, a wrong one earns nothing.
    assert spec(texts, columns, tokens, groups).terms["length"].tolist() == [1, 0, 0, 1, 1, 0]
    # Alone in its group a right answer earns nothing.
    assert spec(texts, columns, tokens, range(6)).terms["length"].tolist() == [0] * 6
    assert spec(texts, columns, [319, 513, 1, 319, 513, 1]).terms["length"].tolist() == [0] * 6
    with pytest.raises(ValueError, match="tokens: the length term needs"):
        spec(texts, columns)


def test_graph_parts():
    moved = WRITTEN.replace("[5, 5]", "[5, 6]")
    texts = [f"<think>{WRITTEN}</think>", moved, WRITTEN.replace("table", "sofa"), "nothing", "<graph>[]</graph>"]
    values, reasons = score("graph", texts, {"part": "node"}, graph=[GRAPH] * 5)
    # Of three nodes one is a cell off: its class scores 1 - 1 / (10 √2).
    off = 1 - 1 / (10 * math.sqrt(2))
    assert values[:2] == pytest.approx([1, (2 + off) / 3]) and values[3:] == [0, 0] and 0 < values[2] < 2 / 3
    assert reasons == ["ok"] * 3 + ["no_tag", "no_nodes"]
    assert score("graph", [WRITTEN], {"part": "edge"}, graph=[GRAPH])[0] == pytest.approx([1])
    # Turned by 90 degrees: every distance and turn angle stays.
    turned = WRITTEN.replace("[1, 2], [8, 3]", "[-2, 1], [-3, 8]").replace("[5, 5]", "[-5, 5]")
    one_each = {"chair": [[1, 2]], "table": [[5, 5]], "sofa": [[8, 3]]}
    turned = '<graph>{"chair": [-2, 1], "table": [-5, 5], "sofa": [-3, 8]}</graph>'
    assert score("graph", [turned], {"part": "edge"}, graph=[one_each])[0] == pytest.approx([1])
    assert score("graph", [turned], {"part": "edge", "angle": "direction"}, graph=[one_each])[0][0] < 0.8


def test_boxes_of_a_graph():
    def frame(*nodes):
        return {"objects": [{"class": "cup"} | node for node in nodes]}

    def text(*nodes):
        return f"<graph>{json.dumps(frame(*nodes))}</graph>"

    on = {"part": "node", "scale": 4.0, "boxes": True}
    truth = frame({"bbox": [0, 0, 2, 2]})
    texts = [text(node) for node in (
        {"bbox": [0, 0, 2, 2]}, {"bbox": [1, 0, 3, 2]}, {"position": [1, 1]}, {"position": [1, 1], "size": [2, 2]},
        {"position": [1, 1], "bbox": [2, 0, 0, 2]}, {"position": [1, 1], "size": [1e999, 2]}, {"position": [1, 1, 0]},
    )]  # fmt: skip
    values, reasons = score("graph", texts, on, graph=[truth] * 7)
    assert values == pytest.approx([1, (3 / 4 + 1 / 3) / 2, 0.5, 1, 0.5, 0.5, 0]) and set(reasons) == {"ok"}
    assert score("graph", texts[1:3], on | {"boxes": False}, graph=[truth] * 2)[0] == pytest.approx([3 / 4, 1])
    # an extent around its place; 3-D places with boxes of the picture; none at all
    extents, room, bare = (
        frame({"xy": [1, 1], "size": [2, 2]}),
        frame({"xyz": [0, 0, 5], "bbox": [0, 0, 2, 2]}),
        frame({"xy": [1, 1]}),
    )
    seen = [texts[0], text({"xyz": [0, 0, 5], "bbox": [0, 0, 1, 2]}), texts[1]]
    assert score("graph", seen, on, graph=[extents, room, bare])[0] == pytest.approx([1, 0.75, 0.75])
    # boxes decide which is which, and the terms of one spec with boxes and without do not share a matching
    pair = frame({"xy": [1, 1], "bbox": [0, 0, 2, 2]}, {"xy": [1, 2], "bbox": [5, 0, 7, 2]})
    crossed = text({"xy": [1, 1.4], "bbox": [5, 0, 7, 2]}, {"xy": [1, 1.6], "bbox": [0, 0, 2, 2]})
    assert score("graph", [crossed], on, graph=[pair])[0] == pytest.approx([(0.85 + 1) / 2])
    spec = {name: TermSpec("graph", options=on | {"boxes": name == "with"}) for name in ("with", "without")}
    terms = RewardSpec(spec, ["with"])([crossed], {"graph": [pair]}).terms
    assert [terms[name].item() for name in spec] == pytest.approx([(0.85 + 1) / 2, 0.9])
    for wrong in ([-1, 2], [float("inf"), 2]):
        with pytest.raises(ValueError, match=r"graph\[0\]: expected extents"):
            score("graph", texts[:1], on, graph=[frame({"xy": [1, 1], "size": wrong})])
    # a true extent without an area is no box; a true box that is none is no truth
    assert score("graph", [text({"xy": [1, 1]})], on, graph=[frame({"xy": [1, 1], "size": [0, 2]})])[0] == [1]
    for wrong in ([2, 0, 0, 2], "here", [0, 0, float("nan"), 2]):
        with pytest.raises(ValueError, match=r"graph\[0\]: expected objects.* boxes"):
            score("graph", texts[:1], {"part": "node"}, graph=[frame({"xy": [1, 1], "bbox": wrong})])


def test_graphs_over_time_and_without_truth():
    truth = {"frames": [{"t": t, "objects": [{"id": 1, "class": "cup", "position": [t, 0.0, 0]}]} for t in (0, 1, 2)]}
    frame = '{"t": %s, "objects": [{"id": 1, "class": "cup", "position": [%s, 0, 0]}]}'
    texts = [f"<graph>[{frame % (0, 0)}, {frame % (1.2, 1)}, {frame % (2, 2)}, {frame % (7, 9)}]</graph>"] * 2
    texts += [f"<graph>[{frame % (0, 0)}]</graph>", WRITTEN]
    values, reasons = score("graph", texts, {"part": "node"}, graph=[truth, None, truth, str(truth).replace("'", '"')])
    assert values == pytest.approx([1, 0, 1 / 3, 0]) and reasons == ["ok"] * 4
    assert score("graph", texts[:1], {"part": "displacement"}, graph=[truth])[0] == pytest.approx([1])
    for wrong in ({}, 5, {"cup": [[1, 2], [1, 2, 3]]}, {"cup": [[1, math.nan]]}, "no"):
        with pytest.raises(ValueError, match=r"graph\[0\]: expected objects, each with a class"):
            score("graph", texts[:1], graph=[wrong])


def test_gate_opens_above_its_term():
    spec = load_reward("video_str")
    right, wrong = (f"<think>{WRITTEN}</think><answer>{letter}</answer>" for letter in "BC")
    near, far = (f"<think>{WRITTEN}</think><answer>{number}</answer>" for number in (11.9, 13.6))  # MRA 0.7 and 0.3
    columns = {
        "answer": ["B", "B", 10, 10],
        "answer_kind": ["choice", "choice", "number", "number"],
        "graph": [GRAPH] * 4,
    }
    batch = spec([right, wrong, near, far], columns, tokens=[400] * 4)
    assert batch.terms["answer"].tolist() == pytest.approx([1, 0, 0.7, 0.3])
    assert batch.terms["node"].tolist() == [1, 0, 1, 0] == batch.terms["edge"].tolist()
    assert batch.total_N.tolist() == pytest.approx([1 + 1 + 1 + 0.2, 1, 0.7 + 1 + 1 + 0.2, 0.3 + 1 + 0.2])
    assert batch.task_N.tolist() == pytest.approx([2, 0, 1.7, 0.3])
    assert batch.reasons == ["ok"] * 4


def test_true_intervals_that_are_none_are_named():
    for wrong in (
        [[2, 1]],
        [[1, 1]],
        [[1, math.nan]],
        [[0, math.inf]],
        [1, 2, 3],
        ["12", "34"],
        "ab",
        None,
        5,
        [[1, 2], [3]],
    ):
        with pytest.raises(ValueError, match=r"spans\[1\]: expected pairs start < end in seconds, got"):
            score("interval", ["", ""], spans=[[[1, 2]], wrong])
    with pytest.raises(ValueError, match=r"spans\[0\]: expected at least one true interval"):
        score("interval", [""], spans=[[]])
    assert score("interval", ["<time>[1, 2]</time>"], spans=[[1, 2]])[0] == [1]
