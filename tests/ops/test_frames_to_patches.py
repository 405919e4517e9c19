"""frames_to_patches against PyAV's own colour, torch's own resize and transformers' own processors: equal bits."""

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from videostr import ops

# AVColorSpace and AVColorRange, as a stream's tags give them
SPACES = {"bt601": 5, "bt709": 1, "bt2020": 9}
LIMITED, FULL = 1, 2
LEVELS = ["portable", "avx2", "avx512"]


def random_bytes(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def yuv_frame(seed, height, width, spread=0, interleaved=False):
    """Planes of a 4:2:0 frame; spread: bytes between the rows."""
    half = ((height + 1) // 2, (width + 1) // 2)
    y = random_bytes(seed, height, width + spread)[:, :width]
    if interleaved:
        return y, random_bytes(seed + 1, half[0], half[1] + spread, 2)[:, : half[1]]
    return y, *(random_bytes(seed + k, half[0], half[1] + spread)[:, : half[1]] for k in (1, 2))


def pyav_rgb(planes, space=2, color_range=0):
    """(H, W, 3): the same planes through swscale."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p")
    frame.colorspace, frame.color_range = space, color_range
    for plane, values in zip(frame.planes, planes, strict=True):
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width] = values.numpy()
    return torch.from_numpy(frame.to_ndarray(format="rgb24"))


def resized(rgb_HWC, height, width):
    x = rgb_HWC.permute(2, 0, 1)[None]
    return F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False, antialias=True)[0]


def plain_rows(frames_TCHW, p, m, t):
    """The order of patches, spelled out value by value."""
    frames = frames_TCHW.numpy()
    frames = np.concatenate([frames, np.repeat(frames[-1:], -len(frames) % t, 0)])
    count, _, height, width = frames.shape
    gh, gw = height // p, width // p
    rows = np.zeros((count // t * gh * gw, 3 * t * p * p), np.uint8)
    f, c, y, x = np.indices(frames.shape)
    row = ((f // t * (gh // m) + y // (m * p)) * (gw // m) + x // (m * p)) * m * m + y // p % m * m + x // p % m
    rows[row, (c * t + f % t) * p * p + y % p * p + x % p] = frames
    return torch.from_numpy(rows)


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", SPACES)
@pytest.mark.parametrize(("height", "width"), [(28, 56), (56, 84)])
def test_colour_is_pyavs(height, width, matrix, color_range):
    planes = yuv_frame(0, height, width)
    want = pyav_rgb(planes, SPACES[matrix], color_range)
    got = ops.frames_to_patches(
        [planes], height, width, matrix=matrix, full_range=color_range == FULL, dtype=torch.uint8
    )
    assert torch.equal(got, plain_rows(want.permute(2, 0, 1)[None], 14, 2, 2))


def test_every_colour_is_pyavs():
    """All 2^24 triples, 65,536 chroma pairs at a time."""
    u, v = (x.reshape(256, 256) for x in np.indices((256, 256), dtype=np.uint8))
    for luma in range(0, 256, 4):
        y = np.empty((512, 512), np.uint8)
        for k in range(4):
            y[k // 2 :: 2, k % 2 :: 2] = luma + k
        planes = [torch.from_numpy(np.ascontiguousarray(x)) for x in (y, u, v)]
        got = ops.frames_to_patches(
            [planes], 512, 512, patch_size=512, merge_size=1, temporal_patch_size=1, dtype=torch.uint8
        )
        assert torch.equal(got.view(3, 512, 512), pyav_rgb(planes).permute(2, 0, 1))


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_resize_is_torchs(height, width, rows, columns, seed):
    rgb = random_bytes(seed, height, width, 3)
    want = resized(rgb, rows * 28, columns * 28)
    got = ops.frames_to_patches([(rgb,)], rows * 28, columns * 28, dtype=torch.uint8)
    assert torch.equal(got, plain_rows(want[None], 14, 2, 2))
    assert torch.equal(ops.reference.resize(rgb.permute(2, 0, 1), rows * 28, columns * 28), want)


# source, result: a little smaller, a lot, so much that taps are many, larger, one axis alone, neither, tiny
SIZES = [
    ((96, 160), (56, 112)),
    ((720, 1280), (224, 420)),
    ((400, 1300), (28, 28)),
    ((30, 50), (112, 196)),
    ((56, 333), (56, 84)),
    ((301, 84), (56, 84)),
    ((56, 84), (56, 84)),
    ((1, 1), (28, 28)),
    ((3, 5), (28, 56)),
    ((64, 127), (28, 56)),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["rgb24", "nv12", "i420"])
@pytest.mark.parametrize(("source", "target"), SIZES, ids=str)
def test_every_instruction_set_and_format_has_the_same_bits(source, target, kind, level):
    spread = 7
    frames = []
    for seed in range(3):
        if kind == "rgb24":
            frames.append((random_bytes(seed, source[0], source[1] + spread, 3)[:, : source[1]],))
        else:
            frames.append(yuv_frame(seed, *source, spread, kind == "nv12"))
    options = {"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.3)}
    want = ops.reference.frames_to_patches(frames, *target, **options)
    planes = [plane for frame in (*frames, frames[-1]) for plane in frame]
    out, table = torch.empty_like(want), ops.reference.normalise_table(*options.values(), torch.float32)
    colour = ops.reference.colour_coefficients("bt601", False)
    call = torch.ops.videostr.frames_to_patches_
    try:
        call(out, planes, table, kind, colour, *target, 14, 2, 2, 0, level)
    except RuntimeError as error:
        assert "cannot run" in str(error)
        pytest.skip(f"this processor has no {level}")
    assert torch.equal(out, want)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
@pytest.mark.parametrize(("height", "width", "count"), [(60, 90, 2), (132, 78, 5), (240, 320, 4), (20, 33, 3)])
def test_planes_to_patches_are_the_processors(family, height, width, count):
    frames = [yuv_frame(10 * t, height, width, spread=3) for t in range(count)]
    rgb = torch.stack([pyav_rgb(planes) for planes in frames]).permute(0, 3, 1, 2)
    limits = {"shortest_edge": 6272, "longest_edge": 100352}
    processor = (Qwen2VLVideoProcessor if family == "qwen2_vl" else Qwen3VLVideoProcessor)(
        size=limits, cap_pixels_per_frame=False
    )
    want = processor(videos=[rgb], do_sample_frames=False, return_tensors="pt")
    _, grid_h, grid_w = want["video_grid_thw"][0].tolist()
    patch = {"qwen2_vl": 14, "qwen3_vl": 16}[family]
    options = {"patch_size": patch, "mean": processor.image_mean, "std": processor.image_std}
    got = ops.frames_to_patches(frames, grid_h * patch, grid_w * patch, **options)
    assert torch.equal(got, want["pixel_values_videos"])
    for dtype in (torch.bfloat16, torch.float16):
        rounded = ops.frames_to_patches(frames, grid_h * patch, grid_w * patch, dtype=dtype, **options)
        assert torch.equal(rounded, want["pixel_values_videos"].to(dtype))


def test_frames_fed_one_by_one_are_the_whole():
    frames = [yuv_frame(t, 50, 70) for t in range(5)]
    whole = ops.frames_to_patches(frames, 56, 84)
    out = torch.empty_like(whole)
    for t, frame in enumerate([*frames, frames[-1]]):
        before = out.clone()
        assert ops.frames_to_patches([frame], 56, 84, out=out, first_frame=t) is out
        changed = (out != before) & ~(out.isnan() & before.isnan())
        assert not changed[torch.arange(len(out)) // 24 != t // 2].any()  # 24 patches a step
    assert torch.equal(out, whole)


@pytest.mark.parametrize(("patch", "merge", "temporal"), [(16, 2, 2), (14, 1, 1), (7, 3, 3), (14, 2, 4)])
def test_other_layouts(patch, merge, temporal):
    frames = [(random_bytes(t, 40, 61, 3),) for t in range(5)]
    size = (2 * patch * merge, 3 * patch * merge)
    want = plain_rows(torch.stack([resized(x, *size) for (x,) in frames]), patch, merge, temporal)
    layout = {"patch_size": patch, "merge_size": merge, "temporal_patch_size": temporal}
    assert torch.equal(ops.frames_to_patches(frames, *size, dtype=torch.uint8, **layout), want)


def test_planes_of_any_strides():
    y, u, v = yuv_frame(0, 40, 60)
    turned = [x.T.contiguous().T for x in (y, u, v)]
    assert torch.equal(ops.frames_to_patches([turned], 28, 56), ops.frames_to_patches([(y, u, v)], 28, 56))


GOOD = {"frames": [yuv_frame(0, 8, 8)], "height": 28, "width": 28}
Y, U, V = yuv_frame(0, 8, 8)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": []}, ValueError, "frames must be a sequence of at least one frame"),
        ({"frames": [(Y, U, V, V)]}, ValueError, r"frames must have 1 \(RGB\)"),
        ({"frames": [(Y, U, V), (Y, U)]}, ValueError, r"frames\[1\] must have 3 plane"),
        ({"frames": [(Y, U, V[:3])]}, ValueError, r"frames\[0\]\[2\] must have shape \(4, 4\)"),
        ({"frames": [(Y, U.float(), V)]}, TypeError, r"frames\[0\]\[1\] must be uint8"),
        ({"frames": [(Y.numpy(), U, V)]}, TypeError, r"frames\[0\]\[0\] must be a tensor"),
        ({"frames": [(Y[:0, :, None].expand(0, 8, 3),)]}, ValueError, "must not be empty"),
        ({"height": 27}, ValueError, "height must be a multiple of patch_size"),
        ({"width": 0}, ValueError, "width"),
        ({"patch_size": 0}, ValueError, "patch_size"),
        ({"mean": (0.5,)}, ValueError, "mean must have 3 values"),
        ({"std": (0.5, 0.0, 0.5)}, ValueError, "std must be a finite number > 0"),
        ({"matrix": "bt470"}, ValueError, "matrix must be one of"),
        ({"dtype": torch.float64}, TypeError, "dtype must be one of"),
        ({"first_frame": 1}, ValueError, "first_frame must be 0 without out"),
        ({"out": torch.empty(4, 1175)}, ValueError, r"out must have shape \(4, 1176\)"),
        ({"out": torch.empty(3, 1176)}, ValueError, "out must be contiguous with a multiple of 4 rows"),
        ({"out": torch.empty(4, 1176), "first_frame": 2}, ValueError, "for frames 2 to 2"),
        ({"out": torch.empty(4, 1176, dtype=torch.long)}, TypeError, "out must be one of"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.frames_to_patches(**{**GOOD, **change})
