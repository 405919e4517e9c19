"""frames_to_patches, from decoded 720p frames, against PyAV's conversion to RGB and transformers' video processor."""

import functools
from collections.abc import Callable

import av
import numpy as np
import torch
import transformers
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

import videostr
from benchmarks import costs
from videostr import ops
from videostr.video.picture import picture_of
from videostr.video.policy import CLIP_MEAN, CLIP_STD

HEIGHT, WIDTH = 720, 1280
MOST_PIXELS = {"560x1008": 768 * 28 * 28, "224x420": 128 * 28 * 28}  # of a frame; the processor's rule makes the sizes


def sizes(device: torch.device, quick: bool) -> list[tuple[str, int]]:
    return [(mode, 2 if quick else 120) for mode in MOST_PIXELS]


def shape(size: int) -> str:
    return f"{size} frames {HEIGHT}x{WIDTH}"


def cost(mode: str, size: int) -> costs.Cost:
    return costs.frames_to_patches(size, HEIGHT, WIDTH, *_size(mode))


def providers(mode: str, size: int) -> dict[str, str]:
    return {
        "videostr": videostr.__version__,
        "videostr, one frame a call": videostr.__version__,
        "videostr, bfloat16": videostr.__version__,
        "PyAV rgb24 + processor": f"av {av.__version__}, transformers {transformers.__version__}",
    }


def make(provider: str, mode: str, device: str, size: int | str) -> Callable[[], torch.Tensor]:
    frames = _frames(2 if size == "tiny" else size)
    if provider.startswith("videostr"):
        planes = [tuple(torch.from_numpy(x).to(device) for x in picture_of(frame).planes) for frame in frames]
        if provider.endswith("call"):
            return lambda: _one_by_one(planes, *_size(mode))
        dtype = torch.bfloat16 if provider.endswith("bfloat16") else torch.float32
        return lambda: ops.frames_to_patches(planes, *_size(mode), dtype=dtype)
    limits = {"shortest_edge": 128 * 28 * 28 // 4, "longest_edge": MOST_PIXELS[mode]}
    processor = Qwen2VLVideoProcessor(size=limits, cap_pixels_per_frame=False)

    def run() -> torch.Tensor:
        rgb_THWC = torch.from_numpy(np.stack([frame.to_ndarray(format="rgb24") for frame in frames]))
        video = rgb_THWC.permute(0, 3, 1, 2)
        return processor(videos=[video], do_sample_frames=False, return_tensors="pt", device=device)[
            "pixel_values_videos"
        ]

    return run


def error(provider: str, mode: str, device: str, size: int) -> float:
    """Largest difference from the specification, rounded to the provider's dtype; of the first two frames."""
    planes = [tuple(map(torch.from_numpy, picture_of(frame).planes)) for frame in _frames(2)]
    result = make(provider, mode, device, 2)().cpu()
    truth = ops.reference.frames_to_patches(
        planes, *_size(mode), form="yuv420p", mean=CLIP_MEAN, std=CLIP_STD, dtype=result.dtype
    )
    return float((result.float() - truth.float()).abs().max())


def _size(mode: str) -> tuple[int, int]:
    height, width = map(int, mode.split("x"))
    return height, width


def _one_by_one(planes: list[tuple[torch.Tensor, ...]], height: int, width: int) -> torch.Tensor:
    rows = len(planes) // 2 * (height // 14) * (width // 14)
    out = torch.empty(rows, 3 * 2 * 14 * 14, device=planes[0][0].device)
    for place, frame in enumerate(planes):
        ops.frames_to_patches([frame], height, width, out=out, first_frame=place)
    return out


@functools.cache
def _frames(count: int) -> list[av.VideoFrame]:
    """Smooth moving pictures with noise, as frames of a decoder."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0)
    frames = []
    for t in range(count):
        luma = 128 + 60 * np.sin(x / 37 + t / 5) + 50 * np.sin(y / 23 - t / 7) + noise.normal(0, 4, y.shape)
        chroma = [128 + 70 * np.sin(x[::2, ::2] / a + y[::2, ::2] / 90 + t / 9) for a in (110, 170)]
        stacked = np.concatenate([plane.ravel() for plane in (luma, *chroma)]).clip(0, 255).astype(np.uint8)
        frames.append(av.VideoFrame.from_ndarray(stacked.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p"))
    return frames
