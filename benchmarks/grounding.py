"""python -m benchmarks.grounding OUT [OUT …]

What the answers of finished runs in the generated world show beyond their scores, for docs/results.md: the thought's
narration read as an interval, how late the answers are, whether they follow the video, and mIoU by event.
"""

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import correlation, mean

import torch

from videostr import ops

STAGES = ("base", "sft", "rl")
NEAR = 0.3  # IoU above which an answer counts as late or early, and not as wrong


def narrated(text: str, duration: float) -> list[float]:
    """From the first second that is not "no" to the end of the last one; an empty interval where there is none."""
    words = re.findall(r"(\d+) ([a-z]+)", text.split("</think>")[0])
    on = [int(second) for second, word in words if word != "no"]
    return [float(min(on)), min(max(on) + 1.0, duration)] if on else [0.0, 0.0]


def describe(rows: list[dict]) -> str:
    """One line about a stage's answers (rows of eval/STAGE.jsonl)."""
    told = torch.tensor([narrated(row["text"], row["duration"]) for row in rows])
    true = torch.tensor([row["spans"][0] for row in rows])
    text = f"narration {float(ops.temporal_iou(told, true).mean()):.3f}"
    pairs = [(row["pred"], row["spans"][0], row["iou"]) for row in rows if row["pred"]]
    if near := [(p, t) for p, t, iou in pairs if iou > NEAR]:
        late = [mean(p[end] - t[end] for p, t in near) for end in (0, 1)]
        starts = correlation([p[0] for p, _, _ in pairs], [t[0] for _, t, _ in pairs])
        text += f", late by {late[0]:+.2f} s and {late[1]:+.2f} s, correlation of starts {starts:.2f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="+", type=Path, help="output folder of a run")
    by_event = defaultdict(list)
    for out in parser.parse_args().out:
        samples = map(json.loads, (out / "data/test.jsonl").open())
        event = {sample["id"]: sample["meta"]["event"] for sample in samples}
        for stage in STAGES:
            rows = [json.loads(line) for line in (out / "eval" / f"{stage}.jsonl").open()]
            print(f"{out} {stage}: {describe(rows)}")
            for row in rows:
                by_event[event[row["id"]], stage].append(row["iou"])
    for (event, stage), ious in sorted(by_event.items()):
        print(f"{event} {stage}: mIoU {mean(ious):.3f} of {len(ious)}")


if __name__ == "__main__":
    main()
