"""The clips that the video benchmarks read, made once: smooth patterns that drift, under noise."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

RATE = 25


@dataclass(frozen=True)
class Clip:
    name: str
    codec: str
    height: int
    width: int
    seconds: int
    preset: str

    def at(self, folder: Path, quick: bool = False) -> Path:
        """The file in `folder`, made where it is not there."""
        seconds = 4 if quick else self.seconds
        path = folder / f"{self.name}_{seconds}s.mp4"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.mp4")
            make_clip(part, seconds, self)
            part.rename(path)
        return path


H264 = Clip("720p", "libx264", 720, 1280, 60, "fast")
HEVC = Clip("1080p_hevc", "libx265", 1080, 1920, 20, "veryfast")
CLIPS = {clip.name: clip for clip in (H264, HEVC)}


def make_clip(path: Path, seconds: int, clip: Clip = H264) -> None:
    """With the B-frames that the encoder makes of its own accord."""
    height, width = clip.height, clip.width
    y, x = np.mgrid[:height, : 2 * width]
    wide = (128 + 60 * np.sin(x / 37) + 50 * np.sin(y / 23 + x / 301)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 3, (64, height, width)).astype(np.float32)
    chroma = 128 + 70 * np.sin(x[::2, ::2] / 110 + y[::2, ::2] / 90)
    options = {"preset": clip.preset, "crf": "23"} | ({"x265-params": "log-level=error"} if "265" in clip.codec else {})
    with av.open(str(path), "w") as out:
        stream = out.add_stream(clip.codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t in range(seconds * RATE):
            shift = int(width / 2 * (1 + np.sin(t / 90)))
            luma = wide[:, shift : shift + width] + noise[t % 64]
            half = chroma[:, shift // 2 : (shift + width) // 2]
            planes = np.concatenate([plane.ravel() for plane in (luma, half, half[::-1])]).clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
