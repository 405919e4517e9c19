"""python -m benchmarks.load_video [--quick] [--clip NAME] [--size HxW] [--no-memory] [--out DIR]

From a file to pixel_values_videos: load_video against decoders with transformers' processor, each with two threads and
at the better of its settings, and qwen-vl-utils with the processor; 2 frames a second of 60 s of 720p H.264 and 20 s of
1080p HEVC. Also ours by stage, and decoding alone, the limit. Writes DIR/load_video.csv and .png; the clips are
made once and kept in DIR. torchcodec and OpenCV are compared where they are installed.
"""

import argparse
import csv
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from benchmarks.measure import peak_memory
from benchmarks.video_clips import CLIPS
from videostr import ops
from videostr.video import load_video, named_policy, plan
from videostr.video.readers import get_reader

MOST_PIXELS = {"560x1008": 768 * 28 * 28, "224x420": 128 * 28 * 28}
THREADS = 2
COLUMNS = ("clip", "size", "provider", "seconds", "peak_bytes", "equal_values")


def read_pyav(path: str, positions: list[int]) -> np.ndarray:
    wanted, frames = set(positions), []
    with av.open(path) as file:
        stream = file.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", THREADS
        for number, frame in enumerate(file.decode(stream)):
            if number in wanted:
                frames.append(frame.to_ndarray(format="rgb24"))
    return np.stack(frames)


def read_decord(path: str, positions: list[int]) -> np.ndarray:
    import decord

    return decord.VideoReader(path, num_threads=THREADS).get_batch(positions).asnumpy()


def read_torchcodec(path: str, positions: list[int]) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=THREADS, seek_mode="exact")
    return decoder.get_frames_at(positions).data.numpy()


def read_opencv(path: str, positions: list[int]) -> np.ndarray:
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, THREADS])
    wanted, frames = set(positions), []
    for number in range(positions[-1] + 1):
        capture.grab()  # without the conversion that read() would make
        if number in wanted:
            frames.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
    return np.stack(frames)


def providers() -> dict[str, Callable | None]:
    """Peers by name, with how they read frames."""
    found = {"PyAV + processor": read_pyav, "decord + processor": read_decord}
    if importlib.util.find_spec("torchcodec"):
        found["torchcodec + processor"] = read_torchcodec
    if importlib.util.find_spec("cv2"):
        found["OpenCV + processor"] = read_opencv
    return {"videostr": None, **found, "qwen-vl-utils + processor": None, "decoding alone": None}


def make(provider: str, mode: str, path: str, size: str = "whole") -> Callable[[], torch.Tensor | None]:
    """size "tiny": the clip's first second."""
    end = 1.0 if size == "tiny" else None
    limits = {"min_pixels": 128 * 28 * 28 // 4, "max_pixels": MOST_PIXELS[mode]}
    policy = named_policy("transformers_qwen2_vl", **limits)
    if provider == "videostr":
        return lambda: load_video(path, policy, end=end).pixel_values
    planned = plan(path, policy, end=end)
    if provider == "decoding alone":
        return lambda: [None for _ in get_reader("pyav")(planned.index, planned.positions_n)] and None
    edges = {"shortest_edge": limits["min_pixels"], "longest_edge": limits["max_pixels"]}
    processor = Qwen2VLVideoProcessor(size=edges, cap_pixels_per_frame=False)

    def process(frames_TCHW: torch.Tensor, **options) -> torch.Tensor:
        done = processor(videos=[frames_TCHW], do_sample_frames=False, return_tensors="pt", **options)
        return done["pixel_values_videos"]

    if provider.startswith("qwen"):
        from qwen_vl_utils import vision_process

        os.environ["TORCHCODEC_NUM_THREADS"] = str(THREADS)  # qwen-vl-utils' name for it; it takes 8 otherwise
        element = {"video": path, "fps": 2.0, "video_end": end, "total_pixels": 1 << 40} | limits
        return lambda: process(vision_process.fetch_video(element).byte(), do_resize=False)
    read, positions = providers()[provider], planned.positions_n.tolist()
    return lambda: process(torch.from_numpy(read(path, positions)).permute(0, 3, 1, 2))


def stages(mode: str, path: str) -> dict[str, float]:
    """Seconds of videostr's parts, one after another; together they overlap."""
    policy = named_policy("transformers_qwen2_vl", max_pixels=MOST_PIXELS[mode])
    started = time.perf_counter()
    planned = plan(path, policy)
    after_plan = time.perf_counter()
    pictures = list(get_reader("pyav")(planned.index, planned.positions_n))
    after_decode = time.perf_counter()
    planes = [tuple(map(torch.as_tensor, picture.planes)) for picture in pictures]
    ops.frames_to_patches(planes, planned.height, planned.width)
    ended = time.perf_counter()
    return {"plan": after_plan - started, "decode": after_decode - after_plan, "patches": ended - after_decode}


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys((row["clip"], row["size"]) for row in rows))
    figure, axes = plt.subplots(1, len(cases), figsize=(3.4 * len(cases), 3.4), squeeze=False)
    for axis, case in zip(axes[0], cases, strict=True):
        here = [r for r in rows if (r["clip"], r["size"]) == case and not r["provider"].startswith("stage")]
        floor = next(r["seconds"] for r in here if r["provider"] == "decoding alone")
        here = sorted((r for r in here if r["provider"] != "decoding alone"), key=lambda r: -r["seconds"])
        names = [r["provider"].replace(" + processor", "") for r in here]
        axis.barh(names, [r["seconds"] for r in here], color=["#c44" if n == "videostr" else "#89a" for n in names])
        axis.axvline(floor, color="black", linestyle="--", linewidth=1)
        axis.set_title(f"{case[0]} to {case[1]}", fontsize=9)
        axis.set_xlabel("seconds; dashed: decoding alone", fontsize=8)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 seconds, to see that it runs")
    parser.add_argument("--clip", choices=sorted(CLIPS), help="one of the clips")
    parser.add_argument("--size", choices=sorted(MOST_PIXELS), help="one of the sizes")
    parser.add_argument("--no-memory", action="store_true", help="times only")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    table = arguments.out / "load_video.csv"
    rows: list[dict] = []
    if table.exists():  # what this run does not measure again stays
        with table.open(newline="") as file:
            rows = [row | {"seconds": float(row["seconds"])} for row in csv.DictReader(file)]
    for name in [arguments.clip] if arguments.clip else list(CLIPS):
        path = str(CLIPS[name].at(arguments.out, arguments.quick))
        for mode in [arguments.size] if arguments.size else list(MOST_PIXELS):
            rows = [row for row in rows if (row["clip"], row["size"]) != (name, mode)]
            rows += measure(name, mode, path, 3 if arguments.quick else 4, not arguments.no_memory)
            with table.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    plot(rows, arguments.out / "load_video.png")


def measure(clip: str, mode: str, path: str, rounds: int, memory: bool) -> list[dict]:
    calls = {name: make(name, mode, path) for name in providers()}
    truth = calls["videostr"]()
    times: dict[str, list[float]] = {name: [] for name in calls}
    same: dict[str, float | str] = {}
    parts = []
    for number in range(rounds):  # taking turns; the first round warms up
        for name in list(calls) if number % 2 else list(calls)[::-1]:
            started = time.perf_counter()
            result = calls[name]()
            times[name].append(time.perf_counter() - started)
            if number == 0:
                same[name] = "" if result is None else float((result == truth).float().mean())
            del result
        parts.append(stages(mode, path))
    rows = []
    for name in calls:
        seconds = statistics.median(times[name][1:])
        peak = peak_memory(make, (name, mode, path, "whole"), torch.device("cpu")) if memory else ""
        rows.append(dict(zip(COLUMNS, (clip, mode, name, seconds, peak, same[name]), strict=True)))
        ratio = seconds / rows[0]["seconds"]
        print(f"{clip} {mode} {name}: {seconds:.3f} s ({ratio:.2f} x), {peak} B, {same[name]} equal", flush=True)
    for stage in parts[0]:
        seconds = statistics.median(part[stage] for part in parts[1:])
        rows.append(dict(zip(COLUMNS, (clip, mode, f"stage: {stage}", seconds, "", ""), strict=True)))
        print(f"{clip} {mode} {stage}: {seconds:.3f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()
