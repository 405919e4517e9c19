"""Decoded frames -> rows of patches: colour, resize and patch order in integers."""

import math

import torch
from torch import Tensor

# ITU-R BT.601, BT.709, BT.2020 (non-constant luminance) as the 16.16 matrices of swscale:
# what V adds to R, what U adds to B, what U and V take from G (source: libswscale/yuv2rgb.c; grade S)
MATRICES = {
    "bt601": (104597, 132201, 25675, 53279),
    "bt709": (117489, 138438, 13975, 34925),
    "bt2020": (110013, 140363, 12277, 42626),
}


def colour_coefficients(matrix: str, full_range: bool) -> list[int]:
    """(y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset) of csrc/common/colour.h: 13 fractional bits."""
    v_to_r, u_to_b, u_to_g, v_to_g = MATRICES[matrix]
    terms = [v_to_r, u_to_b, -v_to_g, -u_to_g]
    scale = 1 << 16
    if full_range:
        terms = [math.trunc(x * 224 / 255) for x in terms]
    else:
        scale = scale * 255 // 219
    return [(x * 8192 + 32768) >> 16 for x in (scale, *terms)] + [0 if full_range else 128]


def yuv_to_rgb(y_HW: Tensor, u_hw: Tensor, v_hw: Tensor, coefficients: list[int]) -> Tensor:
    """8-bit 4:2:0 planes -> (3, H, W) uint8; each chroma sample covers 2 x 2 pixels."""
    y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset = coefficients
    height, width = y_HW.shape
    u, v = (
        x.int().mul(8).sub(1024).repeat_interleave(2, 0)[:height].repeat_interleave(2, 1)[:, :width]
        for x in (u_hw, v_hw)
    )
    luma = ((8 * y_HW.int() - y_offset) * y_scale) >> 16
    red = luma + ((v * v_to_r) >> 16)
    green = luma + ((u * u_to_g) >> 16) + ((v * v_to_g) >> 16)
    blue = luma + ((u * u_to_b) >> 16)
    return torch.stack([red, green, blue]).clamp(0, 255).to(torch.uint8)


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


def resize(pixels_CHW: Tensor, height: int, width: int) -> Tensor:
    """(C, H, W) uint8 -> (C, height, width) uint8: along x, rounded to bytes, then along y."""
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


def frames_to_patches(
    frames: list[tuple[Tensor, ...]],
    height: int,
    width: int,
    *,
    patch_size: int = 14,
    merge_size: int = 2,
    temporal_patch_size: int = 2,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    matrix: str = "bt601",
    full_range: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    coefficients = colour_coefficients(matrix, full_range)
    resized = []
    for planes in frames:
        if len(planes) == 1:
            rgb_CHW = planes[0].permute(2, 0, 1)
        else:
            u_hw, v_hw = planes[1].unbind(-1) if len(planes) == 2 else planes[1:]
            rgb_CHW = yuv_to_rgb(planes[0], u_hw, v_hw, coefficients)
        resized.append(resize(rgb_CHW, height, width))
    rows = patch_order(torch.stack(resized), patch_size, merge_size, temporal_patch_size)
    if dtype == torch.uint8:
        return rows
    table_3V = normalise_table(mean, std, dtype)
    channel = torch.arange(3).repeat_interleave(temporal_patch_size * patch_size**2)
    return table_3V[channel.expand_as(rows), rows.long()]
