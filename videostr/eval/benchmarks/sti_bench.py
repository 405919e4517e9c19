"""STI-Bench: multiple choice over space and time; the question is preceded by the stretch of video that it is about.

    acc         share of questions whose option is right, a question without a readable answer or video wrong (micro)
    acc/TASK, acc/SCENE   the same of one task, one kind of scene
    acc_released          the benchmark's own reading, over the questions whose video was read

Definition: MINT-SJTU/STI-Bench, opensource_test.py (C). Its code takes the first of a list of patterns that is found
anywhere in the text, the thinking included ("(A)", "Answer: B", "Option D", …), else the text's last character, which
must be the right capital letter; a video that is not there is left out. At most 30 frames of at most 360 x 420 pixels,
512 tokens (C).
"""

import re
from string import ascii_uppercase

import numpy as np

from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.benchmarks.choices import read_choice
from videostr.eval.resampling import Means
from videostr.video import named_policy

QUESTION = "choice"
_RELEASED = [
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"\(([A-E])\)",
        r"Ans\s*=\s*['\"]?([A-E])['\"]?",
        r"Answer\s*[:=]\s*([A-E])",
        r"Option\s+([A-E])",
        r"\b([A-E])\s*(?:is|was)\s*correct",
        r"\b([A-E])[\.\)]\s*$",
    )
]


def ask(sample: Sample, prompt: str) -> dict[str, str]:
    start, end = sample.meta["times"]
    options = [f"({letter}) {text}" for letter, text in zip(ascii_uppercase, sample.meta["options"], strict=False)]
    lines = [f"From {start} s to {end} s. {sample.query}", *options, "Please output only the option letter!"]
    return {QUESTION: "\n".join(lines)}


def released_choice(text: str) -> str:
    """What the benchmark's code compares with the answer; "" for an empty text."""
    text = text[:20_000]
    for pattern in _RELEASED:
        match = pattern.search(text)
        if match:
            return match[1].upper()
    return text.strip()[-1:]


def score(sample: Sample, answers: Answers | None, context: Context) -> Scored:
    parsed = None if answers is None else read_choice(answers[QUESTION], sample.meta["options"])
    right = float(parsed is not None and parsed.letter == sample.meta["answer"])
    cells = {"acc": right, f"task/{sample.meta['task']}": right, f"scene/{sample.meta['scene']}": right}
    if answers is None:
        return Scored(cells, 0.0)
    cells["released"] = float(released_choice(answers[QUESTION]) == sample.meta["answer"])
    return Scored(cells, right, {QUESTION: parsed.reason}, {QUESTION: parsed.letter})


def aggregate(means: Means) -> dict[str, np.ndarray]:
    parts = {f"acc/{name.partition('/')[2]}": mean for name, mean in sorted(means.items()) if "/" in name}
    released = {"acc_released": means["released"]} if "released" in means else {}
    return {"acc": means["acc"]} | released | parts


STI_BENCH = Benchmark(
    "sti_bench",
    "STI-Bench",
    "MINT-SJTU/STI-Bench, opensource_test.py",
    "question",
    named_policy("qwen_vl_utils", num_frames=30, max_pixels=360 * 420),
    512,
    ("acc", "acc_released"),
    ask,
    score,
    aggregate,
    score_name="accuracy",
)
