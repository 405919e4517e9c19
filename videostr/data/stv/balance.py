"""Which candidates are kept, so that an answer cannot be guessed from the distribution of answers.

Numbers: within what a question gives away (source, family, class) every bin of answers is cut to a common height, the
greatest one at which no constant answer scores more than the best constant would if all bins were equally high.
Choices: no class or direction may be right more often than its share of the options in which it is offered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

SLACK = 0.01  # of a constant's score above chance; the baseline is to stay below 0.02
TRIVIAL = 0.6  # mean relative accuracy of one constant for a whole group: the answers hardly differ
_THRESHOLDS = np.linspace(0.5, 0.95, 10)


def constant_scores(values_K: np.ndarray, weights_K: np.ndarray) -> tuple[float, float]:
    """(the best constant's mean relative accuracy, the constant), over values with weights; candidates are the values
    themselves and what lies a little below each."""
    if not len(values_K):
        return 0.0, 0.0
    tried = np.unique(np.concatenate([values_K, values_K * 1.05, values_K * 1.25, values_K * 1.5]))
    tried = tried if len(tried) <= 400 else np.unique(np.quantile(tried, np.linspace(0, 1, 400)))
    gap = np.abs(tried[:, None] - values_K) / values_K
    score = (gap[..., None] <= 1 - _THRESHOLDS).mean(-1) @ weights_K / weights_K.sum()
    best = int(score.argmax())
    return float(score[best]), float(tried[best])


def level(counts: Mapping[float, int]) -> int | None:
    """The most of each answer to keep, of counts by answer > 0; None for a group that one constant answers."""
    values = np.array(sorted(counts))
    have = np.array([counts[value] for value in values], np.float64)
    chance = constant_scores(values, np.ones(len(values)))[0]
    if chance > TRIVIAL:
        return None
    low, high = 1, int(have.max())
    if constant_scores(values, np.minimum(have, low))[0] > chance + SLACK:
        return low
    while low < high:
        middle = (low + high + 1) // 2
        if constant_scores(values, np.minimum(have, middle))[0] <= chance + SLACK:
            low = middle
        else:
            high = middle - 1
    return low


class Shares:
    """Accepts choices as long as no key is right more often than chance has it."""

    def __init__(self) -> None:
        self.right: dict[int, int] = {}
        self.offered: dict[int, float] = {}

    def accept(self, key: int, keys: Sequence[int]) -> bool:
        """Whether to keep a question whose right option has `key`, of options with `keys`."""
        share = 1.0 / len(keys)
        ours = keys.count(key) * share  # what chance earns by this key in this very question
        allowed = self.offered.get(key, 0.0) + ours
        if self.right.get(key, 0) + 1 > allowed * (1 + SLACK) + 1:
            return False
        self.right[key] = self.right.get(key, 0) + 1
        for other in keys:
            self.offered[other] = self.offered.get(other, 0.0) + share
        return True


def fill(available: Sequence[int], total: int) -> list[int]:
    """How many to take of each, as evenly as there is, `total` in all."""
    taken = [0] * len(available)
    order = sorted(range(len(available)), key=lambda k: available[k])
    left = total
    for place, k in enumerate(order):
        taken[k] = min(available[k], math.ceil(left / (len(order) - place)))
        left -= taken[k]
    return taken
