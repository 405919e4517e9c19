"""Drop-in video processors: transformers' own classes and names, with the way from frames to patches in one pass.

    from videostr.integrations.video_processor import speed_up

    processor = speed_up(AutoProcessor.from_pretrained("Qwen/Qwen2.5-VL-3B-Instruct"))

or `register()` once, after which `AutoProcessor` and `AutoVideoProcessor` load them for checkpoints that ask for
transformers'. Arguments, sampling, metadata, saving and loading are transformers'; what is saved loads without this
package too.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import AutoVideoProcessor, BatchFeature, Qwen2VLConfig, Qwen3VLConfig
from transformers.image_utils import PILImageResampling
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor as PlainQwen2
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor as PlainQwen3

from videostr import ops

P = TypeVar("P")


class _OnePass:
    """Frames of uint8 with three channels, resized bicubically, rescaled by 1/255 and normalised, take one pass;
    anything else takes the base class' way."""

    def _prepare_input_videos(self, videos, do_convert_rgb=None, input_data_format=None, device=None):
        channel = {_channel_of(video) for video in videos}  # where they lie; the base class copies them to the front
        if input_data_format is None and channel in ({1}, {3}):
            tensors = [torch.from_numpy(video) if isinstance(video, np.ndarray) else video for video in videos]
            tensors = [video.permute(0, 3, 1, 2) if channel == {3} else video for video in tensors]
            return tensors if device is None else [video.to(device) for video in tensors]
        return super()._prepare_input_videos(videos, do_convert_rgb, input_data_format, device)

    def _preprocess(self, videos: list[torch.Tensor], **options: Any) -> BatchFeature:
        factor = options["patch_size"] * options["merge_size"]
        if not _usual(videos, options):
            return super()._preprocess(videos=[video.contiguous() for video in videos], **options)
        sizes = [self._resized(video, factor, options) for video in videos]
        if any(height % factor or width % factor for height, width in sizes):  # do_resize=False
            return super()._preprocess(videos=[video.contiguous() for video in videos], **options)
        together = all(video.stride(1) == 1 and video.stride(3) == 3 for video in videos)
        if together:
            frames = [[(frame,) for frame in video.permute(0, 2, 3, 1)] for video in videos]
        else:
            frames = [[tuple(frame) for frame in video.contiguous()] for video in videos]
        patches = ops.frames_to_patches_ragged(
            frames,
            sizes,
            format="rgb24" if together else "rgbp",
            patch_size=options["patch_size"],
            merge_size=options["merge_size"],
            temporal_patch_size=options["temporal_patch_size"],
            mean=options["image_mean"],
            std=options["image_std"],
        )
        data = {"pixel_values_videos": patches.patches, "video_grid_thw": patches.grid_N3}
        return BatchFeature(data=data, tensor_type=options.get("return_tensors"))

    def _resized(self, video: torch.Tensor, factor: int, options: dict[str, Any]) -> tuple[int, int]:
        """The base class' own rule, asked with a video that has a shape and no pixels."""
        if not options["do_resize"]:
            return tuple(video.shape[-2:])
        result = self.resize(
            videos=torch.empty((1, *video.shape), dtype=torch.uint8, device="meta"),
            size=options["size"],
            resample=options["resample"],
            factor=factor,
            temporal_factor=options["temporal_patch_size"],
            cap_pixels_per_frame=bool(options["cap_pixels_per_frame"]),
        )
        return tuple(result.shape[-2:])


class Qwen2VLVideoProcessor(_OnePass, PlainQwen2):
    """transformers' processor of Qwen2-VL and Qwen2.5-VL: the same arguments, the same bits on the CPU."""


class Qwen3VLVideoProcessor(_OnePass, PlainQwen3):
    """transformers' processor of Qwen3-VL: the same arguments, the same bits on the CPU."""


DROP_INS = {PlainQwen2: Qwen2VLVideoProcessor, PlainQwen3: Qwen3VLVideoProcessor}


def speed_up(processor: P) -> P:
    """The processor with its `video_processor` replaced by the drop-in of the same settings, in place; a video
    processor itself comes back as a copy. Raises TypeError where there is no drop-in for it."""
    plain = getattr(processor, "video_processor", processor)
    if type(plain) in DROP_INS.values():
        return processor
    if type(plain) not in DROP_INS:
        names = ", ".join(sorted(base.__name__ for base in DROP_INS))
        raise TypeError(f"processor must have a video processor of {names}, got {type(plain).__name__}")
    fast = copy.copy(plain)
    fast.__class__ = DROP_INS[type(plain)]
    if plain is processor:
        return fast
    processor.video_processor = fast
    return processor


def register() -> None:
    """From here on `AutoProcessor` and `AutoVideoProcessor` load the drop-ins where a checkpoint asks for the plain."""
    for config, drop_in in ((Qwen2VLConfig, Qwen2VLVideoProcessor), (Qwen3VLConfig, Qwen3VLVideoProcessor)):
        AutoVideoProcessor.register(config, drop_in, exist_ok=True)


def _channel_of(video: Any) -> int | None:
    """The dimension of the channels of (T, C, H, W) or (T, H, W, C) uint8; None: something else, or unclear."""
    if getattr(video, "dtype", None) not in (torch.uint8, np.dtype(np.uint8)) or video.ndim != 4 or 0 in video.shape:
        return None
    first, last = video.shape[1] in (1, 3), video.shape[3] in (1, 3)
    if first == last or video.shape[1 if first else 3] != 3:
        return None
    return 1 if first else 3


def _usual(videos: list[torch.Tensor], options: dict[str, Any]) -> bool:
    kind = getattr(options["resample"], "value", options["resample"])  # PIL's number or torchvision's name
    return (
        all(video.dtype == torch.uint8 and video.ndim == 4 and video.shape[1] == 3 for video in videos)
        and (not options["do_resize"] or kind in (PILImageResampling.BICUBIC.value, "bicubic"))
        and bool(options["do_rescale"] and options["do_normalize"])
        and options["rescale_factor"] == 1 / 255
        and all(
            isinstance(options[name], list | tuple) and len(options[name]) == 3 for name in ("image_mean", "image_std")
        )
        and min(options["image_std"]) > 0
    )
