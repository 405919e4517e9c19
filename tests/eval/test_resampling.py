"""Bootstrap and permutation over videos, against scipy, enumeration and closed forms."""

import itertools

import numpy as np
import pytest
from scipy import stats

from videostr.eval.resampling import Table, compare, intervals


def mean_x(means):
    return {"x": means["x"]}


def test_one_question_a_video_is_scipys_bootstrap():
    values = np.random.default_rng(0).beta(2, 3, size=80)
    table = Table([{"x": float(v)} for v in values], [str(i) for i in range(80)])
    ours = intervals(table, mean_x, resamples=20_000)["x"]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-3)


def test_questions_of_one_video_go_together():
    """Twenty videos of five equal questions are as uncertain as twenty questions, not as a hundred."""
    values = np.random.default_rng(1).uniform(size=20)
    cells = [{"x": float(v)} for v in values for _ in range(5)]
    clusters = [str(i) for i in range(20) for _ in range(5)]
    together = intervals(Table(cells, clusters), mean_x)["x"]
    alone = intervals(Table(cells, [str(i) for i in range(100)]), mean_x)["x"]
    once = intervals(Table([{"x": float(v)} for v in values], [str(i) for i in range(20)]), mean_x)["x"]
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=0.05)
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_a_metric_may_be_any_function_of_means_of_parts():
    """Mean of two tasks of different sizes: the interval is that of the mean of means, drawn directly."""
    generator = np.random.default_rng(2)
    a, b = generator.uniform(size=40), generator.uniform(size=10)
    cells = [{"a": float(v)} for v in a] + [{"b": float(v)} for v in b]
    table = Table(cells, [str(i) for i in range(50)])
    ours = intervals(table, lambda m: {"overall": (m["a"] + m["b"]) / 2}, resamples=20_000)["overall"]
    draws = []
    for _ in range(20_000):
        picked = generator.integers(50, size=50)
        first, second = a[picked[picked < 40]], b[picked[picked >= 40] - 40]
        draws.append((first.mean() + second.mean()) / 2 if len(first) and len(second) else np.nan)
    assert ours.value == pytest.approx((a.mean() + b.mean()) / 2)
    assert (ours.low, ours.high) == pytest.approx(np.nanquantile(draws, [0.025, 0.975]), abs=6e-3)


def test_permutation_equals_all_exchanges():
    generator = np.random.default_rng(3)
    a, b = generator.uniform(size=10), generator.uniform(size=10) + 0.15
    observed = abs((b - a).mean())
    signs = np.array(list(itertools.product([1, -1], repeat=10)))
    exact = (np.abs((signs * (b - a)).mean(1)) >= observed - 1e-12).mean()
    names = [str(i) for i in range(10)]
    result = compare([{"x": float(v)} for v in a], [{"x": float(v)} for v in b], names, mean_x, resamples=20_000)["x"]
    assert result.p_value == pytest.approx(exact, abs=0.015) and result.difference == pytest.approx((b - a).mean())
    assert result.low < result.difference < result.high


def test_no_difference_is_seldom_significant_and_a_large_one_always():
    small = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        a, b = generator.uniform(size=(2, 30))
        names = [str(i) for i in range(30)]
        pair = [[{"x": float(v)} for v in values] for values in (a, b)]
        small += compare(*pair, names, mean_x, resamples=400)["x"].p_value < 0.05
    assert small <= 9  # of 60 at 5 %: more than 9 has a chance of 0.1 %
    far = compare([{"x": 0.1}] * 30, [{"x": 0.9}] * 30, names, mean_x, resamples=1000)["x"]
    assert far.p_value < 0.01 and far.low == pytest.approx(0.8) == far.high


def test_same_seed_same_numbers_and_gaps_are_none():
    cells = [{"x": 0.2}, {"x": 0.4, "y": 1.0}]
    both = lambda means: {"x": means["x"], "y": means.get("y", np.nan)}  # noqa: E731
    first, second = (intervals(Table(cells, ["a", "b"]), both, resamples=300) for _ in range(2))
    assert first == second and first["y"].value == 1.0
    nothing = compare([{"x": 0.2}], [{"x": 0.2}], ["a"], both, resamples=10)
    assert nothing["y"].difference is None and nothing["x"].p_value == 1.0


@pytest.mark.parametrize(
    ("cells", "clusters", "message"),
    [([], [], "at least one"), ([{"x": 1.0}], ["a", "b"], "expected one entry"), ([{"x": np.nan}], ["a"], "finite")],
)
def test_wrong_arguments_are_named(cells, clusters, message):
    with pytest.raises(ValueError, match=message):
        Table(cells, clusters)


def test_levels_and_numbers_are_checked():
    table = Table([{"x": 1.0}], ["a"])
    with pytest.raises(ValueError, match="resamples"):
        intervals(table, mean_x, resamples=0)
    with pytest.raises(ValueError, match="level"):
        intervals(table, mean_x, level=1.0)
