"""The packed row's attention against a dense mask, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.model.packing import pack_groups
from videostr.model.prefix_attention import PrefixAttention
from videostr.model.prompt import Prompt

GROUPS = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(0, 6), min_size=1, max_size=4)), min_size=1, max_size=4
)


def make_prompt(length):
    return Prompt(
        input_ids_P=torch.arange(length),
        position_ids_3P=torch.arange(length).expand(3, -1),
        mm_token_type_ids_P=torch.zeros(length, dtype=torch.int64),
        next_position=length,
        text="",
        suppressed_ids=(),
    )


def dense_mask(groups):
    """True where a row token may look, written down token by token."""
    tokens = []
    for group, (prompt, answers) in enumerate(groups):
        tokens += [(group, None)] * prompt
        for place, length in enumerate(answers):
            tokens += [(group, place)] * max(length - 1, 0)
    count = len(tokens)
    mask = torch.zeros(count, count, dtype=torch.bool)
    for i, (group, place) in enumerate(tokens):
        for j, (other, theirs) in enumerate(tokens[: i + 1]):
            mask[i, j] = group == other and theirs in (None, place)
    return mask


def dense(query, key, value, mask, scaling):
    repeat = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    scores = (query @ key.mT * scaling).masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2)


@settings(deadline=None, max_examples=60)
@given(groups=GROUPS, repeat=st.sampled_from([1, 3]), spread=st.sampled_from([1.0, 20.0]), seed=st.integers(0, 99))
def test_equals_dense_mask(groups, repeat, spread, seed):
    generator = torch.Generator().manual_seed(seed)
    answers = [[torch.zeros(length, dtype=torch.int64) for length in lengths] for _, lengths in groups]
    packed = pack_groups([make_prompt(prompt) for prompt, _ in groups], answers)
    heads, width = 2, 8

    def random(heads):
        return torch.randn(1, heads, packed.tokens, width, generator=generator, dtype=torch.float64)

    states = [(spread * random(heads * repeat)), random(heads), random(heads)]
    weight = random(heads * repeat).transpose(1, 2)
    attend = PrefixAttention(packed.layout)
    mask = dense_mask(groups)
    results = []
    for function in (
        lambda q, k, v: dense(q, k, v, mask, 0.3),
        lambda q, k, v: attend(None, q, k, v, 0.3),
        lambda q, k, v: attend.with_mask(q, k, v, 0.3),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in states]
        out = function(*leaves)
        results.append([out.detach(), *torch.autograd.grad((weight * out).sum(), leaves)])
    for result in results[1:]:
        for value, expected in zip(result, results[0], strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """The error against float64 is at most twice that of torch's own SDPA with a dense mask."""
    groups = [(40, [30, 17]), (25, [9])]
    answers = [[torch.zeros(length, dtype=torch.int64) for length in lengths] for _, lengths in groups]
    packed = pack_groups([make_prompt(prompt) for prompt, _ in groups], answers)
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn(1, h, packed.tokens, 16, generator=generator).to(dtype) for h in (4, 2, 2)]
    mask = dense_mask(groups)
    truth = dense(*(tensor.double() for tensor in states), mask, 0.25)
    ours = PrefixAttention(packed.layout)(None, *states, 0.25)
    torchs = torch.nn.functional.scaled_dot_product_attention(
        *states, attn_mask=mask, scale=0.25, enable_gqa=True
    ).transpose(1, 2)
    assert (ours - truth).abs().max() <= 2 * (torchs - truth).abs().max()


def test_padding_cannot_overflow():
    """Padding borrows another token's query; with huge scores its weights must still be 0, not inf * 0."""
    groups = [(1, [6, 2]), (7, [1, 3])]
    answers = [[torch.zeros(length, dtype=torch.int64) for length in lengths] for _, lengths in groups]
    packed = pack_groups([make_prompt(prompt) for prompt, _ in groups], answers)
    generator = torch.Generator().manual_seed(0)
    leaves = [(s * torch.randn(1, 2, packed.tokens, 8, generator=generator)).requires_grad_() for s in (100, 100, 1)]
    out = PrefixAttention(packed.layout)(None, *leaves, 1.0)
    assert out.isfinite().all()
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(out.square().sum(), leaves))
