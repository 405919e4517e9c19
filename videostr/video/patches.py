"""Frames -> the models' `pixel_values_videos`, by `ops.frames_to_patches`; equal to transformers' bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

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
        return replace(self, pixel_values=normalise(self.pixel_values, policy, dtype))


def normalise(patches: torch.Tensor, policy: FramePolicy, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(rows, columns) uint8 -> the same in `dtype`, on its device: the processor's floats to the last bit (float32
    arithmetic, subtract and divide, then rounded to `dtype`)."""
    scale = 1.0 / (1 / 255)  # as the processors fuse rescaling and normalising
    mean_C1, std_C1 = (
        torch.tensor(x, device=patches.device)[:, None] * scale for x in (policy.image_mean, policy.image_std)
    )
    out = torch.empty(patches.shape, dtype=dtype, device=patches.device)
    step = max(1, 2**17 // patches.shape[1])  # so that what lies between stays in the cache
    for at in range(0, len(patches), step):
        rows_NCX = patches[at : at + step].unflatten(1, (3, -1)).float()
        out[at : at + step] = rows_NCX.sub_(mean_C1).div_(std_C1).flatten(1)
    return out


def pad_times(timestamps_n: np.ndarray, temporal_patch_size: int) -> np.ndarray:
    """The times with the last repeated up to a whole number of temporal patches."""
    return np.concatenate([timestamps_n, np.repeat(timestamps_n[-1:], -len(timestamps_n) % temporal_patch_size)])


def seconds_per_grid(timestamps_T: np.ndarray, temporal_patch_size: int, duration: float) -> float:
    """Mean real seconds between temporal patches, from the first frame of each; `duration` where there is one patch."""
    starts = timestamps_T[::temporal_patch_size]
    return float((starts[-1] - starts[0]) / (len(starts) - 1)) if len(starts) > 1 else float(duration)


BATCH_BYTES = 1 << 24  # of frames that wait to become patches: threads are woken once for all of them


def _batches(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Pictures that one call can take, few enough to be held."""
    batch, kind, size = [], None, 0
    for picture in pictures:
        this = (*picture[1:], *(plane.shape for plane in picture.planes))
        if batch and (this != kind or size >= BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(picture)
        kind, size = this, size + sum(plane.nbytes for plane in picture.planes)
    if batch:
        yield batch


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
    """As `frames_to_inputs`, from frames as they are decoded: they become patches as they come, so that few are held
    in memory. `size`: the model's (height, width). `out`: where to write the patches, its dtype counts."""
    t, p = policy.temporal_patch_size, policy.patch_size
    padded = pad_times(timestamps, t)
    grid = (len(padded) // t, size[0] // p, size[1] // p)
    pixel_values, dtype, place = None, dtype if out is None else out.dtype, 0
    for batch in _batches(pictures):
        frames = [tuple(map(torch.as_tensor, picture.planes)) for picture in batch]
        if pixel_values is None:  # where the frames are
            device = frames[0][0].device
            here = out is not None and out.device == device
            pixel_values = out if here else torch.empty(math.prod(grid), 3 * t * p * p, dtype=dtype, device=device)
        if place + len(batch) == len(timestamps):
            frames += frames[-1:] * (len(padded) - len(timestamps))
        ops.frames_to_patches(
            frames,
            *size,
            patch_size=p,
            merge_size=policy.merge_size,
            temporal_patch_size=t,
            mean=policy.image_mean,
            std=policy.image_std,
            matrix=batch[0].matrix,
            full_range=batch[0].full_range,
            out=pixel_values,
            first_frame=place,
        )
        place += len(batch)
    if place != len(timestamps):
        raise RuntimeError(f"{place} pictures came for {len(timestamps)} times")
    if out is not None and pixel_values is not out:
        pixel_values = out.copy_(pixel_values)
    grid_thw = torch.tensor(grid, dtype=torch.int64)
    return VideoInputs(pixel_values, grid_thw, padded, seconds_per_grid(padded, t, duration), duration)


def frames_to_inputs(
    frames_T_H_W_C_uint8: np.ndarray | torch.Tensor, timestamps: np.ndarray, policy: FramePolicy, duration: float
) -> VideoInputs:
    """Frames (T, H, W, 3) uint8 RGB with their times (T,) in seconds -> VideoInputs; all T frames are used.

    Raises TypeError/ValueError for a wrong dtype, shape, or times that are not finite and ascending.
    """
    frames = torch.as_tensor(frames_T_H_W_C_uint8)
    if frames.dtype != torch.uint8:
        raise TypeError(f"frames: expected dtype uint8, got {frames.dtype}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"frames: expected shape (T, H, W, 3) with nothing empty, got {tuple(frames.shape)}")
    times = np.asarray(timestamps, dtype=np.float64)
    if times.shape != (len(frames),):
        raise ValueError(f"timestamps: expected shape ({len(frames)},), got {times.shape}")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("timestamps: expected finite seconds in ascending order")
    size = policy.frame_size(len(frames), int(frames.shape[1]), int(frames.shape[2]))
    pictures = (Picture((frame,)) for frame in frames.numpy())
    return picture_stream_to_inputs(pictures, times, size, policy, float(duration))
