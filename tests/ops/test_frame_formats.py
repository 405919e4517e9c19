"""Planes of every format against swscale through PyAV, and resize "f32" against torch and torchvision: equal bits."""

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as first_api

from videostr import ops

SPACES = {"bt601": 5, "bt709": 1, "bt2020": 9}  # AVColorSpace
PYAV = {"yuv420p10": "yuv420p10le", "p010": "p010le"}


def through_pyav(form, planes, matrix="bt601", full_range=False):
    """(H, W, 3) uint8."""
    if form == "nv12":  # what a GPU decodes to where a CPU has yuv420p: the same video, so the same pixels
        form, planes = "yuv420p", [planes[0], planes[1][..., 0], planes[1][..., 1]]
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, PYAV.get(form, form))
    frame.colorspace, frame.color_range = SPACES[matrix], 2 if full_range else 1
    for plane, values in zip(frame.planes, planes, strict=True):
        values = np.ascontiguousarray(values).reshape(len(values), -1)
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: len(values)]
        rows.view(values.dtype)[:, : values.shape[1]] = values
    return torch.from_numpy(frame.to_ndarray(format="rgb24"))


def planes_of(form, height, width, seed=0):
    random, layout = np.random.default_rng(seed), ops.reference.FORMATS[form]
    most, dtype = (1024, np.uint16) if layout.bytes == 2 else (256, np.uint8)
    shift = 6 if form == "p010" else 0
    return [random.integers(0, most, shape, dtype=dtype) << shift for shape in layout.shapes(height, width)]


def ours(form, planes, matrix="bt601", full_range=False):
    """(H, W, 3): the operator without resizing, its one patch taken apart."""
    height, width = planes[0].shape
    side = max(height, width)
    padded = []  # one square patch
    for plane, shape in zip(planes, ops.reference.FORMATS[form].shapes(side, side), strict=True):
        wide = np.pad(plane, [(0, n - m) for n, m in zip(shape, plane.shape, strict=True)], mode="edge")
        padded.append(torch.from_numpy(wide))
    options = {"patch_size": side, "merge_size": 1, "temporal_patch_size": 1, "dtype": torch.uint8}
    rows = ops.frames_to_patches([padded], side, side, format=form, matrix=matrix, full_range=full_range, **options)
    return rows.view(3, side, side)[:, :height, :width].permute(1, 2, 0)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", SPACES)
@pytest.mark.parametrize("form", ["nv12", "yuv420p", "yuv422p", "yuv444p", "yuv420p10", "p010"])
def test_colour_is_pyavs(form, matrix, full_range):
    planes = planes_of(form, 64, 96)
    assert torch.equal(ours(form, planes, matrix, full_range), through_pyav(form, planes, matrix, full_range))


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(["yuv422p", "yuv444p", "yuv420p10", "p010"]),
    height=st.integers(4, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_sizes_are_pyavs(form, height, width, seed):
    """Where swscale takes the same way: 4:2:2 on even heights, 10 bits on even sides; picture.py keeps to that."""
    height, width = height * (1 if form == "yuv444p" else 2), width * (2 if "10" in form else 1)
    planes = planes_of(form, height, width, seed)
    assert torch.equal(ours(form, planes), through_pyav(form, planes))


def test_rgb_as_planes():
    rgb = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = ops.frames_to_patches([(rgb.permute(1, 2, 0).contiguous(),)], 28, 56)
    assert torch.equal(ops.frames_to_patches([tuple(rgb)], 28, 56, format="rgbp"), together)
    assert torch.equal(ops.frames_to_patches([(rgb.permute(1, 2, 0),)], 28, 56), together)


def test_planes_as_int16():
    planes = planes_of("yuv420p10", 20, 30)
    got = ops.frames_to_patches([[torch.from_numpy(x.view(np.int16)) for x in planes]], 28, 28, format="yuv420p10")
    assert torch.equal(got, ops.frames_to_patches([[torch.from_numpy(x) for x in planes]], 28, 28, format="yuv420p10"))


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 300),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_f32_is_torchs(height, width, rows, columns, seed):
    rgb = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    size = [rows * 28, columns * 28]
    floats = interpolate(rgb.permute(2, 0, 1)[None].float(), size, mode="bicubic", align_corners=False, antialias=True)
    want = floats[0].clamp(0, 255).round().byte()
    order = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 1}
    got = ops.frames_to_patches([(rgb,)], *size, resize="f32", dtype=torch.uint8, **order)
    assert torch.equal(got, ops.reference.patch_order(want[None], 14, 2, 1))


@pytest.mark.parametrize(
    ("source", "target"), [((720, 1280), (560, 1008)), ((720, 1280), (224, 420)), ((90, 61), (84, 56))]
)
def test_f32_is_torchvisions_first_api(source, target):
    """What qwen-vl-utils calls."""
    video = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, *source), dtype=np.uint8))
    want = first_api.resize(video, list(target), InterpolationMode.BICUBIC, antialias=True)
    got = ops.frames_to_patches([tuple(x) for x in video], *target, format="rgbp", resize="f32", dtype=torch.uint8)
    assert torch.equal(got, ops.reference.patch_order(want, 14, 2, 2))
