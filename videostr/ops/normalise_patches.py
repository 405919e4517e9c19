"""normalise_patches: patches kept as bytes -> what a vision model takes."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_number, on_cuda

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def normalise_patches(
    patches_RC: Tensor,
    *,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """uint8 patches, as `frames_to_patches(dtype=torch.uint8)` makes them -> what the model takes, in one pass.

    The bits that `frames_to_patches` gives for that dtype: bytes can be kept and shipped, and become floats on the
    device.

    Args:
        patches_RC: (R, C) uint8; C = 3 * temporal_patch_size * patch_size^2, channel by channel.
        mean, std: of each channel, in units of the whole range.
        dtype: float32, bfloat16 or float16.

    Returns:
        (R, C) of dtype.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    if not isinstance(patches_RC, Tensor) or patches_RC.dtype != torch.uint8:
        raise TypeError(
            f"patches must be a uint8 tensor, got {getattr(patches_RC, 'dtype', type(patches_RC).__name__)}"
        )
    if patches_RC.ndim != 2 or patches_RC.shape[1] % 3:
        raise ValueError(f"patches must be (R, C) with C a multiple of 3, got shape {tuple(patches_RC.shape)}")
    if dtype not in FLOATS:
        raise TypeError(f"dtype must be one of {', '.join(map(str, FLOATS))}, got {dtype}")
    check_mean_std(mean, std)
    return torch.ops.videostr.normalise_patches(patches_RC, table_of(mean, std, dtype, patches_RC.device))


def check_mean_std(mean: Sequence[float], std: Sequence[float]) -> None:
    for name, value in (("mean", mean), ("std", std)):
        if len(value) != 3:
            raise ValueError(f"{name} must have 3 values, of R, G and B, got {value!r}")
        for x in value:
            check_number(name, x, **({"above": 0.0} if name == "std" else {}))


def _make_table(mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return reference.normalise_table(mean, std, dtype).to(device)


_kept_table = functools.lru_cache(maxsize=64)(_make_table)  # a device's is uploaded once


def table_of(mean: Sequence[float], std: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(3, 256) of dtype: what each byte of each channel becomes."""
    make = _make_table if torch.compiler.is_compiling() else _kept_table
    return make(tuple(map(float, mean)), tuple(map(float, std)), dtype, device)


@any_device("normalise_patches")
def _normalise_patches(patches: Tensor, table: Tensor) -> Tensor:
    return reference.normalise_patches(patches, table)


@on_cuda("normalise_patches")
def _normalise_patches_cuda(patches: Tensor, table: Tensor) -> Tensor:
    from videostr.kernels.normalise_patches import normalise_patches  # imports triton, which only a GPU needs

    return normalise_patches(patches, table)


@torch.library.register_fake("videostr::normalise_patches")
def _(patches, table):
    return patches.new_empty(patches.shape, dtype=table.dtype)
