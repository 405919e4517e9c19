"""python -m benchmarks.patch_store [--quick] [--out DIR]

A video's second visit through the patch store against its first, and the bytes it is kept in, on the clip of
benchmarks.load_video: 120 frames of 60 s of 720p H.264. Writes DIR/patch_store.csv.

The first visit decodes and writes (fsync included), the second maps the entry; both then copy every byte into a buffer
that is there already, as on the way to a device. Second visits that also normalise on the CPU, to the processor's
float32 or to bfloat16, are rows of their own. The page cache holds the entry, as on a machine whose processes share it.
"""

import argparse
import csv
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.load_video import MOST_PIXELS
from benchmarks.video_clips import make_clip
from videostr.video import PatchStore, load_video, named_policy

THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 seconds, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(THREADS)
    seconds = 4 if arguments.quick else 60
    path = arguments.out / f"720p_{seconds}s.mp4"
    if not path.exists():
        part = path.with_suffix(".part.mp4")
        make_clip(part, seconds)
        part.rename(path)
    rows = []
    for mode, most in MOST_PIXELS.items():
        policy = named_policy("transformers_qwen2_vl", min_pixels=128 * 28 * 28 // 4, max_pixels=most)
        for row in measure(path, policy, arguments.out, rounds=3 if arguments.quick else 7):
            rows.append([mode, *row])
            print(*rows[-1], flush=True)
    with (arguments.out / "patch_store.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "what", "seconds", "first_visit_over_it", "bytes", "float32_bytes_over_them"])
        writer.writerows(rows)


def calls_of(store: PatchStore, path: Path, policy, buffer: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """The first is the first visit."""

    def visit():
        return store.load(path, policy)

    return {
        "first visit": lambda: buffer.copy_(visit().pixel_values),
        "second visit": lambda: buffer.copy_(visit().pixel_values),
        "second visit, nothing read": lambda: visit().pixel_values,
        "second visit, bfloat16": lambda: visit().normalised(policy, torch.bfloat16).pixel_values,
        "second visit, float32": lambda: visit().normalised(policy).pixel_values,
    }


def measure(path: Path, policy, out: Path, rounds: int) -> list[list]:
    """Rounds of a first visit and then each kind of second visit."""
    times: dict[str, list[float]] = {}
    whole = load_video(path, policy).pixel_values
    floats, buffer = whole.nbytes, torch.zeros(whole.shape, dtype=torch.uint8)
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(dir=out))
        store = PatchStore(folder, 1 << 34)
        for name, call in calls_of(store, path, policy, buffer).items():
            begun = time.perf_counter()
            call()
            times.setdefault(name, []).append(time.perf_counter() - begun)
        kept = store.nbytes
        shutil.rmtree(folder)
    middle = {name: statistics.median(values) for name, values in times.items()}
    first = middle["first visit"]
    return [[name, seconds, first / seconds, kept, floats / kept] for name, seconds in middle.items()]


if __name__ == "__main__":
    main()
