"""prefix_attention on a CUDA device: flash-attention's kernels in 16 bits, flex_attention in float32."""

import pytest
import torch

from videostr import ops

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def with_gradients(function, states):
    leaves = [x.clone().requires_grad_() for x in states]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad((out * out.detach()).sum(), leaves)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("lengths", [([700], [[60] * 8]), ([5, 300, 1], [[3, 0, 90], [], [1]]), ([64], [[]])], ids=str)
def test_against_the_specification(dtype, lengths):
    layout = ops.PrefixLayout.from_lengths(*lengths)
    rng = torch.Generator().manual_seed(0)
    states = [torch.randn(layout.tokens, heads, 64, generator=rng).to(dtype) for heads in (8, 2, 2)]

    def specification(*states):
        return ops.reference.prefix_attention(*states, layout.group_T, layout.answer_T, 0.125)

    truth = with_gradients(specification, [x.double() for x in states])
    on_gpu = layout.to("cuda")
    ours = with_gradients(lambda *s: ops.prefix_attention(*s, on_gpu, 0.125), [x.cuda() for x in states])
    tolerance = 16 * torch.finfo(dtype).eps if dtype != torch.float32 else 2e-3  # flex may use TF32
    for value, expected in zip(ours, truth, strict=True):
        assert (value.cpu() - expected).norm() <= tolerance * expected.norm()
