import json
import random

import numpy as np
import pytest
from scipy import stats

from videostr.data.difficulty import RolloutScore, select, select_timelens

FIVE = [
    RolloutScore("hopeless", (0.0, 0.0, 0.1, 0.0)),
    RolloutScore("edge_low", (0.0, 0.2)),
    RolloutScore("middle", (0.1, 0.9)),
    RolloutScore("always_same", (0.4, 0.4)),
    RolloutScore("solved", (0.9, 0.8)),
]


def uniform_scores(count, seed=0):
    generator = random.Random(seed)
    return [RolloutScore(f"s{i}", (generator.random(),), duration=generator.uniform(5, 100)) for i in range(count)]


def test_band_keeps_what_is_neither_solved_nor_hopeless_and_varies():
    chosen = select(FIVE, "band")
    assert chosen.ids == ("edge_low", "middle")
    report = chosen.report
    assert report["dropped"] == {"too_hard": 1, "no_spread": 1, "too_easy": 1}
    assert (report["total"], report["passed"], report["kept"], report["paper_kept"]) == (5, 2, 2, 18_000)
    assert report["mean_iou_before"] == pytest.approx((0.025 + 0.1 + 0.5 + 0.4 + 0.85) / 5)
    assert report["mean_iou_after"] == pytest.approx(0.3)
    before = report["histogram"]["before"]
    assert sum(before) == 5 and before[0] == 1 and before[17] + before[16] == 1
    assert sum(report["histogram"]["after"]) == 2
    json.dumps(report, allow_nan=False)


def test_band_options_and_count():
    assert select(FIVE, "band", high=0.9).ids == ("edge_low", "middle", "solved")
    one = select(FIVE, "band", count=1, seed=3)
    assert len(one.ids) == 1 and one.report["dropped"]["not_drawn"] == 1
    assert select(FIVE, "band", count=50).ids == ("edge_low", "middle")


def test_band_needs_more_than_one_rollout():
    with pytest.raises(ValueError, match="'band' needs at least 2 rollouts a sample, 'x' has 1"):
        select([RolloutScore("x", (0.3,))], "band")


def test_time_r1_reads_the_first_prediction_and_keeps_zero_out():
    scores = [
        RolloutScore("zero", (0.0, 0.5)),
        RolloutScore("tiny", (0.01,)),
        RolloutScore("top", (0.7, 0.0)),
        RolloutScore("easy", (0.71, 0.2)),
    ]
    chosen = select(scores, "time_r1")
    assert chosen.ids == ("tiny", "top")
    assert chosen.report["dropped"] == {"too_hard": 1, "too_easy": 1}


def test_time_r1_draws_by_its_gaussian():
    # One of two samples is drawn with the probability of its weight: P(a) = w_a / (w_a + w_b).
    a, b = 0.3, 0.6
    weight = stats.norm.pdf([a, b], 0.3, 0.2)
    expected = weight[0] / weight.sum()
    scores = [RolloutScore("a", (a,)), RolloutScore("b", (b,))]
    drawn = sum(select(scores, "time_r1", count=1, seed=seed).ids == ("a",) for seed in range(3000))
    assert abs(drawn / 3000 - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000)


def test_timelens_turns_any_distribution_into_its_gaussian():
    # Scores piled up at the easy end; the draw must follow the Gaussian, not the pile.
    values = np.random.default_rng(0).beta(3, 1.5, size=20_000)
    scores = [RolloutScore(f"s{i}", (float(v),), duration=10.0 + i % 90) for i, v in enumerate(values)]
    chosen = select(scores, "timelens", count=300, seed=1)
    kept = set(chosen.ids)
    drawn = np.array([s.ious[0] for s in scores if s.id in kept])
    truth = stats.truncnorm((0 - 0.05) / 0.2, (1 - 0.05) / 0.2, 0.05, 0.2)
    assert len(drawn) == 300
    # Bin by bin, where the pile-up leaves enough samples to draw from.
    for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 1.0)):
        share = ((drawn >= low) & (drawn < high)).mean()
        within = (drawn >= 0.1).mean()
        expected = (truth.cdf(high) - truth.cdf(low)) / (truth.cdf(1) - truth.cdf(0.1))
        assert abs(share / within - expected) < 0.12
    assert chosen.report["mean_iou_after"] < 0.35 < chosen.report["mean_iou_before"]


def test_timelens_takes_equally_many_of_each_duration_bucket():
    scores = uniform_scores(900)
    kept = set(select_timelens(scores, count=90, seed=0).ids)
    by_duration = sorted(scores, key=lambda s: s.duration)
    for bucket in range(9):
        assert sum(s.id in kept for s in by_duration[bucket * 100 : (bucket + 1) * 100]) == 10


def test_timelens_fills_up_from_other_buckets_and_never_exceeds_count():
    scores = uniform_scores(20)
    for count in (1, 7, 19, 20, 21):
        assert len(select_timelens(scores, count=count).ids) == min(count, 20)


def test_timelens_needs_count_and_durations():
    with pytest.raises(ValueError, match="count: sampler 'timelens'"):
        select(uniform_scores(3), "timelens")
    with pytest.raises(ValueError, match="needs a duration in seconds of every sample, 'middle'"):
        select([RolloutScore("middle", (0.2,))], "timelens", count=1)


@pytest.mark.parametrize("sampler", ["band", "time_r1", "timelens", "all"])
def test_the_same_seed_gives_the_same_samples_in_any_order(sampler):
    scores = [RolloutScore(s.id, (s.ious[0], s.ious[0] / 2), s.duration) for s in uniform_scores(200)]
    first = select(scores, sampler, count=40, seed=5)
    again = select(scores, sampler, count=40, seed=5)
    shuffled = random.Random(1).sample(scores, len(scores))
    assert first == again
    assert set(first.ids) == set(select(shuffled, sampler, count=40, seed=5).ids)
    assert set(first.ids) != set(select(scores, sampler, count=40, seed=6).ids)
    assert list(first.ids) == [s.id for s in scores if s.id in set(first.ids)]  # the input's order
    assert len(first.ids) == len(set(first.ids)) == 40


def test_all_keeps_everything():
    scores = uniform_scores(10)
    assert select(scores, "all").ids == tuple(s.id for s in scores)


def test_nothing_to_select_from_is_an_empty_selection():
    for sampler, count in (("band", None), ("time_r1", 3), ("timelens", 3), ("all", None)):
        chosen = select([], sampler, count=count)
        assert chosen.ids == () and chosen.report["kept"] == 0 and chosen.report["mean_iou_after"] is None


@pytest.mark.parametrize(
    ("scores", "arguments", "message"),
    [
        ([RolloutScore("x", ())], {}, "expected IoUs in"),
        ([RolloutScore("x", (float("nan"),))], {}, "expected IoUs in"),
        ([RolloutScore("x", (1.5,))], {}, "expected IoUs in"),
        ([RolloutScore("x", (0.5,)), RolloutScore("x", (0.5,))], {}, "'x' is there twice"),
        ([RolloutScore("x", (0.5,))], {"count": 0}, "count: expected"),
        ([RolloutScore("x", (0.5,))], {"sampler": "easy"}, "sampler: expected one of"),
        (FIVE, {"sampler": "band", "low": 0.8}, "low, high: expected"),
        (FIVE, {"sampler": "time_r1", "std": 0.0}, "std: expected"),
    ],
)
def test_bad_arguments_are_named(scores, arguments, message):
    with pytest.raises(ValueError, match=message):
        select(scores, **{"sampler": "all", **arguments})
