"""python -m benchmarks.load_video [--quick] [--out DIR]

From a file to pixel_values_videos: load_video against decoders with transformers' processor, and qwen-vl-utils with it,
on 60 s of 720p H.264 at 2 frames a second. Writes DIR/load_video.csv; the clip is made once and kept in DIR.
"""

import argparse
import csv
import statistics
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from benchmarks.measure import peak_memory, take_turns
from videostr.video import load_video, named_policy, plan

HEIGHT, WIDTH, RATE = 720, 1280, 25
MOST_PIXELS = {"560x1008": 768 * 28 * 28, "224x420": 128 * 28 * 28}
PROVIDERS = ("videostr", "PyAV + processor", "decord + processor", "qwen-vl-utils (decord) + processor")


def make_clip(path: Path, seconds: int) -> None:
    """Smooth patterns that drift, under noise, with the B-frames that x264 makes of its own accord."""
    y, x = np.mgrid[:HEIGHT, : 2 * WIDTH]
    wide = 128 + 60 * np.sin(x / 37) + 50 * np.sin(y / 23 + x / 301)
    noise = np.random.default_rng(0).normal(0, 3, (64, 720, 1280)).astype(np.float32)
    chroma = 128 + 70 * np.sin(x[::2, ::2] / 110 + y[::2, ::2] / 90)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "fast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(seconds * RATE):
            shift = int(WIDTH / 2 * (1 + np.sin(t / 90)))
            luma = wide[:, shift : shift + WIDTH] + noise[t % 64]
            half = chroma[:, shift // 2 : (shift + WIDTH) // 2]
            planes = np.concatenate([plane.ravel() for plane in (luma, half, half[::-1])]).clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def make(provider: str, mode: str, path: str, size: str = "whole") -> Callable[[], torch.Tensor]:
    """size "tiny": the clip's first second."""
    end = 1.0 if size == "tiny" else None
    limits = {"min_pixels": 128 * 28 * 28 // 4, "max_pixels": MOST_PIXELS[mode]}
    policy = named_policy("transformers_qwen2_vl", **limits)
    if provider == "videostr":
        return lambda: load_video(path, policy, end=end).pixel_values
    edges = {"shortest_edge": limits["min_pixels"], "longest_edge": limits["max_pixels"]}
    processor = Qwen2VLVideoProcessor(size=edges, cap_pixels_per_frame=False)

    def process(frames_TCHW: torch.Tensor, **options) -> torch.Tensor:
        done = processor(videos=[frames_TCHW], do_sample_frames=False, return_tensors="pt", **options)
        return done["pixel_values_videos"]

    if provider.startswith("qwen"):
        from qwen_vl_utils import vision_process

        vision_process.get_video_reader_backend = lambda: "decord"
        element = {"video": path, "fps": 2.0, "video_end": end, "total_pixels": 1 << 40} | limits
        return lambda: process(vision_process.fetch_video(element).byte(), do_resize=False)
    positions = plan(path, policy, end=end).positions_n.tolist()
    if provider.startswith("decord"):
        import decord

        def read() -> np.ndarray:
            return decord.VideoReader(path).get_batch(positions).asnumpy()
    else:

        def read() -> np.ndarray:
            wanted, frames = set(positions), []
            with av.open(path) as file:
                file.streams.video[0].thread_type = "AUTO"
                for number, frame in enumerate(file.decode(video=0)):
                    if number in wanted:
                        frames.append(frame.to_ndarray(format="rgb24"))
            return np.stack(frames)

    return lambda: process(torch.from_numpy(read()).permute(0, 3, 1, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 seconds, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    seconds = 4 if arguments.quick else 60
    path = arguments.out / f"720p_{seconds}s.mp4"
    if not path.exists():
        part = path.with_suffix(".part.mp4")
        make_clip(part, seconds)
        part.rename(path)
    cpu, rows = torch.device("cpu"), []
    for mode in MOST_PIXELS:
        calls = {name: make(name, mode, str(path)) for name in PROVIDERS}
        truth = calls["videostr"]()
        times = take_turns(calls, cpu, rounds=3 if arguments.quick else 5)
        for name in PROVIDERS:
            same = float((calls[name]() == truth).float().mean())
            memory = peak_memory(make, (name, mode, str(path), "whole"), cpu)
            rows.append([name, mode, statistics.median(times[name]), memory, same])
            first = next(row for row in rows if row[1] == mode)
            ratio = rows[-1][2] / first[2]
            print(
                f"{mode} {name}: {rows[-1][2]:.3f} s ({ratio:.2f} x), {memory / 1e9:.2f} GB, {same:.3f} equal",
                flush=True,
            )
    with (arguments.out / "load_video.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["provider", "size", "seconds", "peak_bytes", "equal_values"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
