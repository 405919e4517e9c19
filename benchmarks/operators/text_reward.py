"""Text to reward: completions of 1,500 characters, against the per-sample Python that the papers' code does.

tvg: TVG-R1's reward. The peer does per completion what the released code does, but for its printing: the pattern over
the whole text, the search for the interval, json.loads, the overlap of two pairs. museg: MUSEG's three, likewise.
spacer: SpaceR's answer, format and map; the peer reads the map by json.loads, which is less than its code does.
"""

import json
import math
import platform
import random
import re
from collections.abc import Callable

import torch

import videostr
from benchmarks import costs
from videostr.rewards import load_reward

GROUP = 8
MODES = {"tvg": "tvg", "museg": "museg", "spacer": "spacer"}
WORDS = "the red ball enters from the left then someone in a dark coat picks it up and slowly walks away again".split()


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    if device.type == "cuda":
        return []  # text lies on the CPU
    return [(mode, 64 if quick else 2048) for mode in MODES]


def shape(size: int) -> str:
    return f"n={size} of 1,500 characters"


def cost(mode: str, size: int) -> costs.Cost:
    """Every character is read once."""
    return costs.Cost(1500 * size, {"fp64": 10.0 * size}, None)


def providers(mode: str, size: int) -> dict[str, str]:
    return {"videostr": videostr.__version__, "released-style python": platform.python_version()}


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], torch.Tensor]:
    texts, columns = _inputs(mode, 16 if size == "tiny" else size)
    if provider == "videostr":
        reward = load_reward(MODES[mode])
        tokens = [300] * len(texts)  # too few for the length bonus, which the peer does not have
        return lambda: reward(texts, columns, tokens=tokens).total_N
    score = {"tvg": _tvg, "museg": _museg, "spacer": _spacer}[mode]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return lambda: torch.tensor([score(text, row) for text, row in zip(texts, rows, strict=True)])


def error(provider: str, mode: str, device: str, size: int) -> float:
    ours, peer = (make(name, mode, device, size)().double() for name in ("videostr", "released-style python"))
    return float((ours - peer).abs().max())


def _inputs(mode: str, count: int) -> tuple[list[str], dict[str, list]]:
    """Texts of about 1,500 characters, in groups that share their sample. One in sixteen says nothing."""
    generator = random.Random(0)
    texts, columns = [], {}
    for index in range(count):
        if index % GROUP == 0:
            row = _sample(mode, generator)
        text = _text(mode, generator, row)
        texts.append(text if index % 16 else text[:1400])
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return texts, columns


def _sample(mode: str, generator: random.Random) -> dict:
    if mode == "tvg":
        start = generator.uniform(0, 50)
        return {"spans": [[start, start + generator.uniform(2, 9)]]}
    if mode == "museg":
        return {"spans": _segments(generator, 6)}
    names = generator.sample(["chair", "table", "sofa", "lamp", "plant", "door"], 4)
    grid = {name: [[generator.randrange(10), generator.randrange(10)] for _ in range(2)] for name in names}
    return {"answer": "B", "answer_kind": "choice", "options": ["A. x", "B. y", "C. z", "D. w"], "graph": grid}


def _segments(generator: random.Random, count: int) -> list[list[float]]:
    return [
        [round(10 * i + generator.uniform(0, 4), 2), round(10 * i + generator.uniform(5, 9), 2)] for i in range(count)
    ]


def _text(mode: str, generator: random.Random, row: dict) -> str:
    if mode == "tvg":
        answer = f"<time>[{generator.uniform(0, 30):.1f}, {generator.uniform(30, 60):.1f}]</time>"
        thinking = ""
    elif mode == "museg":
        segments = _segments(generator, 8)
        thinking = " ".join(f"from {start} to {end}" for start, end in segments)
        answer = "<answer>" + " ".join(f"{start}-{end}" for start, end in segments) + "</answer>"
    else:
        moved = {
            name: [[x, min(9, y + generator.randrange(2))] for x, y in places] for name, places in row["graph"].items()
        }
        thinking = f"<map>{json.dumps(moved)}</map>"
        answer = f"<answer>{generator.choice('BBBC')}</answer>"
    words = []
    while sum(map(len, words)) + len(words) + len(thinking) + len(answer) < 1480:
        words.append(generator.choice(WORDS))
    return f"<think>{' '.join(words)} {thinking}</think>{answer}"


# ---- what the released code does with one completion


def _tvg(text: str, row: dict) -> float:
    pattern = re.compile(r"<think>.*</think>.*<time>.*</time>.*", re.DOTALL)
    form = 1.0 if re.fullmatch(pattern, text) else 0.0
    try:
        start, end = json.loads(re.search(r"<time>(.*?)</time>", text, re.DOTALL).group(1).strip())
        low, high = row["spans"][0]
        overlap = max(min(end, high) - max(start, low), 0) / (max(end, high) - min(start, low))
    except Exception:
        overlap = 0.0
    return 0.1 * form + 0.9 * overlap


def _museg(text: str, row: dict) -> float:
    return _museg_format(text) + _museg_global(text, row["spans"]) + _museg_local(text, row["spans"])


def _museg_segments(text: str) -> list[list[float]]:
    assert len(re.findall(r"<answer>", text, re.DOTALL)) == 1 and len(re.findall(r"</answer>", text, re.DOTALL)) == 1
    segments = []
    for item in re.search(r"<answer>(.*?)</answer>", text, re.DOTALL).group(1).strip().split():
        start, end = item.split("-")
        segments.append([float(start), float(end)])
        assert 0 <= segments[-1][0] < segments[-1][1]
    return segments


def _museg_format(text: str) -> float:
    try:
        for tag in ("<think>", "</think>", "<answer>", "</answer>"):
            assert len(re.findall(tag, text, re.DOTALL)) == 1
        pattern = r"^\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*$"
        thinking, written = re.search(pattern, text, re.DOTALL).groups()
        for item in written.strip().split():
            for number in item.split("-"):
                if not 1 <= len(re.findall(str(float(number)), thinking, re.DOTALL)) <= 10:
                    return 0.6
        return 1.0
    except Exception:
        return 0.0


def _museg_global(text: str, truth: list[list[float]]) -> float:
    try:
        merged = []
        for start, end in sorted(_museg_segments(text)):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        overlap = sum(max(0, min(s[1], t[1]) - max(s[0], t[0])) for t in truth for s in merged)
        precision = overlap / sum(end - start for start, end in merged)
        recall = overlap / sum(end - start for start, end in truth)
        return 2 * precision * recall / (precision + recall)
    except Exception:
        return 0.0


def _museg_local(text: str, truth: list[list[float]]) -> float:
    try:
        segments, scores = _museg_segments(text), []
        for s, t in zip(segments, truth, strict=False):
            inter = max(0, min(t[1], s[1]) - max(t[0], s[0]))
            union = t[1] - t[0] + s[1] - s[0] - inter
            hull = max(t[1], s[1]) - min(t[0], s[0])
            scores.append((1 + inter / union - (hull - union) / hull) / 2)
        return sum(scores) / max(len(segments), len(truth))
    except Exception:
        return 0.0


def _spacer(text: str, row: dict) -> float:
    form = 1.0 if re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL) else 0.0
    found = re.search(r"<answer>\s*(.*?)\s*</answer>", text, re.DOTALL)
    reward = 1.0 if found and found.group(1).strip() == row["answer"] else 0.0
    written = re.search(r"<map>\s*(.*?)\s*</map>", text, re.DOTALL)
    if reward and written:
        reward += _spacer_map(json.loads(written.group(1)), row["graph"])
    return form + reward


def _spacer_map(written: dict, truth: dict) -> float:
    total = sum(map(len, truth.values()))
    score = 0.0
    for name, places in truth.items():
        answered, used, close = written.get(name, []), set(), 0.0
        pairs = sorted((math.dist(p, t), i, j) for i, p in enumerate(answered) for j, t in enumerate(places))
        for distance, i, j in pairs:
            if ("p", i) not in used and ("t", j) not in used:
                used |= {("p", i), ("t", j)}
                close += max(0.0, 1 - distance / (10 * math.sqrt(2)))
        score += len(places) * close / max(len(answered), len(places)) / total
    return score
