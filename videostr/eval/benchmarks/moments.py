"""QVHighlights: recall of the first moment and average precision of all.

    R1@m    share of queries whose first answered moment has an IoU >= m with the true window it fits best,
            m in {0.5, 0.7}; mIoU the mean of that IoU
    mAP@m   mean over queries of the average precision at IoU m (`ops.temporal_average_precision`), m in {0.5, 0.75};
            mAP the mean over m in {0.50, 0.55, …, 0.95}
    mAP (short, middle, long) of true windows that are 0 to 10, 10 to 30 or 30 to 150 s long, (least, most]; a query
            counts where it has such a window

Definition: jayleicn/moment_detr, standalone_eval/eval.py (C), at most 10 answered moments a query, in the order given
(a language model gives no scores: the earlier counts as the surer, O). That code leaves a query without an answered
moment out of mAP, and fails on it in R1; here it scores 0, and `map_released` leaves it out. Its R1 of a length range
still compares with the best window in the range, its mAP counts a window outside the range as wrong: as here.
Highlight detection (saliency) is not a task of this package.

Several moments are read from one answer where it holds several: <time>[[1, 5], [7, 9]]</time>, or "1-5, 7-9" in
<answer> or <time>. An answer with one moment is read as any other, by the run's parser.
"""

import numpy as np
import torch

from videostr import ops
from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.benchmarks.grounding import QUESTION, ask, interval_cells
from videostr.eval.resampling import Means
from videostr.ops.temporal_average_precision import THRESHOLDS
from videostr.rewards.parse import ParsedInterval, parse_segments
from videostr.video import named_policy

MOST = 10
RANGES = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}


def read_moments(text: str, context: Context) -> tuple[list[tuple[float, float]], str]:
    """The moments of an answer, at most 10, and why there are none ("ok" where there are)."""
    for tag in ("time", "answer"):
        segments = parse_segments(text, tag).spans
        if len(segments) > 1:
            return list(segments[:MOST]), "ok"
    parsed = context.parser(text)
    return ([], parsed.reason) if parsed.span is None else ([parsed.span], "ok")


def score(sample: Sample, answers: Answers | None, context: Context) -> Scored:
    moments, reason = ([], "") if answers is None else read_moments(answers[QUESTION], context)
    first = ParsedInterval(moments[0], False, "ok") if moments else None
    cells = interval_cells(sample, first) | _precision("ap", moments, sample.spans)
    if moments:
        cells |= _precision("released/ap", moments, sample.spans)
    for name, (least, most) in RANGES.items():
        windows = [span for span in sample.spans if least < span[1] - span[0] <= most]
        if windows:
            cells |= _precision(f"{name}/ap", moments, windows)
    if answers is None:
        return Scored(cells, 0.0)
    return Scored(cells, cells["iou"], {QUESTION: reason}, {QUESTION: [list(moment) for moment in moments] or None})


def _precision(name: str, moments: list, windows: list) -> dict[str, float]:
    pred = torch.tensor(moments, dtype=torch.float64).reshape(-1, 2)
    true = torch.tensor(windows, dtype=torch.float64)
    order = -torch.arange(len(pred), dtype=torch.float64)
    ap_H = ops.temporal_average_precision(
        pred, order, torch.tensor([0, len(pred)]), true, torch.tensor([0, len(true)]), THRESHOLDS
    )[0]
    wanted = {f"{name}@{m}": float(ap_H[THRESHOLDS.index(m)]) for m in (0.5, 0.75)}
    return {name: float(ap_H.mean())} | (wanted if name == "ap" else {})


def aggregate(means: Means) -> dict[str, np.ndarray]:
    metrics = {"r1@0.5": means["r1@0.5"], "r1@0.7": means["r1@0.7"]}
    metrics |= {"map@0.5": means["ap@0.5"], "map@0.75": means["ap@0.75"], "map": means["ap"]}
    metrics |= {f"map_{name}": means[f"{name}/ap"] for name in RANGES if f"{name}/ap" in means}
    metrics |= {"map_released": means["released/ap"]} if "released/ap" in means else {}
    return metrics | {"miou": means["iou"], "r1@0.3": means["r1@0.3"], "parse_rate": means["parse_rate"]}


QVHIGHLIGHTS = Benchmark(
    "qvhighlights",
    "QVHighlights",
    "jayleicn/moment_detr, standalone_eval/eval.py",
    "tvg_r1",
    named_policy("tvg_r1"),
    2048,
    ("r1@0.5", "r1@0.7", "map@0.5", "map@0.75", "map"),
    ask,
    score,
    aggregate,
)
