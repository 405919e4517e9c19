"""Mutated video files through the loader: no crash of this process, no hang, no leak, no value that is not finite.

    python tests/fuzz/fuzz_videos.py [--files 2000] [--seed 0] [--workers 2]

Writes a file a number, mutates it, loads it and checks what came; prints the outcomes by reason. A file that crashes or
hangs a worker is the decoder's fault and counted ("crashed", "timeout"); it is kept under --keep.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "video"))
from video_clips import encode  # noqa: E402

from videostr.video import REASONS, FramePolicy, Quarantine, VideoLoader  # noqa: E402

POLICY = FramePolicy(min_pixels=784, max_pixels=3136)
BATCH = 250  # files that exist at a time
SEEDS = {
    "h264.mp4": {},
    "faststart.mp4": {"container": {"movflags": "faststart"}, "audio": True},
    "fragmented.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "h264.mkv": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1", "frames": 12},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=none"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.ts": {"container": {"format": "mpegts"}},
    "h264.flv": {},
    "mpeg1.mpg": {"codec": "mpeg1video", "rate": 25},
}


def mutate(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice([1, 1, 2, 3])):
        kind, length = rng.choice(["cut", "flip", "header", "remove", "insert", "zero", "swap", "number"]), len(data)
        if length < 16:
            return data
        at = rng.randrange(length)
        if kind == "cut":
            data = data[: max(1, at)]
        elif kind == "flip":
            for _ in range(rng.choice([1, 3, 10, 100])):
                data[rng.randrange(length)] ^= 1 << rng.randrange(8)
        elif kind == "header":  # where boxes, elements and tables are
            for _ in range(5):
                data[rng.choice([rng.randrange(min(length, 600)), length - 1 - rng.randrange(min(length, 1500))])] = (
                    rng.randrange(256)
                )
        elif kind == "remove":
            del data[at : at + rng.randrange(1, 2000)]
        elif kind == "insert":
            data[at:at] = rng.randbytes(rng.randrange(1, 200))
        elif kind == "zero":
            span = min(length - at, rng.randrange(1, 3000))
            data[at : at + span] = bytes(span)
        elif kind == "swap":
            other, span = rng.randrange(length), rng.randrange(1, 400)
            data[at : at + span], data[other : other + span] = data[other : other + span], data[at : at + span]
        else:  # sizes, counts, times: the largest, the smallest, one off
            value = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.randrange(1 << 32)])
            data[at : at + 4] = value.to_bytes(4, rng.choice(["big", "little"]))
    return data


def check(loaded) -> str:
    """The outcome, after making sure that it is one that was promised."""
    if loaded.error is not None:
        assert loaded.error.reason in REASONS and loaded.error.path == loaded.clip.path, loaded
        return loaded.error.reason
    video = loaded.video.normalised(POLICY)
    assert video.pixel_values.isfinite().all() and len(video.pixel_values) == video.grid_thw.prod()
    assert len(video.timestamps) == 2 * int(video.grid_thw[0]) and video.seconds_per_grid >= 0
    assert (video.timestamps[1:] >= video.timestamps[:-1]).all() and video.timestamps[0] >= 0
    return "ok"


def fuzz(folder: Path, files: int, seed: int, workers: int, keep: Path | None, time_limit: float = 20.0) -> dict:
    """Returns outcomes by reason, and the resident bytes of this process after the first batch and at the end."""
    seeds = [encode(folder / name, **{"frames": 24, "rate": 12} | options) for name, options in SEEDS.items()]
    originals = [(path.suffix, path.read_bytes()) for path in seeds]
    outcomes, resident, begun = Counter(), [], time.monotonic()
    quarantine = Quarantine(folder / "bad.jsonl")
    for first in range(0, files, BATCH):
        paths = []
        for number in range(first, min(first + BATCH, files)):
            rng = random.Random(f"{seed}/{number}")
            suffix, original = rng.choice(originals)
            paths.append(folder / f"mutated_{number}{suffix}")
            paths[-1].write_bytes(mutate(bytearray(original), rng))
        options = {"workers": workers, "time_limit": time_limit, "quarantine": quarantine, "memory_limit": 4 << 30}
        with VideoLoader(paths, POLICY, **options) as loader:
            for loaded in loader:
                outcome = check(loaded)
                outcomes[outcome] += 1
                if keep is not None and outcome in ("crashed", "timeout"):
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(loaded.clip.path, keep)
        del loaded
        for path in paths:
            path.unlink()
        resident.append(psutil.Process().memory_info().rss)
        print(f"{sum(outcomes.values())} files, {time.monotonic() - begun:.0f} s, {dict(outcomes)}", flush=True)
    listed = Quarantine(folder / "bad.jsonl")
    assert len(listed) == files - outcomes["ok"], (len(listed), outcomes)
    return {"outcomes": dict(outcomes), "resident": [resident[0], resident[-1]], "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        result = fuzz(Path(place), arguments.files, arguments.seed, arguments.workers, arguments.keep)
    print(json.dumps(result))
