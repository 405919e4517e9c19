"""Frames -> the models' `pixel_values_videos`: resize, pair, cut into patches, normalise; equal to transformers' bits.

The order of work differs from transformers' (patches are cut while still uint8, a quarter of the bytes); the result
does not, because resizing is per frame and normalising per value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from videostr.video.policy import FramePolicy


@dataclass
class VideoInputs:
    """One video as the model takes it.

    pixel_values: (t * h * w, 3 * temporal * patch * patch) float32. grid_thw: (3,) int64, patches along time, height,
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


def resize_frame(frame_HWC: np.ndarray | torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(H, W, 3) uint8 -> (3, height, width) uint8: bicubic, antialiased, integer weights.

    This is torch's own uint8 kernel, the one torchvision v2 calls for uint8 CPU tensors and so the HF processor.
    """
    frame_CHW = torch.as_tensor(frame_HWC).permute(2, 0, 1)
    if frame_CHW.shape[1:] == (height, width):
        return frame_CHW
    frame_1CHW = F.interpolate(
        frame_CHW[None], size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )
    return frame_1CHW[0]


def frames_to_patches(frames_TCHW: torch.Tensor, policy: FramePolicy) -> tuple[torch.Tensor, torch.Tensor]:
    """(T, 3, h, w) uint8, already of the model's size -> pixel_values (n, 3*t*p*p) float32, grid_thw (3,) int64."""
    t, p, m = policy.temporal_patch_size, policy.patch_size, policy.merge_size
    frames, channels, height, width = frames_TCHW.shape
    if pad := -frames % t:
        frames_TCHW = torch.cat([frames_TCHW, frames_TCHW[-1:].expand(pad, -1, -1, -1)])
    grid = ((frames + pad) // t, height // p, width // p)
    x = frames_TCHW.reshape(grid[0], t, channels, grid[1] // m, m, p, grid[2] // m, m, p)
    x = x.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)  # [grid t, h/m, w/m, m, m, C, t, p, p]
    rows = x.reshape(grid[0] * grid[1] * grid[2], channels, t * p * p).to(torch.float32)
    # (x - 255 mean) / (255 std) in float32, subtract then divide: the fused form of the processor, to the last bit
    scale = 1.0 / (1 / 255)
    mean, std = (
        torch.tensor(v, dtype=torch.float32)[None, :, None] * scale for v in (policy.image_mean, policy.image_std)
    )
    return rows.sub_(mean).div_(std).flatten(1), torch.tensor(grid, dtype=torch.int64)


def _assemble(frames_TCHW: torch.Tensor, timestamps: np.ndarray, policy: FramePolicy, duration: float) -> VideoInputs:
    pixel_values, grid_thw = frames_to_patches(frames_TCHW, policy)
    t = policy.temporal_patch_size
    padded = np.concatenate([timestamps, np.repeat(timestamps[-1:], -len(timestamps) % t)])
    return VideoInputs(pixel_values, grid_thw, padded, seconds_per_grid(padded, t, duration), duration)


def seconds_per_grid(timestamps_T: np.ndarray, temporal_patch_size: int, duration: float) -> float:
    """Mean real seconds between temporal patches, from the first frame of each; `duration` where there is one patch."""
    starts = timestamps_T[::temporal_patch_size]
    return float((starts[-1] - starts[0]) / (len(starts) - 1)) if len(starts) > 1 else float(duration)


def frame_stream_to_inputs(
    frames: Iterable[np.ndarray], timestamps: np.ndarray, size: tuple[int, int], policy: FramePolicy, duration: float
) -> VideoInputs:
    """As `frames_to_inputs`, from an iterable of (H, W, 3) uint8 frames: each is resized as it comes, so that only
    small frames are held in memory. `size`: the model's (height, width)."""
    out_TCHW = torch.empty(len(timestamps), 3, *size, dtype=torch.uint8)
    for out_CHW, frame_HWC in zip(out_TCHW, frames, strict=True):
        out_CHW.copy_(resize_frame(frame_HWC, *size))
    return _assemble(out_TCHW, timestamps, policy, duration)


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
    return frame_stream_to_inputs(frames, times, size, policy, float(duration))
