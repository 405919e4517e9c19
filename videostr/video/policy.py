"""Which frames of a video a model sees and at what size: the published rules by name, as plain functions.

Three rules are in use for the same models, and they differ (see docs/video.md):

- `qwen_vl_utils`: qwen-vl-utils 0.0.14, what most training code runs;
- `transformers_qwen2_vl`: `Qwen2VLVideoProcessor` of transformers 5 (also Qwen2.5-VL);
- `transformers_qwen3_vl`: `Qwen3VLVideoProcessor` of transformers 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from videostr.ops.frames_to_patches import RESIZES

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
MAX_ASPECT = 200  # height : width beyond which every one of the three rules refuses


def _fit(height: int, width: int, factor: int, low: float, high: float, frames: int = 1, seen: int = 1, floor: int = 0):
    """Multiples of `factor` near (height, width) with low <= frames * h * w <= high, as all three rules do it.

    `seen` is the frame count that the scale is computed from (Qwen3 rounds `frames` but not `seen`); `floor` is the
    smallest side before the budget is looked at.
    """
    h, w = max(floor, round(height / factor) * factor), max(floor, round(width / factor) * factor)
    if frames * h * w > high:
        beta = math.sqrt(seen * height * width / high)
        # at least one factor a side: qwen-vl-utils can return 0 here, which no model can use
        h = max(factor, math.floor(height / beta / factor) * factor)
        w = max(factor, math.floor(width / beta / factor) * factor)
    elif frames * h * w < low:
        beta = math.sqrt(low / (seen * height * width))
        h, w = math.ceil(height * beta / factor) * factor, math.ceil(width * beta / factor) * factor
    return h, w


def size_qwen_vl_utils(n: int, height: int, width: int, p: FramePolicy) -> tuple[int, int]:
    f = p.factor
    low = 128 * f * f if p.min_pixels is None else p.min_pixels
    total = 128_000 * f * f * 0.9 if p.total_pixels is None else p.total_pixels
    high = max(min(768 * f * f, total / n * 2), int(low * 1.05))
    high = high if p.max_pixels is None else min(p.max_pixels, high)
    return _fit(height, width, f, low, high, floor=f)


def size_transformers_qwen2_vl(n: int, height: int, width: int, p: FramePolicy) -> tuple[int, int]:
    f = p.factor
    low = 128 * 28 * 28 if p.min_pixels is None else p.min_pixels
    high = 768 * 28 * 28 if p.max_pixels is None else p.max_pixels
    if p.total_pixels is not None:  # the processor's cap_pixels_per_frame
        high = max(min(high, p.total_pixels * p.temporal_patch_size // n), int(low * 1.05))
    return _fit(height, width, f, low, high)


def size_transformers_qwen3_vl(n: int, height: int, width: int, p: FramePolicy) -> tuple[int, int]:
    f = p.factor
    low = 128 * 32 * 32 if p.min_pixels is None else p.min_pixels  # of the whole video, as total is
    high = 768 * 32 * 32 if p.total_pixels is None else p.total_pixels
    if p.max_pixels is not None:  # the processor's cap_pixels_per_frame
        high = max(min(p.max_pixels, high // n), int(low * 1.05)) * n
    if height < f or width < f:
        scale = max(f / height, f / width)
        height, width = int(height * scale), int(width * scale)
    # the processor refuses a single frame; here it is the pair it will be padded to
    pairs = max(1, round(n / p.temporal_patch_size)) * p.temporal_patch_size
    return _fit(height, width, f, low, high, frames=pairs, seen=max(n, p.temporal_patch_size))


def count_even(seconds: float, available: int, p: FramePolicy) -> int:
    """qwen-vl-utils and Qwen2-VL: an even number of frames, rounded down; one frame only where there is only one."""
    f = p.temporal_patch_size
    if p.num_frames is not None:
        n = min(round(p.num_frames / f) * f, available)
    else:
        low, high = math.ceil(p.min_frames / f) * f, math.floor(p.max_frames / f) * f
        n = min(max(seconds * p.fps, low), high, available)
    return max(math.floor(n / f) * f, min(f, available), 1)


def count_any(seconds: float, available: int, p: FramePolicy) -> int:
    """Qwen3-VL: any number of frames; an odd number is paired with a repeat of the last."""
    n = p.num_frames if p.num_frames is not None else min(max(int(seconds * p.fps), p.min_frames), p.max_frames)
    return max(1, min(n, available))


def pick_nearest(ticks_N: np.ndarray, edge: int, n: int, first: int = 0) -> np.ndarray:
    """Indices of the frames nearest to n times evenly spaced from the first frame to the last.

    At a constant frame rate this is `linspace(0, N - 1, n).round()`, half to even; computed in integers, so that a
    tie is a tie. `first` is the index of ticks_N[0] in the whole stream (its parity decides ties).
    """
    span, steps = int(ticks_N[-1] - ticks_N[0]), max(n - 1, 1)
    rel = ticks_N - ticks_N[0]
    out = np.zeros(n, dtype=np.int64)
    for k in range(n):
        want = k * span  # in units of tick / steps
        i = int(np.searchsorted(rel, want // steps, side="right")) - 1
        if i + 1 < len(rel):
            over = 2 * (want - steps * int(rel[i])) - steps * int(rel[i + 1] - rel[i])
            i += over > 0 or (over == 0 and (first + i) % 2 == 1)
        out[k] = i
    return out


def pick_shown(ticks_N: np.ndarray, edge: int, n: int, first: int = 0) -> np.ndarray:
    """Indices of the frames on screen at n times evenly spaced over [first frame, edge), as transformers' Qwen2-VL."""
    span = edge - int(ticks_N[0])
    times = np.array([k * span // n for k in range(n)], dtype=np.int64) + int(ticks_N[0])
    return np.searchsorted(ticks_N, times, side="right") - 1


@dataclass(frozen=True)
class Rule:
    count: Callable[[float, int, FramePolicy], int]
    pick: Callable[[np.ndarray, int, int, int], np.ndarray]
    size: Callable[[int, int, int, FramePolicy], tuple[int, int]]


RULES = {
    "qwen_vl_utils": Rule(count_even, pick_nearest, size_qwen_vl_utils),
    "transformers_qwen2_vl": Rule(count_even, pick_shown, size_transformers_qwen2_vl),
    "transformers_qwen3_vl": Rule(count_any, pick_nearest, size_transformers_qwen3_vl),
}


@dataclass(frozen=True)
class FramePolicy:
    """How many frames, which, and how large. Sizes are multiples of patch_size * merge_size.

    fps: frames a second, unless num_frames (a uniform count over the clip) is given. Never more frames than there are.
    min_frames, max_frames: bounds on the fps count. min_pixels, max_pixels: a frame's; total_pixels: budget over the
    video, shared by its frames (with rule transformers_qwen3_vl min_pixels too is the whole video's, as in that
    processor). None: the rule's own default, except that the two transformers rules apply total_pixels (Qwen2-VL) and
    max_pixels (Qwen3-VL) only when given, which is their `cap_pixels_per_frame`. resize: "u8", the bits of
    transformers' processors on the CPU, or "f32", those of qwen-vl-utils (`ops.frames_to_patches`). See docs/video.md.
    """

    fps: float = 2.0
    num_frames: int | None = None
    min_frames: int = 4
    max_frames: int = 768
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None
    patch_size: int = 14
    merge_size: int = 2
    temporal_patch_size: int = 2
    image_mean: tuple[float, float, float] = CLIP_MEAN
    image_std: tuple[float, float, float] = CLIP_STD
    rule: str = "qwen_vl_utils"
    resize: str = "u8"

    def __post_init__(self):
        if self.rule not in RULES:
            raise ValueError(f"rule: expected one of {sorted(RULES)}, got {self.rule!r}")
        if self.resize not in RESIZES:
            raise ValueError(f"resize: expected one of {RESIZES}, got {self.resize!r}")
        if not (isinstance(self.fps, int | float) and math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps: expected a positive number, got {self.fps!r}")
        object.__setattr__(self, "fps", float(self.fps))  # 2 and 2.0 are one entry of a store
        for name in ("num_frames", "min_frames", "max_frames", "min_pixels", "max_pixels", "total_pixels"):
            value, optional = getattr(self, name), name not in ("min_frames", "max_frames")
            if not (value is None and optional) and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name}: expected a positive int{' or None' if optional else ''}, got {value!r}")
        for name in ("patch_size", "merge_size", "temporal_patch_size"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a positive int, got {getattr(self, name)!r}")
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames: expected at most max_frames = {self.max_frames}, got {self.min_frames}")
        for name in ("image_mean", "image_std"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name}: expected 3 values (RGB), got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(float(x) for x in getattr(self, name)))  # hashable: caches key on it

    @property
    def factor(self) -> int:
        return self.patch_size * self.merge_size

    def frame_count(self, seconds: float, available: int) -> int:
        """How many frames to sample of a clip of `seconds` with `available` frames: >= 1, <= available."""
        return RULES[self.rule].count(seconds, available, self)

    def frame_size(self, n: int, height: int, width: int) -> tuple[int, int]:
        """(height, width) in pixels that n frames of (height, width) are resized to.

        Raises ValueError where one side is more than 200 times the other.
        """
        if max(height, width) > MAX_ASPECT * min(height, width):
            raise ValueError(f"height, width: expected an aspect ratio of at most {MAX_ASPECT}, got {height} x {width}")
        return RULES[self.rule].size(n, height, width, self)

    def pick(self, ticks_N: np.ndarray, edge: int, n: int, first: int = 0) -> np.ndarray:
        """Indices (n,) into ticks_N (presentation times of a clip's frames, ascending ints); edge: where it ends."""
        return RULES[self.rule].pick(ticks_N, edge, n, first)


POLICIES = {
    "qwen_vl_utils": FramePolicy(),
    "qwen3_vl_utils": FramePolicy(patch_size=16, image_mean=HALF, image_std=HALF),
    "transformers_qwen2_vl": FramePolicy(rule="transformers_qwen2_vl"),
    "transformers_qwen3_vl": FramePolicy(rule="transformers_qwen3_vl", patch_size=16, image_mean=HALF, image_std=HALF),
    # the first paper's training setting (grade C of its figures): 64 uniform frames, at most 64 tokens a frame pair
    "tvg_r1": FramePolicy(num_frames=64, min_pixels=3136, total_pixels=1_605_632),
}


def named_policy(name: str, **overrides) -> FramePolicy:
    """The policy of that name (a key of POLICIES), with some fields replaced. Raises ValueError for an unknown name."""
    if name not in POLICIES:
        raise ValueError(f"name: expected one of {sorted(POLICIES)}, got {name!r}")
    return replace(POLICIES[name], **overrides)
