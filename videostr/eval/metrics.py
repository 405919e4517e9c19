"""Scores of temporal grounding and their uncertainty, in float64.

mIoU, R1@m and IoP are the benchmarks' (Charades-STA, NExT-GQA, ReXTime: grade C); of several true intervals the best
one counts; a sample without a prediction scores 0 in all of them and stays in the average.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from videostr import ops

Span = Sequence[float]
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def best_iou(preds: Sequence[Span | None], spans: Sequence[Sequence[Span]]) -> np.ndarray:
    """(N,) float64: each prediction's IoU with the true interval of its sample that it fits best; 0 without a (valid)
    prediction.

    Raises:
        ValueError: lengths that differ, or a sample without a true interval.
    """
    pred_M2, true_M2, row_M = _pairs(preds, spans)
    return _best(
        ops.temporal_iou(torch.from_numpy(pred_M2), torch.from_numpy(true_M2), kind="iou").numpy(), row_M, len(spans)
    )


def best_iop(preds: Sequence[Span | None], spans: Sequence[Sequence[Span]]) -> np.ndarray:
    """(N,) float64: the greatest part of the prediction that lies inside one true interval, |P ∩ G| / |P| (NExT-GQA's
    IoP)."""
    pred_M2, true_M2, row_M = _pairs(preds, spans)
    return _best(
        ops.temporal_iou(torch.from_numpy(pred_M2), torch.from_numpy(true_M2), kind="iop").numpy(), row_M, len(spans)
    )


def temporal_metrics(preds: Sequence[Span | None], spans: Sequence[Sequence[Span]]) -> dict[str, float | int]:
    """Scores of N predictions.

    Args:
        preds: (start, end) in seconds, or None where the answer held no interval.
        spans: the true intervals of each sample.

    Returns:
        miou, r1@0.3, r1@0.5, r1@0.7, r1@0.9 (share of samples whose IoU is at least that), iop, parse_rate (share with
        a prediction), all in [0, 1], and samples.

    Raises:
        ValueError: lengths that differ, no samples, or a sample without a true interval.
    """
    if len(preds) == 0:
        raise ValueError("preds: expected at least one sample, got none")
    iou_N = best_iou(preds, spans)
    return {
        "miou": float(iou_N.mean()),
        **{f"r1@{m}": float((iou_N >= m).mean()) for m in THRESHOLDS},
        "iop": float(best_iop(preds, spans).mean()),
        "parse_rate": sum(pred is not None for pred in preds) / len(preds),
        "samples": len(preds),
    }


def best_constant(spans: Sequence[Sequence[Span]], step: float) -> tuple[float, float]:
    """The one interval (start, end), in multiples of `step` seconds, with the highest mean IoU when given for every
    sample: what a model reaches that does not look at its video. The bar to clear, not zero.

    Raises ValueError for no samples, a sample without a true interval, or a step that is not positive.
    """
    if not spans:
        raise ValueError("spans: expected at least one sample, got none")
    if not step > 0:
        raise ValueError(f"step: expected seconds > 0, got {step!r}")
    last = max(end for truth in spans for _, end in truth)
    edges = [step * k for k in range(int(last / step) + 2)]
    pairs = [(start, end) for i, start in enumerate(edges) for end in edges[i + 1 :]]
    return max(pairs, key=lambda pair: float(best_iou([pair] * len(spans), spans).mean()))


def bootstrap_interval(
    values: Sequence[float], *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (per-sample IoUs), deterministic by `seed`.

    Raises ValueError: no values, a value that is not finite, level outside (0, 1), resamples < 1.
    """
    means = _resampled_means(_checked(values, "values"), seed, resamples)
    low, high = np.quantile(means, _tails(level))
    return float(low), float(high)


class PairedComparison(NamedTuple):
    """difference: mean(b) - mean(a); low, high: its bootstrap interval; p_value: two-sided, of "no difference"."""

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> PairedComparison:
    """Is run b better than run a on the same samples? `a[i]` and `b[i]` are the two runs' scores of sample i.

    The interval is the percentile bootstrap of the mean difference; the p-value resamples the differences centred at 0
    and counts means at least as far from 0 as the one seen, plus one (so that it is never 0).

    Raises ValueError: lengths that differ, and as `bootstrap_interval`.
    """
    first, second = _checked(a, "a"), _checked(b, "b")
    if len(first) != len(second):
        raise ValueError(f"b: expected as many values as a ({len(first)}), got {len(second)}")
    difference_N = second - first
    means = _resampled_means(difference_N, seed, resamples)
    low, high = np.quantile(means, _tails(level))
    difference = float(difference_N.mean())
    extreme = np.abs(means - difference) >= abs(difference) - 1e-12
    return PairedComparison(difference, float(low), float(high), float((extreme.sum() + 1) / (resamples + 1)))


def _pairs(preds: Sequence[Span | None], spans: Sequence[Sequence[Span]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row a (prediction, true interval) pair: pred_M2, true_M2, and the sample of each pair. A missing prediction
    is NaN."""
    if len(preds) != len(spans):
        raise ValueError(f"spans: expected one entry a prediction ({len(preds)}), got {len(spans)}")
    for index, truth in enumerate(spans):
        if len(truth) == 0:
            raise ValueError(f"spans[{index}]: expected at least one true interval, got none")
    row_M = np.repeat(np.arange(len(spans)), [len(truth) for truth in spans])
    pred_N2 = np.array([p if p is not None else (math.nan, math.nan) for p in preds], dtype=np.float64).reshape(-1, 2)
    true_M2 = np.array([tuple(s) for truth in spans for s in truth], dtype=np.float64).reshape(-1, 2)
    return pred_N2[row_M], true_M2, row_M


def _best(score_M: np.ndarray, row_M: np.ndarray, count: int) -> np.ndarray:
    best_N = np.zeros(count)
    np.maximum.at(best_N, row_M, score_M)
    return best_N


def _checked(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected a non-empty list of finite numbers, got shape {array.shape}")
    return array


def _tails(level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")
    return (1 - level) / 2, (1 + level) / 2


def _resampled_means(values_N: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples!r}")
    generator, means = np.random.default_rng(seed), np.empty(resamples)
    rows = max(1, 4_000_000 // len(values_N))  # bounds the memory at about 64 MB, whatever the number of samples
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = values_N[generator.integers(len(values_N), size=(stop - start, len(values_N)))].mean(-1)
    return means
