"""python -m benchmarks.spatial OUT [OUT …]

Whether the graphs that a finished run of recipes/video_str.py drew follow the video, for docs/results.md: the
correlation of written with true positions, by stage, source and axis, over classes that stand once in a frame on both
sides. Of the questions about rooms that were asked again with the camera elsewhere, the graphs' mean scores before and
after. And of the choices of all these runs together, by family: what guessing is worth, how many are right, how many
were left open, and how many name none of the options.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import correlation, mean

from videostr.data.stv.annotate import NOT_SURE
from videostr.graph import Frame, parse_graph, read_graph

STAGES = ("sft", "rl")
AXES = ("x", "y")
SCORES = ("node", "distance", "angle", "direction")


def places(frame: Frame) -> dict[str, tuple[float, ...]]:
    """The position of each class that stands once."""
    names = [node.name for node in frame.nodes]
    return {node.name: node.position for node in frame.nodes if names.count(node.name) == 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="+", type=Path, help="output folder of a run")
    outs = parser.parse_args().out
    for out in outs:
        samples = map(json.loads, (out / "data/test.jsonl").open())
        truth = {sample["id"]: read_graph(sample["meta"]["graph"]).frames for sample in samples}
        for stage in STAGES:
            path = out / "eval" / f"{stage}.jsonl"
            pairs = defaultdict(list)
            for row in map(json.loads, path.open()) if path.exists() else ():
                for written, true in zip(parse_graph(row["text"]).frames, truth[row["id"]], strict=False):
                    said, is_at = places(written), places(true)
                    pairs[row["source"]] += [(said[name], is_at[name]) for name in said.keys() & is_at.keys()]
            for source, both in sorted(pairs.items()):
                found = (correlation([p[k] for p, _ in both], [t[k] for _, t in both]) for k in range(len(AXES)))
                text = ", ".join(f"{axis} {value:+.2f}" for axis, value in zip(AXES, found, strict=True))
                print(f"{out} {stage} {source}: correlation {text} ({len(both)} objects)")
            print_turned(out, stage)
    for stage in STAGES:
        print_choices(outs, stage)


def print_choices(outs: list[Path], stage: str) -> None:
    """A row of a table for each family of choices, the runs together, and one for all."""
    rows = defaultdict(list)
    for out in outs:
        path = out / "eval" / f"{stage}.jsonl"
        metas = {sample["id"]: sample["meta"] for sample in map(json.loads, (out / "data/test.jsonl").open())}
        for row in map(json.loads, path.open()) if path.exists() else ():
            if row["kind"] == "choice":
                none = row["reason"] == "answer/no_choice"
                left_open = none and f"<answer>{NOT_SURE}</answer>" in row["text"]
                found = (1 / len(metas[row["id"]]["options"]), row["score"], left_open, none and not left_open)
                for name in (metas[row["id"]]["family"], "all"):
                    rows[name].append(found)
    for name, found in sorted(rows.items(), key=lambda item: (item[0] == "all", -len(item[1]))):
        values = " | ".join(f"{mean(column):.2f}" for column in zip(*found, strict=True))
        print(f"{stage} | {name} | {len(found)} | {values} |")


def print_turned(out: Path, stage: str) -> None:
    """The same questions about the same rooms, filmed from where they were in the test and from elsewhere."""
    paths = (out / f"eval/{stage}.jsonl", out / f"eval/turned/{stage}.jsonl")
    if not all(path.exists() for path in paths):
        return
    before, after = ({row["id"]: row for row in map(json.loads, path.open())} for path in paths)
    rows = [(before[name.removeprefix("turned-")], row) for name, row in after.items()]
    for score in SCORES:
        both = [(a[score], b[score]) for a, b in rows if a.get(score) is not None and b.get(score) is not None]
        if both:
            first, second = (mean(values) for values in zip(*both, strict=True))
            print(f"{out} {stage} turned: {score} {first:.3f} -> {second:.3f} ({len(both)} graphs)")


if __name__ == "__main__":
    main()
