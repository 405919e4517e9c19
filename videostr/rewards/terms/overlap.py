"""Predicted intervals against the true ones of their samples, a whole batch in one operator call."""

from collections.abc import Sequence

import torch

from videostr import ops

Span = Sequence[float]


def as_spans(value: object, row: int) -> list[tuple[float, float]]:
    """A sample's true intervals, from [[start, end], …] or one [start, end]. Raises ValueError for anything else."""
    spans = [value] if _is_pair(value) else value
    if not isinstance(spans, Sequence) or isinstance(spans, str) or not all(_is_pair(span) for span in spans):
        raise ValueError(f"spans[{row}]: expected (start, end) pairs in seconds, got {value!r:.80}")
    if len(spans) == 0:
        raise ValueError(f"spans[{row}]: expected at least one true interval, got none")
    return [(float(start), float(end)) for start, end in spans]


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(isinstance(item, int | float) and not isinstance(item, bool) for item in value)
    )


def as_durations(durations: Sequence[float | None] | None, count: int) -> torch.Tensor:
    """(N,) float64. Raises ValueError where one is missing or not above 0."""
    if durations is None or len(durations) != count:
        got = "None" if durations is None else str(len(durations))
        raise ValueError(f"durations: kind 'time_r1' expects one a completion ({count}), got {got}")
    for index, duration in enumerate(durations):
        if duration is None or not 0 < duration < float("inf"):
            raise ValueError(f"durations[{index}]: kind 'time_r1' expects seconds > 0, got {duration!r}")
    return torch.tensor(list(durations), dtype=torch.float64)


def best_overlap(
    preds: Sequence[Span | None], spans: Sequence[Sequence[Span]], duration_N: torch.Tensor | None
) -> torch.Tensor:
    """(N,) float64: for each prediction its best score over its sample's true intervals; 0 without a prediction.

    The score is the IoU; with durations Time-R1's IoU (1 - |Δstart| / T)(1 - |Δend| / T).
    """
    counts = [len(truth) for truth in spans]
    if 0 in counts:
        raise ValueError(f"spans[{counts.index(0)}]: expected at least one true interval, got none")
    # A NaN interval scores 0 in temporal_iou, as a missing one must.
    pred_N2 = torch.tensor([_NONE if p is None else p for p in preds], dtype=torch.float64).reshape(-1, 2)
    true_M2 = torch.tensor([span for truth in spans for span in truth], dtype=torch.float64).reshape(-1, 2)
    if len(true_M2) == len(spans):
        return _score(pred_N2, true_M2, duration_N)
    row_M = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(counts, dtype=torch.int64))
    score_M = _score(pred_N2[row_M], true_M2, None if duration_N is None else duration_N[row_M])
    return torch.zeros(len(spans), dtype=torch.float64).scatter_reduce(0, row_M, score_M, "amax")


_NONE = (float("nan"), float("nan"))


def _score(pred_M2: torch.Tensor, true_M2: torch.Tensor, duration_M: torch.Tensor | None) -> torch.Tensor:
    score_M = ops.temporal_iou(pred_M2, true_M2, kind="iou")
    if duration_M is None:
        return score_M
    # Clamped at 0: for an end further off than the whole video the published product would turn around, and two such
    # ends earn again.
    ends_M2 = (1 - (pred_M2 - true_M2).abs() / duration_M[:, None]).clamp_min(0).nan_to_num(0.0)
    return score_M * ends_M2.prod(-1)
