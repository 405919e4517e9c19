"""A decoded frame as it is: the decoder's own planes where the operator's integers are swscale's, else RGB."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
import torch

from videostr import ops

# FFmpeg's number of a frame's matrix -> the operator's name. Untagged (2) is BT.601, whatever the size, as everywhere.
MATRICES = {1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020"}
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
# FFmpeg's pixel formats -> the operator's; yuvj: full range. Not those of 10 bits: swscale then goes by where the
# chroma samples are said to lie, and PyAV does not tell.
FORMATS = {f"yuv{j}{kind}p": f"yuv{kind}p" for j in ("", "j") for kind in (420, 422, 444)}


class Picture(NamedTuple):
    """An upright frame. planes: (rgb,) of (H, W, 3), (y, uv) of NV12, or three of a `format` of `ops.frames_to_patches`
    (without: 4:2:0); arrays, or tensors of any device, whose rows may be apart and which stay valid as long as they are
    held. matrix, full_range: how the planes encode colour."""

    planes: tuple[np.ndarray | torch.Tensor, ...]
    matrix: str = "bt601"
    full_range: bool = False
    format: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.planes[0].shape[:2]

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        if len(self.planes) == 1:
            return np.asarray(self.planes[0])
        form = self.format or ("nv12" if len(self.planes) == 2 else "yuv420p")
        coefficients = ops.reference.colour_coefficients(self.matrix, self.full_range, form)
        rgb_CHW = ops.reference.to_rgb(list(map(torch.as_tensor, self.planes)), form, coefficients)
        return rgb_CHW.permute(1, 2, 0).contiguous().cpu().numpy()


def picture_of(frame: av.VideoFrame) -> Picture:
    """The frame, upright. Without a copy unless the display matrix turns it or its format has to be converted."""
    turn = orientation(frame)
    form = FORMATS.get(frame.format.name)
    if form and _as_swscale(form, frame, turn) and frame.colorspace in MATRICES:
        full = frame.format.name.startswith("yuvj") or frame.color_range == FULL_RANGE
        planes = [_plane(plane) for plane in frame.planes]
        if all(plane is not None for plane in planes):
            turned = tuple(_turned(plane, turn) for plane in planes)
            return Picture(turned, MATRICES[frame.colorspace], full, form)
    return Picture((_turned(frame.to_ndarray(format="rgb24"), turn),))


def _as_swscale(form: str, frame: av.VideoFrame, turn: tuple[bool, bool, bool]) -> bool:
    """Whether swscale takes the way whose integers the operator has (found by comparing; docs/video.md)."""
    if frame.interlaced_frame:  # rows of two fields
        return False
    if form == "yuv444p":
        return True
    # only with both sides even do a turned frame's chroma samples cover the same pixels
    upright = not any(turn) or (form == "yuv420p" and frame.width % 2 == 0)
    return frame.height % 2 == 0 and upright


def _plane(plane: av.video.plane.VideoPlane) -> np.ndarray | None:
    """(H, W) view; None where the rows lie in reverse."""
    if plane.line_size < plane.width:
        return None
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """(swap rows and columns, then flip rows, flip columns) that put a frame upright, from its display matrix."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    # x' = a x + c y, y' = b x + d y; only the signs matter once the angle is rounded to the nearest quarter turn
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].astype(np.int64)
    swap = bool(abs(b) + abs(c) > abs(a) + abs(d))
    return swap, bool((b if swap else d) < 0), bool((c if swap else a) < 0)


def _turned(plane: np.ndarray, turn: tuple[bool, bool, bool]) -> np.ndarray:
    """Applies `orientation` to (H, W) or (H, W, 3)."""
    swap, rows, columns = turn
    if not any(turn):
        return plane
    if swap:
        plane = plane.swapaxes(0, 1)
    return np.ascontiguousarray(plane[:: -1 if rows else 1, :: -1 if columns else 1])
