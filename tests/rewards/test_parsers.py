"""Segments, choices, numbers, boxes, tubes and graphs, by hand."""

import json
import math

import pytest

from videostr.graph import parse_graph
from videostr.rewards.parse import (
    REASONS,
    find_interval,
    parse_box,
    parse_choice,
    parse_number,
    parse_segments,
    parse_tube,
    read_json,
)


def answer(content, think="why: 1 2 5 7"):
    return f"<think>{think}</think><answer>{content}</answer>"


@pytest.mark.parametrize(
    ("content", "spans"),
    [
        ("1-2 5-7", ((1, 2), (5, 7))),
        ("1.00-2.00", ((1, 2),)),
        ("[[1, 2], [5, 7]]", ((1, 2), (5, 7))),
        ("[1, 2]; [5, 7]", ((1, 2), (5, 7))),
        ("1, 2, 5, 7", ((1, 2), (5, 7))),
        ("1 to 2 and 5 to 7", ((1, 2), (5, 7))),
        ("00:01-00:02, 5s - 7s", ((1, 2), (5, 7))),
        ("5-7 1-2", ((5, 7), (1, 2))),
    ],
)
def test_segments(content, spans):
    parsed = parse_segments(answer(content))
    assert parsed.spans == spans and parsed.format_ok


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("[]", "empty"),
        ("1-2-3", "bad_number"),
        ("1-2.3.4-5", "bad_number"),
        ("1-2 x", "bad_number"),
        ("1-2 7-5", "reversed"),
        ("1-2 5-5", "zero_length"),
        ("-1-2", "negative"),
        ("nan-2", "not_finite"),
        ("1-2 " * 1001, "too_long"),
    ],
)
def test_segments_that_are_none(content, reason):
    assert parse_segments(answer(content)) == ((), False, False, reason)


def test_segments_format():
    assert parse_segments(answer("1-2 5-7"))[1:] == (True, True, "ok")
    assert parse_segments(answer("1.0-2 5-7.00", think="from 1.00 to 2; 5 … 7"))[1:] == (True, True, "ok")
    assert parse_segments(answer("1-2 5-8"))[1:] == (True, False, "no_timestamps")
    assert parse_segments(answer("1-2", think="12 or 1" + " 2" * 11))[1:] == (True, False, "no_timestamps")
    assert parse_segments(answer("1-2") + " so")[1:] == (False, False, "bad_format")
    assert parse_segments("<answer>1-2</answer>")[1:] == (False, False, "no_think")


OPTIONS = ["A. left of it", "B. the red one", "the blue one", "none"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("B", "B"),
        ("b", "B"),
        (" (B) ", "B"),
        ("B.", "B"),
        ("**B**", "B"),
        ("[C]", "C"),
        ("Option D", "D"),
        ("The answer is B.", "B"),
        ("The correct answer: (C)", "C"),
        ("B. the red one", "B"),
        ("C: The  Blue one.", "C"),
        ("the blue one", "C"),
        ("answer: none", "D"),
        ("A or B", "ambiguous"),
        ("A, C", "ambiguous"),
        ("(A) and (B)", "ambiguous"),
        ("B. the blue one", "ambiguous"),
        ("E", "out_of_range"),
        ("A dog is there", "no_choice"),
        ("perhaps", "no_choice"),
        ("", "empty"),
        ("...", "no_choice"),
        ("B" + " " * 10 + "x" * 600, "too_long"),
    ],
)
def test_choice(content, expected):
    parsed = parse_choice(answer(content), OPTIONS)
    assert (parsed.letter or parsed.reason) == expected and (parsed.reason == "ok") == (parsed.letter is not None)


def test_choice_without_options():
    assert parse_choice(answer("E")).letter == "E"
    assert parse_choice(answer("E"), count=4).reason == "out_of_range"
    assert parse_choice(r"so \boxed{B}", where="boxed").letter == "B"
    assert parse_choice("B").reason == "no_tag"
    assert parse_choice(answer("same"), ["same", "same"]).reason == "ambiguous"


@pytest.mark.parametrize(
    ("content", "unit", "expected"),
    [
        ("5", None, 5),
        ("-5.25", None, -5.25),
        ("−3", None, -3),
        (".5", None, 0.5),
        ("1,234.5", None, 1234.5),
        ("1,234,567", None, 1234567),
        ("1.5e3", None, 1500),
        ("about 3 chairs.", None, 3),
        ("50%", None, 50),
        ("five", None, 5),
        ("Twenty-one chairs", None, 21),
        ("eighty", None, 80),
        ("5 m", "m", 5),
        ("500 cm", "m", 5),
        ("5", "m", 5),
        ("1.5 meters", "cm", 150),
        ("2 km/h", "km/h", 2),
        ("5 m^2", "m2", 5),
        ("90°", "deg", 90),
        ("3 or 4", None, "ambiguous"),
        ("3,5", None, "ambiguous"),
        ("1/2", None, "ambiguous"),
        ("3 m 20 cm", "m", "ambiguous"),
        ("1.2.3", None, "ambiguous"),
        ("2x4", None, "ambiguous"),
        ("five or six", None, "ambiguous"),
        ("a chair", None, "bad_number"),
        ("٥", None, "bad_number"),
        ("5 s", "m", "bad_number"),
        ("5 m2", "m", "bad_number"),
        ("NaN", None, "not_finite"),
        ("-inf", None, "not_finite"),
        ("1e999", None, "not_finite"),
        ("", None, "empty"),
        ("5" * 400, None, "too_long"),
    ],
)
def test_number(content, unit, expected):
    parsed = parse_number(answer(content), unit=unit)
    assert parsed == ((None, expected) if isinstance(expected, str) else (pytest.approx(expected), "ok"))


def test_number_names_an_unknown_unit():
    with pytest.raises(ValueError, match="unit: expected one of .*'m'.* got 'furlong'"):
        parse_number("", unit="furlong")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, 2, 30, 40]", (1, 2, 30, 40)),
        ("1, 2, 30, 40", (1, 2, 30, 40)),
        ("(1,2),(30,40)", (1, 2, 30, 40)),
        ("[[1, 2], [30, 40]]", (1, 2, 30, 40)),
        ("[[1, 2, 30, 40]]", (1, 2, 30, 40)),
        ('```json\n{"bbox_2d": [1, 2, 30, 40], "label": "cup"}\n```', (1, 2, 30, 40)),
        ("{'xmin': 1, 'ymin': 2, 'xmax': 30, 'ymax': 40}", (1, 2, 30, 40)),
        ("The box is [1, 2, 30, 40].", (1, 2, 30, 40)),
        ("[1, 2, 30, 40], [5, 6, 7, 8]", "ambiguous"),
        ("[30, 2, 1, 40]", "reversed"),
        ("[1, 2, 1, 40]", "zero_length"),
        ("[1, 2, NaN, 40]", "not_finite"),
        ("[1, 2, 1e999, 40]", "not_finite"),
        ("[1, 2, 3]", "bad_box"),
        ("[1, 2, true, 4]", "bad_box"),
        ("nowhere", "bad_box"),
        ("[" * 100, "too_deep"),
        ("", "empty"),
    ],
)
def test_box(content, expected):
    assert parse_box(answer(content)) == ((None, expected) if isinstance(expected, str) else (expected, "ok"))


BOX = (1.0, 2.0, 30.0, 40.0)


@pytest.mark.parametrize(
    "content",
    [
        '{"1.5": [1, 2, 30, 40], "2": [1, 2, 30, 40]}',
        '{"boxes": {"1.5 s": [1, 2, 30, 40], "00:02": [1, 2, 30, 40]}}',
        '[{"timestamp": 1.5, "bbox": [1, 2, 30, 40]}, {"time": "2s", "box": [[1, 2], [30, 40]]}]',
        "[[1.5, 1, 2, 30, 40], [2, [1, 2, 30, 40]]]",
        '{"1.5": [1, 2, 30, 40], "2": [9, 9, 10, 10], "2.0": [1, 2, 30, 40], "3": [5], "-1": [1, 2, 30, 40]}',
    ],
)
def test_tube(content):
    assert parse_tube(answer(content)) == ({1.5: BOX, 2.0: BOX}, "ok")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{}", "empty"), ("[1, 2, 3, 4]", "bad_number"), ('{"1": [4, 3, 2, 1]}', "reversed"), ("5", "bad_box")],
)
def test_tubes_that_are_none(content, reason):
    assert parse_tube(answer(content)) == ({}, reason)


def graph(content, tag="graph"):
    parsed = parse_graph(f"<think>see <{tag}>{content}</{tag}></think>")
    return parsed.reason, [(time, [tuple(node[:3]) for node in nodes]) for time, nodes, _ in parsed.frames]


def test_every_way_of_writing_a_graph():
    nodes = [("red chair", (3.0, 4.0), None), ("red chair", (5.0, 7.0), None), ("table", (9.0, 3.0), None)]
    for content in (
        '{"red chair": [[3, 4], [5, 7]], "table": [9, 3]}',
        "{'Red_Chair': [(3, 4), (5, 7)], table: [[9, 3]],",
        '[["red chair", 3, 4], ["red chair", [5, 7]], ["table", 9, 3]]',
        '{"objects": [{"class": "red chair", "position": [3, 4]}, {"name": "red  chair", "x": 5, "y": 7}, '
        '{"label": "table", "bbox": [8, 2, 10, 4]}, {"class": "nowhere"}, {"position": [1, 2]}, 5]}',
    ):
        assert graph(content) == ("ok", [(None, nodes)])
    assert graph('{"red chair": [[3, 4], [5, 7]], "table": [9, 3]}', "map") == ("ok", [(None, nodes)])


def test_graphs_over_time():
    expected = [(0.0, [("cup", (1.0, 2.0, 0.5), "7")]), (1.5, [("cup", (2.0, 2.0, 0.5), "7")])]
    node = '{"id": 7, "class": "cup", "position": [%d, 2, 0.5]}'
    one, two = node % 1, node % 2
    assert graph(f'{{"frames": [{{"t": 0, "objects": [{one}]}}, {{"time": "1.5s", "nodes": [{two}]}}]}}') == (
        "ok",
        expected,
    )
    assert graph(f'{{"0": [{one}], "1.5": [{two}]}}') == ("ok", expected)
    assert graph(f'{{"frames": {{"0": {{"objects": [{one}]}}, "1.5": [{two}]}}}}') == ("ok", expected)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("no", "bad_json"),
        ("[]", "no_nodes"),
        ('{"chair": [1]}', "no_nodes"),
        ("[" * 2000 + "]" * 2000, "too_deep"),
        (json.dumps([["a", 1, 2]] * 1025), "too_long"),
    ],
)
def test_graphs_that_are_none(content, reason):
    assert graph(content) == (reason, [])


def test_the_last_graph_counts_and_an_open_one_does_not():
    one, two = '<graph>[["a", 1, 1]]</graph>', '<graph>[["b", 1, 1]]</graph>'
    assert parse_graph(one + two + "<graph>[").frames[0][1][0].name == "b"
    assert parse_graph("<graph>[").reason == "unclosed_tag" and parse_graph("").reason == "no_tag"
    ((_, (node,), _),) = parse_graph('<graph>[["a", 1, NaN]]</graph>').frames
    assert math.isnan(node.position[1])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        ("{'a': (1, 2), b: 'it\\'s',}", {"a": [1, 2], "b": "it\\'s"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("{a: 1, a: 2}", {"a": 2}),
        ('[1, 2, [3, {"b": 4', [1, 2, [3, {"b": 4}]]),
        ("```json\n[1]\n```", [1]),
        ("[1] and [2]", [[1], [2]]),
        ("[None, True, false, inf]", [None, True, False, math.inf]),
        ('{"a": "open', {"a": "open"}),
        ("{1: 2, [3]: 4}", {"1": 2}),
        ("[1 2] ]", [1, 2]),
        ("{'a' 1, 'b': 2}", {"b": 2}),
    ],
)
def test_tolerant_json(text, value):
    assert read_json(text) == (value, "ok")


def test_plain_words():
    assert find_interval("The event happens in 5.2 - 7 seconds.") == ((5.2, 7), True, "ok")
    assert find_interval("from 00:05 to 1:09, or 7 - 9") == ((5, 69), True, "ok")
    assert find_interval("<think>1 - 2</think>3s to 9s") == ((3, 9), True, "ok")
    assert find_interval("1 - 2 <answer>3 and 9</answer>") == ((3, 9), True, "ok")
    assert find_interval("9 - 3 seconds") == (None, False, "reversed")
    for text, reason in (("", "empty"), ("soon", "bad_number"), ("<think>1 - 2", "unclosed_think"), ("1-2-3-", "ok")):
        assert find_interval(text).reason == reason


@pytest.mark.parametrize(
    "parser", [parse_segments, parse_choice, parse_number, parse_box, parse_tube, parse_graph, find_interval]
)
def test_wrong_arguments_are_named(parser):
    with pytest.raises(TypeError, match="text: expected str, got bytes"):
        parser(b"")


def test_reasons_are_distinct():
    assert len(set(REASONS)) == len(REASONS)
