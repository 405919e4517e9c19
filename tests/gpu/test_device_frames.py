"""frames_to_patches on a GPU: the CPU's bits."""

import pytest
import torch

from videostr import ops

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SIZES = [((720, 1280), (560, 1008)), ((721, 333), (56, 84)), ((2160, 3840), (84, 140)), ((5, 3), (28, 28))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.uint8])
@pytest.mark.parametrize("kind", ["rgb24", "nv12", "i420"])
@pytest.mark.parametrize(("source", "size"), SIZES, ids=str)
def test_the_bits_of_the_cpu(source, size, kind, dtype):
    half = [(n + 1) // 2 for n in source]
    shapes = {"rgb24": [(*source, 3)], "nv12": [source, (*half, 2)], "i420": [source, half, half]}[kind]
    generator = torch.Generator().manual_seed(0)
    frames = [[torch.randint(0, 256, s, generator=generator, dtype=torch.uint8) for s in shapes] for _ in range(3)]
    want = ops.frames_to_patches(frames, *size, dtype=dtype)
    got = ops.frames_to_patches([[plane.cuda() for plane in frame] for frame in frames], *size, dtype=dtype)
    assert torch.equal(got.cpu(), want)
