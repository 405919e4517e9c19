"""python -m benchmarks.accounting [--out DIR]

The least time each operator can take on GPUs that nobody measured it on, from what it must move and the datasheets'
peaks. Writes DIR/gpu_floor.csv and DIR/gpu_floor.md. A model, not a measurement.
"""

import argparse
import csv
from pathlib import Path

from benchmarks.costs import SHAPES
from benchmarks.peaks import GPUS

HEADER = """# Time floors on GPUs

**A model, not a measurement.** No row of this page was timed. `python -m benchmarks.accounting` makes it from the
bytes and FLOPs a call must move ([costs.py](../benchmarks/costs.py)) and the GPUs' datasheet peaks
([peaks.py](../benchmarks/peaks.py)): the floor is the longer of the two times, and what sets it stands behind it. Below
a few microseconds the start of a kernel is longer than its floor, and the number of launches is what counts.

"""
FOOTER = """
"-" under launches: on a GPU this operator is still torch code of several launches ([ops](ops.md)).

What peers publish, carried over and not run here: Liger-Kernel's fused linear cross-entropy for Hopper reaches 763
TFLOP/s in the backward for 8,192 tokens, hidden 4,096 and a vocabulary of 131,072 on an H200, 77 % of the tensor
cores' peak (its pull request 1422). Its per-token log-prob kernel, which makes the logits twice, would take about 58 ms
for the first row on an H100 (this project's design notes, from the rate that its authors gave). Of batched
assignment, torch-linear-assignment 0.1.0's authors report 208 problems of 300 x 300 in 11.6 ms on an A100 (its README),
and torch-lap-cuda has 256 of 64 x 64 in 3.8 ms on an A5000 (its pull request 1); the floor of ours counts bytes and
comparisons, while a solver's steps wait for one another, so expect far more than it says. For the other operators we
found no published GPU times.
"""


def rows() -> list[dict[str, str | float | int]]:
    """One a shape and GPU: operator, shape, gpu, bytes, flops, launches, floor in microseconds, limit, source."""
    return [
        {
            "operator": operator,
            "shape": ", ".join(f"{name} = {size:,}" for name, size in shape.items()),
            "gpu": gpu.name,
            "bytes": cost.bytes,
            "flops": sum(cost.flops.values()),
            "launches": "-" if cost.launches is None else cost.launches,
            "floor_us": gpu.floor(cost)[0] * 1e6,
            "limit": gpu.floor(cost)[1],
            "source": gpu.source,
        }
        for operator, (cost_of, shapes) in SHAPES.items()
        for shape in shapes
        for cost in [cost_of(**shape)]
        for gpu in GPUS
    ]


def to_markdown() -> str:
    """The page docs/gpu-floor.md."""
    lines = [HEADER + "| operator | shape | MB | GFLOP | launches | " + " | ".join(gpu.name for gpu in GPUS) + " |"]
    lines.append("|" + "---|" * (5 + len(GPUS)))
    table = rows()
    for start in range(0, len(table), len(GPUS)):
        row, *_ = group = table[start : start + len(GPUS)]
        cells = [row["operator"], row["shape"], f"{row['bytes'] / 1e6:,.2f}", f"{row['flops'] / 1e9:,.4g}"]
        cells += [str(row["launches"]), *(f"{_time(g['floor_us'])} ({g['limit']})" for g in group)]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- {gpu.name}: {_peaks(gpu)}. {gpu.source}." for gpu in GPUS)]
    return "\n".join(lines) + "\n" + FOOTER


def _time(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g} ms" if microseconds >= 1000 else f"{microseconds:.3g} µs"


def _peaks(gpu) -> str:
    rates = ", ".join(f"{rate / 1e12:,.4g} TFLOP/s {unit.replace('_', ' ')}" for unit, rate in gpu.flops.items())
    return f"{gpu.bandwidth / 1e12:.4g} TB/s, {rates}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/accounting"), help="folder for the two files")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu_floor.md").write_text(to_markdown())
    table = rows()
    with (out / "gpu_floor.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    print(f"{out / 'gpu_floor.md'}, {out / 'gpu_floor.csv'}")


if __name__ == "__main__":
    main()
