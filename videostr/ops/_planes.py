"""Argument checks of frames_to_patches: planes and output."""

from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._library import check_choice, check_device, check_shape, check_tensor

BY_PLANES = {1: "rgb24", 2: "nv12", 3: "yuv420p"}  # where no format is given
SAMPLES = {1: (torch.uint8,), 2: (torch.uint16, torch.int16)}


def check_frames(name: str, frames: Sequence[Sequence[Tensor]], form: str | None) -> tuple[list[Tensor], str]:
    """All planes in a list, only rows apart, and the format."""
    if not isinstance(frames, Sequence) or len(frames) == 0:
        raise ValueError(f"{name} must be a sequence of at least one frame, each a sequence of planes")
    each = len(frames[0])
    if form is None:
        if each not in BY_PLANES:
            raise ValueError(f"{name} must have 1 (RGB), 2 (NV12) or 3 (4:2:0) planes each, got {each}")
        form = BY_PLANES[each]
    check_choice("format", form, tuple(reference.FORMATS))
    layout = reference.FORMATS[form]
    if each != layout.planes:
        raise ValueError(f"{name}[0] must have {layout.planes} plane(s), as {form} has, got {each}")
    planes: list[Tensor] = []
    for index, frame in enumerate(frames):
        if len(frame) != each:
            raise ValueError(f"{name}[{index}] must have {each} plane(s) like {name}[0], got {len(frame)}")
        for k, plane in enumerate(frame):
            own = f"{name}[{index}][{k}]"
            check_tensor(own, plane, ndim=3 if layout.together and k == each - 1 else 2)
            if plane.dtype not in SAMPLES[layout.bytes]:
                raise TypeError(f"{own} must be {' or '.join(map(_short, SAMPLES[layout.bytes]))}, got {plane.dtype}")
            planes.append(plane)
            check_shape(own, plane, layout.shapes(*planes[0].shape[:2])[k], "see frames")
            check_device(own, plane, planes[0].device, f"{name}[0][0]")
            if plane.numel() == 0:
                raise ValueError(f"{own} must not be empty, got shape {tuple(plane.shape)}")
            inner = (plane.shape[2], 1) if plane.ndim == 3 else (1,)
            if plane.stride()[1:] != inner and not (plane.shape[1] == 1 and plane.stride()[2:] == inner[1:]):
                planes[-1] = plane.contiguous()  # only rows may be apart
        if each == 3 and planes[-1].stride(0) != planes[-2].stride(0):  # and those of U and V equally
            planes[-2:] = planes[-2].contiguous(), planes[-1].contiguous()
    return planes, form


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_out(
    out: Tensor,
    dtypes: tuple[torch.dtype, ...],
    device: torch.device,
    columns: int,
    per_step: int,
    temporal: int,
    first: int,
    count: int,
) -> None:
    check_tensor("out", out, ndim=2)
    check_device("out", out, device, "frames")
    if out.dtype not in dtypes:
        raise TypeError(f"out must be one of {', '.join(map(str, dtypes))}, got {out.dtype}")
    check_shape("out", out, (out.shape[0], columns), "3 * temporal_patch_size * patch_size^2 columns")
    room = out.shape[0] // per_step * temporal
    if out.shape[0] % per_step or first + count > room or not out.is_contiguous():
        raise ValueError(
            f"out must be contiguous with a multiple of {per_step} rows, at least for frames {first} to"
            f" {first + count - 1}, got shape {tuple(out.shape)}"
        )
