"""How sure a score is, and whether two runs differ: bootstrap and permutation over videos.

Questions about one video are not independent, so whole videos are drawn (a cluster bootstrap; a set with one question a
video is the usual one). A metric may be any function of means: each sample gives numbers by cell ("iou", "accuracy of
counting"), a metric is computed from the cells' means, and a resample repeats that with other weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Means = Mapping[str, np.ndarray]
"""Cell -> its mean, a scalar array or one value a resample; NaN where no sample counts in it."""
Aggregate = Callable[[Means], dict[str, np.ndarray]]
_BLOCK = 4_000_000  # weights held at once


class Interval(NamedTuple):
    """A metric and its percentile bootstrap interval; value is None where no sample counts, low and high also where no
    resample gives a finite number."""

    value: float | None
    low: float | None
    high: float | None


class Difference(NamedTuple):
    """difference: b - a, with its bootstrap interval; p_value: two-sided, of the permutation test."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


class Table:
    """Samples as sums and counts by video and cell.

    cells: one a sample; a cell that a sample lacks does not count it. clusters: the sample's video.
    Raises ValueError for no samples, lengths that differ or a number that is not finite.
    """

    def __init__(
        self, cells: Sequence[Mapping[str, float]], clusters: Sequence[str], names: Sequence[str] | None = None
    ):
        if not cells or len(cells) != len(clusters):
            raise ValueError(f"cells: expected one entry a cluster name ({len(clusters)}), at least one: {len(cells)}")
        self.names = list(names) if names is not None else list(dict.fromkeys(name for row in cells for name in row))
        column = {name: index for index, name in enumerate(self.names)}
        self.keys = list(dict.fromkeys(clusters))
        place = {key: index for index, key in enumerate(self.keys)}
        self.sum_CK = np.zeros((len(self.keys), len(self.names)))
        self.count_CK = np.zeros_like(self.sum_CK)
        for row, cluster in zip(cells, clusters, strict=True):
            for name, value in row.items():
                if not np.isfinite(value):
                    raise ValueError(f"cells: {name!r} is {value!r}, expected a finite number")
                self.sum_CK[place[cluster], column[name]] += value
                self.count_CK[place[cluster], column[name]] += 1

    def means(self, sum_XK: np.ndarray, count_XK: np.ndarray) -> Means:
        with np.errstate(invalid="ignore"):
            mean_XK = sum_XK / count_XK
        return {name: mean_XK[..., index] for index, name in enumerate(self.names)}


def intervals(
    table: Table, aggregate: Aggregate, *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> dict[str, Interval]:
    """Every metric of `aggregate` with its bootstrap interval, deterministic by `seed`.

    Raises ValueError: resamples < 1, level outside (0, 1).
    """
    _check(resamples, level)
    values = aggregate(table.means(table.sum_CK.sum(0), table.count_CK.sum(0)))
    drawn = _collect(
        aggregate(table.means(weight_RC @ table.sum_CK, weight_RC @ table.count_CK))
        for weight_RC in _draws(len(table.keys), seed, resamples)
    )
    return {name: Interval(_number(value), *_quantiles(drawn.get(name), level)) for name, value in values.items()}


def compare(
    a: Sequence[Mapping[str, float]],
    b: Sequence[Mapping[str, float]],
    clusters: Sequence[str],
    aggregate: Aggregate,
    *,
    seed: int = 0,
    resamples: int = 10_000,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Run b against run a on the same samples, metric by metric.

    The interval draws videos, the same for both runs. The p-value exchanges the two runs' answers to each video at
    random and counts differences at least as far from 0 as the one seen, plus one (Phipson and Smyth 2010), so that it
    is never 0. Several metrics are several tests: nothing is corrected for that.

    Raises ValueError as `Table` and `intervals`.
    """
    _check(resamples, level)
    names = list(dict.fromkeys(name for row in (*a, *b) for name in row))
    first, second = (Table(cells, clusters, names) for cells in (a, b))
    values = [aggregate(t.means(t.sum_CK.sum(0), t.count_CK.sum(0))) for t in (first, second)]
    drawn = _collect(
        _minus(*(aggregate(t.means(w_RC @ t.sum_CK, w_RC @ t.count_CK)) for t in (second, first)))
        for w_RC in _draws(len(first.keys), seed, resamples)
    )
    gap_sum, gap_count = second.sum_CK - first.sum_CK, second.count_CK - first.count_CK
    total = [(t.sum_CK.sum(0), t.count_CK.sum(0)) for t in (first, second)]

    def exchanged(swap_RC: np.ndarray) -> dict[str, np.ndarray]:
        moved_sum, moved_count = swap_RC @ gap_sum, swap_RC @ gap_count
        mine = aggregate(first.means(total[0][0] + moved_sum, total[0][1] + moved_count))
        theirs = aggregate(first.means(total[1][0] - moved_sum, total[1][1] - moved_count))
        return _minus(theirs, mine)

    permuted = _collect(exchanged(swap_RC) for swap_RC in _swaps(len(first.keys), seed + 1, resamples))
    out = {}
    for name in values[0]:
        x, y = _number(values[0][name]), _number(values[1].get(name))
        gap = None if x is None or y is None else y - x
        low, high = _quantiles(drawn.get(name), level)
        out[name] = Difference(x, y, gap, low, high, None if gap is None else _p_value(gap, permuted[name]))
    return out


def _p_value(difference: float, permuted_R: np.ndarray) -> float:
    permuted_R = permuted_R[np.isfinite(permuted_R)]
    extreme = np.abs(permuted_R) >= abs(difference) - 1e-12
    return float((extreme.sum() + 1) / (len(permuted_R) + 1))


def _draws(clusters: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """How often each cluster is drawn, (R, C) in blocks."""
    generator = np.random.default_rng(seed)
    for rows in _blocks(clusters, resamples):
        picks_RC = generator.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        yield np.bincount(picks_RC.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


def _swaps(clusters: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for rows in _blocks(clusters, resamples):
        yield generator.integers(2, size=(rows, clusters)).astype(np.float64)


def _blocks(clusters: int, resamples: int) -> Iterator[int]:
    rows = max(1, _BLOCK // clusters)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _collect(blocks: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    kept: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        for name, values in block.items():
            kept.setdefault(name, []).append(np.atleast_1d(values))
    return {name: np.concatenate(values) for name, values in kept.items()}


def _minus(b: dict[str, np.ndarray], a: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: b[name] - a[name] for name in b if name in a}


def _quantiles(values_R: np.ndarray | None, level: float) -> tuple[float | None, float | None]:
    values_R = values_R[np.isfinite(values_R)] if values_R is not None else np.empty(0)
    if not len(values_R):
        return None, None
    low, high = np.quantile(values_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _number(value: np.ndarray | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _check(resamples: int, level: float) -> None:
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples!r}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")
