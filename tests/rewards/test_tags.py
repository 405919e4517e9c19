"""Finding the answer: the quick way, the state machine and the C++ scanner against one another and by hand."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videostr.rewards.parse import find_section, parse_interval, parse_intervals, read_answer
from videostr.text.tags import _find_any, _find_plain, find_anywhere, says_something

PIECES = ["<think>", "</think>", "<time>", "</time>", "<answer>", "</answer>", "[1, 2]", "[3.25,4]", "[4, 4]", "[5, 4]"]
PIECES += ["a", "é", " ", "\n", "\u2003", "<", "/", "<b>", "<_a>", ".", "\ud800", "1s to 2s", "[1, 2"]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def test_by_hand():
    text = "<think>why</think> <answer> B </answer>!"
    found = find_section(text, "answer")
    assert text[found.start : found.end] == " B " and text[: found.think_end] == "<think>why</think>"
    assert (found.reason, found.thinking, found.has_think) == ("ok", "ok", True)
    assert find_section("<answer>A</answer><answer>B", "answer")[:2] == (8, 9)
    assert find_section("<answer>A</answer>", "time").reason == "no_tag"


@given(texts, st.sampled_from(["time", "answer"]))
@settings(max_examples=1000, deadline=None)
@example("<think><_a></think><time>1</time>", "time")
@example("<think><b></think><time>1</time></time>", "time")
def test_the_quick_way_is_the_state_machine(text, tag):
    quick = _find_plain(text, tag)
    assert quick is None or quick == _find_any(text, tag)
    for plain in (f"<think>a</think>{text}", f"<think>{text}</think><time>[1, 2]</time>"):
        quick = _find_plain(plain, tag)
        assert quick is None or quick == _find_any(plain, tag)


@given(st.lists(texts, max_size=6), st.booleans())
@settings(max_examples=400, deadline=None)
@example(["<think>é</think><time>[1, 2]</time>", "\u2003<think>a</think><time>[1, 2]</time>"], True)
@example(["<time>[123456789.123456789, 999999999.5]</time>"], False)
def test_a_batch_is_read_as_each_text_alone(batch, think):
    batch = batch + [f"<think>{text}</think><time>[1, 2]</time>" for text in batch]
    for mode in ("strict", "paper"):
        assert list(parse_intervals(batch, mode, think)) == [parse_interval(text, mode, think) for text in batch]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 9)), min_size=2, max_size=2))
@settings(max_examples=300, deadline=None)
def test_numbers_of_a_batch_are_pythons_floats(numbers):
    first, second = (f"{value / 1000:.{digits}f}" for value, digits in numbers)
    (parsed,) = parse_intervals([f"<time>[{first},{second}]</time>"], think=False)
    expected = (float(first), float(second))
    assert parsed.span == (expected if expected[0] < expected[1] else None)


def test_batches_refuse_what_is_no_text():
    with pytest.raises(TypeError, match=r"texts\[1\]: expected str, got bytes"):
        parse_intervals(["a", b"b"])
    assert list(parse_intervals([])) == []


def test_says_something():
    assert says_something("<think>é") and says_something("<_a>") and says_something("x<b>")
    assert not says_something("<think> .</b>_\u200b")


@given(st.lists(st.sampled_from(["<g>", "</g>", "x"]), max_size=12).map("".join))
@settings(max_examples=300, deadline=None)
def test_anywhere_is_the_last_closed_pair(text):
    start, end, reason = find_anywhere(text, "g")
    pairs, opened, at = [], None, 0
    while at < len(text):
        if text.startswith("<g>", at):
            opened = at + 3
        elif text.startswith("</g>", at) and opened is not None:
            pairs.append((opened, at))
            opened = None
        at += 1
    assert (start, end) == (pairs[-1] if pairs else (-1, -1))
    assert reason == ("ok" if pairs else "unclosed_tag" if "<g>" in text else "no_tag")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"so \boxed{B}", ("B", "ok")),
        (r"\boxed{A} no, \boxed{\text{B}} it is", (r"\text{B}", "ok")),
        (r"\boxed{B", (None, "unclosed_tag")),
        (r"\boxed{ }", (None, "empty")),
        ("B", (None, "no_tag")),
    ],
)
def test_boxed(text, expected):
    assert read_answer(text, "boxed") == expected
