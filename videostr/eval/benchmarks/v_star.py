"""V-STaR: what, when and where of one question, asked in two orders.

Each item is five questions: what (answered freely); chain 1: when, then where given the true time; chain 2: where
given no time, then when given the true boxes.

    tIoU       IoU of the answered with the true interval, 0 without one; m_tiou its mean, r1@{0.3, 0.5, 0.7}
    vIoU       mean over the annotated seconds of the box's IoU, 0 where none is answered; m_viou its mean
    ap@m       mean over the items of the share of annotated seconds whose IoU is at least m, {0.1, 0.3, 0.5, 0.7, 0.9}
    acc        share of items whose answer a judge rates 2 or 3 of 3; only where a judge is asked
    am         (acc + m_tiou + m_viou) / 3; mam the mean of both chains'
    lgm        -[ln(1 - acc) + ln(1 - m_tiou) + ln(1 - m_viou)] / 3; mlgm the mean of both chains'
    both       share of items right in two or three of: answer, tIoU >= 0.3, vIoU >= 0.1

A chain's metric has its number behind it. Definition: V-STaR-Bench/V-STaR, eval.py, and inference_demo.py for the
words of the questions and how boxes are scaled back from the frames the model saw (C; for Qwen2-VL and Qwen3-VL, which
count in thousandths of the frame, by their model cards: S).

Where that code is odd, both numbers: it reads an interval from exactly two numbers in the text, cuts boxes to whole
pixels, and leaves items without any text for the first question out of every mean but the accuracy's (`*_released`).
Its demo hands the words for "when" over as a Python tuple, so that the model sees brackets and quotes; they are not
copied, nor is the indentation of its other questions. `exact`, the share of answers equal to the truth but for case and
punctuation, needs no judge and is ours (O).
"""

import math
import re

import numpy as np
import torch

from videostr import ops
from videostr.data.samples import Sample
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored
from videostr.eval.benchmarks.choices import behind_thinking, said
from videostr.eval.metrics import best_iou
from videostr.eval.resampling import Means
from videostr.rewards.parse import read_json
from videostr.rewards.parse.boxes import read_tube
from videostr.text.json_boxes import Box
from videostr.text.seconds import Span, checked
from videostr.video import FramePolicy

WHAT, WHEN, WHERE = "what", "when", "where"
CHAINS = (1, 2)
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
TEMPORAL = (0.3, 0.5, 0.7)


def ask(sample: Sample, prompt: str) -> dict[str, str]:
    meta, (start, end) = sample.meta, sample.spans[0]
    seconds, (width, height) = round(meta["seconds"], 2), (f"{side:g}" for side in meta["size"])
    boxes = [entry["box"] for entry in meta["boxes"]]
    whole = list(range(math.ceil(start), math.floor(end) + 1)) or [round((start + end) / 2)]
    when = f"Answer the question about the video: {meta['temporal_question']} \n"
    form = "with a series of bounding boxes in [x1, y1, x2, y2] format."
    return {
        WHAT: (
            f"Answer the question about the video: {sample.query} \n "
            "(If the answer is a person, you don't need to identify the person.)"
        ),
        f"{WHEN}_1": f"This video is {seconds} seconds long. {when} Output the start and end moment timestamps.",
        f"{WHERE}_1": (
            f"Please answer the question about the video: {meta['spatial_question']} {form}\n"
            f"For each whole second within the time range {whole} provided (inclusive of the boundaries), output a "
            "series of bounding boxes of the object in JSON format. The keys should be the whole seconds (as strings), "
            "and the values should be the box in [x1, y1, x2, y2] format.\n"
            f'Example output: {{"{whole[0]}": [x1, y1, x2, y2],...}}'
        ),
        f"{WHERE}_2": (
            f"Please answer the question about the video: {meta['spatial_question_2']} {form}\n"
            "For each whole second that may related to the question, output a series of bounding boxes of the object "
            f"in JSON format. You only need to output {len(boxes)} bbox(es). You need to determine which frame is "
            "related to the question, and you don't need to output the bbox for the frames not related to the "
            "question.\n"
            "The keys should be the whole seconds (as strings), and the values should be the bounding box in "
            "[x0,y0,x1,y1] format.\nExample output:\n"
            f'{{"0": [x0,y0,x1,y1], "1":..., ..., "{len(boxes)}":...}} '
            f"(if the frames at 0~{len(boxes)} second are related to the questions)"
        ),
        f"{WHEN}_2": (
            f"This video is {seconds} seconds long with a resolution of {width}x{height} (width x height). {when} "
            f"There are {len(boxes)} bounding boxes of the key object related to the question in the video without "
            f"knowing the time, which are:{boxes}. Output the start and end moment timestamps."
        ),
    }


def score(sample: Sample, answers: Answers | None, context: Context) -> Scored:
    cells, reasons, parsed = {}, {}, {}
    told = answers is not None and bool(answers[WHAT].strip())
    rated = context.judged.get(WHAT)
    right = float(rated is not None and rated >= 2)
    if context.judges:
        cells["acc"] = right
    cells["exact"] = float(answers is not None and _plain(said(answers[WHAT])) == _plain(str(sample.meta["answer"])))
    for chain in CHAINS:
        when, where = f"{WHEN}_{chain}", f"{WHERE}_{chain}"
        span, tube = None, {}
        if answers is not None:
            span, reasons[when] = read_when(answers[when], context)
            tube, reasons[where] = read_where(answers[where], sample, context)
            parsed |= {when: None if span is None else list(span), where: {str(t): list(b) for t, b in tube.items()}}
        tiou, ious = float(best_iou([span], [sample.spans])[0]), _box_ious(sample, tube)
        cells |= _chain_cells(chain, tiou, ious, right if context.judges else None)
        if told:
            released = float(best_iou([_two_numbers(answers[when])], [sample.spans])[0])
            whole = {time: tuple(float(int(side)) for side in box) for time, box in tube.items()}
            cells |= {
                f"released/tiou_{chain}": released,
                f"released/viou_{chain}": float(_box_ious(sample, whole).mean()),
            }
    if answers is not None:
        reasons[WHAT], parsed[WHAT] = "ok" if said(answers[WHAT]) else "empty", rated
    parts = [cells[f"{name}_{chain}"] for name in ("tiou", "viou") for chain in CHAINS]
    return Scored(cells, float(np.mean([*parts, right] if context.judges else parts)), reasons, parsed)


def read_when(text: str, context: Context) -> tuple[Span | None, str]:
    """By the run's parser; where that finds none, the two numbers of a text that has exactly two."""
    parsed = context.parser(text)
    if parsed.span is not None:
        return parsed.span, "ok"
    span = _two_numbers(behind_thinking(text))
    return (None, parsed.reason) if span is None else (span, "ok")


_NUMBER = re.compile(r"\b[0-9]+(?:\.[0-9]+)?\b")


def _two_numbers(text: str) -> Span | None:
    numbers = _NUMBER.findall(text[:20_000])
    return checked(*map(float, numbers))[0] if len(numbers) == 2 else None


def read_where(text: str, sample: Sample, context: Context) -> tuple[dict[float, Box], str]:
    """Second -> box in the video's own pixels, and why there is none."""
    value, reason = read_json(said(text).replace("```json", "```").strip("` \n"))
    if reason != "ok":
        return {}, reason
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value) and _by_second(value):
        value = {key: box for item in value for key, box in item.items()}
    tube = read_tube(value)
    if not tube.boxes:
        return {}, tube.reason
    width, height = sample.meta["size"]
    seen = context.size or (height, width)
    seen_h, seen_w = seen if context.family == "qwen2_5_vl" else (1000, 1000)
    sx, sy = width / seen_w, height / seen_h
    return {time: (x0 * sx, y0 * sy, x1 * sx, y1 * sy) for time, (x0, y0, x1, y1) in tube.boxes.items()}, "ok"


def _by_second(items: list[dict]) -> bool:
    """[{"5": box}, {"6": box}], which the benchmark's code joins to one object."""
    return all(re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", str(key)) for item in items for key in item)


def _box_ious(sample: Sample, tube: dict[float, Box]) -> np.ndarray:
    """The IoU at each annotated box, 0 where its second has none."""
    entries = sample.meta["boxes"]
    none = (math.nan,) * 4
    pred = torch.tensor([tube.get(float(entry["time"]), none) for entry in entries], dtype=torch.float64)
    true = torch.tensor([entry["box"] for entry in entries], dtype=torch.float64)
    return ops.box_iou(pred, true).numpy()


def _chain_cells(chain: int, tiou: float, ious: np.ndarray, right: float | None) -> dict[str, float]:
    viou = float(ious.mean())
    cells = {f"tiou_{chain}": tiou, f"viou_{chain}": viou}
    cells |= {f"r1@{m}_{chain}": float(tiou >= m) for m in TEMPORAL}
    cells |= {f"ap@{m}_{chain}": float((ious >= m).mean()) for m in THRESHOLDS}
    when, where = tiou >= 0.3, viou >= 0.1
    cells[f"when+where_{chain}"] = float(when and where)
    if right is not None:
        cells |= {f"what+when_{chain}": right * when, f"what+where_{chain}": right * where}
        cells[f"all_{chain}"] = right * (when and where)
    return {name: float(value) for name, value in cells.items()}


def aggregate(means: Means) -> dict[str, np.ndarray]:
    metrics = {}
    for kind in ("", "_released"):
        source = {"acc": means.get("acc")} | {name: means.get(f"released/{name}" if kind else name) for name in _MEANS}
        if source["tiou_1"] is None:
            continue
        if source["acc"] is not None:
            metrics["acc"] = source["acc"]
            metrics |= {f"{name}{kind}": value for name, value in _joined(source).items()}
        metrics |= {f"m_{name}{kind}": source[name] for name in _MEANS}
    metrics["exact"] = means["exact"]
    rest = [name for name in means if name.startswith(("r1@", "ap@", "when", "what", "all_"))]
    return metrics | {name: means[name] for name in rest}


_MEANS = tuple(f"{name}_{chain}" for chain in CHAINS for name in ("tiou", "viou"))


def _joined(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    joined = {}
    for chain in CHAINS:
        parts = [means["acc"], means[f"tiou_{chain}"], means[f"viou_{chain}"]]
        with np.errstate(divide="ignore"):
            joined |= {f"am_{chain}": sum(parts) / 3, f"lgm_{chain}": -sum(np.log(1 - part) for part in parts) / 3}
    return {f"m{name}": (joined[f"{name}_1"] + joined[f"{name}_2"]) / 2 for name in ("am", "lgm")} | joined


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())


V_STAR = Benchmark(
    "v_star",
    "V-STaR",
    "V-STaR-Bench/V-STaR, eval.py and inference_demo.py",
    "question_first",
    FramePolicy(fps=1.0, min_pixels=16 * 28 * 28, total_pixels=20480 * 28 * 28),
    2048,
    ("acc", "m_tiou_1", "m_viou_1", "m_tiou_2", "m_viou_2", "mam", "mlgm"),
    ask,
    score,
    aggregate,
    questions=5,
    judged=(WHAT,),
    score_name="mean of what is scored",
)
