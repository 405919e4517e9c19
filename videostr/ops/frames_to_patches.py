"""frames_to_patches: decoded frames -> a vision model's rows of patches, in one pass."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number
from ._planes import check_frames, check_out
from .normalise_patches import CLIP_MEAN, CLIP_STD, check_mean_std, table_of

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.uint8)
RESIZES = ("u8", "f32")


class RaggedPatches(NamedTuple):
    """patches: (R, 3 * temporal * patch^2), the videos' rows one after another. grid_N3: (N, 3) int64, patches along
    time, height and width. offsets_N1: (N + 1,) int64, video i has the rows offsets_N1[i] up to offsets_N1[i + 1]. Grid
    and offsets are on the CPU."""

    patches: Tensor
    grid_N3: Tensor
    offsets_N1: Tensor


def frames_to_patches(
    frames: Sequence[Sequence[Tensor]],
    height: int,
    width: int,
    *,
    format: str | None = None,
    resize: str = "u8",
    patch_size: int = 14,
    merge_size: int = 2,
    temporal_patch_size: int = 2,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    matrix: str = "bt601",
    full_range: bool = False,
    dtype: torch.dtype = torch.float32,
    out: Tensor | None = None,
    first_frame: int = 0,
    parallel: bool = True,
) -> Tensor:
    """Frames as a decoder leaves them -> `pixel_values_videos` of the Qwen2-VL and Qwen3-VL families, bit for bit.

    Colour (swscale's integers; docs/video.md, grade S), bicubic antialiased resize (torch's arithmetic, grade S),
    normalising and the order of patches (transformers, grade S) in one pass: no RGB picture and no float picture is
    made. The last frame is repeated to a whole temporal patch.

    A video can be fed as it is decoded: with `out` and `first_frame`, frames are written where they belong and nothing
    else is touched, nor is a frame repeated.

    Args:
        frames: T frames of one size and format, each a sequence of planes whose rows may be apart, FFmpeg's layouts:
            "rgb24": (H, W, 3). "rgbp": R, G, B, (H, W) each. "yuv420p": Y (H, W), U, V (H', W'), H' and W' half,
            rounded up. "nv12": Y, and U beside V (H', W', 2). "yuv422p": U, V (H, W'). "yuv444p": U, V (H, W). uint8;
            10 bits in uint16 or int16: "yuv420p10", and "p010" (as nv12, the bits at the top).
        height, width: pixels of the resized frames, multiples of patch_size * merge_size.
        format: one of those; without it frames of 1, 2 and 3 planes are rgb24, nv12 and yuv420p.
        resize: "u8", rounded to bytes between the axes, as transformers' processors do on the CPU (torchvision's v2);
            "f32", float32 throughout and rounded once, as qwen-vl-utils does (torchvision's first API).
        mean, std: of each channel, in units of the whole range.
        matrix, full_range: how the planes encode colour: "bt601" (an untagged video), "bt709" or "bt2020".
        dtype: float32, bfloat16, float16, or uint8: bytes in the order of the patches, not normalised
            (`normalise_patches` finishes them).
        out: (steps * height / patch_size * width / patch_size, 3 * temporal_patch_size * patch_size^2), contiguous; its
            dtype counts.
        first_frame: place of frames[0] in `out`.
        parallel: on the CPU, by torch's threads; False: in the calling thread alone.

    Returns:
        `out`, or a new tensor of that shape for T frames (steps = T / temporal_patch_size, rounded up).

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    planes, form = check_frames("frames", frames, format)
    layout = (patch_size, merge_size, temporal_patch_size)
    columns = _check_options(layout, [(height, width)], resize, [matrix], mean, std)
    check_number("first_frame", first_frame, at_least=0)
    count, each = len(frames), reference.FORMATS[form].planes
    per_step, repeats = height // patch_size * (width // patch_size), 0
    if out is None:
        if first_frame:
            raise ValueError(f"first_frame must be 0 without out, got {first_frame}")
        repeats = -count % temporal_patch_size
        out = _empty(planes[0], (count + repeats) // temporal_patch_size * per_step, columns, dtype)
    else:
        check_out(out, DTYPES, planes[0].device, columns, per_step, temporal_patch_size, first_frame, count)
    planes = planes + planes[-each:] * repeats
    video = [count + repeats, height, width, 0, first_frame]
    colour = reference.colour_coefficients(matrix, full_range, form)
    torch.ops.videostr.frames_to_patches_(
        out, planes, _table(mean, std, out), form, resize, colour, video, *layout, parallel, "auto"
    )
    return out


def frames_to_patches_ragged(
    videos: Sequence[Sequence[Sequence[Tensor]]],
    sizes: Sequence[tuple[int, int]],
    *,
    format: str | None = None,
    resize: str = "u8",
    patch_size: int = 14,
    merge_size: int = 2,
    temporal_patch_size: int = 2,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    matrix: str | Sequence[str] = "bt601",
    full_range: bool | Sequence[bool] = False,
    dtype: torch.dtype = torch.float32,
) -> RaggedPatches:
    """Several videos of their own sizes and lengths in one call: `frames_to_patches` of each, one after another.

    Threads share the work of the whole batch, whatever the videos' sizes.

    Args:
        videos: N videos of one format, each the frames that `frames_to_patches` takes.
        sizes: N times (height, width) of the result.
        matrix, full_range: one for all, or N.

    Returns:
        RaggedPatches: what a model takes as `pixel_values_videos` and `video_grid_thw`, and the offsets.

    Raises:
        TypeError, ValueError: an argument is not as above, or videos, sizes, matrix and full_range differ in length.
    """
    if not isinstance(videos, Sequence) or len(videos) == 0:
        raise ValueError("videos must be a sequence of at least one video")
    n, t = len(videos), temporal_patch_size
    matrices = [matrix] * n if isinstance(matrix, str) else list(matrix)
    ranges = [full_range] * n if isinstance(full_range, bool) else list(full_range)
    for name, values in (("sizes", sizes), ("matrix", matrices), ("full_range", ranges)):
        if len(values) != n:
            raise ValueError(f"{name} must have an entry for each of the {n} videos, got {len(values)}")
    columns = _check_options((patch_size, merge_size, t), sizes, resize, matrices, mean, std)
    planes, numbers, colours, grid, row, first = [], [], [], [], 0, None
    for i, (frames, (height, width)) in enumerate(zip(videos, sizes, strict=True)):
        own, form = check_frames(f"videos[{i}]", frames, format)
        check_device(f"videos[{i}]", own[0], (planes or own)[0].device, "videos[0]")
        if form != (first := first or form):
            raise ValueError(f"videos[{i}] must have the format of videos[0], {first}, got {form}")
        repeats = -len(frames) % t
        planes += own + own[-reference.FORMATS[form].planes :] * repeats
        numbers += [len(frames) + repeats, height, width, row, 0]
        colours += reference.colour_coefficients(matrices[i], ranges[i], form)
        grid.append([(len(frames) + repeats) // t, height // patch_size, width // patch_size])
        row += grid[-1][0] * grid[-1][1] * grid[-1][2]
    out = _empty(planes[0], row, columns, dtype)
    torch.ops.videostr.frames_to_patches_(
        out,
        planes,
        _table(mean, std, out),
        first,
        resize,
        colours,
        numbers,
        patch_size,
        merge_size,
        t,
        True,
        "auto",
    )
    grid_N3 = torch.tensor(grid)
    return RaggedPatches(out, grid_N3, torch.cat([grid_N3.new_zeros(1), grid_N3.prod(1).cumsum(0)]))


def _check_options(layout, sizes, resize, matrices, mean, std) -> int:
    """Columns of a row of patches."""
    for name, value in zip(("patch_size", "merge_size", "temporal_patch_size"), layout, strict=True):
        check_number(name, value, at_least=1)
    patch_size, merge_size, temporal_patch_size = layout
    for height, width in sizes:
        for name, value in (("height", height), ("width", width)):
            check_number(name, value, at_least=1)
            if value % (patch_size * merge_size):
                raise ValueError(
                    f"{name} must be a multiple of patch_size * merge_size = {patch_size * merge_size}, got {value}"
                )
    check_choice("resize", resize, RESIZES)
    for matrix in matrices:
        check_choice("matrix", matrix, tuple(reference.MATRICES))
    check_mean_std(mean, std)
    return 3 * temporal_patch_size * patch_size**2


def _empty(like: Tensor, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    if dtype not in DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(map(str, DTYPES))}, got {dtype}")
    return like.new_empty((rows, columns), dtype=dtype)


def _table(mean: Sequence[float], std: Sequence[float], out: Tensor) -> Tensor | None:
    return None if out.dtype == torch.uint8 else table_of(mean, std, out.dtype, out.device)


@any_device("frames_to_patches_")
def _frames_to_patches_(
    out: Tensor,
    planes: list[Tensor],
    table: Tensor | None,
    form: str,
    resize: str,
    colours: list[int],
    videos: list[int],
    patch: int,
    merge: int,
    temporal: int,
    parallel: bool,
    instructions: str,
) -> None:
    each, at = reference.FORMATS[form].planes, 0
    for number in range(len(videos) // 5):
        count, height, width, row, first_frame = videos[5 * number : 5 * number + 5]
        blocks = (height // (patch * merge), width // (patch * merge), merge, merge)
        per_step = height // patch * (width // patch)
        for place in range(first_frame, first_frame + count):
            frame, at = planes[at : at + each], at + each
            rgb = reference.to_rgb(frame, form, colours[6 * number : 6 * number + 6])
            rows = reference.patch_order(reference.resize(rgb, height, width, resize)[None], patch, merge, 1)
            if table is not None:
                rows = reference.normalise_patches(rows, table)
            begin = row + place // temporal * per_step
            step = out[begin : begin + per_step].view(*blocks, 3, temporal, patch, patch)
            step[..., place % temporal, :, :] = rows.view(step[..., 0, :, :].shape)


@torch.library.register_fake("videostr::frames_to_patches_")
def _(out, planes, *_):
    return None
