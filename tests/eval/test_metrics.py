import math
import random

import numpy as np
import pytest
from scipy import stats

from videostr.eval import bootstrap_interval, paired_bootstrap, temporal_metrics
from videostr.eval.metrics import best_constant, best_iop, best_iou


def test_best_constant_is_the_best_of_all_intervals():
    spans = [[(1.0, 3.0)], [(2.0, 5.0)], [(1.5, 4.0)], [(0.0, 1.0), (2.0, 4.0)]]

    def mean_iou(start: float, end: float) -> float:
        total = 0.0
        for truth in spans:
            best = 0.0
            for s, e in truth:
                inter = max(0.0, min(e, end) - max(s, start))
                best = max(best, inter / ((e - s) + (end - start) - inter))
            total += best
        return total / len(spans)

    brute = max(mean_iou(a / 2, b / 2) for a in range(10) for b in range(a + 1, 11))
    assert mean_iou(*best_constant(spans, step=0.5)) == pytest.approx(brute)
    assert best_constant([[(2.0, 4.0)]], step=0.5) == (2.0, 4.0)
    with pytest.raises(ValueError, match="spans"):
        best_constant([], step=0.5)
    with pytest.raises(ValueError, match="step"):
        best_constant(spans, step=0.0)


def plain_iou(a, b):
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    return overlap / ((a[1] - a[0]) + (b[1] - b[0]) - overlap) if overlap > 0 else 0.0


def test_by_hand():
    preds = [(2.0, 6.0), (2.0, 4.0), None, (5.0, 9.0), (0.0, 10.0)]
    spans = [[(2, 6)], [(2, 6)], [(1, 2)], [(1, 4), (6, 9)], [(0, 3), (3, 9)]]
    # IoU: 1, 1/2, 0, 3/4, 6/10.  IoP: 1, 1, 0, 3/4, 6/10.
    scores = temporal_metrics(preds, spans)
    assert scores["miou"] == pytest.approx((1 + 0.5 + 0 + 0.75 + 0.6) / 5)
    assert scores["iop"] == pytest.approx((1 + 1 + 0 + 0.75 + 0.6) / 5)
    assert [scores[f"r1@{m}"] for m in (0.3, 0.5, 0.7, 0.9)] == pytest.approx([0.8, 0.8, 0.4, 0.2])
    assert scores["parse_rate"] == 0.8 and scores["samples"] == 5


def test_against_plain_python():
    generator = random.Random(0)

    def span():
        start = generator.uniform(0, 20)
        return start, start + generator.uniform(0.1, 10)

    preds = [span() if generator.random() < 0.9 else None for _ in range(500)]
    spans = [[span() for _ in range(generator.randint(1, 3))] for _ in preds]
    expected = [max(plain_iou(p, s) for s in truth) if p else 0.0 for p, truth in zip(preds, spans, strict=True)]
    np.testing.assert_allclose(best_iou(preds, spans), expected, rtol=1e-12, atol=1e-14)
    inside = [
        max(max(0, min(p[1], s[1]) - max(p[0], s[0])) / (p[1] - p[0]) for s in truth) if p else 0.0
        for p, truth in zip(preds, spans, strict=True)
    ]
    np.testing.assert_allclose(best_iop(preds, spans), inside, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("pred", [(6.0, 2.0), (3.0, 3.0), (math.nan, math.nan), (0.0, math.inf), (-math.inf, 5.0)])
def test_an_interval_that_is_none_scores_zero(pred):
    scores = temporal_metrics([pred], [[(2, 6)]])
    assert scores["miou"] == scores["iop"] == scores["r1@0.3"] == 0


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="preds: expected at least one sample"):
        temporal_metrics([], [])
    with pytest.raises(ValueError, match=r"spans: expected one entry a prediction \(1\), got 2"):
        temporal_metrics([None], [[(1, 2)], [(1, 2)]])
    with pytest.raises(ValueError, match=r"spans\[0\]: expected at least one true interval"):
        temporal_metrics([None], [[]])


def test_bootstrap_interval_agrees_with_scipy():
    values = np.random.default_rng(0).beta(2, 3, size=200)
    ours = bootstrap_interval(values, seed=1)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=2).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.004)
    assert ours[0] < values.mean() < ours[1]


def test_bootstrap_interval_covers_the_true_mean():
    generator = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(generator.uniform(size=60), seed=seed, resamples=500)
        covered += low <= 0.5 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_bootstrap_is_seeded():
    values = np.random.default_rng(0).uniform(size=50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert bootstrap_interval([0.25], seed=0) == (0.25, 0.25)


def test_paired_bootstrap_sees_a_difference_that_unpaired_intervals_hide():
    generator = np.random.default_rng(0)
    hard = generator.uniform(size=200)
    a, b = 0.8 * hard, np.clip(0.8 * hard + 0.03 + generator.normal(0, 0.02, size=200), 0, 1)
    result = paired_bootstrap(a, b)
    assert result.difference == pytest.approx((b - a).mean())
    assert 0 < result.low < result.difference < result.high
    assert result.p_value < 0.001
    assert bootstrap_interval(a)[1] > bootstrap_interval(b)[0]  # the two separate intervals overlap
    back = paired_bootstrap(b, a)
    assert back.difference == pytest.approx(-result.difference) and back.high < 0


def test_paired_bootstrap_p_value_is_that_of_a_t_test():
    generator = np.random.default_rng(5)
    a, noise = generator.uniform(size=300), generator.normal(0.01, 0.1, size=300)
    ours = paired_bootstrap(a, a + noise, resamples=20_000).p_value
    assert ours == pytest.approx(stats.ttest_rel(a, a + noise).pvalue, abs=0.02)
    assert paired_bootstrap(a, a).p_value == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([]), "values: expected a non-empty"),
        (lambda: bootstrap_interval([math.nan]), "values: expected"),
        (lambda: bootstrap_interval([0.5], level=1.0), "level: expected"),
        (lambda: bootstrap_interval([0.5], resamples=0), "resamples: expected"),
        (lambda: paired_bootstrap([0.5], [0.5, 0.6]), "b: expected as many values as a"),
    ],
)
def test_bootstrap_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()
