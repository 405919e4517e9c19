"""Planes of a decoded frame -> RGB bytes, in the integers of swscale.

Source: libswscale/yuv2rgb.c and output.c (grade S); which of its ways a format takes was found by comparing with PyAV's
`to_ndarray(format="rgb24")`, and so were the rows of 10-bit chroma.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# ITU-R BT.601, BT.709, BT.2020 (non-constant luminance) as the 16.16 matrices of swscale:
# what V adds to R, what U adds to B, what U and V take from G
MATRICES = {
    "bt601": (104597, 132201, 25675, 53279),
    "bt709": (117489, 138438, 13975, 34925),
    "bt2020": (110013, 140363, 12277, 42626),
}


@dataclass(frozen=True)
class Format:
    """planes: how many. bytes: of a sample. across, down: log2 of the pixels that a sample of chroma covers. together:
    whether channels (rgb24) or U and V (nv12, p010) are one plane's last dimension."""

    planes: int
    bytes: int = 1
    across: int = 0
    down: int = 0
    together: bool = False

    def shapes(self, height: int, width: int) -> list[tuple[int, ...]]:
        """Of the planes of a frame."""
        if self.planes == 1:
            return [(height, width, 3)]
        chroma = (-(height // -(1 << self.down)), -(width // -(1 << self.across)))
        return [(height, width), (*chroma, 2)] if self.together else [(height, width), chroma, chroma]


FORMATS = {
    "rgb24": Format(1, together=True),
    "rgbp": Format(3),
    "nv12": Format(2, across=1, down=1, together=True),
    "yuv420p": Format(3, across=1, down=1),
    "yuv422p": Format(3, across=1),
    "yuv444p": Format(3),
    "yuv420p10": Format(3, bytes=2, across=1, down=1),
    "p010": Format(2, bytes=2, across=1, down=1, together=True),
}


def colour_coefficients(matrix: str, full_range: bool, form: str = "yuv420p") -> list[int]:
    """(y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset) of csrc/common/colour.h for frames of that format."""
    v_to_r, u_to_b, u_to_g, v_to_g = MATRICES[matrix]
    terms = [v_to_r, u_to_b, -v_to_g, -u_to_g]
    scale = 1 << 16
    if full_range:
        terms = [math.trunc(x * 224 / 255) for x in terms]
    else:
        scale = scale * 255 // 219
    if FORMATS[form].bytes == 1:  # 13 fractional bits
        return [(x * 8192 + 32768) >> 16 for x in (scale, *terms)] + [0 if full_range else 128]
    # chroma in steps of luma; a line of 16.16 through swscale's table, which has its own rounding where black is 16
    steps = [math.trunc((x * 65536 + 0x8000) / scale) for x in terms]
    offset = (384 if full_range else 326) * scale - (384 << 16) - (0 if full_range else 16 << 16) + 0x8000
    return [scale, *steps, offset]


def to_rgb(planes: list[Tensor], form: str, coefficients: list[int]) -> Tensor:
    """Planes as `Format.shapes` has them -> (3, H, W) uint8."""
    if form == "rgb24":
        return planes[0].permute(2, 0, 1)
    if form == "rgbp":
        return torch.stack(list(planes))
    y_HW, *chroma = (x.int() for x in planes)
    u_hw, v_hw = chroma[0].unbind(-1) if len(chroma) == 1 else chroma
    if form == "yuv444p":
        return _full(y_HW, u_hw, v_hw, coefficients)
    height, width = y_HW.shape
    if FORMATS[form].bytes == 2:
        shift = 6 if form == "p010" else 0
        y_HW, u_hw, v_hw = ((x & 0xFFFF) >> shift for x in (y_HW, u_hw, v_hw))
        u_Hw, v_Hw = (_between_rows(x, height) for x in (u_hw, v_hw))
        return _indexed((y_HW + 2) >> 2, *(_wide(x, width) for x in (u_Hw, v_Hw)), coefficients)
    if FORMATS[form].down:
        u_hw, v_hw = (x.repeat_interleave(2, 0)[:height] for x in (u_hw, v_hw))
    return _fast(y_HW, _wide(u_hw, width), _wide(v_hw, width), coefficients)


def _wide(x_Hw: Tensor, width: int) -> Tensor:
    return x_Hw.repeat_interleave(2, 1)[:, :width]


def _bytes(*channels: Tensor) -> Tensor:
    return torch.stack(channels).clamp(0, 255).to(torch.uint8)


def _fast(y: Tensor, u: Tensor, v: Tensor, coefficients: list[int]) -> Tensor:
    """8-bit 4:2:0 and 4:2:2."""
    y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset = coefficients
    luma, u, v = ((8 * y - y_offset) * y_scale) >> 16, 8 * u - 1024, 8 * v - 1024
    green = luma + ((u * u_to_g) >> 16) + ((v * v_to_g) >> 16)
    return _bytes(luma + ((v * v_to_r) >> 16), green, luma + ((u * u_to_b) >> 16))


def _full(y: Tensor, u: Tensor, v: Tensor, coefficients: list[int]) -> Tensor:
    """8-bit 4:4:4; int32 sums that wrap, as swscale's do."""
    y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset = coefficients
    luma, u, v = (512 * y - 64 * y_offset) * y_scale + (1 << 21), 512 * (u - 128), 512 * (v - 128)
    sums = luma + v * v_to_r, luma + (v * v_to_g + u * u_to_g), luma + u * u_to_b
    return _bytes(*(x >> 22 for x in sums))


def _indexed(y: Tensor, u: Tensor, v: Tensor, coefficients: list[int]) -> Tensor:
    """10-bit 4:2:0, rounded to 8 bits: chroma moves an index into luma's line."""
    y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset = coefficients

    def shift(sample: Tensor, coefficient: int) -> Tensor:
        return ((sample * coefficient) >> 16) - (coefficient >> 9)

    indices = y + shift(v, v_to_r), y + shift(u, u_to_g) + shift(v, v_to_g), y + shift(u, u_to_b)
    return _bytes(*((x * y_scale + y_offset) >> 16 for x in indices))


def _between_rows(x_hw: Tensor, height: int) -> Tensor:
    """10-bit chroma -> 8 bits, a row for each of the picture's: three parts of the nearer row, one of the other."""
    row_H = torch.arange(height, device=x_hw.device)
    far_H = (row_H // 2 + torch.where(row_H % 2 == 0, -1, 1)).clamp(0, x_hw.shape[0] - 1)
    return ((3 * x_hw[row_H // 2] + x_hw[far_H] + 8) >> 4).clamp(max=255)
