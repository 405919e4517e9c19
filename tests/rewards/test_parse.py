"""The parser against the cases that papers.md lists as faults of the released one, and against anything at all."""

import math
import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videostr.rewards import REASONS, parse_interval

THINK = "<think>The ball enters.</think>"


def strict(content, think=THINK):
    return parse_interval(f"{think}<time>{content}</time>")


@pytest.mark.parametrize(
    ("content", "span"),
    [
        ("[5, 7]", (5, 7)),
        ("[5.25, 7.5]", (5.25, 7.5)),
        ("5, 7", (5, 7)),
        ("(5, 7)", (5, 7)),
        ("[5, 7", (5, 7)),
        ("5, 7]", (5, 7)),
        ("[5.2s, 7s]", (5.2, 7)),
        ("5.2 seconds to 7 sec", (5.2, 7)),
        ("5 to 7", (5, 7)),
        ("5 - 7", (5, 7)),
        ("5–7", (5, 7)),
        ("[00:05, 00:07.5]", (5, 7.5)),
        ("1:02:03, 1:02:10", (3723, 3730)),
        ("00:05 - 65", (5, 65)),
        ("[90:00, 91:30]", (5400, 5490)),
        (" [ 5 ,\n7 ] ", (5, 7)),
        (".5, 1.", (0.5, 1)),
        ("5e-1, 1E1", (0.5, 10)),
        ("[+5, 7]", (5, 7)),
        ("[-0, 7]", (0, 7)),
    ],
)
def test_strict_reads_every_common_way_of_writing_seconds(content, span):
    assert strict(content) == (pytest.approx(span), True, "ok")
    assert math.copysign(1, strict(content).span[0]) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("[]", "empty"),
        ("[ , ]", "empty"),
        ("[5]", "bad_number"),
        ("[5, 7, 9]", "bad_number"),
        ("[five, seven]", "bad_number"),
        ("[5.2.1, 7]", "bad_number"),
        ("[5, 7] or [8, 9]", "bad_number"),
        ("[00:75, 02:00]", "bad_number"),
        ("[1:60:00, 2:00:00]", "bad_number"),
        ("٥, ٧", "bad_number"),  # digits of another script are no seconds in the prompt's format
        ("5" * 300 + ", 7", "bad_number"),
        ("[NaN, NaN]", "not_finite"),
        ("[nan, 7]", "not_finite"),
        ("[0, inf]", "not_finite"),
        ("[0, 1e999]", "not_finite"),
        ("[0, -Infinity]", "not_finite"),
        ("[-5, 7]", "negative"),
        ("-5 - 7", "negative"),
        ("[−5, 7]", "negative"),
        ("[7, 5]", "reversed"),
        ("[5, 5]", "zero_length"),
    ],
)
def test_strict_gives_nothing_for_an_interval_that_is_none(content, reason):
    assert strict(content) == (None, False, reason)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n<think>a</think><time>[1, 2]</time>", ((1, 2), True, "ok")),
        ("<think>a</think> So: <time>[1, 2]</time> as said.\n", ((1, 2), True, "ok")),
        ("<think>a<time>[8, 9]</time></think><time>[1, 2]</time>", ((1, 2), True, "ok")),
        ("<think>a<time>[8, 9]</time></think>", (None, False, "no_tag")),
        ("<think>a</think><time>[8, 9]</time> no, <time>[1, 2]</time>", ((1, 2), True, "ok")),
        ("<think>a</think><time>[1, 2]</time><think>or <time>[8, 9]</time></think>", ((1, 2), True, "ok")),
        ("<think>a</think><time>[1, 2]</time> and <time>[8, ", ((1, 2), True, "ok")),
        ("<think>a</think><time>oh <time>[1, 2]</time>", ((1, 2), True, "ok")),
        ("<think>a</think><time>[1, 2", (None, False, "unclosed_tag")),
        ("<think>a <time>[1, 2]</time>", (None, False, "unclosed_think")),
        ("<think>a</think>[1, 2]", (None, False, "no_tag")),
        ("<think>a</think>[1, 2]</time>", (None, False, "no_tag")),
        ("", (None, False, "no_tag")),
        ("<time>[1, 2]</time>", ((1, 2), False, "no_think")),
        ("Well. <think>a</think><time>[1, 2]</time>", ((1, 2), False, "no_think")),
        ("<time>[1, 2]</time><think>a</think>", ((1, 2), False, "no_think")),
        ("a</think><time>[1, 2]</time>", ((1, 2), False, "no_think")),  # the thinking was opened in the prompt
        ("<time>[8, 9]</time></think><time>[1, 2]</time>", ((1, 2), False, "no_think")),
        ("<think></think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
        ("<think> \n</think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
        ("<think>\u200b...</think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
        ("<think><br/><h1></H1><b ></think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
        ("<think>1<br>2</think><time>[1, 2]</time>", ((1, 2), True, "ok")),
        ("<think><think></think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
        ("<think></think><think>a</think><time>[1, 2]</time>", ((1, 2), False, "empty_think")),
    ],
)
def test_strict_structure(text, expected):
    assert parse_interval(text) == expected


def test_without_thinking():
    assert parse_interval("<time>[1, 2]</time>", think=False) == ((1, 2), True, "ok")
    assert parse_interval("It is <time>[1, 2]</time>", think=False) == ((1, 2), True, "ok")
    assert parse_interval(f"{THINK}<time>[1, 2]</time>", think=False) == ((1, 2), False, "unexpected_think")
    assert parse_interval("<time>[1, 2]</time>", mode="paper", think=False).format_ok
    assert not parse_interval("\n<time>[1, 2]</time>", mode="paper", think=False).format_ok


# Each fault that is known of the released parser: (text, the paper's span and format, ours).
FAULTS = {
    "a leading newline loses the format reward": (
        f"\n{THINK}<time>[1, 2]</time>",
        ((1, 2), False),
        ((1, 2), True),
    ),
    "the first tag counts, even inside the thinking": (
        "<think>Maybe <time>[8, 9]</time>?</think><time>[1, 2]</time>",
        ((8, 9), True),
        ((1, 2), True),
    ),
    "a unit scores 0": (f"{THINK}<time>[5.2s, 7s]</time>", (None, True), ((5.2, 7), True)),
    "minutes and seconds score 0": (f"{THINK}<time>[00:05, 00:07]</time>", (None, True), ((5, 7), True)),
    "a missing bracket scores 0": (f"{THINK}<time>[5, 7</time>", (None, True), ((5, 7), True)),
    "NaN earns the format reward": (f"{THINK}<time>[NaN, NaN]</time>", (None, True), (None, False)),
    "a reversed interval earns the format reward": (f"{THINK}<time>[7, 5]</time>", (None, True), (None, False)),
    "an empty tag earns the format reward": (f"{THINK}<time></time>", (None, True), (None, False)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_released_parser(fault):
    text, paper, ours = FAULTS[fault]
    assert parse_interval(text, mode="paper")[:2] == paper
    assert parse_interval(text)[:2] == ours


# Pieces that answers are made of, so that the fuzzer reaches the tags at all.
PIECES = [
    "<think>",
    "</think>",
    "<time>",
    "</time>",
    "[",
    "]",
    ",",
    "5",
    "7.5",
    "-",
    "to",
    "s",
    "00:05",
    "nan",
    "\n",
    " ",
    "a",
    "<",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


@given(texts, st.sampled_from(["strict", "paper"]), st.booleans())
@settings(max_examples=400, deadline=None)
@example("\ud800<time>[\x00, \ud800]</time>", "strict", True)
def test_anything_is_read_without_a_crash(text, mode, think):
    span, format_ok, reason = parse_interval(text, mode, think)
    assert reason in REASONS
    if span is not None:
        assert all(math.isfinite(value) for value in span) and span[0] < span[1]
    if mode == "strict":
        assert format_ok == (reason == "ok")
        assert not (format_ok and span is None)
        if span is not None:
            assert span[0] >= 0
        if format_ok and think:
            begin, end = text.index("<think>"), text.index("</think>")
            assert any(character.isalnum() for character in re.sub("</?(think|time)>", "", text[begin:end]))


@given(texts)
@settings(max_examples=400, deadline=None)
def test_paper_format_is_the_regular_expression(text):
    pattern = r"<think>.*</think>.*<time>.*</time>.*"
    expected = re.fullmatch(pattern, text, re.DOTALL) is not None
    assert parse_interval(text, mode="paper").format_ok == expected


seconds = st.integers(0, 10**7).map(lambda millis: millis / 1000)


@given(seconds, seconds, st.text(string.ascii_letters + " .,", min_size=0, max_size=30))
@settings(deadline=None)
def test_written_intervals_come_back(start, end, thinking):
    start, end = sorted((start, end))
    for mode in ("strict", "paper"):
        parsed = parse_interval(f"<think>{thinking}</think><time>[{start:.3f}, {end:.3f}]</time>", mode)
        assert parsed.span == ((start, end) if start < end else None)


@pytest.mark.parametrize("mode", ["strict", "paper"])
@pytest.mark.parametrize(
    "junk",
    [
        "<time>" * 170_000,
        "<think>" * 150_000,
        "</think>" * 125_000,
        "x" * 500_000 + "<think></think>" * 33_000,
        "<time>" + "[" * 1_000_000 + "</time>",
        "<time>" + "5" * 1_000_000 + "</time>",
        "<time>5" + " " * 1_000_000 + "x</time>",
        "<time>1,</time>" * 66_000,
        "<think>" + "_" * 1_000_000 + "</think>",
        "<" * 1_000_000,
        "\x00\ud800" * 500_000,
    ],
    ids=range(11),
)
def test_a_megabyte_of_anything_is_read(junk, mode):
    assert parse_interval(junk, mode).span is None


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="text: expected str, got bytes"):
        parse_interval(b"")
    with pytest.raises(ValueError, match="mode: expected one of .*got 'loose'"):
        parse_interval("", mode="loose")
