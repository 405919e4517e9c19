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


def made(form, seed, height, width, spread=0):
    """A frame of that format, random, with `spread` samples between the rows."""
    layout, planes = ops.reference.FORMATS[form], []
    for k, (rows, columns, *together) in enumerate(layout.shapes(height, width)):
        shape = (rows, columns + spread, *together)
        if layout.bytes == 2:
            values = np.random.default_rng(seed + k).integers(0, 1024, shape, dtype=np.uint16)
            plane = torch.from_numpy(values << (6 if form == "p010" else 0))
        else:
            plane = random_bytes(seed + k, *shape)
        planes.append(plane[:, :columns])
    return tuple(planes)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("form", "kind"),  # the resize sees bytes whatever the format
    [*((form, "u8") for form in ops.reference.FORMATS), ("rgb24", "f32"), ("yuv420p10", "f32")],
)
@pytest.mark.parametrize(("source", "target"), SIZES, ids=str)
def test_every_instruction_set_and_format_has_the_same_bits(source, target, form, kind, level):
    frames = [made(form, seed, *source, spread=7) for seed in range(3)]
    options = {"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.3)}
    want = ops.reference.frames_to_patches(frames, *target, form=form, resize_form=kind, **options)
    planes = [plane for frame in (*frames, frames[-1]) for plane in frame]
    out, table = torch.empty_like(want), ops.reference.normalise_table(*options.values(), torch.float32)
    colour = ops.reference.colour_coefficients("bt601", False, form)
    call = torch.ops.videostr.frames_to_patches_
    try:
        call(out, planes, table, form, kind, colour, [4, *target, 0, 0], 14, 2, 2, True, level)
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
        ({"frames": [(Y, U, V)], "format": "nv12"}, ValueError, r"frames\[0\] must have 2 plane\(s\), as nv12"),
        ({"frames": [(Y, U, V)], "format": "yuv444p"}, ValueError, r"frames\[0\]\[1\] must have shape \(8, 8\)"),
        ({"frames": [(Y, U, V)], "format": "yuv420p10"}, TypeError, r"frames\[0\]\[0\] must be uint16 or int16"),
        ({"format": "yuv411p"}, ValueError, "format must be one of rgb24"),
        ({"resize": "f64"}, ValueError, "resize must be one of u8, f32"),
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


def test_videos_of_several_sizes_in_one_call():
    sources, sizes = [(50, 70), (31, 44), (120, 90), (8, 8)], [(56, 84), (28, 28), (84, 56), (28, 56)]
    videos = [[yuv_frame(9 * i + t, *size) for t in range(i + 1)] for i, size in enumerate(sources)]
    tags = {"matrix": ["bt601", "bt709", "bt2020", "bt601"], "full_range": [False, True, False, False]}
    for resize in ("u8", "f32"):
        got = ops.frames_to_patches_ragged(videos, sizes, resize=resize, dtype=torch.bfloat16, **tags)
        for i, video in enumerate(videos):
            own = {name: values[i] for name, values in tags.items()}
            want = ops.frames_to_patches(video, *sizes[i], resize=resize, dtype=torch.bfloat16, **own)
            begin, end = got.offsets_N1[i : i + 2].tolist()
            assert torch.equal(got.patches[begin:end], want)
            assert got.grid_N3[i].tolist() == [(i + 2) // 2, sizes[i][0] // 14, sizes[i][1] // 14]
        assert int(got.offsets_N1[-1]) == len(got.patches)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads):
    videos, sizes = [[yuv_frame(t, 90, 61) for t in range(3)], [yuv_frame(7, 33, 200)]], [(84, 56), (28, 168)]
    want = ops.frames_to_patches_ragged(videos, sizes).patches
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(ops.frames_to_patches_ragged(videos, sizes).patches, want)
    finally:
        torch.set_num_threads(before)
    alone = ops.frames_to_patches(videos[0], 84, 56, parallel=False)
    assert torch.equal(alone, want[: len(alone)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": []}, "videos must be a sequence of at least one"),
        ({"sizes": [(28, 28), (28, 28)]}, "sizes must have an entry for each of the 1 videos, got 2"),
        ({"matrix": ["bt601", "bt709"]}, "matrix must have an entry"),
        ({"sizes": [(28, 27)]}, "width must be a multiple"),
        ({"videos": [[]]}, r"videos\[0\] must be a sequence of at least one frame"),
        ({"videos": [[(Y, U, V)], [(Y,)]], "sizes": [(28, 28)] * 2}, r"videos\[1\]\[0\]\[0\] must have 3 dim"),
    ],
)
def test_wrong_ragged_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        ops.frames_to_patches_ragged(**{"videos": [[(Y, U, V)]], "sizes": [(28, 28)], **change})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [(14, 2), (16, 2), (7, 3)])
def test_bytes_normalised_later_are_the_same(dtype, layout):
    patch, temporal = layout
    frames = [yuv_frame(t, 50, 70) for t in range(temporal)]
    options = {"patch_size": patch, "temporal_patch_size": temporal}
    kept = ops.frames_to_patches(frames, 2 * patch, 4 * patch, dtype=torch.uint8, **options)
    want = ops.frames_to_patches(frames, 2 * patch, 4 * patch, dtype=dtype, **options)
    assert torch.equal(ops.normalise_patches(kept, dtype=dtype), want)
    assert torch.equal(ops.normalise_patches(kept[:0], dtype=dtype), want[:0])


@pytest.mark.parametrize(
    ("patches", "options", "error", "message"),
    [
        (torch.zeros(2, 6), {}, TypeError, "patches must be a uint8 tensor"),
        (torch.zeros(2, 7, dtype=torch.uint8), {}, ValueError, "C a multiple of 3"),
        (torch.zeros(2, 6, dtype=torch.uint8), {"dtype": torch.uint8}, TypeError, "dtype must be one of"),
        (torch.zeros(2, 6, dtype=torch.uint8), {"std": (0.0, 1.0, 1.0)}, ValueError, "std must be a finite number > 0"),
    ],
)
def test_wrong_bytes(patches, options, error, message):
    with pytest.raises(error, match=message):
        ops.normalise_patches(patches, **options)
