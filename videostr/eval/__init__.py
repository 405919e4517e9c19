"""Scores of a model's answers."""

from videostr.eval.metrics import best_iou, bootstrap_interval, paired_bootstrap, temporal_metrics

__all__ = ["best_iou", "bootstrap_interval", "paired_bootstrap", "temporal_metrics"]
