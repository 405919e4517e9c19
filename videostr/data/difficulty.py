"""Which samples RL trains on: selection by how well the cold-start model already answers them.

Pure functions of per-sample rollout scores. The models that score and the cache of the scores are elsewhere.

    band      0.1 <= mean IoU <= 0.7 over k rollouts, and not all alike: ours (O; the paper's filter is not public)
    time_r1   one prediction, 0 < IoU <= 0.7, drawn by a Gaussian around 0.3 (std 0.2)
    timelens  drawn by a Gaussian around 0.05 (std 0.2) over the scores' own density, evenly from 9 buckets of duration
    all       no selection: what the others are compared with

time_r1 and timelens are the published samplers of those papers as far as they are public; that timelens scores by the
mean IoU of the rollouts and cuts the durations at their quantiles is ours (O). The paper's own selection kept about 18K
samples (grade S).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Sampler = Literal["band", "time_r1", "timelens", "all"]
PAPER_KEPT = 18_000
_EDGES = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True)
class RolloutScore:
    """IoUs of k rollouts of one sample (k >= 1, each in [0, 1]); duration: seconds, for "timelens"."""

    id: str
    ious: tuple[float, ...]
    duration: float | None = None


class DifficultySelection(NamedTuple):
    """ids: the kept samples, in the order they came in; report: plain numbers, ready for JSON (see `select`)."""

    ids: tuple[str, ...]
    report: dict[str, Any]


def select(
    scores: Sequence[RolloutScore], sampler: Sampler = "band", count: int | None = None, seed: int = 0, **options: Any
) -> DifficultySelection:
    """Choose samples by the named sampler; the same scores and seed give the same samples, in whatever order the scores
    come.

    Args:
        scores: one entry a sample.
        sampler: "band", "time_r1", "timelens" or "all".
        count: at most so many samples, drawn without replacement by the sampler's weights; None keeps all that pass.
        seed: of the draw.
        options: further arguments of `select_band`, `select_time_r1` or `select_timelens`.

    Returns:
        ids and a report with: sampler, seed, options, requested, total, passed (before the draw), kept, paper_kept
        (18,000, for comparison), dropped (reason -> count), histogram (edges, before, after: mean IoU in 20 bins),
        mean_iou_before, mean_iou_after (None if none).

    Raises:
        ValueError: unknown sampler, duplicate id, IoU missing, not finite or outside [0, 1], count < 1, and what the
        sampler raises.
    """
    samplers: dict[str, Callable] = {
        "band": select_band,
        "time_r1": select_time_r1,
        "timelens": select_timelens,
        "all": select_all,
    }
    if sampler not in samplers:
        raise ValueError(f"sampler: expected one of {tuple(samplers)}, got {sampler!r}")
    return samplers[sampler](scores, count=count, seed=seed, **options)


def select_band(
    scores: Sequence[RolloutScore], *, count: int | None = None, seed: int = 0, low: float = 0.1, high: float = 0.7
) -> DifficultySelection:
    """Samples that are neither hopeless nor solved, and on which rollouts differ: low <= mean <= high, std > 0. Needs k
    >= 2 rollouts."""
    _check_scores(scores)
    if not 0 <= low <= high <= 1:
        raise ValueError(f"low, high: expected 0 <= low <= high <= 1, got {low!r}, {high!r}")
    single = next((score.id for score in scores if len(score.ious) < 2), None)
    if single is not None:
        raise ValueError(f"scores: 'band' needs at least 2 rollouts a sample, {single!r} has 1")

    def drop(score: RolloutScore) -> str | None:
        mean = _mean(score)
        if mean < low:
            return "too_hard"
        if mean > high:
            return "too_easy"
        return "no_spread" if min(score.ious) == max(score.ious) else None

    dropped = [drop(score) for score in scores]
    weights = np.array([float(reason is None) for reason in dropped])
    return _draw(scores, dropped, weights, count, seed, "band", {"low": low, "high": high})


def select_time_r1(
    scores: Sequence[RolloutScore],
    *,
    count: int | None = None,
    seed: int = 0,
    high: float = 0.7,
    centre: float = 0.3,
    std: float = 0.2,
) -> DifficultySelection:
    """Time-R1's: of each sample the first rollout counts; 0 < IoU <= high, drawn by exp(-(IoU - centre)² / 2 std²)."""
    _check_scores(scores)
    first = np.array([score.ious[0] for score in scores], dtype=np.float64)
    dropped = ["too_hard" if iou <= 0 else "too_easy" if iou > high else None for iou in first]
    weights = _gaussian(first, centre, std) * np.array([reason is None for reason in dropped])
    return _draw(scores, dropped, weights, count, seed, "time_r1", {"high": high, "centre": centre, "std": std})


def select_timelens(
    scores: Sequence[RolloutScore],
    *,
    count: int | None = None,
    seed: int = 0,
    centre: float = 0.05,
    std: float = 0.2,
    bins: int = 20,
    buckets: int = 9,
) -> DifficultySelection:
    """TimeLens': the drawn samples' mean IoU follows a Gaussian, whatever the scores' own distribution, and durations
    are even.

    Weight of a sample: Gaussian(mean IoU) / histogram density at it. `buckets` groups of equal size by duration give
    equally many; what a bucket lacks the others give.

    Raises ValueError: no `count` (every weight is positive, so without one nothing is selected), or a sample without
    duration.
    """
    _check_scores(scores)
    if count is None:
        raise ValueError("count: sampler 'timelens' draws by weight and needs a number of samples, got None")
    unknown = next((score.id for score in scores if score.duration is None or not score.duration > 0), None)
    if unknown is not None:
        raise ValueError(f"scores: 'timelens' needs a duration in seconds of every sample, {unknown!r} has none")
    mean = np.array([_mean(score) for score in scores])
    bin_N = np.minimum((mean * bins).astype(int), bins - 1)
    density = np.bincount(bin_N, minlength=bins) * (bins / max(1, len(scores)))
    weights = _gaussian(mean, centre, std) / density[bin_N]
    options = {"centre": centre, "std": std, "bins": bins, "buckets": buckets}
    return _draw(scores, [None] * len(scores), weights, count, seed, "timelens", options, _buckets(scores, buckets))


def select_all(scores: Sequence[RolloutScore], *, count: int | None = None, seed: int = 0) -> DifficultySelection:
    """Every sample, or `count` of them drawn evenly."""
    _check_scores(scores)
    return _draw(scores, [None] * len(scores), np.ones(len(scores)), count, seed, "all", {})


def _draw(
    scores: Sequence[RolloutScore],
    dropped: list[str | None],
    weights: np.ndarray,
    count: int | None,
    seed: int,
    sampler: str,
    options: dict[str, Any],
    bucket_N: np.ndarray | None = None,
) -> DifficultySelection:
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"count: expected None or a whole number >= 1, got {count!r}")
    passed = np.array([reason is None for reason in dropped], dtype=bool)
    # Weighted draw without replacement (Efraimidis and Spirakis): the largest keys log w + Gumbel noise. One number a
    # sample, dealt in the # order of the ids, so that the order of the scores does not matter.
    noise = np.empty(len(scores))
    by_id = sorted(range(len(scores)), key=lambda index: scores[index].id)
    noise[by_id] = np.random.default_rng(seed).gumbel(size=len(scores))
    with np.errstate(divide="ignore"):
        key_N = np.where(passed, np.log(weights) + noise, -np.inf)
    kept = np.zeros(len(scores), dtype=bool)
    bucket_N = np.zeros(len(scores), dtype=int) if bucket_N is None else bucket_N
    groups = [np.flatnonzero(passed & (bucket_N == bucket)) for bucket in np.unique(bucket_N)]
    shares = _shares([len(group) for group in groups], len(scores) if count is None else count)
    for group, share in zip(groups, shares, strict=True):
        kept[group[np.argsort(-key_N[group], kind="stable")[:share]]] = True
    reasons: dict[str, int] = {}
    for reason, keep in zip(dropped, kept, strict=True):
        if not keep:
            reasons[reason or "not_drawn"] = reasons.get(reason or "not_drawn", 0) + 1
    mean_N = np.array([_mean(score) for score in scores])
    report = {
        "sampler": sampler,
        "seed": seed,
        "options": options,
        "requested": count,
        "total": len(scores),
        "passed": int(passed.sum()),
        "kept": int(kept.sum()),
        "paper_kept": PAPER_KEPT,
        "dropped": reasons,
        "histogram": {
            "edges": [round(float(edge), 2) for edge in _EDGES],
            "before": np.histogram(mean_N, bins=_EDGES)[0].tolist(),
            "after": np.histogram(mean_N[kept], bins=_EDGES)[0].tolist(),
        },
        "mean_iou_before": float(mean_N.mean()) if len(mean_N) else None,
        "mean_iou_after": float(mean_N[kept].mean()) if kept.any() else None,
    }
    return DifficultySelection(tuple(score.id for score, keep in zip(scores, kept, strict=True) if keep), report)


def _shares(sizes: list[int], count: int) -> list[int]:
    """`count` split over groups as evenly as their sizes allow; the first groups get what does not divide."""
    shares = [0] * len(sizes)
    count = min(count, sum(sizes))
    while count > 0:
        open_groups = [index for index, size in enumerate(sizes) if shares[index] < size]
        each = max(1, count // len(open_groups))
        for index in open_groups:
            more = min(each, sizes[index] - shares[index], count)
            shares[index] += more
            count -= more
    return shares


def _buckets(scores: Sequence[RolloutScore], buckets: int) -> np.ndarray:
    """(N,) bucket of each sample: ranks by duration cut into `buckets` parts of equal size; equal durations are told
    apart by id."""
    if buckets < 1:
        raise ValueError(f"buckets: expected at least 1, got {buckets!r}")
    order = sorted(range(len(scores)), key=lambda index: (scores[index].duration, scores[index].id))
    bucket_N = np.empty(len(scores), dtype=int)
    bucket_N[order] = np.arange(len(scores)) * buckets // max(1, len(scores))
    return bucket_N


def _gaussian(value_N: np.ndarray, centre: float, std: float) -> np.ndarray:
    if not std > 0:
        raise ValueError(f"std: expected a number > 0, got {std!r}")
    return np.exp(-((value_N - centre) ** 2) / (2 * std * std))


def _mean(score: RolloutScore) -> float:
    return math.fsum(score.ious) / len(score.ious)


def _check_scores(scores: Sequence[RolloutScore]) -> None:
    seen = set()
    for score in scores:
        if score.id in seen:
            raise ValueError(f"scores: {score.id!r} is there twice")
        seen.add(score.id)
        if not score.ious or not all(0 <= iou <= 1 for iou in score.ious):
            raise ValueError(f"scores: expected IoUs in [0, 1] of {score.id!r}, got {score.ious!r}")
