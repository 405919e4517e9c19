"""`plan` and `load_video`: which frames of a file a policy takes, and those frames as model input."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch

from videostr.ops.frames_to_patches import DTYPES
from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, read_index
from videostr.video.patches import VideoInputs, pad_times, picture_stream_to_inputs, seconds_per_grid
from videostr.video.policy import FramePolicy
from videostr.video.readers import get_reader
from videostr.video.readers.base import Reader
from videostr.video.sources import FrameArray, ImageFolder

Source = str | os.PathLike | ImageFolder | FrameArray


@dataclass(frozen=True)
class VideoPlan:
    """What loading will give, known before it is decoded.

    timestamps: (n,) float64 seconds of the sampled frames from the stream's first frame (without the repeat that pairs
    an odd count). grid_thw: patches along time, height, width. n_tokens: tokens the language model sees. height, width:
    pixels after resizing. duration: seconds of the stream, or of the clip. positions_n: indices into index.pts_N.
    """

    timestamps: np.ndarray
    grid_thw: tuple[int, int, int]
    n_tokens: int
    height: int
    width: int
    duration: float
    positions_n: np.ndarray
    index: FrameIndex
    temporal_patch_size: int

    @property
    def padded_timestamps(self) -> np.ndarray:
        """(T,) float64: `timestamps` with the repeat of the last that pairs an odd count."""
        return pad_times(self.timestamps, self.temporal_patch_size)

    @property
    def seconds_per_grid(self) -> float:
        """Mean real seconds between temporal patches, as `VideoInputs.seconds_per_grid` will be."""
        return seconds_per_grid(self.padded_timestamps, self.temporal_patch_size, self.duration)


def check_clip(start: float | None, end: float | None) -> None:
    """Raises ValueError unless start < end are seconds >= 0 or None."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (isinstance(value, Real) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: expected seconds >= 0 or None, got {value!r}")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"end: expected more than start = {start}, got {end!r}")


def check_policy(policy: FramePolicy) -> None:
    """Raises TypeError for anything else."""
    if not isinstance(policy, FramePolicy):
        raise TypeError(f"policy: expected a FramePolicy, as named_policy(NAME) gives, got {policy!r}")


def plan(path: Source, policy: FramePolicy, *, start: float | None = None, end: float | None = None) -> VideoPlan:
    """Plans the sampling of a file, or of its clip [start, end] in seconds, from its packets or an mp4's tables and
    one decoded frame.

    For length buckets, budget checks and prompts, before anything is decoded; `load_video` gives what it says.

    Times count from the stream's first frame, also within a clip. A file whose frames end before its container says is
    planned over what the container says, and is `truncated` unless every sampled frame is there.

    Raises VideoError for a file that cannot be used, ValueError, TypeError for a wrong argument.
    """
    check_clip(start, end)
    check_policy(policy)
    index = path.read_index() if isinstance(path, ImageFolder | FrameArray) else read_index(path)
    ticks = index.pts_N
    if index.truncated:  # sample what the container promises; only a clip inside the part that is there will do
        step = max(1, int(np.median(np.diff(ticks))) if len(ticks) > 1 else index.end - int(ticks[-1]))
        # a lying header may promise years: more frames than this change no sample's fate
        more = min((index.promised_end - index.end) // step + 1, 1_000_000)
        ticks = np.concatenate([ticks, index.end + step * np.arange(more)])
    stop = max(index.promised_end, int(ticks[-1]) + 1)
    seconds = index.seconds(ticks)
    low = 0 if start is None else int(np.searchsorted(seconds, start - 1e-9))
    high = len(ticks) if end is None else int(np.searchsorted(seconds, end + 1e-9, side="right"))
    if start is not None and start >= float(index.seconds(stop)):
        raise VideoError(
            index.path, "empty_clip", f"start {start} s, the video is {float(index.seconds(stop)):.3f} s long"
        )
    if low >= high:  # between two frames: the one on screen
        low, high = high - 1, high
    clip = ticks[low:high]
    edge = int(ticks[high]) if high < len(ticks) else stop
    duration = float((edge - int(clip[0])) * index.time_base)
    n = policy.frame_count(duration, len(clip))
    positions = low + policy.pick(clip, edge, n, low)
    if positions[-1] >= len(index.pts_N):
        have, said = (float(index.seconds(x)) for x in (index.end, stop))
        raise VideoError(index.path, "truncated", f"{have:.3f} s of {said:.3f} s are there")
    try:
        height, width = policy.frame_size(n, index.height, index.width)
    except ValueError as e:
        raise VideoError(index.path, "aspect_ratio", f"{index.height} x {index.width}") from e
    grid = (-(-n // policy.temporal_patch_size), height // policy.patch_size, width // policy.patch_size)
    tokens = grid[0] * grid[1] * grid[2] // policy.merge_size**2
    times = index.seconds(ticks[positions])
    return VideoPlan(times, grid, tokens, height, width, duration, positions, index, policy.temporal_patch_size)


def load_video(
    path: Source,
    policy: FramePolicy,
    reader: str = "auto",
    *,
    start: float | None = None,
    end: float | None = None,
    dtype: torch.dtype | str = torch.float32,
) -> VideoInputs:
    """File -> model input: the frames that `plan` chose, resized, paired, normalised and cut into patches.

    reader: "auto" or a key of `READERS`; all give the same pixels of 8-bit video. dtype: of pixel_values, float32,
    bfloat16, float16, or uint8: not normalised, a quarter of the bytes (`VideoInputs.normalised` does the rest).

    Raises VideoError for every file that cannot be used and for nothing else about the file; ValueError, TypeError for
    a wrong argument.
    """
    read = get_reader(reader, path)
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if kind not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(map(str, DTYPES))}, got {dtype!r}")
    return planned_inputs(plan(path, policy, start=start, end=end), policy, read, dtype=kind)


def planned_inputs(
    p: VideoPlan,
    policy: FramePolicy,
    read: Reader,
    dtype: torch.dtype = torch.float32,
    out: torch.Tensor | None = None,
) -> VideoInputs:
    """The planned frames as model input; `out`: (rows, columns) to write them into, its dtype counts."""
    pictures = read(p.index, p.positions_n)
    size = p.height, p.width
    return picture_stream_to_inputs(pictures, p.timestamps, size, policy, p.duration, dtype=dtype, out=out)
