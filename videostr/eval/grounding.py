"""Temporal grounding as a task: an answer is one interval."""

from collections.abc import Sequence
from typing import Any

from videostr.data.samples import Sample
from videostr.eval.metrics import temporal_metrics
from videostr.rewards import RewardBatch, RewardSpec


class GroundingTask:
    """reward: with a term "iou" that reads an interval."""

    name = "grounding"
    headline = ("miou", "r1@0.5", "parse_rate")
    curve = ("miou", "r1@0.5", "parse_rate")

    def __init__(self, reward: RewardSpec):
        self.reward = reward

    def rows(self, sample: Sample, texts: Sequence[str], scored: RewardBatch) -> list[dict[str, Any]]:
        """pred: [start, end] in seconds or null; iou: with the best of the true intervals."""
        spans = [None if parsed.span is None else list(parsed.span) for parsed in scored.parsed]
        return [{"pred": span, "iou": iou} for span, iou in zip(spans, scored.terms["iou"].tolist(), strict=True)]

    def metrics(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """As `temporal_metrics`."""
        return temporal_metrics([row["pred"] for row in rows], [row["spans"] for row in rows])
