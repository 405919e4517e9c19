"""frames_to_patches and normalise_patches on a GPU: the CPU's bits."""

import pytest
import torch

from videostr import ops

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SIZES = [((720, 1280), (560, 1008)), ((721, 333), (56, 84)), ((2160, 3840), (84, 140)), ((5, 3), (28, 28))]


FORMATS = ops.reference.FORMATS


def made(form, height, width, generator):
    most, dtype = (1024, torch.int16) if FORMATS[form].bytes == 2 else (256, torch.uint8)
    planes = [torch.randint(0, most, shape, generator=generator) for shape in FORMATS[form].shapes(height, width)]
    return [(plane << (6 if form == "p010" else 0)).to(torch.int32).to(dtype) for plane in planes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.uint8])
@pytest.mark.parametrize("resize", ["u8", "f32"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("source", "size"), SIZES, ids=str)
def test_the_bits_of_the_cpu(source, size, form, resize, dtype):
    generator = torch.Generator().manual_seed(0)
    frames = [made(form, *source, generator) for _ in range(3)]
    options = {"format": form, "resize": resize, "dtype": dtype}
    want = ops.frames_to_patches(frames, *size, **options)
    for _ in range(2):  # the second finds its weights on the device
        got = ops.frames_to_patches([[plane.cuda() for plane in frame] for frame in frames], *size, **options)
        assert torch.equal(got.cpu(), want)


def test_videos_of_several_sizes_in_one_call():
    generator = torch.Generator().manual_seed(0)
    videos = [[made("nv12", *size, generator)] * n for n, size in enumerate(((50, 70), (120, 90), (31, 44)), 1)]
    sizes = [(28, 56), (84, 56), (56, 56)]
    want = ops.frames_to_patches_ragged(videos, sizes)
    on_device = [[[plane.cuda() for plane in frame] for frame in video] for video in videos]
    got = ops.frames_to_patches_ragged(on_device, sizes)
    assert torch.equal(got.patches.cpu(), want.patches) and torch.equal(got.grid_N3, want.grid_N3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_bytes_normalised_on_the_device(dtype):
    patches = torch.randint(0, 256, (33, 1176), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        ops.normalise_patches(patches.cuda(), dtype=dtype).cpu(), ops.normalise_patches(patches, dtype=dtype)
    )
