"""frames_to_patches' CUDA kernel in the simulator: the CPU kernel's bits, from the same integers."""

import numpy as np
import pytest
import torch

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


def window(axis_, outputs):
    first, count = axis_[:2]
    return int((first[outputs - 1 :: outputs] + count[outputs - 1 :: outputs] - first[::outputs]).max())


def launch(kernels, planes, size, dtype, patch, merge, temporal, frame, out, rows=None, seed=0):
    y, *chroma = planes
    height, width = size
    x_axis, y_axis, block = axis(y.shape[1], width), axis(y.shape[0], height), patch * merge
    rows = rows or block
    colour = ops.reference.colour_coefficients("bt601", False)
    if dtype == torch.uint8:
        table = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    else:
        values = ops.reference.normalise_table(MEAN, STD, dtype)
        table = values.view(SAME_SIZE[values.element_size()]).numpy().view(BITS[dtype])
    flat = [np.ascontiguousarray(x) for x in planes]
    if len(planes) == 2:  # v is the same memory a byte on; the simulator takes arrays, so it gets its own
        u = flat[1].reshape(flat[1].shape[0], -1)
        v = np.concatenate([u.ravel()[1:], u.ravel()[-1:]])
        step, stride = 2, u.shape[1]
    elif len(planes) == 3:
        u, v, step, stride = *flat[1:], 1, chroma[0].shape[1]
    else:
        u = v = np.zeros(1, np.uint8)
        step = stride = 1
    name = f"patches_{'rgb' if len(planes) == 1 else 'yuv'}_{BITS[dtype]().itemsize}"
    getattr(kernels, name)(
        flat[0], u, v, flat[0].strides[0], stride, step, *colour, *x_axis, window(x_axis, block), *y_axis,
        window(y_axis, rows), height, width, patch, merge, temporal, rows, table, frame, out, seed=seed,
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


@pytest.mark.parametrize("dtype", BITS, ids=str)
@pytest.mark.parametrize("kind", ["rgb24", "nv12", "i420"])
@pytest.mark.parametrize(("source", "size", "patch", "merge", "rows"), CASES, ids=str)
def test_the_bits_of_the_cpu(kernels, source, size, patch, merge, rows, kind, dtype):
    random = np.random.default_rng(0)
    half = [(n + 1) // 2 for n in source]
    shapes = {"rgb24": [(*source, 3)], "nv12": [source, (*half, 2)], "i420": [source, half, half]}[kind]
    frames = [[random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes] for _ in range(2)]
    layout = {"patch_size": patch, "merge_size": merge, "temporal_patch_size": 2}
    want = ops.frames_to_patches(
        [tuple(map(torch.from_numpy, planes)) for planes in frames],
        *size,
        mean=MEAN,
        std=STD,
        dtype=dtype,
        **layout,
    )
    out = np.full(want.shape, 77, BITS[dtype])
    for t, planes in enumerate(frames):
        launch(kernels, planes, size, dtype, patch, merge, 2, t, out, rows, seed=t)
    assert np.array_equal(out, want.view(SAME_SIZE[want.element_size()]).numpy().view(BITS[dtype]))
