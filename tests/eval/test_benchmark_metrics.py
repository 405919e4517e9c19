"""The benchmarks' metrics against numbers derived by hand or by plain loops, on random and on awkward answers."""

import math
import random

import numpy as np
import pytest

from videostr.data import Sample
from videostr.eval.benchmarks import Context, get_benchmark
from videostr.eval.benchmarks.choices import read_choice
from videostr.eval.benchmarks.sti_bench import released_choice
from videostr.eval.parsers import PARSERS
from videostr.eval.resampling import Table


def metrics(name, cells):
    table = Table(cells, [str(index) for index in range(len(cells))])
    means = table.means(table.sum_CK.sum(0), table.count_CK.sum(0))
    return {key: float(value) for key, value in get_benchmark(name).aggregate(means).items()}


def context(prompt="tvg_r1", parser="any", **more):
    return Context(PARSERS[parser], prompt, **more)


def sample(spans, query="a man runs", **meta):
    return Sample("s", "v.mp4", query, tuple(spans), 100.0, meta=meta)


def plain_iou(a, b):
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap > 0 else 0.0


def random_span(generator, most=90.0):
    start = generator.uniform(0, most)
    return start, start + generator.uniform(0.5, 60)


# -- grounding ---------------------------------------------------------------------------------------------------------


def test_time_r1_counts_above_a_threshold_and_the_others_from_it_on():
    spec = get_benchmark("tvgbench")
    texts = ["<answer>0.0 to 5.0</answer>", "<answer>0 to 7.0</answer>", "<answer>2 to 10</answer>", "no idea", None]
    cells = []
    for text in texts:  # IoUs 1/2, 7/10, 8/10, 0, and a missing video
        answers = None if text is None else {"interval": text}
        cells.append(spec.score(sample([(0.0, 10.0)]), answers, context("time_r1", "words")).cells)
    got = metrics("tvgbench", cells)
    assert got["miou"] == pytest.approx((0.5 + 0.7 + 0.8) / 5)
    assert (got["r1@0.5"], got["r1@0.7"]) == pytest.approx((3 / 5, 2 / 5))
    assert got["r1_above@0.3"] == 3 / 4 and got["r1_above@0.5"] == 2 / 4  # 0.5 > 0.5 is false; four videos were read
    average = (2.0 / 4 + got["r1_above@0.3"] + got["r1_above@0.5"] + got["r1_above@0.7"]) / 4
    assert got["avg_released"] == pytest.approx(average)


def test_timelens_bench_by_subset():
    spec = get_benchmark("timelens_bench")
    texts = {"charades-timelens": "The event happens in 0 - 10 seconds.", "qvhighlights-timelens": "in 0 - 5 seconds"}
    cells = [
        spec.score(sample([(0.0, 10.0)], subset=subset), {"interval": text}, context("timelens", "words")).cells
        for subset, text in texts.items()
    ]
    got = metrics("timelens_bench", cells)
    assert got["miou/charades-timelens"] == 1 and got["miou/qvhighlights-timelens"] == 0.5 and got["miou"] == 0.75


# -- moments -----------------------------------------------------------------------------------------------------------


def interpolated_precision(moments, windows, threshold):
    """Average precision by the definition of VOC 2011, in plain loops: precision at a recall is the best at that recall
    or above; the area under it."""
    free, hits = list(windows), []
    for moment in moments:
        best = max(free, key=lambda window: plain_iou(moment, window), default=None)
        hit = best is not None and plain_iou(moment, best) >= threshold
        hits.append(hit)
        if hit:
            free.remove(best)
    area, recall = 0.0, 0.0
    for k, hit in enumerate(hits):
        if hit:
            best = max(sum(hits[: j + 1]) / (j + 1) for j in range(k, len(hits)))
            area, recall = area + best / len(windows), recall + 1 / len(windows)
    return area


def test_qvhighlights_on_random_moments():
    spec, generator = get_benchmark("qvhighlights"), random.Random(1)
    cells, expected = [], {"map": [], "map@0.5": [], "map@0.75": [], "map_short": [], "map_middle": [], "map_long": []}
    for _ in range(60):
        windows = [random_span(generator) for _ in range(generator.randint(1, 4))]
        near = [(max(0.0, s + generator.uniform(-4, 4)), e + generator.uniform(-4, 4)) for s, e in windows]
        moments = [(round(s, 2), round(e, 2)) for s, e in [*near, random_span(generator)] if e > s + 0.1]
        generator.shuffle(moments)
        text = f"<time>{[list(moment) for moment in moments]}</time>"
        cells.append(spec.score(sample(windows), {"interval": text}, context()).cells)
        steps = [round(0.5 + 0.05 * k, 2) for k in range(10)]
        expected["map"].append(np.mean([interpolated_precision(moments, windows, t) for t in steps]))
        for threshold in (0.5, 0.75):
            expected[f"map@{threshold}"].append(interpolated_precision(moments, windows, threshold))
        for name, low, high in (("short", 0, 10), ("middle", 10, 30), ("long", 30, 150)):
            inside = [window for window in windows if low < window[1] - window[0] <= high]
            if inside:
                found = [interpolated_precision(moments, inside, t) for t in steps]
                expected[f"map_{name}"].append(np.mean(found))
    got = metrics("qvhighlights", cells)
    for name, values in expected.items():
        assert got[name] == pytest.approx(np.mean(values), abs=1e-9), name
    silent = spec.score(sample([(0.0, 10.0)]), {"interval": "I cannot say"}, context()).cells
    more = metrics("qvhighlights", [*cells, silent, silent])
    assert more["map"] == pytest.approx(got["map"] * 60 / 62) and more["map_released"] == pytest.approx(got["map"])


def test_at_most_ten_moments_and_the_first_counts_for_recall():
    spec = get_benchmark("qvhighlights")
    moments = [[50 + k, 50.5 + k] for k in range(10)] + [[0, 10]]
    scored = spec.score(sample([(0.0, 10.0)]), {"interval": f"<time>{moments}</time>"}, context())
    assert scored.cells["ap"] == 0 and scored.cells["iou"] == 0 and len(scored.parsed["interval"]) == 10
    second = spec.score(sample([(0.0, 10.0)]), {"interval": "<answer>20-30, 0-10</answer>"}, context())
    assert second.cells["ap"] == 0.5 and second.cells["iou"] == 0  # right at the second place


# -- grounded questions ------------------------------------------------------------------------------------------------


def test_nextgqa_with_options():
    spec = get_benchmark("nextgqa")
    item = sample(
        [(10.0, 20.0), (40.0, 50.0)], "why does he run?", options=["to play", "to eat", "to go"], answer="to eat"
    )
    asked = spec.ask(item, "tvg_r1_qa")
    assert asked == {"choice": "why does he run?\nOptions:\n(A) To play\n(B) To eat\n(C) To go"}
    assert spec.ask(item, "tvg_r1") == {"interval": "why does he run?"}
    assert spec.ask(item, "tvg_r1_grounding") == {"interval": asked["choice"]}
    shown = spec.score(item, {"interval": "<time>[10, 20]</time>"}, context("tvg_r1_grounding"))
    assert shown.cells["iou"] == 1 and "acc" not in shown.cells and shown.reasons == {"interval": "ok"}
    texts = [
        "<think>x</think><time>[12, 16]</time> \\boxed{B}",  # inside the first: IoP 1, IoU .4
        "<think>x</think><time>[44, 56]</time> \\boxed{B}",  # IoP 6/12, IoU 6/16
        "<think>x</think><time>[10, 20]</time> \\boxed{A}",  # grounded, wrong
        "<think>x</think> \\boxed{B}",  # right, no interval
        None,
    ]
    cells = [spec.score(item, None if text is None else {"choice": text}, context("tvg_r1_qa")).cells for text in texts]
    got = metrics("nextgqa", cells)
    assert got["acc"] == pytest.approx(3 / 5) and got["acc_gqa"] == pytest.approx(2 / 5) and got["acc_iou"] == 0
    assert got["iop"] == pytest.approx((1 + 0.5 + 1) / 5) and got["iop@0.5"] == pytest.approx(3 / 5)
    assert got["miou"] == pytest.approx((0.4 + 6 / 16 + 1) / 5)
    # Its code counts the three questions with an interval alone.
    assert got["acc_gqa_released"] == pytest.approx(2 / 3) and got["miou_released"] == pytest.approx(
        (0.4 + 0.375 + 1) / 3
    )


@pytest.mark.parametrize("answer", [{"ans": "B"}, {"answer": 1}, {"answer": "to eat"}, {"ans": "b", "answer": "to go"}])
def test_the_right_option_in_every_form(answer):
    spec = get_benchmark("rextime")
    item = sample([(1.0, 2.0)], options=["to play", "to eat"], **answer)
    assert spec.score(item, {"choice": "\\boxed{B}"}, context("tvg_r1_qa")).cells["acc"] == 1


# -- multiple choice and numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ours", "released"),
    [
        ("C", "C", "C"),
        ("(C)", "C", "C"),
        ("c", "C", "c"),  # their last character is compared as it is
        ("The answer is C.", "C", "C"),
        ("Answer: C", "C", "C"),
        ("<think>(A) is too far</think>C", "C", "A"),  # theirs reads the thinking
        ("<think>(A)</think><answer>C</answer>", "C", "A"),
        ("<think>A or", None, "r"),
        ("A or C", None, "C"),
        ("", None, ""),
    ],
)
def test_reading_an_option(text, ours, released):
    assert read_choice(text, ["near", "far", "very far"]).letter == ours
    assert released_choice(text) == released


def test_sti_bench_question_is_preceded_by_its_stretch():
    item = sample(
        [(0.0, 4.5)], "How far?", options=["1 m", "2 m"], answer="B", times=[0.0, 4.5], task="t", scene="indoor"
    )
    (text,) = get_benchmark("sti_bench").ask(item, "question").values()
    assert text == "From 0.0 s to 4.5 s. How far?\n(A) 1 m\n(B) 2 m\nPlease output only the option letter!"


def mean_relative_accuracy(pred, true):
    return sum(abs(pred - true) / true <= 1 - (0.5 + 0.05 * k) + 1e-12 for k in range(10)) / 10


def test_vsi_bench_on_random_numbers():
    spec, generator = get_benchmark("vsi_bench"), random.Random(2)
    cells, expected = [], []
    for _ in range(200):
        truth, pred = round(generator.uniform(0.5, 20), 1), round(generator.uniform(0, 25), 1)
        item = sample([], question_type="object_abs_distance", answer=truth, answer_kind="number")
        cells.append(spec.score(item, {"answer": f"{pred}"}, context("question")).cells)
        if min(abs(abs(pred - truth) / truth - (0.5 - 0.05 * k)) for k in range(10)) > 1e-9:  # no tie of rounding
            expected.append((cells[-1]["object_abs_distance"], mean_relative_accuracy(pred, truth)))
            assert cells[-1]["released/object_abs_distance"] == pytest.approx(expected[-1][1])
    assert len(expected) > 180 and all(ours == pytest.approx(truth) for ours, truth in expected)


def test_vsi_bench_readings_and_means():
    spec = get_benchmark("vsi_bench")

    def scored(kind, text, truth, options=None):
        meta = {"question_type": kind, "answer": truth, "answer_kind": "choice" if options else "number"}
        item = sample([], "Q?", **meta, **({"options": options} if options else {}))
        return spec.score(item, {"answer": text}, context("question")).cells

    two = ["A. left", "B. right"]
    easy, hard = "object_rel_direction_easy", "object_rel_direction_hard"
    cells = [
        scored(easy, "A.", "A", two),  # both read it
        scored(hard, "(A)", "A", two),  # ours alone
        scored("object_counting", "There are 4 chairs", 4.0),  # ours alone
        scored("object_counting", "4.", 4.0),
        scored("room_size_estimation", "twelve", 12.0),  # ours alone
    ]
    got = metrics("vsi_bench", cells)
    assert got["acc/object_rel_direction"] == 1 and got["mra/object_counting"] == 1 and got["overall"] == 1
    # Theirs: directions (1 + 0 + 0) / 3, counting 1/2, room 0: the level that is not there counts as 0.
    assert got["overall_released"] == pytest.approx((1 / 3 + 1 / 2 + 0) / 3)


# -- V-STaR ------------------------------------------------------------------------------------------------------------


def v_star_item(boxes, span=(1.0, 3.0)):
    meta = {
        "temporal_question": "When?",
        "spatial_question": "Where?",
        "spatial_question_2": "Where?",
        "answer": "a dog",
    }
    meta |= {"answer_kind": "text", "size": [100, 200], "seconds": 10.0}
    return sample([span], "What?", boxes=[{"time": str(t), "box": b} for t, b in boxes], **meta)


def v_star_answers(when="1 to 3", where='{"1": [10, 10, 20, 20]}', what="A dog."):
    return {"what": what, "when_1": when, "where_1": where, "where_2": where, "when_2": when}


def test_v_star_means_by_hand():
    spec = get_benchmark("v_star")
    item = v_star_item([(1, [10, 10, 20, 20]), (2, [10, 10, 20, 20])])
    seen = {"size": (200, 100), "family": "qwen2_5_vl", "judges": True}
    cells = [
        spec.score(item, v_star_answers(), context(judged={"what": 3}, **seen)).cells,
        spec.score(item, v_star_answers(when="1 to 2", where="none"), context(judged={"what": 1}, **seen)).cells,
    ]
    got = metrics("v_star", cells)
    acc, tiou, viou = 0.5, (1 + 0.5) / 2, (0.5 + 0) / 2
    assert (got["acc"], got["m_tiou_1"], got["m_viou_1"]) == pytest.approx((acc, tiou, viou))
    assert got["am_1"] == got["mam"] == pytest.approx((acc + tiou + viou) / 3)
    lgm = -(math.log(1 - acc) + math.log(1 - tiou) + math.log(1 - viou)) / 3
    assert got["lgm_1"] == got["mlgm"] == pytest.approx(lgm)
    assert got["ap@0.9_1"] == pytest.approx(0.25) and got["all_1"] == 0.5 and got["what+when_1"] == 0.5
    assert got["exact"] == 1.0


@pytest.mark.parametrize(
    ("family", "size", "box"),
    [("qwen2_5_vl", (400, 200), [20, 40, 40, 80]), ("qwen3_vl", (400, 200), [100, 100, 200, 200])],
)
def test_v_star_boxes_are_scaled_back_from_what_the_model_counts_in(family, size, box):
    item = v_star_item([(1, [10, 20, 20, 40])])
    answers = v_star_answers(where=f'Here it is:\n```json\n{{"1": {box}}}\n```')
    scored = get_benchmark("v_star").score(item, answers, context(size=size, family=family))
    assert scored.cells["viou_1"] == pytest.approx(1)


@pytest.mark.parametrize(
    "text", ["", "{", '{"1": "x"}', "[[]]", '{"1": [1, 2, 3]}', "<think>", '{"nan": [0,0,1,1]}', "null"]
)
def test_v_star_takes_anything_for_an_answer(text):
    item = v_star_item([(1, [10, 20, 20, 40])])
    answers = {name: text for name in v_star_answers()}
    scored = get_benchmark("v_star").score(item, answers, context(size=(200, 100), family="qwen2_5_vl"))
    assert scored.cells["viou_1"] == 0 and 0 <= scored.score <= 1


def test_v_star_leaves_items_without_a_first_answer_out_of_the_released_means():
    item, spec = v_star_item([(1, [10, 10, 20, 20])]), get_benchmark("v_star")
    seen = {"size": (200, 100), "family": "qwen2_5_vl"}
    cells = [spec.score(item, v_star_answers(what=text), context(**seen)).cells for text in ("a dog", " ")]
    cells[1] |= {"tiou_1": 0.0}  # as if it had also missed the interval
    got = metrics("v_star", cells)
    assert got["m_tiou_1"] == 0.5 and got["m_tiou_1_released"] == 1


# -- reading an interval -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parser", "text", "span"),
    [
        ("any", "<think>2 to 3</think><time>[5.2, 10.4]</time>", (5.2, 10.4)),
        ("any", "The event happens in 5.2 - 7 seconds.", (5.2, 7)),
        ("any", "It is between 0:05 and 0:07.", (5, 7)),
        ("any", "<think>at 3</think>\n[5.5, 7]", (5.5, 7)),
        ("any", "<think>so from 2 to 3", None),
        ("any", "I do not know", None),
        ("time", "[5, 7]", None),
        ("first_two", "<think>about 3</think><time>[5, 7]</time>", (3, 5)),
        ("first_two", "7 then 5", None),
        ("tvg_r1_eval", "<think>about 3</think><time>[5, 7]</time>", (5, 7)),
        ("tvg_r1_eval", "from 5 to 7", (5, 7)),
        ("tvg_r1_eval", "<time>\n[5, 7]</time>", (5, 7)),
        ("time_r1_eval", "<think>2 to 3</think><answer>12.54 to 17.83</answer> or 20 and 25", (20, 25)),
        ("time_r1_eval", "12.54-17.83", None),
        ("words", "<answer>12.54 to 17.83</answer>", (12.54, 17.83)),
    ],
)
def test_parsers(parser, text, span):
    assert PARSERS[parser](text).span == span


@pytest.mark.parametrize("parser", PARSERS)
def test_parsers_take_anything_in_linear_time(parser):
    for text in ("", "[" * 100_000, "1 to " * 50_000, "<time>" * 20_000, "9" * 100_000, "\ud800 1 to 2", "٣ to ٤"):
        PARSERS[parser](text)
