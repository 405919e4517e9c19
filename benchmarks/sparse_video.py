"""python -m benchmarks.sparse_video [--quick] [--out DIR]

16 frames of a 10-minute 720p H.264 file to pixel_values_videos: load_video against five decoders with transformers'
processor, each seeking, at the better of its settings; and videostr's own parts. Writes DIR/sparse_video.csv. The clip
is the one of benchmarks.load_video ten times in a row, its packets copied; torchcodec and OpenCV are compared where
they are installed.
"""

import argparse
import csv
import importlib.util
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from benchmarks.measure import take_turns
from benchmarks.video_clips import make_clip
from videostr.video import load_video, named_policy, plan

FRAMES, THREADS, REPEATS = 16, 2, 10
LIMITS = {"min_pixels": 128 * 28 * 28 // 4, "max_pixels": 128 * 28 * 28}  # 224 x 420


def repeat_clip(source: Path, target: Path, times: int) -> None:
    """The file's packets `times` times in a row."""
    part = target.with_suffix(".part.mp4")
    with av.open(str(part), "w") as out:
        stream, shift = None, 0
        for _ in range(times):
            with av.open(str(source)) as file:
                video = file.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                length = video.duration
                for packet in file.demux(video):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        out.mux(packet)
                shift += length
    part.rename(target)


def read_pyav(path: str, positions: list[int]) -> np.ndarray:
    frames = []
    with av.open(path) as file:
        video = file.streams.video[0]
        video.thread_type, video.codec_context.thread_count = "AUTO", THREADS
        step = 1 / (video.average_rate * video.time_base)
        for position in positions:
            wanted = round(position * step)
            file.seek(wanted, stream=video)
            frames.append(next(f for f in file.decode(video) if f.pts >= wanted).to_ndarray(format="rgb24"))
    return np.stack(frames)


def read_decord(path: str, positions: list[int]) -> np.ndarray:
    import decord

    return decord.VideoReader(path, num_threads=THREADS).get_batch(positions).asnumpy()


def read_torchcodec(path: str, positions: list[int], seek_mode: str) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=THREADS, seek_mode=seek_mode)
    return decoder.get_frames_at(positions).data.numpy()


def read_opencv(path: str, positions: list[int]) -> np.ndarray:
    import cv2

    capture, frames = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, THREADS]), []
    for position in positions:
        capture.set(cv2.CAP_PROP_POS_FRAMES, position)
        frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    return np.stack(frames)


def peers(path: str, positions: list[int]) -> dict[str, Callable[[], torch.Tensor]]:
    """Every peer's whole way from the file to the tensor."""
    edges = {"shortest_edge": LIMITS["min_pixels"], "longest_edge": LIMITS["max_pixels"]}
    processor = Qwen2VLVideoProcessor(size=edges, cap_pixels_per_frame=False)

    def process(frames_TCHW: torch.Tensor, **options) -> torch.Tensor:
        done = processor(videos=[frames_TCHW], do_sample_frames=False, return_tensors="pt", **options)
        return done["pixel_values_videos"]

    def with_processor(read: Callable, *options) -> Callable[[], torch.Tensor]:
        return lambda: process(torch.from_numpy(read(path, positions, *options)).permute(0, 3, 1, 2))

    def qwen() -> torch.Tensor:
        from qwen_vl_utils import vision_process

        element = {"video": path, "nframes": FRAMES, "total_pixels": 1 << 40} | LIMITS
        return process(vision_process.fetch_video(element).byte(), do_resize=False)

    calls = {"PyAV + processor": with_processor(read_pyav), "decord + processor": with_processor(read_decord)}
    if importlib.util.find_spec("torchcodec"):
        for mode in ("exact", "approximate"):
            calls[f"torchcodec ({mode}) + processor"] = with_processor(read_torchcodec, mode)
    if importlib.util.find_spec("cv2"):
        calls["OpenCV + processor"] = with_processor(read_opencv)
    os.environ["TORCHCODEC_NUM_THREADS"] = str(THREADS)  # qwen-vl-utils' name for it; it takes 8 otherwise
    return calls | {"qwen-vl-utils + processor": qwen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 seconds of video, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(THREADS)
    seconds = 4 if arguments.quick else 60
    source, path = (arguments.out / f"720p_{length}s.mp4" for length in (seconds, seconds * REPEATS))
    if not source.exists():
        part = source.with_suffix(".part.mp4")
        make_clip(part, seconds)
        part.rename(source)
    if not path.exists():
        repeat_clip(source, path, REPEATS)
    policy = named_policy("qwen_vl_utils", num_frames=FRAMES, total_pixels=1 << 40, **LIMITS)
    positions = plan(path, policy).positions_n.tolist()
    calls = {"videostr": lambda: load_video(path, policy).pixel_values}
    calls |= {"videostr, plan only": lambda: plan(path, policy)} | peers(str(path), positions)
    truth = calls["videostr"]()
    times = take_turns(calls, torch.device("cpu"), rounds=3 if arguments.quick else 5)
    ours, rows = statistics.median(times["videostr"]), []
    for name, call in calls.items():
        seconds = statistics.median(times[name])
        same = "" if name == "videostr, plan only" else float((call() == truth).float().mean())
        rows.append([name, f"{FRAMES} of {path.stem}", seconds, seconds / ours, same])
        print(f"{name}: {seconds:.3f} s, {seconds / ours:.2f} x, equal values {same}", flush=True)
    with (arguments.out / "sparse_video.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["provider", "clip", "seconds", "times_ours", "equal_values"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
