"""linear_policy_loss against float64 autograd of the specification: log-probs, then loss, in plain torch."""

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops
from videostr.ops import reference

module = importlib.import_module("videostr.ops.linear_policy_loss")

OPTIONS = {
    "paper": {"entropy_coef": 1e-3},
    "plain": {},
    "grpo": {"loss_type": "grpo", "kl_coef": 0.3, "kl_type": "k1", "entropy_coef": 0.1},
    "dr_grpo": {"loss_type": "dr_grpo", "normalizer": 9.0, "kl_coef": 0.2, "kl_type": "k2"},
    "dapo": {"loss_type": "dapo", "normalizer": 40.0, "clip_low": 0.05, "clip_high": 0.1},
    "importance": {"importance": "token_truncate", "importance_max": 1.1, "entropy_coef": -0.2},
    "cispo": {"loss_type": "cispo", "normalizer": 40.0, "kl_coef": 0.1, "kl_bias_correction": True},
    "sapo": {"loss_type": "sapo", "sapo_temperature": (1.5, 2.0), "entropy_coef": 0.1},
    "gspo": {"loss_type": "gspo", "clip_low": 0.01, "kl_coef": 0.1, "entropy_coef": 0.1},
    "vespo": {"loss_type": "vespo", "normalizer": 40.0, "importance": "token_mask"},
    "importance of sequences": {"importance": "sequence_truncate", "importance_max": 1.5},
    "softcap": {"softcap": 2.0, "temperature": 0.7, "entropy_coef": 0.1},
}


def make(seed, answers, length, width, vocabulary, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    mask = torch.rand(answers, length, generator=rng) < 0.7
    tokens = int(mask.sum())
    leaves = [draw(tokens, width), draw(vocabulary, width), draw(vocabulary)]
    leaves = [x.to(dtype if i < 2 else torch.promote_types(dtype, torch.float32)) for i, x in enumerate(leaves)]
    advantage = draw(answers)
    advantage[::3] = 0  # some answers have nothing to say
    target = torch.randint(0, vocabulary, (tokens,), generator=rng)
    guess = -torch.rand(3, answers, length, generator=rng, dtype=torch.float64) - 1.5
    guess[:, ~mask] = torch.nan
    return [x.requires_grad_() for x in leaves], target, advantage, mask, guess


def expected(leaves, target, advantage, mask, old, ref, sampler, *, temperature=1.0, softcap=None, **options):
    """By the specification alone: whole logits, log-probs in a padded rectangle, autograd."""
    logprob, entropy = reference.linear_logprob(leaves[0], leaves[1], target, leaves[2], temperature, softcap)
    padded = [torch.zeros(mask.shape, dtype=logprob.dtype).masked_scatter(mask, x) for x in (logprob, entropy)]
    old = padded[0].detach() if old is None else old
    loss, stats = reference.policy_loss(padded[0], old, advantage, mask, ref, padded[1], sampler, **options)
    return loss, stats


def ours(leaves, target, advantage, mask, old, ref, sampler, **options):
    return ops.linear_policy_loss(
        leaves[0], leaves[1], target, advantage, mask, old, ref, sampler, bias=leaves[2], **options
    )


@pytest.mark.parametrize("first", [True, False], ids=["first update", "later update"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("chunk", [1, 20], ids=["16 rows a chunk", "one chunk"])
def test_against_the_reference(monkeypatch, name, first, chunk):
    leaves, target, advantage, mask, (old, ref, sampler) = make(0, 7, 9, 5, 31)
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk * 16 * 31 * 8)
    arguments = (leaves, target, advantage, mask, None if first else old, ref, sampler)
    loss, stats = ours(*arguments, **OPTIONS[name])
    true_loss, true_stats = expected(*arguments, **OPTIONS[name])
    torch.testing.assert_close(loss, true_loss)
    grads, true_grads = (torch.autograd.grad(x * 3, leaves) for x in (loss, true_loss))
    for mine, true in zip(grads, true_grads, strict=True):
        torch.testing.assert_close(mine, true)
    assert stats.keys() == true_stats.keys()
    if name not in ("plain", "dapo", "vespo", "importance of sequences"):  # which leave tokens out
        assert stats["ess"] > 0
        for key, value in true_stats.items():
            torch.testing.assert_close(stats[key], value, msg=key)


def test_tokens_that_cannot_contribute_go_through_no_product(monkeypatch):
    leaves, target, advantage, mask, (old, ref, sampler) = make(1, 6, 8, 5, 31)
    advantage[:4] = 0
    count = int(mask[4:].sum())
    seen = []
    chunks = module.chunks_of_logits
    monkeypatch.setattr(module, "chunks_of_logits", lambda h, *rest: seen.append(len(h)) or chunks(h, *rest))
    _, stats = ours(leaves, target, advantage, mask, old, ref, sampler)
    assert seen == [count] and stats["tokens"] == count
    ours(leaves, target, advantage, mask, old, ref, sampler, entropy_coef=0.1)
    assert seen == [count, int(mask.sum())]


@pytest.mark.parametrize(
    "options",
    [
        {"loss_type": "gspo"},
        {"loss_type": "luspo"},
        {"loss_type": "vespo", "normalizer": 40.0},
        {"importance": "sequence_mask", "importance_max": 1.5},
    ],
    ids=str,
)
def test_nor_do_whole_answers_that_cannot_contribute(monkeypatch, options):
    """The loss and its gradients stay those of all answers, weights included; the statistics are of the others."""
    leaves, target, advantage, mask, (old, ref, sampler) = make(1, 6, 8, 5, 31)
    advantage[1:4] = 0
    seen = []
    head = module.linear_logprob
    monkeypatch.setattr(module, "linear_logprob", lambda h, *rest: seen.append(len(h)) or head(h, *rest))
    temperature = torch.linspace(0.5, 2.0, len(target), dtype=torch.float64)  # a row's own goes with it
    arguments = (leaves, target, advantage, mask, old, ref, sampler)

    def step(function):
        loss, stats = function(*arguments, temperature=temperature, **options)
        return [loss.detach(), *torch.autograd.grad(loss, leaves)], stats

    results, stats = step(ours)
    for mine, true in zip(results, step(expected)[0], strict=True):
        torch.testing.assert_close(mine, true)
    assert seen == [int(mask[advantage != 0].sum())] and stats["tokens"] == seen[0] > 0
    compiled, same = step(torch.compile(ours, fullgraph=True, backend="aot_eager"))
    for mine, true in zip(compiled, results, strict=True):
        torch.testing.assert_close(mine, true)
    torch.testing.assert_close(same, stats)
    advantage[:] = 0
    loss, stats = ours(*arguments, **options)
    assert loss == 0 and stats["tokens"] == 0 and not any(x.any() for x in torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("width", [24, 64])  # bfloat16: in chunks, at once
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_error_is_at_most_twice_torchs_own(monkeypatch, dtype, width):
    leaves, target, advantage, mask, (old, ref, sampler) = make(2, 8, 12, width, 3001, dtype)
    monkeypatch.setattr(module, "CHUNK_BYTES", 32 * 3001 * dtype.itemsize)
    monkeypatch.setattr(module, "PARTIAL_BYTES", 700 * width * dtype.itemsize)
    options = {"entropy_coef": 0.1, "kl_coef": 0.1}
    old, ref = old - 5, ref - 5
    wide = [x.detach().double().requires_grad_() for x in leaves]
    truth = torch.autograd.grad(expected(wide, target, advantage, mask, old, ref, sampler, **options)[0], wide)
    single = [x.float() for x in (advantage, old, ref, sampler)]
    arguments = (target, single[0], mask, *single[1:])
    torchs = torch.autograd.grad(expected(leaves, *arguments, **options)[0], leaves)
    mine = torch.autograd.grad(ours(leaves, *arguments, **options)[0], leaves)
    for name, a, b, true in zip(("dX", "dW", "db"), mine, torchs, truth, strict=True):
        error, allowed = (a.double() - true).norm(), (b.double() - true).norm()
        assert error <= 2 * allowed + 1e-6 * true.norm(), name


@pytest.mark.parametrize("width,at_once", [(20, False), (40, True)])
def test_16_bit_workspace_is_the_smaller_of_logits_and_wide_gradient(monkeypatch, width, at_once):
    monkeypatch.setattr(module, "CHUNK_BYTES", 16 * 3001 * 2)
    rows = 60
    hidden, weight = (torch.randn(n, width, dtype=torch.bfloat16) for n in (rows, 3001))
    row, target = torch.randn(rows), torch.randint(0, 3001, (rows,))
    wide, narrow = set(), set()

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            for x in out if isinstance(out, tuple) else (out,):
                if isinstance(x, torch.Tensor):
                    (wide if x.dtype == torch.float32 else narrow).add(x.numel())
            return out

    options = reference.PolicyOptions(entropy_coef=0.1)
    head = (None, torch.ones(rows), None, 1.0)
    with torch.no_grad(), Watch():
        needed = [True, True, False]
        module._any_device(hidden, weight, target, *head, None, row, row, None, None, needed, "clip", *options)
    assert (rows * 3001 in narrow, weight.numel() in wide) == (at_once, not at_once)
    assert max(wide) == weight.numel() or max(wide) < 10 * rows


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6), st.integers(1, 40), st.integers(0, 1000))
def test_any_shape(answers, length, vocabulary, seed):
    """Empty answers, one token, no answer at all."""
    leaves, target, advantage, mask, (old, ref, sampler) = make(seed, answers, length, 3, vocabulary)
    arguments = (leaves, target, advantage, mask, old, ref, sampler)
    options = {"loss_type": "grpo", "entropy_coef": 0.1}
    loss, true_loss = (function(*arguments, **options)[0] for function in (ours, expected))
    torch.testing.assert_close(loss, true_loss)
    for mine, true in zip(*(torch.autograd.grad(x, leaves) for x in (loss, true_loss)), strict=True):
        torch.testing.assert_close(mine, true)


def test_only_the_gradients_asked_for():
    leaves, target, advantage, mask, (old, _, _) = make(3, 4, 5, 3, 11)
    whole = torch.autograd.grad(ours(leaves, target, advantage, mask, old, None, None)[0], leaves)
    for wanted in range(3):
        some = [x.detach().requires_grad_(i == wanted) for i, x in enumerate(leaves)]
        loss, _ = ours(some, target, advantage, mask, old, None, None)
        torch.testing.assert_close(torch.autograd.grad(loss, some[wanted])[0], whole[wanted])
    with torch.no_grad():
        assert not ours(leaves, target, advantage, mask, old, None, None)[0].requires_grad


def test_gradcheck():
    leaves, target, advantage, mask, (old, ref, _) = make(4, 3, 3, 2, 7)
    assert torch.autograd.gradcheck(
        lambda x, w, b: ours((x, w, b), target, advantage, mask, old, ref, None, kl_coef=0.2, entropy_coef=0.1)[0],
        leaves,
    )


def test_same_bits_every_time():
    leaves, target, advantage, mask, (old, _, _) = make(5, 16, 40, 16, 2000, torch.float32)
    arguments = (leaves, target, advantage.float(), mask, old.float(), None, None)
    first, *others = (torch.autograd.grad(ours(*arguments, entropy_coef=0.1)[0], leaves) for _ in range(4))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


GOOD = {
    "hidden_RD": torch.zeros(2, 3),
    "weight_VD": torch.zeros(5, 3),
    "target_R": torch.tensor([0, 4]),
    "advantage_N": torch.ones(1),
    "mask_NL": torch.tensor([[True, True, False]]),
}


@pytest.mark.parametrize(
    "change,error,message",
    [
        (
            {"hidden_RD": torch.zeros(3, 3), "target_R": torch.zeros(3).long()},
            ValueError,
            r"token of the mask \(2\), got 3",
        ),
        ({"advantage_N": torch.ones(2)}, ValueError, r"advantage must have shape \(1,\)"),
        ({"mask_NL": torch.ones(2)}, ValueError, "mask must have 2 dimension"),
        ({"old_logprob": torch.zeros(1, 2)}, ValueError, r"old_logprob must have shape \(1, 3\)"),
        ({"kl_coef": 0.1}, ValueError, "ref_logprob must be given"),
        ({"importance": "token_mask"}, ValueError, "sampler_logprob must be given"),
        ({"loss_type": "dapo"}, ValueError, "normalizer must be given for dr_grpo, dapo, cispo, vespo only"),
        ({"temperature": 0.0}, ValueError, "temperature must be a finite number > 0"),
        ({"target_R": torch.tensor([0, 5])}, ValueError, r"ids in \[0, 5\), got 5"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.linear_policy_loss(**{**GOOD, **change})
