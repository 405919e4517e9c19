"""One interval for one sentence: Charades-STA, ActivityNet Captions, TVGBench, TimeLens-Bench, and own sample files.

    mIoU       mean over the samples of the IoU with the best of the true intervals
    R1@m       share of samples whose IoU is at least m
    IoP        mean of |P ∩ G| / |P| (NExT-GQA's), again of the best
    parse_rate share of samples whose answer held an interval

TimeLens-Bench is reported for each of its three subsets, and for all samples together.

Definitions: TVG-R1's released evaluation (VideoMind's eval_auto.py: C); a sample without a prediction scores 0 there
too ([0, 0]). Time-R1's evaluation, which is TVGBench's, counts IoU > m where the others count IoU >= m (C), leaves out
videos that are not there, and calls the mean of mIoU and its three R1 "avg": `r1_above@m` and `avg_released` for
TVGBench are those, over the samples whose video was read. Some of its records are segments of longer videos: the model
is shown the segment alone, as that code does, and its answer counts from the segment's start.
"""

from functools import partial

import numpy as np

from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.clips import clip_of
from videostr.eval.metrics import THRESHOLDS, best_iop, best_iou
from videostr.eval.resampling import Means
from videostr.rewards.parse import ParsedInterval
from videostr.video import named_policy

QUESTION = "interval"
ABOVE = (0.3, 0.5, 0.7)
HEADLINE = ("r1@0.3", "r1@0.5", "r1@0.7", "miou")


def interval_cells(sample: Sample, parsed: ParsedInterval | None) -> dict[str, float]:
    """iou, iop, r1@m and parse_rate of one sample; parsed None: nothing was answered."""
    span = None if parsed is None else parsed.span
    iou, iop = (float(best([span], [sample.spans])[0]) for best in (best_iou, best_iop))
    cells = {"iou": iou, **{f"r1@{m}": float(iou >= m) for m in THRESHOLDS}, "iop": iop}
    return cells | {"parse_rate": float(span is not None)}


def interval_metrics(means: Means) -> dict[str, np.ndarray]:
    named = {"miou": means["iou"], **{f"r1@{m}": means[f"r1@{m}"] for m in THRESHOLDS}}
    return named | {"iop": means["iop"], "parse_rate": means["parse_rate"]}


def ask(sample: Sample, prompt: str) -> dict[str, str]:
    return {QUESTION: sample.query}


def score(sample: Sample, answers: Answers | None, context: Context, released: bool = False) -> Scored:
    parsed = None if answers is None else context.parser(answers[QUESTION])
    begin = clip_of(sample).start
    if begin is not None and parsed is not None and parsed.span is not None:  # the model counts from the clip's start
        parsed = parsed._replace(span=(parsed.span[0] + begin, parsed.span[1] + begin))
    cells = interval_cells(sample, parsed)
    if "subset" in sample.meta:
        cells |= {f"{name}/{sample.meta['subset']}": cells[name] for name in ("iou", *HEADLINE[:3])}
    if parsed is None:
        return Scored(cells, 0.0)
    if released:
        cells |= {"released/iou": cells["iou"], **{f"released/r1@{m}": float(cells["iou"] > m) for m in ABOVE}}
    span = None if parsed.span is None else list(parsed.span)
    reason = parsed.reason if span is None else "ok"
    return Scored(cells, cells["iou"], {QUESTION: reason}, {QUESTION: span})


def aggregate(means: Means) -> dict[str, np.ndarray]:
    metrics = interval_metrics(means)
    for name in means:
        cell, mark, subset = name.partition("/")
        if mark and cell != "released":
            metrics[f"{'miou' if cell == 'iou' else cell}/{subset}"] = means[name]
    if "released/iou" in means:
        above = {f"r1_above@{m}": means[f"released/r1@{m}"] for m in ABOVE}
        metrics |= above | {"avg_released": (means["released/iou"] + sum(above.values())) / (1 + len(ABOVE))}
    return metrics


_OURS = {"headline": HEADLINE, "ask": ask, "score": score, "aggregate": aggregate}
CHARADES_STA = Benchmark(
    "charades_sta",
    "Charades-STA",
    "TVG-R1's released evaluation (VideoMind eval_auto.py)",
    "tvg_r1",
    named_policy("tvg_r1"),
    2048,
    **_OURS,
)
ACTIVITYNET_CAPTIONS = Benchmark(
    "activitynet_captions",
    "ActivityNet Captions",
    "as Charades-STA",
    "tvg_r1",
    named_policy("tvg_r1"),
    2048,
    **_OURS,
)
TIMELENS_BENCH = Benchmark(
    "timelens_bench",
    "TimeLens-Bench",
    "as Charades-STA, on the corrected labels",
    "timelens",
    named_policy("qwen_vl_utils", fps=2.0, min_pixels=64 * 28 * 28, total_pixels=14336 * 28 * 28),
    512,
    **_OURS,
)
SAMPLES = Benchmark(
    "samples",
    "Own samples",
    "as Charades-STA",
    "tvg_r1",
    named_policy("tvg_r1"),
    2048,
    **_OURS,
)
TVGBENCH = Benchmark(
    "tvgbench",
    "TVGBench",
    "Time-R1's eval_all.py",
    "time_r1",
    named_policy("qwen_vl_utils", min_pixels=16 * 28 * 28, total_pixels=3584 * 28 * 28),
    1024,
    **_OURS | {"score": partial(score, released=True)},
)
