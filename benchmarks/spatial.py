"""python -m benchmarks.spatial OUT [OUT …]

Whether the graphs that a finished run of recipes/video_str.py drew follow the video, for docs/results.md: the
correlation of written with true positions, by stage, source and axis, over classes that stand once in a frame on both
sides. And of the questions about rooms that were asked again with the camera elsewhere, the graphs' mean scores before
and after.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import correlation, mean

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
    for out in parser.parse_args().out:
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
