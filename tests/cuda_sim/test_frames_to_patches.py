"""frames_to_patches' CUDA kernel in the simulator: the CPU kernel's bits, from the same integers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cuda_sim.build import HERE, load, why_not
from videostr import ops

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
BITS = {torch.float32: np.uint32, torch.bfloat16: np.uint16, torch.uint8: np.uint8}
SAME_SIZE = {4: torch.int32, 2: torch.int16, 1: torch.uint8}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


@pytest.fixture(scope="module")
def kernels():
    return load(HERE / "bindings.cpp")


def axis(length, size):
    """first, count, weight, taps, precision of an axis, from the formulas."""
    scale = length / size
    stretch, first, rows = max(scale, 1.0), [], []
    for i in range(size):
        centre = scale * (i + 0.5)
        begin = max(int(centre - 2 * stretch + 0.5), 0)
        end = min(int(centre + 2 * stretch + 0.5), length)
        x = np.abs((np.arange(begin, end) - centre + 0.5) / stretch)
        w = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * -0.5, 0))
        first.append(begin)
        rows.append(w / w.sum())
    taps, precision = max(map(len, rows)), 0
    while precision < 22 and int(0.5 + max(w.max() for w in rows) * 2 ** (precision + 1)) < 1 << 15:
        precision += 1
    weight = np.zeros((size, taps), np.int16)
    for i, w in enumerate(rows):
        weight[i, : len(w)] = np.trunc(w * 2**precision + np.copysign(0.5, w))
    if length == size:
        first, weight, precision, taps = range(size), np.full((size, 1), 1 << 14, np.int16), 14, 1
        rows = weight
    return np.array(first, np.int32), np.array([len(w) for w in rows], np.int32), weight, taps, precision


def float_axis(length, size):
    """The same of the float resize: torch's own weights, read off an identity; its windows are those above."""
    first, count = axis(length, size)[:2]
    if length == size:
        return first, count, np.ones((size, 1), np.float32), 1, 0
    eye = torch.eye(length)[None, :, None, :]
    every = F.interpolate(eye, size=(1, size), mode="bicubic", align_corners=False, antialias=True)[0, :, 0].numpy().T
    weight = np.zeros((size, count.max()), np.float32)
    for i, (begin, n) in enumerate(zip(first, count, strict=True)):
        weight[i, :n] = every[i, begin : begin + n]
    return first, count, weight, int(count.max()), 0


def window(axis_, outputs):
    first, count = axis_[:2]
    return int((first[outputs - 1 :: outputs] + count[outputs - 1 :: outputs] - first[::outputs]).max())


def launch(kernels, form, planes, size, resize, dtype, patch, merge, temporal, frame, out, rows=None, seed=0):
    layout, block = ops.reference.FORMATS[form], patch * merge
    (source_height, source_width), (height, width) = planes[0].shape[:2], size
    make = axis if resize == "u8" else float_axis
    x_axis, y_axis = make(source_width, width), make(source_height, height)
    rows = rows or block
    colour = ops.reference.colour_coefficients("bt601", False, form)
    if dtype == torch.uint8:
        table = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    else:
        values = ops.reference.normalise_table(MEAN, STD, dtype)
        table = values.view(SAME_SIZE[values.element_size()]).numpy().view(BITS[dtype])
    flat = [np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8) for x in planes]
    if len(planes) == 2:  # v is the same memory a sample on; the simulator takes arrays, so it gets its own
        u = flat[1]
        v = np.concatenate([u.ravel()[layout.bytes :], u.ravel()[-layout.bytes :]])
        step, stride = 2, u.shape[1]
    elif len(planes) == 3:
        u, v, step, stride = *flat[1:], 1, flat[1].shape[1]
    else:
        u = v = np.zeros(1, np.uint8)
        step = stride = 1
    number, shift = list(ops.reference.FORMATS).index(form), 6 if form == "p010" else 0
    getattr(kernels, f"patches_{resize}_{BITS[dtype]().itemsize}")(
        flat[0], u, v, flat[0].shape[1], stride, step, layout.down, shift, len(planes[-1]), number, *colour, *x_axis,
        window(x_axis, block), *y_axis, window(y_axis, rows), height, width, patch, merge, temporal, rows, table, frame,
        out, seed=seed,
    )  # fmt: skip


CASES = [
    # source, result, patch, merge, output rows of a block
    ((30, 50), (28, 56), 14, 2, None),
    ((61, 43), (28, 28), 14, 2, 14),
    ((61, 43), (28, 28), 14, 2, 4),
    ((20, 17), (28, 28), 14, 2, None),
    ((32, 64), (32, 64), 16, 2, None),
    ((90, 201), (16, 16), 16, 1, 8),
    ((1, 1), (14, 14), 7, 2, 1),
]
# every format in both resizes as floats; the other outputs once
KINDS = [(form, resize, torch.float32) for form in ops.reference.FORMATS for resize in ("u8", "f32")]
KINDS += [(form, "u8", dtype) for form in ("nv12", "rgb24") for dtype in (torch.bfloat16, torch.uint8)]
KINDS += [("yuv420p10", "f32", torch.bfloat16), ("yuv444p", "f32", torch.uint8)]


@pytest.mark.parametrize(("form", "resize", "dtype"), KINDS, ids=str)
@pytest.mark.parametrize(("source", "size", "patch", "merge", "rows"), CASES, ids=str)
def test_the_bits_of_the_cpu(kernels, source, size, patch, merge, rows, form, resize, dtype):
    random, of = np.random.default_rng(0), ops.reference.FORMATS[form]
    most, kind, up = (1024, np.uint16, 6 if form == "p010" else 0) if of.bytes == 2 else (256, np.uint8, 0)
    frames = [[random.integers(0, most, shape, dtype=kind) << up for shape in of.shapes(*source)] for _ in range(2)]
    layout = {"patch_size": patch, "merge_size": merge, "temporal_patch_size": 2}
    planes = [tuple(map(torch.from_numpy, frame)) for frame in frames]
    want = ops.frames_to_patches(planes, *size, format=form, resize=resize, mean=MEAN, std=STD, dtype=dtype, **layout)
    out = np.full(want.shape, 77, BITS[dtype])
    for t, frame in enumerate(frames):
        launch(kernels, form, frame, size, resize, dtype, patch, merge, 2, t, out, rows, seed=t)
    assert np.array_equal(out, want.view(SAME_SIZE[want.element_size()]).numpy().view(BITS[dtype]))
