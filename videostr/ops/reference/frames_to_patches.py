"""Decoded frames -> rows of patches: colour, resize, normalising, patch order."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .colour import colour_coefficients, to_rgb


def resize_axis(pixels_CAB: Tensor, size: int) -> Tensor:
    """(C, A, B) uint8 -> (C, size, B): bicubic (a = -0.5), antialiased, with torch's int16 weights for uint8 images."""
    length = pixels_CAB.shape[1]
    if length == size:
        return pixels_CAB
    scale = length / size
    stretch = max(scale, 1.0)
    centre_S1 = scale * (torch.arange(size, dtype=torch.float64)[:, None] + 0.5)
    at_A = torch.arange(length, dtype=torch.float64)
    first_S1 = (centre_S1 - 2 * stretch + 0.5).long().clamp(min=0)
    end_S1 = (centre_S1 + 2 * stretch + 0.5).long().clamp(max=length)
    x = ((at_A - centre_S1 + 0.5) * (1.0 / stretch)).abs()
    weight_SA = torch.where(
        x < 1, (1.5 * x - 2.5) * x * x + 1, torch.where(x < 2, (((x - 5) * x + 8) * x - 4) * -0.5, 0.0)
    )
    weight_SA = weight_SA.masked_fill((at_A < first_S1) | (at_A >= end_S1), 0.0)
    weight_SA = weight_SA / weight_SA.sum(1, keepdim=True)
    largest, precision = float(weight_SA.max()), 0
    while precision < 22 and int(0.5 + largest * 2 ** (precision + 1)) < 1 << 15:
        precision += 1
    scaled_SA = weight_SA * 2**precision
    integer_SA = torch.trunc(scaled_SA + torch.where(scaled_SA < 0, -0.5, 0.5)).long()
    total = torch.einsum("sa,cab->csb", integer_SA, pixels_CAB.long()) + (1 << (precision - 1))
    return (total >> precision).clamp(0, 255).to(torch.uint8)


def resize(pixels_CHW: Tensor, height: int, width: int, form: str = "u8") -> Tensor:
    """(C, H, W) uint8 -> (C, height, width) uint8: along x, then along y.

    form: "u8", rounded to bytes between the axes; "f32", torch's resize of float images, then clamped and rounded half
    to even (what torchvision's first API does to bytes).
    """
    if pixels_CHW.shape[1:] == (height, width):
        return pixels_CHW
    if form == "f32":
        floats = interpolate(
            pixels_CHW[None].float(), (height, width), mode="bicubic", align_corners=False, antialias=True
        )
        return floats[0].clamp(0, 255).round().to(torch.uint8)
    along_x = resize_axis(pixels_CHW.transpose(1, 2), width).transpose(1, 2)
    return resize_axis(along_x, height)


def patch_order(frames_TCHW: Tensor, patch_size: int, merge_size: int, temporal_patch_size: int) -> Tensor:
    """(T, 3, H, W) -> (rows, 3 * temporal * patch^2), the last frame repeated to a multiple of temporal_patch_size."""
    p, m, t = patch_size, merge_size, temporal_patch_size
    frames, channels, height, width = frames_TCHW.shape
    pad = -frames % t
    frames_TCHW = torch.cat([frames_TCHW, frames_TCHW[-1:].expand(pad, -1, -1, -1)])
    grid = ((frames + pad) // t, height // p, width // p)
    x = frames_TCHW.reshape(grid[0], t, channels, grid[1] // m, m, p, grid[2] // m, m, p)
    x = x.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)  # [steps, h/m, w/m, m, m, C, t, p, p]
    return x.reshape(grid[0] * grid[1] * grid[2], channels * t * p * p)


def normalise_table(mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """(3, 256): what each byte of each channel becomes, (byte - 255 mean) / (255 std) in float32, rounded to dtype."""
    scale = 1.0 / (1 / 255)  # as the processors fuse rescaling and normalising
    mean_31, std_31 = (torch.tensor(x, dtype=torch.float32)[:, None] * scale for x in (mean, std))
    return torch.arange(256, dtype=torch.float32).expand(3, -1).sub(mean_31).div(std_31).to(dtype)


def normalise_patches(patches_RC: Tensor, table_3V: Tensor) -> Tensor:
    """Bytes in patch order -> the table's dtype; a row has three channels of C / 3 columns."""
    channel_C = torch.arange(3, device=patches_RC.device).repeat_interleave(patches_RC.shape[1] // 3)
    return table_3V[channel_C.expand_as(patches_RC), patches_RC.long()]


def frames_to_patches(
    frames: list[tuple[Tensor, ...]],
    height: int,
    width: int,
    *,
    form: str,
    resize_form: str = "u8",
    patch_size: int = 14,
    merge_size: int = 2,
    temporal_patch_size: int = 2,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    matrix: str = "bt601",
    full_range: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    coefficients = colour_coefficients(matrix, full_range, form)
    resized = [resize(to_rgb(list(planes), form, coefficients), height, width, resize_form) for planes in frames]
    rows = patch_order(torch.stack(resized), patch_size, merge_size, temporal_patch_size)
    return rows if dtype == torch.uint8 else normalise_patches(rows, normalise_table(mean, std, dtype))
