"""VSI-Bench: spatial questions about a walk through a room, multiple choice and numbers.

    acc/TYPE   share of right options; acc/object_rel_direction is the mean of its three levels
    mra/TYPE   mean relative accuracy of numbers: mean over θ in {.50, .55, …, .95} of [ |ŷ - y| / |y| <= 1 - θ ]
    overall    mean of the eight tasks

Definition: vision-x-nyu/thinking-in-space, lmms_eval/tasks/vsibench/utils.py (C), as are the words of the prompt and
the 16 tokens. Its code reads the first word of the text, full stop cut off: "A." is an option, "(A)", "A)" and an
answer behind thinking are not; `overall_released` reads so, over the questions whose video was read. A type that a
file does not have counts there as 0 among the directions' three; here the mean is over those it has. How many frames a
model sees is each model's own there; 32 is ours (O).
"""

import numpy as np
import torch

from videostr.data.readers.vsi_bench import CHOICES, NUMBERS
from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.benchmarks.choices import behind_thinking, read_choice
from videostr.eval.resampling import Means
from videostr.rewards.parse import parse_number
from videostr.rewards.terms.number import mean_relative_accuracy
from videostr.video import named_policy

QUESTION = "answer"
DIRECTION = "object_rel_direction"
_LEVELS = tuple(f"{DIRECTION}_{level}" for level in ("easy", "medium", "hard"))


def ask(sample: Sample, prompt: str) -> dict[str, str]:
    lines = ["These are frames of a video.", sample.query]
    if sample.meta["answer_kind"] == "choice":
        lines += [
            "Options:",
            *sample.meta["options"],
            "Answer with the option's letter from the given choices directly.",
        ]
    else:
        lines.append("Please answer the question using a single word or phrase.")
    return {QUESTION: "\n".join(lines)}


def score(sample: Sample, answers: Answers | None, context: Context) -> Scored:
    kind, truth = sample.meta["question_type"], sample.meta["answer"]
    if answers is None:
        return Scored({kind: 0.0}, 0.0)
    text = answers[QUESTION]
    first = text.split(" ")[0].rstrip(".").strip()
    if sample.meta["answer_kind"] == "choice":
        parsed = read_choice(text, sample.meta["options"])
        read, value = parsed.letter, float(parsed.letter == truth)
        released = float(first.lower() == truth.lower())
    else:
        parsed = parse_number(text)
        parsed = parse_number(f"<answer>{behind_thinking(text)}</answer>") if parsed.reason == "no_tag" else parsed
        read, value = parsed.value, _accuracy(parsed.value, truth)
        released = _accuracy(_float(first), truth)
    return Scored({kind: value, f"released/{kind}": released}, value, {QUESTION: parsed.reason}, {QUESTION: read})


def _accuracy(value: float | None, truth: float) -> float:
    if value is None:
        return 0.0
    return float(mean_relative_accuracy(*(torch.tensor([x], dtype=torch.float64) for x in (value, truth)))[0])


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def aggregate(means: Means) -> dict[str, np.ndarray]:
    tasks = {name: means[name] for name in (*CHOICES, *NUMBERS) if name in means and name not in _LEVELS}
    levels = {name: means[name] for name in _LEVELS if name in means}
    if levels:
        tasks[DIRECTION] = _mean(list(levels.values()))
    metrics = {"overall": _mean(list(tasks.values()))}
    released = {name: means[f"released/{name}"] for name in (*tasks, *levels) if f"released/{name}" in means}
    if released:
        metrics["overall_released"] = _released(released)
    named = {f"{'mra' if name in NUMBERS else 'acc'}/{name}": mean for name, mean in sorted((tasks | levels).items())}
    return metrics | named


def _released(means: dict[str, np.ndarray]) -> np.ndarray:
    direction = sum(np.nan_to_num(means[name]) for name in _LEVELS if name in means) / 3.0
    others = [mean for name, mean in means.items() if name not in _LEVELS]
    return _mean([*others, np.broadcast_to(direction, np.shape(others[0]) if others else np.shape(direction))])


def _mean(values: list[np.ndarray]) -> np.ndarray:
    """Of those that are not NaN; NaN where none is."""
    stacked = np.stack([np.asarray(value, dtype=np.float64) for value in values])
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        return np.where(known, stacked, 0.0).sum(0) / known.sum(0)


VSI_BENCH = Benchmark(
    "vsi_bench",
    "VSI-Bench",
    "vision-x-nyu/thinking-in-space, lmms_eval/tasks/vsibench/utils.py",
    "question",
    named_policy("qwen_vl_utils", num_frames=32),
    16,
    ("overall", "overall_released"),
    ask,
    score,
    aggregate,
    score_name="accuracy or MRA",
)
