"""What is kept so that guessing does not pay."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.data.stv.balance import SLACK, TRIVIAL, Shares, constant_scores, fill, level
from videostr.rewards.terms.number import mean_relative_accuracy

counts = st.dictionaries(st.integers(1, 40).map(lambda x: x / 4), st.integers(1, 300), min_size=1, max_size=15)


@given(counts)
@settings(max_examples=60, deadline=None)
def test_the_best_constant(table):
    """The reward's own mean relative accuracy, over a finer grid of constants."""
    values, weights = np.array(list(table)), np.array(list(table.values()), np.float64)
    score, constant = constant_scores(values, weights)
    true = torch.tensor(values)
    tried = np.unique(np.concatenate([np.linspace(0.1, 20, 300), values, values * 1.5, values * 1.05, [constant]]))
    by_reward = [
        float((mean_relative_accuracy(torch.full_like(true, c), true) * torch.tensor(weights)).sum() / weights.sum())
        for c in tried
    ]
    assert by_reward[int(np.searchsorted(tried, constant))] == pytest.approx(score, abs=1e-9)
    assert max(by_reward) <= score + 0.06  # a constant that nobody tried may be a little better


@given(counts)
@settings(max_examples=60, deadline=None)
def test_levelled_counts_are_at_chance(table):
    most = level(table)
    values = np.array(sorted(table))
    chance = constant_scores(values, np.ones(len(values)))[0]
    if most is None:
        assert chance > TRIVIAL
        return
    kept = np.array([min(table[v], most) for v in values], np.float64)
    assert most == 1 or constant_scores(values, kept)[0] <= chance + SLACK
    if most < max(table.values()):
        more = np.array([min(table[v], most + 1) for v in values], np.float64)
        assert constant_scores(values, more)[0] > chance + SLACK or most + 1 > 1


def test_no_key_is_right_too_often():
    rng = random.Random(0)
    shares, right, offered = Shares(), Counter(), Counter()
    for _ in range(20_000):
        keys = rng.sample(range(8), 4)
        answer = min(keys) if rng.random() < 0.5 else rng.choice(keys)  # small numbers are right too often
        if shares.accept(answer, keys):
            right[answer] += 1
            offered.update(keys)
    assert sum(right.values()) > 8000
    for key in range(8):
        assert right[key] / offered[key] <= 0.25 * (1 + SLACK) + 2 / offered[key]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 300))
@settings(max_examples=200, deadline=None)
def test_fill(available, total):
    taken = fill(available, total)
    assert sum(taken) == min(total, sum(available)) and all(0 <= t <= a for t, a in zip(taken, available, strict=True))
    short = [t for t, a in zip(taken, available, strict=True) if t < a]
    assert not short or max(taken) - min(short) <= 1  # nobody gets more while another could have it
