import pytest

from videostr.data.curation import filter_cold_start
from videostr.data.samples import Sample
from videostr.rewards import parse_interval


def sample(name, response, spans=((2.0, 6.0),)):
    return Sample(id=name, video="a.mp4", query="q", spans=spans, duration=20.0, response=response)


SAMPLES = [
    sample("exact", "<think>I see it.</think><time>[2, 6]</time>"),
    sample("half", "<think>I see it.</think><time>[2, 4]</time>"),  # IoU 2 / 4
    sample("below_half", "<think>I see it.</think><time>[2, 3.99]</time>"),
    sample("second_span", "<think>Later.</think><time>[10, 12]</time>", ((2.0, 6.0), (10.0, 12.0))),
    sample("elsewhere", "<think>Later.</think><time>[10, 12]</time>"),
    sample("no_thinking", "<time>[2, 6]</time>"),
    sample("reversed", "<think>I see it.</think><time>[6, 2]</time>"),
    sample("text", "between two and six seconds"),
    sample("none", None),
]


def test_keeps_well_formed_answers_that_overlap_enough():
    kept, report = filter_cold_start(SAMPLES, parse_interval)
    assert [s.id for s in kept] == ["exact", "half", "second_span"]
    assert report["reasons"] == {"low_iou": 2, "no_response": 1, "no_tag": 1, "no_think": 1, "reversed": 1}
    assert (report["total"], report["kept"]) == (9, 3)
    assert report["kept"] + sum(report["reasons"].values()) == report["total"]
    assert report["mean_iou_kept"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert (report["paper_total"], report["paper_kept"]) == (56_000, 13_000)


def test_threshold_is_inclusive_and_configurable():
    assert len(filter_cold_start(SAMPLES, parse_interval, min_iou=0.51).samples) == 2
    assert len(filter_cold_start(SAMPLES, parse_interval, min_iou=0.0).samples) == 5
    with pytest.raises(ValueError, match="min_iou: expected a number in"):
        filter_cold_start(SAMPLES, parse_interval, min_iou=1.5)


def test_parser_is_the_callers():
    kept, _ = filter_cold_start(SAMPLES, lambda text: parse_interval(text, think=False))
    assert [s.id for s in kept] == ["no_thinking"]


def test_a_good_format_without_an_interval_is_still_refused():
    # The paper mode of the parser says so of an empty tag.
    kept, report = filter_cold_start(
        [sample("x", "<think>a</think><time></time>")], lambda text: parse_interval(text, mode="paper")
    )
    assert kept == [] and report["reasons"] == {"empty": 1} and report["mean_iou_kept"] is None
