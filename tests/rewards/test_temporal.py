import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.rewards import load_reward


def score(completions, spans, durations=None, name="tvg"):
    return load_reward(name)(completions, {"spans": spans, "duration": durations})


def answer(start, end):
    return f"<think>It happens.</think><time>[{start}, {end}]</time>"


def test_tvg_by_hand():
    batch = score([answer(2, 6), answer(4, 8), answer(10, 12), "<time>[2, 6]</time>", "no idea"], [[(2.0, 6.0)]] * 5)
    # [4, 8] against [2, 6]: 2 of 6 seconds.
    torch.testing.assert_close(batch.terms["iou"], torch.tensor([1, 1 / 3, 0, 1, 0]))
    torch.testing.assert_close(batch.terms["format"], torch.tensor([1.0, 1, 1, 0, 0]))
    torch.testing.assert_close(batch.total_N, torch.tensor([1, 0.4, 0.1, 0.9, 0]))
    assert batch.total_N.dtype == torch.float32
    assert batch.reasons == ["ok", "ok", "ok", "format/no_think", "iou/no_tag"]


def test_the_best_of_several_true_intervals_counts():
    truth = [[(0.0, 2.0), (10.0, 14.0), (4.0, 9.0)], [(0.0, 1.0)]]
    batch = score([answer(10, 12)] * 2, truth)
    torch.testing.assert_close(batch.terms["iou"], torch.tensor([0.5, 0.0]))


def test_no_think_wants_the_interval_alone():
    batch = score(["<time>[2, 6]</time>", answer(2, 6)], [[(2, 6)]] * 2, name="tvg_no_think")
    torch.testing.assert_close(batch.total_N, torch.tensor([1.0, 0.9]))
    assert batch.reasons == ["ok", "format/unexpected_think"]


def test_paper_mode_keeps_the_released_faults():
    texts = ["<think>a</think><time></time>", "\n" + answer(2, 6), "<think>a</think><time>[7, 5]</time>"]
    batch = score(texts, [[(2, 6)]] * 3, name="tvg_released")
    torch.testing.assert_close(batch.total_N, torch.tensor([0.1, 0.9, 0.1]))


def test_time_r1_by_hand():
    # Truth [2, 6] in a 10 s video, answer [3, 8]: IoU 3/6, start off by 1/10, end by 2/10.
    batch = score([answer(3, 8)], [[(2, 6)]], [10.0], name="time_r1")
    torch.testing.assert_close(batch.terms["iou"], torch.tensor([0.5 * 0.9 * 0.8]))
    torch.testing.assert_close(batch.total_N, torch.tensor([0.36 + 1]))


def test_time_r1_takes_the_best_product_not_the_best_iou():
    # Against [0, 9]: IoU 5/9 with factors 1 and 0.6 (ends 0 and 4 of 10 apart). Against [0, 4]: IoU 4/5, factors 1 and
    # 0.9.
    batch = score([answer(0, 5)], [[(0, 9), (0, 4)]], [10.0], name="time_r1")
    torch.testing.assert_close(batch.terms["iou"], torch.tensor([0.8 * 0.9]))


def test_time_r1_does_not_reward_ends_further_off_than_the_video():
    # Both factors are below zero; their product alone would be positive and large.
    batch = score([answer(0, 1000)], [[(400, 401)]], [10.0], name="time_r1")
    assert batch.terms["iou"].item() == 0


def test_time_r1_needs_durations():
    for durations, message in ((None, "column 'duration'"), ([None], r"duration\[0\]"), ([0.0], "got 0.0")):
        with pytest.raises(ValueError, match=message):
            score([answer(1, 2)], [[(1, 2)]], durations, name="time_r1")


def test_no_completions_are_no_rewards():
    batch = score([], [])
    assert batch.total_N.shape == (0,) and batch.reasons == []


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"spans: expected one entry a completion \(2\), got 1"):
        score(["a", "b"], [[(1, 2)]])
    with pytest.raises(ValueError, match=r"spans\[0\]: expected at least one"):
        score(["a"], [[]])


PIECES = [
    "<think>a</think>",
    "<think>",
    "<time>",
    "</time>",
    "[",
    "]",
    ",",
    "5",
    "1e308",
    "-",
    "inf",
    "nan",
    "0:07",
    "9",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=15).map("".join))
spans = st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    st.lists(st.tuples(texts, st.lists(spans, min_size=1, max_size=3), st.floats(1e-3, 1e6)), max_size=5),
    st.sampled_from(["tvg", "tvg_no_think", "tvg_released", "time_r1"]),
)
@settings(max_examples=200, deadline=None)
def test_rewards_stay_in_range_for_any_text(rows, name):
    completions, truth, durations = [list(column) for column in zip(*rows, strict=True)] if rows else ([], [], [])
    batch = score(completions, truth, durations, name)
    for value in (batch.total_N / load_reward(name).highest, *batch.terms.values()):
        assert value.shape == (len(rows),) and value.isfinite().all() and (value >= 0).all() and (value <= 1).all()


@given(st.lists(st.tuples(spans, st.lists(spans, min_size=1, max_size=4)), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_iou_term_against_plain_python(rows):
    def iou(a, b):
        overlap = min(a[1], b[1]) - max(a[0], b[0])
        return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap > 0 else 0.0

    batch = score([answer(repr(pred[0]), repr(pred[1])) for pred, _ in rows], [truth for _, truth in rows])
    expected = [max(iou(pred, span) for span in truth) for pred, truth in rows]
    torch.testing.assert_close(batch.terms["iou"], torch.tensor(expected), atol=1e-6, rtol=1e-5)
