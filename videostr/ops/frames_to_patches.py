"""frames_to_patches: decoded frames -> a vision model's rows of patches, in one pass."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.uint8)
FORMATS = {1: "rgb24", 2: "nv12", 3: "i420"}  # by the number of planes
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

table_of = functools.lru_cache(maxsize=64)(reference.normalise_table)


def frames_to_patches(
    frames: Sequence[Sequence[Tensor]],
    height: int,
    width: int,
    *,
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
) -> Tensor:
    """Frames as a decoder leaves them -> `pixel_values_videos` of the Qwen2-VL and Qwen3-VL families, bit for bit.

    Colour (swscale's integers; docs/video.md, grade S), bicubic antialiased resize (torch's integers for uint8 images,
    as transformers' processors on the CPU, grade S), normalising and the order of patches (transformers, grade S) in
    one pass: no RGB picture and no float picture is made. The last frame is repeated to a whole temporal patch.

    A video can be fed as it is decoded: with `out` and `first_frame`, frames are written where they belong and nothing
    else is touched, nor is a frame repeated.

    Args:
        frames: T frames of one size and format, each a sequence of uint8 planes whose rows may be apart:
            (rgb,): (H, W, 3). (y, uv), NV12: (H, W), (H', W', 2). (y, u, v), 4:2:0: (H, W), (H', W'), (H', W'); H' and
            W' are half, rounded up.
        height, width: pixels of the resized frames, multiples of patch_size * merge_size.
        mean, std: of each channel, in units of the whole range.
        matrix, full_range: how the planes encode colour: "bt601" (an untagged video), "bt709" or "bt2020".
        dtype: float32, bfloat16, float16, or uint8: bytes in the order of the patches, not normalised.
        out: (steps * height / patch_size * width / patch_size, 3 * temporal_patch_size * patch_size^2), contiguous; its
            dtype counts.
        first_frame: place of frames[0] in `out`.

    Returns:
        `out`, or a new tensor of that shape for T frames (steps = T / temporal_patch_size, rounded up).

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    planes, form, shape = _check_frames(frames)
    for name, value in (
        ("patch_size", patch_size),
        ("merge_size", merge_size),
        ("temporal_patch_size", temporal_patch_size),
    ):
        check_number(name, value, at_least=1)
    for name, value in (("height", height), ("width", width)):
        check_number(name, value, at_least=1)
        if value % (patch_size * merge_size):
            raise ValueError(
                f"{name} must be a multiple of patch_size * merge_size = {patch_size * merge_size}, got {value}"
            )
    check_number("first_frame", first_frame, at_least=0)
    check_choice("matrix", matrix, tuple(reference.MATRICES))
    for name, value in (("mean", mean), ("std", std)):
        if len(value) != 3:
            raise ValueError(f"{name} must have 3 values, of R, G and B, got {value!r}")
        for x in value:
            check_number(name, x, **({"above": 0.0} if name == "std" else {}))
    count = len(frames)
    per_step, columns = height // patch_size * (width // patch_size), 3 * temporal_patch_size * patch_size**2
    repeats = 0
    if out is None:
        if first_frame:
            raise ValueError(f"first_frame must be 0 without out, got {first_frame}")
        if dtype not in DTYPES:
            raise TypeError(f"dtype must be one of {', '.join(map(str, DTYPES))}, got {dtype}")
        repeats = -count % temporal_patch_size
        out = planes[0].new_empty(((count + repeats) // temporal_patch_size * per_step, columns), dtype=dtype)
    else:
        check_tensor("out", out, ndim=2)
        check_device("out", out, planes[0].device, "frames")
        if out.dtype not in DTYPES:
            raise TypeError(f"out must be one of {', '.join(map(str, DTYPES))}, got {out.dtype}")
        check_shape("out", out, (out.shape[0], columns), "3 * temporal_patch_size * patch_size^2 columns")
        room = out.shape[0] // per_step * temporal_patch_size
        if out.shape[0] % per_step or first_frame + count > room or not out.is_contiguous():
            raise ValueError(
                f"out must be contiguous with a multiple of {per_step} rows, at least for frames {first_frame} to"
                f" {first_frame + count - 1}, got shape {tuple(out.shape)}"
            )
    table = None
    if out.dtype != torch.uint8:
        make = reference.normalise_table if torch.compiler.is_compiling() else table_of
        table = make(tuple(map(float, mean)), tuple(map(float, std)), out.dtype).to(out.device)
    planes = planes + planes[-shape:] * repeats
    torch.ops.videostr.frames_to_patches_(
        out, planes, table, form, reference.colour_coefficients(matrix, full_range), height, width,
        patch_size, merge_size, temporal_patch_size, first_frame, "auto",
    )  # fmt: skip
    return out


def _check_frames(frames: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], str, int]:
    """All planes in a list, the format, planes a frame."""
    if not isinstance(frames, Sequence) or len(frames) == 0:
        raise ValueError("frames must be a sequence of at least one frame, each a sequence of planes")
    each = len(frames[0])
    if each not in FORMATS:
        raise ValueError(f"frames must have 1 (RGB), 2 (NV12) or 3 (4:2:0) planes each, got {each}")
    planes: list[Tensor] = []
    for index, frame in enumerate(frames):
        if len(frame) != each:
            raise ValueError(f"frames[{index}] must have {each} plane(s) like frames[0], got {len(frame)}")
        for k, plane in enumerate(frame):
            name = f"frames[{index}][{k}]"
            check_tensor(name, plane, ndim=3 if each == 1 or (each == 2 and k == 1) else 2)
            if plane.dtype != torch.uint8:
                raise TypeError(f"{name} must be uint8, got {plane.dtype}")
            planes.append(plane)
            height, width = planes[0].shape[:2]
            half = ((height + 1) // 2, (width + 1) // 2)
            expected = {1: (height, width, 3), 2: (*half, 2), 3: half}[each] if k or each == 1 else (height, width)
            check_shape(name, plane, expected, "see frames")
            check_device(name, plane, planes[0].device, "frames[0][0]")
            if plane.numel() == 0:
                raise ValueError(f"{name} must not be empty, got shape {tuple(plane.shape)}")
            inner = (3, 1) if each == 1 else (2, 1) if plane.ndim == 3 else (1,)
            if plane.stride()[1:] != inner and not (plane.shape[1] == 1 and plane.stride()[2:] == inner[1:]):
                planes[-1] = plane.contiguous()  # only rows may be apart
    return planes, FORMATS[each], each


@any_device("frames_to_patches_")
def _frames_to_patches_(
    out: Tensor,
    planes: list[Tensor],
    table: Tensor | None,
    form: str,
    colour: list[int],
    height: int,
    width: int,
    patch: int,
    merge: int,
    temporal: int,
    first_frame: int,
    instructions: str,
) -> None:
    each = {name: count for count, name in FORMATS.items()}[form]
    steps = out.view(-1, height // (patch * merge), width // (patch * merge), merge, merge, 3, temporal, patch, patch)
    for i in range(len(planes) // each):
        frame = planes[i * each : (i + 1) * each]
        if form == "rgb24":
            pixels = frame[0].permute(2, 0, 1)
        else:
            chroma = frame[1].unbind(-1) if form == "nv12" else frame[1:]
            pixels = reference.yuv_to_rgb(frame[0], *chroma, colour)
        rows = reference.patch_order(reference.resize(pixels, height, width)[None], patch, merge, 1)
        if table is not None:
            channel = torch.arange(3, device=rows.device).repeat_interleave(patch**2)
            rows = table[channel.expand_as(rows), rows.long()]
        at = first_frame + i
        step = steps[at // temporal]
        step[..., at % temporal, :, :] = rows.view(step[..., 0, :, :].shape)


@torch.library.register_fake("videostr::frames_to_patches_")
def _(out, planes, *_):
    return None
