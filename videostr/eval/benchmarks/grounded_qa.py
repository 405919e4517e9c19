"""Questions that ask for their evidence too: NExT-GQA and ReXTime.

Asked as sentences to ground (the default, ours: O), they have grounding's metrics, IoP@{0.3, 0.5} beside them. TVG-R1's
released evaluation always writes the options below the question, where the file has them: the prompt `tvg_r1_grounding`
asks so for the interval alone (C), the prompt `tvg_r1_qa` for the option too, and then there are also

    acc        share of questions whose option is right
    acc_gqa    share that is right and grounded, IoP >= 0.5: NExT-GQA's Acc@GQA
    acc_iou    share that is right with IoU >= 0.5: ReXTime's

Definitions: doc-doc/NExT-GQA, eval_ground.py (C); acc_iou: TVG-R1's released evaluation (VideoMind, eval_auto.py: C),
which has both for both sets. NExT-GQA's code leaves out questions without a predicted interval and counts them nowhere
(`*_released`); a prediction that is one point has IoP 1 there if it lies in the truth, here a point is no interval.
"""

import numpy as np

from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.benchmarks.choices import options_of, read_choice, truth_of, with_options
from videostr.eval.benchmarks.grounding import HEADLINE, QUESTION, interval_cells, interval_metrics
from videostr.eval.resampling import Means
from videostr.video import named_policy

WITH_OPTIONS = ("tvg_r1_qa", "question_think", "question")
OPTIONS_SHOWN = "tvg_r1_grounding"  # and none asked for
CHOICE = "choice"
IOP = (0.3, 0.5)


def ask(sample: Sample, prompt: str) -> dict[str, str]:
    options = options_of(sample.meta)
    if options and prompt in WITH_OPTIONS and truth_of(sample.meta, options):
        return {CHOICE: with_options(sample.query, options)}
    if options and prompt == OPTIONS_SHOWN:
        return {QUESTION: with_options(sample.query, options)}
    return {QUESTION: sample.query}


def score(sample: Sample, answers: Answers | None, context: Context) -> Scored:
    options = options_of(sample.meta)
    truth = truth_of(sample.meta, options) if options else None
    (name,) = ask(sample, context.prompt)
    parsed = None if answers is None else context.parser(answers[name])
    cells = interval_cells(sample, parsed) | {f"iop@{m}": 0.0 for m in IOP}
    cells |= {f"iop@{m}": float(cells["iop"] >= m) for m in IOP}
    answered = parsed is not None and parsed.span is not None
    if answered:
        released = ("iou", "iop", *(f"iop@{m}" for m in IOP), "r1@0.3", "r1@0.5")
        cells |= {f"released/{cell}": cells[cell] for cell in released}
    choice = None
    if answers is not None and name == CHOICE:
        choice = read_choice(answers[name], options)
        right = float(choice.letter == truth)
        cells |= {"acc": right, "acc_gqa": right * cells["iop@0.5"], "acc_iou": right * cells["r1@0.5"]}
        cells |= {"released/acc_gqa": cells["acc_gqa"]} if answered else {}
    elif name == CHOICE:
        cells |= {"acc": 0.0, "acc_gqa": 0.0, "acc_iou": 0.0}
    if parsed is None:
        return Scored(cells, 0.0)
    reason = parsed.reason if parsed.span is None else "ok" if choice is None else choice.reason
    read = None if parsed.span is None else list(parsed.span)
    told = read if choice is None else {"interval": read, "choice": choice.letter}
    return Scored(cells, cells["iou"], {name: reason}, {name: told})


def aggregate(means: Means) -> dict[str, np.ndarray]:
    metrics = interval_metrics(means) | {f"iop@{m}": means[f"iop@{m}"] for m in IOP}
    metrics |= {name: means[name] for name in ("acc", "acc_gqa", "acc_iou") if name in means}
    for cell in ("iou", "iop", *(f"iop@{m}" for m in IOP), "acc_gqa"):
        if f"released/{cell}" in means:
            metrics[f"{'miou' if cell == 'iou' else cell}_released"] = means[f"released/{cell}"]
    return metrics


def _benchmark(name: str, title: str, source: str) -> Benchmark:
    headline = (*HEADLINE, "iop", "iop@0.5", "acc", "acc_gqa")
    return Benchmark(name, title, source, "tvg_r1", named_policy("tvg_r1"), 2048, headline, ask, score, aggregate)


NEXTGQA = _benchmark("nextgqa", "NExT-GQA", "doc-doc/NExT-GQA, eval_ground.py; TVG-R1's released evaluation")
REXTIME = _benchmark("rextime", "ReXTime", "TVG-R1's released evaluation (VideoMind eval_auto.py)")
