"""Predicted intervals against the true ones of their samples, a whole batch in one operator call."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import torch

from videostr import ops

Span = tuple[float, float]
_INFINITE = float("inf")


def as_span_sets(column: list) -> list[list[Span]]:
    """N samples' true intervals. The completions of a group have one and the same truth, which is looked at once.

    column: a list, which keeps the values alive: they are told apart by identity.
    Raises ValueError where one is no list of (start, end) pairs with start < end, or empty.
    """
    ids = list(map(id, column))
    known = {key: _as_spans(value) for key, value in dict(zip(ids, column, strict=True)).items()}
    sets = [known[key] for key in ids]
    if not all(sets):
        row = next(row for row, spans in enumerate(sets) if not spans)
        if sets[row] is None:
            raise ValueError(f"spans[{row}]: expected pairs start < end in seconds, got {column[row]!r:.80}")
        raise ValueError(f"spans[{row}]: expected at least one true interval, got none")
    return sets


def _as_spans(value: object) -> list[Span] | None:
    """A sample's true intervals, from [[start, end], …] or one [start, end]; None for anything else."""
    if type(value) is not list and isinstance(value, str | bytes | Mapping):
        return None
    spans = []
    try:
        for start, end in [value] if len(value) == 2 and not hasattr(value[0], "__len__") else value:
            first, last = float(start), float(end)
            if isinstance(start, str) or not -_INFINITE < first < last < _INFINITE:
                return None
            spans.append((first, last))
    except (TypeError, ValueError, OverflowError):
        return None
    return spans


def as_durations(column: Sequence[float]) -> torch.Tensor:
    """(N,) float64. Raises ValueError where one is missing or no finite number above 0."""
    durations = list(map(_as_duration, column))
    if None in durations:
        row = durations.index(None)
        raise ValueError(f"duration[{row}]: expected seconds > 0, a number, got {column[row]!r:.80}")
    return torch.tensor(durations, dtype=torch.float64)


def _as_duration(value: object) -> float | None:
    if isinstance(value, str | bytes | bool):
        return None
    try:
        duration = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last: torch, of several numbers
        return None
    return duration if 0 < duration < _INFINITE else None


def best_overlap(pred_N2: torch.Tensor, spans: list[list[Span]], duration_N: torch.Tensor | None) -> torch.Tensor:
    """(N,) float64: for each prediction its best score over its sample's true intervals; 0 for a NaN one.
    spans: of `as_span_sets`.

    The score is the IoU; with durations Time-R1's IoU (1 - |Δstart| / T)(1 - |Δend| / T).
    """
    counts = list(map(len, spans))
    flat = chain.from_iterable(chain.from_iterable(spans))
    true_M2 = torch.from_numpy(np.fromiter(flat, np.float64, 2 * sum(counts))).reshape(-1, 2)
    if len(true_M2) == len(spans):
        return _score(pred_N2, true_M2, duration_N)
    row_M = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(counts, dtype=torch.int64))
    score_M = _score(pred_N2[row_M], true_M2, None if duration_N is None else duration_N[row_M])
    return torch.zeros(len(spans), dtype=torch.float64).scatter_reduce(0, row_M, score_M, "amax")


def _score(pred_M2: torch.Tensor, true_M2: torch.Tensor, duration_M: torch.Tensor | None) -> torch.Tensor:
    if duration_M is None:
        return ops.temporal_iou(pred_M2, true_M2, kind="iou")
    return ops.temporal_iou(pred_M2, true_M2, kind="time_r1", duration=duration_M)
