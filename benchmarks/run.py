"""python -m benchmarks.run [NAME …] [--device cpu|cuda] [--quick] [--out DIR]

Times every operator against a named peer in the same run and writes DIR/NAME.csv, DIR/NAME.png and DIR/results.json,
which holds all rows with the device, its driver and the versions. Sizes follow the device's memory.
"""

import argparse
import csv
import importlib
import json
import os
import pkgutil
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure

from benchmarks import operators
from benchmarks.measure import peak_memory, take_turns
from benchmarks.peaks import GPUS
from videostr.versions import software_versions


@dataclass(frozen=True)
class Row:
    """bytes, flops: what the call must do (costs.py); error: largest difference from float64, relative to its scale."""

    operator: str
    provider: str
    version: str
    mode: str
    shape: str
    metric: str
    unit: str
    median: float
    p20: float
    p80: float
    bytes: int
    flops: float
    error: float
    device: str
    threads: int


def benchmark(name: str, device: torch.device, quick: bool) -> list[Row]:
    """All rows of one operator: `time` and `peak_memory` for every provider, mode and shape."""
    module, rows = importlib.import_module(f"benchmarks.operators.{name}"), []
    for mode, size in module.sizes(device, quick):
        cost = module.cost(mode, size)
        providers = module.providers(mode, size)
        calls = {provider: module.make(provider, mode, str(device), size) for provider in providers}
        times = take_turns(calls, device, rounds=5 if quick else 15)
        for provider, version in providers.items():
            error = module.error(provider, mode, str(device), size)
            memory = peak_memory(module.make, (provider, mode, str(device), size), device)
            shared = (cost.bytes, sum(cost.flops.values()), error, str(device), torch.get_num_threads())
            twentieths = statistics.quantiles(times[provider], n=20, method="inclusive")
            time_row = (statistics.median(times[provider]), twentieths[3], twentieths[15])
            head = (name, provider, version, mode, module.shape(size))
            rows.append(Row(*head, "time", "s", *time_row, *shared))
            rows.append(Row(*head, "peak_memory", "byte", memory, memory, memory, *shared))
        print(_summary(rows[-2 * len(providers) :], device), flush=True)
    return rows


def _summary(rows: list[Row], device: torch.device) -> str:
    times = [row for row in rows if row.metric == "time"]
    ours = next(row for row in times if row.provider == "videostr")
    text = f"{ours.operator} {ours.mode} {ours.shape}: {ours.median * 1e6:,.1f} µs"
    if device.type == "cuda" and (gpu := _known_gpu()):
        text += f", {ours.bytes / gpu.bandwidth / ours.median:.0%} of {gpu.name}'s memory rate"
    ratios = (f"{row.median / ours.median:.2f} x {row.provider}" for row in times if row is not ours)
    return f"{text}; faster by {', '.join(ratios)}"


def _known_gpu():
    name = torch.cuda.get_device_name()
    return next((gpu for gpu in GPUS if gpu.name.split()[0] in name), None)


def environment(device: torch.device) -> dict[str, object]:
    """Where the numbers are from: device, driver, versions."""
    found: dict[str, object] = {"device": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    if device.type == "cuda":
        driver = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        properties = torch.cuda.get_device_properties(device)
        found |= {"device": properties.name, "memory": properties.total_memory, "cuda": torch.version.cuda}
        found["driver"] = driver.stdout.strip()
    return found | {"threads": torch.get_num_threads(), "versions": software_versions()}


def write(name: str, rows: list[Row], out: Path) -> None:
    with (out / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(map(asdict, rows))
    timed = [row for row in rows if row.metric == "time"]
    ours = {(row.mode, row.shape): row.median for row in timed if row.provider == "videostr"}
    peers = [row for row in timed if row.provider != "videostr"]
    figure = Figure(figsize=(8, 0.8 + 0.4 * len(peers)), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row.mode} {row.shape}: {row.provider} {row.version}" for row in peers]
    axes.barh(labels, [row.median / ours[row.mode, row.shape] for row in peers], color="#5778a4")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("time of the peer / time of videostr")
    axes.set_title(f"{name}, {rows[0].device}, {rows[0].threads} threads")
    figure.savefig(out / f"{name}.png", dpi=120)


def main(argv: list[str] | None = None) -> int:
    known = sorted(module.name for module in pkgutil.iter_modules(operators.__path__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device")
    device = torch.device(arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    everything = []
    for name in arguments.names or known:
        rows = benchmark(name, device, arguments.quick)
        write(name, rows, arguments.out)
        everything += map(asdict, rows)
        results = {"environment": environment(device), "rows": everything}
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
