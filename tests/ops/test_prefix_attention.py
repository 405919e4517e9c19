"""prefix_attention against a dense mask in float64; the CUDA path with its two kernels replaced by plain torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention

from videostr import ops
from videostr.ops import prefix_flash, prefix_flex

GROUPS = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(0, 6), min_size=0, max_size=4)), min_size=1, max_size=4
)
SKEWED = [(70, [3, 45, 0, 90, 44]), (2, [1]), (150, [33])]  # more than one block a call


def dense_mask(groups):
    """True where a token may look, written down token by token."""
    tokens = []
    for group, (prompt, answers) in enumerate(groups):
        tokens += [(group, None)] * prompt
        for place, length in enumerate(answers):
            tokens += [(group, place)] * length
    count = len(tokens)
    mask = torch.zeros(count, count, dtype=torch.bool)
    for i, (group, place) in enumerate(tokens):
        for j, (other, theirs) in enumerate(tokens[: i + 1]):
            mask[i, j] = group == other and theirs in (None, place)
    return mask


def dense(query, key, value, mask, scale):
    """(T, H, D), by torch's softmax over the whole row."""
    repeat = query.shape[1] // key.shape[1]
    query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    key, value = key.repeat_interleave(repeat, 0), value.repeat_interleave(repeat, 0)
    scores = (query @ key.mT * scale).masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(0, 1)


def layout_of(groups):
    return ops.PrefixLayout.from_lengths([prompt for prompt, _ in groups], [answers for _, answers in groups])


def states_of(layout, heads, kv_heads, width, dtype=torch.float64, seed=0, spread=1.0):
    rng = torch.Generator().manual_seed(seed)
    states = [torch.randn(layout.tokens, h, width, generator=rng, dtype=dtype) for h in (heads, kv_heads, kv_heads)]
    return [spread * states[0], *states[1:]]


def with_gradients(function, states):
    leaves = [x.clone().requires_grad_() for x in states]
    out = function(*leaves)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad((weight * out).sum(), leaves)]


def assert_same(ours, right):
    for value, expected in zip(ours, right, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)


class PlainVarlen:
    """What flash-attention's kernels compute, sequence by sequence, in the shapes of torch's schemas."""

    @staticmethod
    def forward(q, k, v, cu_q, cu_k, max_q, max_k, dropout, causal, debug, *, scale):
        assert cu_q.dtype == cu_k.dtype == torch.int32 and dropout == 0 and not debug
        assert max_q == int(cu_q.diff().max()) and max_k == int(cu_k.diff().max())
        out, lse = torch.empty_like(q), q.new_empty(q.shape[1], q.shape[0])
        for q_span, k_span, scores in PlainVarlen.pieces(q, k, cu_q, cu_k, causal, scale):
            repeat = q.shape[1] // k.shape[1]
            out[q_span] = (scores.softmax(-1) @ v[k_span].transpose(0, 1).repeat_interleave(repeat, 0)).transpose(0, 1)
            lse[:, q_span] = scores.logsumexp(-1)
        return out, lse, None, None, None

    @staticmethod
    def pieces(q, k, cu_q, cu_k, causal, scale):
        for begin_q, end_q, begin_k, end_k in zip(cu_q[:-1], cu_q[1:], cu_k[:-1], cu_k[1:], strict=True):
            q_span, k_span = slice(begin_q, end_q), slice(begin_k, end_k)
            keys = k[k_span].transpose(0, 1).repeat_interleave(q.shape[1] // k.shape[1], 0)
            scores = q[q_span].transpose(0, 1) @ keys.mT * scale
            if causal:
                shift = scores.shape[2] - scores.shape[1]  # bottom right, as flash-attention aligns since 2.1
                ahead = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + shift)
                scores = scores.masked_fill(ahead, -torch.inf)
            yield q_span, k_span, scores

    @staticmethod
    def backward(grad, q, k, v, out, lse, cu_q, cu_k, max_q, max_k, dropout, causal, seed, offset, *, scale):
        grads = [torch.zeros_like(x) for x in (q, k, v)]
        repeat = q.shape[1] // k.shape[1]
        for q_span, k_span, scores in PlainVarlen.pieces(q, k, cu_q, cu_k, causal, scale):
            p = (scores - lse[:, q_span, None]).exp()
            do, o = (x[q_span].transpose(0, 1) for x in (grad, out))
            keys, values = (x[k_span].transpose(0, 1).repeat_interleave(repeat, 0) for x in (k, v))
            ds = p * (do @ values.mT - (do * o).sum(-1, keepdim=True)) * scale
            grads[0][q_span] = (ds @ keys).transpose(0, 1)
            for place, wide in ((1, ds.mT @ q[q_span].transpose(0, 1)), (2, p.mT @ do)):
                grads[place][k_span] = wide.unflatten(0, (-1, repeat)).sum(1).transpose(0, 1)
        return tuple(grads)


@pytest.fixture
def plain_varlen(monkeypatch):
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", PlainVarlen.forward)
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_backward", PlainVarlen.backward)
    monkeypatch.setattr(prefix_flash, "choose", lambda query: prefix_flash.Varlen)


@settings(deadline=None, max_examples=60)
@given(groups=GROUPS, repeat=st.sampled_from([1, 3]), spread=st.sampled_from([1.0, 20.0]), seed=st.integers(0, 99))
def test_equals_dense_mask(groups, repeat, spread, seed):
    layout, mask = layout_of(groups), dense_mask(groups)
    states = states_of(layout, 2 * repeat, 2, 8, seed=seed, spread=spread)
    right = with_gradients(lambda q, k, v: dense(q, k, v, mask, 0.3), states)
    assert_same(with_gradients(lambda q, k, v: ops.prefix_attention(q, k, v, layout, 0.3), states), right)

    def specification(q, k, v):
        return ops.reference.prefix_attention(q, k, v, layout.group_T, layout.answer_T, 0.3)

    assert_same(with_gradients(specification, states), right)


GROUP_LISTS = [[(5, [3, 1, 4])], [(1, [1]), (7, [0, 2]), (3, []), (4, [5, 5])], [(6, [])], [(2, [0, 0]), (3, [1])]]


@pytest.mark.parametrize("repeat", [1, 3])
def test_lengths_far_apart(repeat):
    layout, mask = layout_of(SKEWED), dense_mask(SKEWED)
    assert [len(part.blocks) for part in layout.parts] == [3, 3, 3]
    states = states_of(layout, 2 * repeat, 2, 8)
    right = with_gradients(lambda q, k, v: dense(q, k, v, mask, 0.3), states)
    assert_same(with_gradients(lambda q, k, v: ops.prefix_attention(q, k, v, layout, 0.3), states), right)


@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("groups", GROUP_LISTS)
def test_varlen_path(plain_varlen, groups, repeat):
    layout, mask = layout_of(groups), dense_mask(groups)
    states = states_of(layout, 2 * repeat, 2, 8)
    right = with_gradients(lambda q, k, v: dense(q, k, v, mask, 0.3), states)
    assert_same(with_gradients(lambda q, k, v: ops.prefix_attention(q, k, v, layout, 0.3), states), right)


@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("groups", GROUP_LISTS)
def test_flex_path(monkeypatch, groups, repeat):
    """Forward only: torch's flex_attention has no backward on the CPU."""
    monkeypatch.setattr(prefix_flash, "choose", lambda query: None)
    layout, mask = layout_of(groups), dense_mask(groups)
    states = [x.float() for x in states_of(layout, 2 * repeat, 2, 16)]
    right = dense(*(x.double() for x in states), mask, 0.3)
    torch.testing.assert_close(ops.prefix_attention(*states, layout, 0.3).double(), right, rtol=1e-4, atol=1e-5)


def test_one_block_mask_serves_every_layer(monkeypatch):
    monkeypatch.setattr(prefix_flash, "choose", lambda query: None)
    made = []
    original = prefix_flex.create_block_mask
    monkeypatch.setattr(prefix_flex, "create_block_mask", lambda *a, **k: made.append(1) or original(*a, **k))
    layout = layout_of([(5, [3])])
    states = [x.float() for x in states_of(layout, 2, 2, 16)]
    for _ in range(3):
        ops.prefix_attention(*states, layout)
    assert len(made) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cuda_kernels_take_the_arguments(dtype):
    """torch's own schemas and shape functions of the CUDA kernels, on tensors that claim to be on a GPU."""
    layout = layout_of([(5, [3, 1]), (4, [2])])
    with FakeTensorMode(allow_non_fake_inputs=True):
        on_gpu = layout.to("cuda")
        sizes = ((layout.tokens, 6, 64), (layout.tokens, 2, 64), (layout.tokens, 2, 64))
        states = [torch.empty(size, dtype=dtype, device="cuda") for size in sizes]
        lse = torch.empty(sizes[0][:2], device="cuda")
        assert [part.causal for part in on_gpu.parts] == [True, False, True]
        for part in on_gpu.parts:
            out, part_lse = prefix_flash.Varlen.forward(*states, part, 0.3)
            assert out.shape == (len(part.queries.at_T), 6, 64) and out.dtype == dtype
            assert part_lse.shape == out.shape[:2] and part_lse.dtype == torch.float32
            row = states[0], *states, states[0], lse
            grads = prefix_flash.Varlen.backward(*row, part, 0.3)
            for grad, sequences, heads in zip(grads, (part.queries, part.keys, part.keys), (6, 2, 2), strict=True):
                assert grad.shape == (len(sequences.at_T), heads, 64) and grad.dtype == dtype


def test_choice(monkeypatch):
    class On:
        device = torch.device("cuda", 0)

        def __init__(self, dtype, width):
            self.dtype, self.shape = dtype, (4, 2, width)

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    assert prefix_flash.choose(torch.empty(4, 2, 8)) is prefix_flash.Padded
    assert prefix_flash.choose(On(torch.bfloat16, 128)) is prefix_flash.Varlen
    for dtype, width in ((torch.float32, 128), (torch.bfloat16, 36), (torch.float16, 264)):
        assert prefix_flash.choose(On(dtype, width)) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 9))
    assert prefix_flash.choose(On(torch.float16, 192)) is prefix_flash.Varlen
    assert prefix_flash.choose(On(torch.float16, 256)) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    assert prefix_flash.choose(On(torch.float16, 128)) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """Errors of the output and of every gradient are at most twice those of torch's own SDPA with a dense mask."""
    groups = [(40, [29, 16]), (25, [8])]
    layout, mask = layout_of(groups), dense_mask(groups)
    states = [x.to(dtype) for x in states_of(layout, 4, 2, 16)]

    def torchs(query, key, value):
        rows = (x.transpose(0, 1)[None] for x in (query, key, value))
        out = scaled_dot_product_attention(*rows, attn_mask=mask, scale=0.25, enable_gqa=True)
        return out[0].transpose(0, 1)

    right = with_gradients(lambda q, k, v: dense(q, k, v, mask, 0.25), [x.double() for x in states])
    ours = with_gradients(lambda q, k, v: ops.prefix_attention(q, k, v, layout, 0.25), states)
    theirs = with_gradients(torchs, states)
    for value, other, truth in zip(ours, theirs, right, strict=True):
        assert (value - truth).abs().max() <= 2 * (other - truth).abs().max()


def test_padding_cannot_overflow():
    """Padding borrows another token's query; with huge scores its weights must still be 0, not inf * 0."""
    layout = layout_of([(1, [5, 1]), (7, [0, 2])])
    states = [scale * x.float() for scale, x in zip((100, 100, 1), states_of(layout, 2, 2, 8), strict=True)]
    assert all(x.isfinite().all() for x in with_gradients(lambda *s: ops.prefix_attention(*s, layout, 1.0), states))


def test_gradcheck():
    layout = layout_of([(3, [2, 1]), (1, [1])])
    states = [x.requires_grad_() for x in states_of(layout, 2, 1, 4)]
    assert torch.autograd.gradcheck(lambda *s: ops.prefix_attention(*s, layout), states)


def test_compiles_whole():
    layout = layout_of([(5, [3, 2]), (4, [1])])
    states = states_of(layout, 4, 2, 8)
    compiled = torch.compile(lambda *s: ops.prefix_attention(*s, layout), fullgraph=True, backend="aot_eager")
    assert_same(with_gradients(compiled, states), with_gradients(lambda *s: ops.prefix_attention(*s, layout), states))


@pytest.mark.parametrize("groups", [[(64, [32] * 8)], [(200, [3] * 40 + [300]), (2, [1]), (40, [70, 2])]])
def test_memory_is_linear(groups):
    """No tensor that the forward or backward makes is larger than the states, also where lengths are far apart."""
    layout = layout_of(groups)
    states = [x.requires_grad_() for x in states_of(layout, 4, 2, 16)]
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            for x in out if isinstance(out, tuple | list) else (out,):
                if isinstance(x, torch.Tensor):
                    largest = max(largest, x.numel())
            return out

    with Watch():
        ops.prefix_attention(*states, layout).sum().backward()
    assert largest <= 1.2 * states[0].numel()  # T x H x D and padding; the scores would be T x T x H


BAD = [
    ({"query": torch.zeros(4, 2)}, ValueError, "query must have 3"),
    ({"key": torch.zeros(4, 3, 8), "value": torch.zeros(4, 3, 8)}, ValueError, "multiple of key's heads"),
    ({"query": torch.zeros(4, 0, 8)}, ValueError, "multiple of key's heads"),
    ({"value": torch.zeros(4, 2, 4)}, ValueError, "value must have shape"),
    ({"key": torch.zeros(4, 2, 8, dtype=torch.float64)}, TypeError, "key must be torch.float32"),
    ({"layout": None}, TypeError, "layout must be a PrefixLayout"),
    ({"layout": ops.PrefixLayout.from_lengths([3], [[2]])}, ValueError, "layout must be of 4 tokens"),
    ({"scale": float("nan")}, ValueError, "scale must be a finite"),
]


@pytest.mark.parametrize("change, error, message", BAD)
def test_bad_arguments(change, error, message):
    good = {name: torch.zeros(4, 2, 8) for name in ("query", "key", "value")}
    arguments = good | {"layout": ops.PrefixLayout.from_lengths([2], [[2]]), "scale": 1.0} | change
    with pytest.raises(error, match=message):
        ops.prefix_attention(*arguments.values())


@pytest.mark.parametrize("prompts, answers", [([], []), ([3], []), ([0], [[1]]), ([2], [[-1]])])
def test_bad_layouts(prompts, answers):
    with pytest.raises(ValueError, match="must have"):
        ops.PrefixLayout.from_lengths(prompts, answers)


def test_lengths_are_integers_of_any_kind():
    layout = ops.PrefixLayout.from_lengths(torch.tensor([5, 4]), [torch.tensor([3, 2]), []])
    assert layout.prompts.lengths == (5, 4) and layout.answers.lengths == (3, 2) and layout.tokens == 14
    with pytest.raises(TypeError, match=r"prompt_lengths must hold integers, got \[5.5\]"):
        ops.PrefixLayout.from_lengths([5.5], [[3]])
    with pytest.raises(TypeError, match=r"answer_lengths must hold integers, got 3"):
        ops.PrefixLayout.from_lengths([5], [3])
