"""Frames -> the models' `pixel_values_videos`, by `ops.frames_to_patches`; equal to transformers' bits."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from videostr import ops
from videostr.video.picture import Picture
from videostr.video.policy import FramePolicy


@dataclass
class VideoInputs:
    """One video as the model takes it.

    pixel_values: (t * h * w, 3 * temporal * patch * patch) float32, or another dtype that was asked for; uint8 is not
    normalised yet. grid_thw: (3,) int64, patches along time, height,
    width. timestamps: (T,) float64 seconds from the stream's first frame, one for each frame fed to the model (the
    repeated last frame included). seconds_per_grid: real seconds between temporal patches (mean). duration: seconds of
    the stream, or of the clip.
    """

    pixel_values: torch.Tensor
    grid_thw: torch.Tensor
    timestamps: np.ndarray
    seconds_per_grid: float
    duration: float

    @property
    def nbytes(self) -> int:
        return self.pixel_values.nbytes + self.timestamps.nbytes

    def normalised(self, policy: FramePolicy, dtype: torch.dtype = torch.float32) -> VideoInputs:
        """The same with pixel_values as the model takes them, of `dtype`; itself where they are not uint8."""
        if self.pixel_values.dtype != torch.uint8:
            return self
        values = ops.normalise_patches(self.pixel_values, mean=policy.image_mean, std=policy.image_std, dtype=dtype)
        return replace(self, pixel_values=values)


def pad_times(timestamps_n: np.ndarray, temporal_patch_size: int) -> np.ndarray:
    """The times with the last repeated up to a whole number of temporal patches."""
    return np.concatenate([timestamps_n, np.repeat(timestamps_n[-1:], -len(timestamps_n) % temporal_patch_size)])


def seconds_per_grid(timestamps_T: np.ndarray, temporal_patch_size: int, duration: float) -> float:
    """Mean real seconds between temporal patches, from the first frame of each; `duration` where there is one patch."""
    starts = timestamps_T[::temporal_patch_size]
    return float((starts[-1] - starts[0]) / (len(starts) - 1)) if len(starts) > 1 else float(duration)


class _Beside:
    """Runs calls on other threads, in any order, while the decoder goes on: as many as torch has threads, and no more
    than twice as many waiting. The threads of one parallel call would spin for a while after each frame, and take from
    the decoder what it needs. Leaving waits for all of them and raises the first error."""

    def __enter__(self) -> _Beside:
        workers = torch.get_num_threads()
        self._pool, self._calls, self._most = ThreadPoolExecutor(workers), deque(), 2 * workers
        return self

    def __call__(self, call: Callable, *args, **options) -> None:
        while len(self._calls) >= self._most:
            self._calls.popleft().result()
        self._calls.append(self._pool.submit(call, *args, **options))

    def __exit__(self, kind, error, trace) -> None:
        self._pool.shutdown()
        for call in self._calls if error is None else ():
            call.result()


def picture_stream_to_inputs(
    pictures: Iterable[Picture],
    timestamps: np.ndarray,
    size: tuple[int, int],
    policy: FramePolicy,
    duration: float,
    *,
    dtype: torch.dtype = torch.float32,
    out: torch.Tensor | None = None,
) -> VideoInputs:
    """As `frames_to_inputs`, from frames as they are decoded: each becomes patches as it comes, so that no frame is
    held in memory. `size`: the model's (height, width). `out`: where to write the patches, its dtype counts."""
    t, p = policy.temporal_patch_size, policy.patch_size
    padded = pad_times(timestamps, t)
    grid = (len(padded) // t, size[0] // p, size[1] // p)
    pixel_values, dtype = None, dtype if out is None else out.dtype
    with _Beside() as beside:
        for place, picture in zip(range(len(timestamps)), pictures, strict=True):
            planes = tuple(map(torch.as_tensor, picture.planes))
            if pixel_values is None:  # where the frames are
                here = out is not None and out.device == planes[0].device
                shape = math.prod(grid), 3 * t * p * p
                pixel_values = out if here else torch.empty(shape, dtype=dtype, device=planes[0].device)
            beside(
                ops.frames_to_patches,
                [planes] * (len(padded) - place if place == len(timestamps) - 1 else 1),
                *size,
                format=picture.format,
                resize=policy.resize,
                patch_size=p,
                merge_size=policy.merge_size,
                temporal_patch_size=t,
                mean=policy.image_mean,
                std=policy.image_std,
                matrix=picture.matrix,
                full_range=picture.full_range,
                out=pixel_values,
                first_frame=place,
                parallel=False,
            )
    if out is not None and pixel_values is not out:
        pixel_values = out.copy_(pixel_values)
    grid_thw = torch.tensor(grid, dtype=torch.int64)
    return VideoInputs(pixel_values, grid_thw, padded, seconds_per_grid(padded, t, duration), duration)


def frames_to_inputs(
    frames: np.ndarray | torch.Tensor | Sequence,
    timestamps: np.ndarray,
    policy: FramePolicy,
    duration: float,
    *,
    dtype: torch.dtype = torch.float32,
) -> VideoInputs:
    """RGB frames in memory with their times (T,) in seconds -> VideoInputs; all T frames are used.

    frames: uint8 (T, H, W, 3) or (T, 3, H, W), or a sequence of T images: PIL's, or arrays or tensors (H, W, 3) or
        (3, H, W). Where both could be meant, the channels are last. dtype: as in `load_video`.

    Raises TypeError/ValueError for a wrong dtype, shapes that are none of those or differ, or times that are not finite
    and ascending.
    """
    pictures = [_rgb_picture(f"frames[{i}]", frame) for i, frame in enumerate(_each(frames))]
    if not pictures:
        raise ValueError("frames: expected at least one")
    height, width = pictures[0].size
    for i, picture in enumerate(pictures):
        if picture.size != (height, width):
            raise ValueError(f"frames[{i}]: expected {height} x {width} like frames[0], got {picture.size}")
    times = np.asarray(timestamps, dtype=np.float64)
    if times.shape != (len(pictures),):
        raise ValueError(f"timestamps: expected shape ({len(pictures)},), got {times.shape}")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("timestamps: expected finite seconds in ascending order")
    size = policy.frame_size(len(pictures), int(height), int(width))
    return picture_stream_to_inputs(pictures, times, size, policy, float(duration), dtype=dtype)


def _each(frames: object) -> Iterable:
    if isinstance(frames, np.ndarray | torch.Tensor):
        if frames.ndim != 4:
            raise ValueError(f"frames: expected (T, H, W, 3) or (T, 3, H, W), got shape {tuple(frames.shape)}")
    elif not isinstance(frames, Sequence):
        raise TypeError(f"frames: expected an array, a tensor or a sequence of images, got {type(frames).__name__}")
    return frames


def _rgb_picture(name: str, frame: object) -> Picture:
    if isinstance(frame, Image.Image):
        frame = np.array(frame.convert("RGB"))
    if not isinstance(frame, np.ndarray | torch.Tensor):
        raise TypeError(f"{name}: expected an image, an array or a tensor, got {type(frame).__name__}")
    rgb = torch.as_tensor(frame)
    if rgb.dtype != torch.uint8:
        raise TypeError(f"{name}: expected dtype uint8, got {rgb.dtype}")
    if rgb.ndim != 3 or 0 in rgb.shape or 3 not in (rgb.shape[0], rgb.shape[2]):
        raise ValueError(f"{name}: expected (H, W, 3) or (3, H, W) with nothing empty, got {tuple(rgb.shape)}")
    return Picture((rgb,)) if rgb.shape[2] == 3 else Picture(tuple(rgb), format="rgbp")
