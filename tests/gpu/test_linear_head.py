"""linear_logprob and linear_policy_loss on a CUDA device: gradients, bits, tiles and chunks, and the memory between."""

import importlib

import pytest
import torch

from videostr import ops
from videostr.ops import reference

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
logprob_module = importlib.import_module("videostr.ops.linear_logprob")
policy_module = importlib.import_module("videostr.ops.linear_policy_loss")
ANSWERS, LENGTH, WIDTH, VOCABULARY = 6, 50, 64, 3001  # ragged against every tile


def make(dtype, device="cuda"):
    rng = torch.Generator().manual_seed(0)
    rows = ANSWERS * LENGTH
    hidden, weight = (torch.randn(n, WIDTH, generator=rng).to(dtype) for n in (rows, VOCABULARY))
    weight *= WIDTH**-0.5
    bias = torch.randn(VOCABULARY, generator=rng)
    bias[7] = -torch.inf
    target = torch.randint(8, VOCABULARY, (rows,), generator=rng)
    given = [torch.randn(ANSWERS, generator=rng), torch.ones(ANSWERS, LENGTH, dtype=torch.bool)]
    given += [-8 + 0.1 * torch.randn(ANSWERS, LENGTH, generator=rng)]
    leaves = [x.to(device).requires_grad_() for x in (hidden, weight, bias)]
    return leaves, target.to(device), [x.to(device) for x in given]


def by_two_operators(leaves, target, given, logprob, loss):
    advantage, mask, old = given
    parts = logprob(leaves[0], leaves[1], target, leaves[2], 0.8, 20.0)
    logprob_NL, entropy_NL = (x.view(mask.shape) for x in parts)
    return loss(logprob_NL, old, advantage, mask, old - 0.1, entropy_NL, kl_coef=0.1, entropy_coef=0.05)[0]


def by_one_operator(leaves, target, given):
    advantage, mask, old = given
    options = {"kl_coef": 0.1, "entropy_coef": 0.05, "temperature": 0.8, "softcap": 20.0, "bias": leaves[2]}
    return ops.linear_policy_loss(*leaves[:2], target, advantage, mask, old, old - 0.1, **options)[0]


def ours(function, leaves, target, given):
    if function == "linear_policy_loss":
        loss = by_one_operator(leaves, target, given)
    else:
        loss = by_two_operators(leaves, target, given, ops.linear_logprob, ops.policy_loss)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def plain(leaves, target, given):
    loss = by_two_operators(leaves, target, given, reference.linear_logprob, reference.policy_loss)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("parts", ["whole", "in parts"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("function", ["linear_logprob", "linear_policy_loss"])
def test_error_is_at_most_twice_torchs_own(monkeypatch, function, dtype, parts):
    if parts == "in parts":
        monkeypatch.setattr(logprob_module, "TILE_BYTES", {"cuda": 1})
        monkeypatch.setattr(logprob_module, "MOST_ROWS", 128)
        monkeypatch.setattr(policy_module, "CHUNK_BYTES", 1)
        monkeypatch.setattr(policy_module, "PARTIAL_BYTES", 700 * WIDTH * dtype.itemsize)
    leaves, target, given = make(dtype, "cpu")
    wide = [x.detach().double().requires_grad_() for x in leaves]
    truth = plain(wide, target, [x if x.dtype == torch.bool else x.double() for x in given])
    torchs, mine = plain(*make(dtype)), ours(function, *make(dtype))
    for name, a, b, true in zip(("loss", "dX", "dW", "db"), mine, torchs, truth, strict=True):
        error, allowed = ((x.cpu().double() - true).norm() for x in (a, b))
        assert error <= 2 * allowed + 2e-6 * true.norm(), name


@pytest.mark.parametrize("function", ["linear_logprob", "linear_policy_loss"])
def test_same_bits_every_time(function):
    first, *others = (ours(function, *make(torch.bfloat16)) for _ in range(3))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_workspace_at_full_size():
    """Beyond dX and dW at most 0.3 GB at N = 8,192, D = 4,096, V = 151,936, where whole logits would be 2.5."""

    def step(rows, vocabulary):
        hidden, weight = (
            torch.randn(n, 4096, device="cuda", dtype=torch.bfloat16).requires_grad_() for n in (rows, vocabulary)
        )
        target = torch.randint(0, vocabulary, (rows,), device="cuda")
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        logprob, entropy = ops.linear_logprob(hidden, weight, target)
        gradients = torch.autograd.grad(logprob.sum() + entropy.sum(), (hidden, weight))
        return torch.cuda.max_memory_allocated() - before - sum(x.nbytes for x in gradients)

    step(16, 1000)  # cuBLAS keeps a workspace of its own from its first product on
    assert step(8192, 151_936) <= 0.3e9
