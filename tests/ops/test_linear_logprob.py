"""linear_logprob against float64 autograd of the plain formula."""

import importlib
import itertools
import multiprocessing
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from videostr import ops

module = importlib.import_module("videostr.ops.linear_logprob")  # the package shows the function by that name
rows = importlib.import_module("videostr.ops.logprob_rows")

SHAPES = [(1, 1, 1), (1, 3, 2), (7, 5, 33), (5, 16, 1023), (5, 16, 1024), (3, 8, 1025), (33, 24, 4099)]


def plain(hidden, weight, target, bias, temperature, softcap):
    """The formula by torch's own operators, written without the package: whole logits, log_softmax, Categorical."""
    z = F.linear(hidden, weight).to(torch.promote_types(hidden.dtype, torch.float32))
    keep = torch.ones(weight.shape[0], dtype=torch.bool) if bias is None else bias != -torch.inf
    if bias is not None:
        z = z + bias.masked_fill(~keep, 0)
    if softcap is not None:
        z = softcap * torch.tanh(z / softcap)
    z = z[:, keep] / temperature  # an excluded id is simply not there
    place = torch.cumsum(keep, 0) - 1
    logp = F.log_softmax(z, -1)
    return logp.gather(1, place[target][:, None])[:, 0], torch.distributions.Categorical(logits=z).entropy()


def make(rng, rows, width, vocabulary, dtype, with_bias):
    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    hidden, weight = draw(rows, width), draw(vocabulary, width)
    bias = draw(vocabulary) if with_bias else None
    target = torch.randint(0, vocabulary, (rows,), generator=rng)
    if with_bias and vocabulary > 8:  # some ids excluded, none of them a target
        excluded = torch.randperm(vocabulary, generator=rng)[: vocabulary // 4]
        bias[excluded[~torch.isin(excluded, target)]] = -torch.inf
    inputs = [x.to(dtype).requires_grad_() for x in (hidden, weight)]
    if with_bias:
        inputs.append(bias.to(torch.promote_types(dtype, torch.float32)).requires_grad_())
    return inputs, target, draw(rows), draw(rows)


def run(function, inputs, target, g, h, temperature, softcap):
    bias = inputs[2] if len(inputs) > 2 else None
    logprob, entropy = function(inputs[0], inputs[1], target, bias, temperature, softcap)
    loss = (logprob * g.to(logprob.dtype)).sum() + (entropy * h.to(logprob.dtype)).sum()
    return [logprob.detach(), entropy.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("temperature,softcap", [(1.0, None), (0.6, None), (1.3, 2.5)])
def test_float64_values_and_gradients(rng, shape, with_bias, temperature, softcap):
    inputs, target, g, h = make(rng, *shape, torch.float64, with_bias)
    ours = run(ops.linear_logprob, inputs, target, g, h, temperature, softcap)
    truth = run(plain, inputs, target, g, h, temperature, softcap)
    for mine, true in zip(ours, truth, strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("with_bias,softcap", [(False, None), (True, None), (True, 3.0)])
def test_error_is_at_most_twice_torchs_own(rng, monkeypatch, dtype, with_bias, softcap):
    inputs, target, g, h = make(rng, 40, 64, 5003, dtype, with_bias)
    wide = [x.detach().double().requires_grad_() for x in inputs]
    truth = run(plain, wide, target, g, h, 0.9, softcap)
    torchs = run(plain, inputs, target, g, h, 0.9, softcap)
    ours = run(ops.linear_logprob, inputs, target, g, h, 0.9, softcap)
    for name, mine, other, true in zip(("logprob", "entropy", "dX", "dW", "db"), ours, torchs, truth, strict=False):
        scale = true.abs().max()
        error, allowed = (mine.double() - true).norm(), (other.double() - true).norm()
        assert error <= 2 * allowed + 1e-7 * scale * true.numel() ** 0.5, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_chunks_give_what_one_gives(rng, dtype):
    # 800 rows x 45,007 ids pass the memory limit of a chunk several times; the rows alone fit into one
    inputs, target, g, h = make(rng, 800, 4, 45_007, dtype, False)
    hidden, weight = (x.detach() for x in inputs)
    whole = ops.linear_logprob(hidden, weight, target)
    parts = [ops.linear_logprob(hidden[i : i + 200], weight, target[i : i + 200]) for i in range(0, 800, 200)]
    for k in (0, 1):
        torch.testing.assert_close(whole[k], torch.cat([part[k] for part in parts]), rtol=1e-5, atol=1e-5)
    dx, dw = run(ops.linear_logprob, inputs, target, g, h, 1.0, None)[2:]
    dx_parts, dw_parts = [], torch.zeros_like(dw, dtype=torch.float64)
    for i in range(0, 800, 200):
        piece = [inputs[0].detach()[i : i + 200].requires_grad_(), inputs[1]]
        result = run(ops.linear_logprob, piece, target[i : i + 200], g[i : i + 200], h[i : i + 200], 1.0, None)
        dx_parts.append(result[2])
        dw_parts += result[3].double()
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-1}
    torch.testing.assert_close(dx, torch.cat(dx_parts), **tolerance)
    torch.testing.assert_close(dw.double(), dw_parts, **tolerance)


def test_more_rows_than_a_16_bit_count(rng):
    inputs, target, g, h = make(rng, 70_001, 3, 11, torch.float32, True)
    ours = run(ops.linear_logprob, inputs, target, g, h, 1.0, None)
    truth = run(plain, [x.detach().double().requires_grad_() for x in inputs], target, g, h, 1.0, None)
    for mine, true in zip(ours, truth, strict=True):
        torch.testing.assert_close(mine.double(), true, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("with_bias", [False, True])
def test_no_rows(with_bias):
    hidden, weight = torch.zeros(0, 4, requires_grad=True), torch.randn(6, 4, requires_grad=True)
    bias = torch.zeros(6, requires_grad=True) if with_bias else None
    logprob, entropy = ops.linear_logprob(hidden, weight, torch.zeros(0, dtype=torch.long), bias)
    assert logprob.shape == entropy.shape == (0,)
    (logprob.sum() + entropy.sum()).backward()
    assert hidden.grad.shape == (0, 4) and not weight.grad.any()
    assert bias is None or not bias.grad.any()


@pytest.mark.parametrize("offset", [-1e4, -80.0, 0.0, 80.0, 1e4])
def test_extreme_logits_stay_finite(offset):
    weight = torch.tensor([[1.0], [-1.0], [0.5]], requires_grad=True)
    hidden = torch.tensor([[200.0], [0.0], [1e4]], requires_grad=True)
    bias = torch.full((3,), offset)
    logprob, entropy = ops.linear_logprob(hidden, weight, torch.tensor([1, 0, 0]), bias)
    torch.testing.assert_close(logprob.detach(), torch.tensor([-400.0, -1.0986123, 0.0]), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(entropy.detach(), torch.tensor([0.0, 1.0986123, 0.0]), rtol=1e-5, atol=1e-5)
    assert (logprob <= 0).all() and (entropy >= 0).all()
    (logprob.sum() + entropy.sum()).backward()
    assert hidden.grad.isfinite().all() and weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_excluded_ids(rng, dtype, softcap):
    vocabulary = 3000  # the first two blocks of 1,024 hold nothing but excluded ids
    hidden = torch.randn(4, 6, generator=rng).to(dtype).requires_grad_()
    weight = torch.randn(vocabulary, 6, generator=rng).to(dtype).requires_grad_()
    bias = torch.zeros(vocabulary, dtype=torch.promote_types(dtype, torch.float32))
    bias[:2100] = -torch.inf
    bias.requires_grad_()
    target = torch.tensor([2100, 2500, 2999, 7])  # the last is itself excluded
    logprob, entropy = ops.linear_logprob(hidden, weight, target, bias, 1.0, softcap)
    shown = ops.linear_logprob(hidden[:3], weight[2100:], target[:3] - 2100, None, 1.0, softcap)
    torch.testing.assert_close(logprob[:3], shown[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy[:3], shown[1], rtol=1e-5, atol=1e-5)
    assert logprob[3] == -torch.inf
    (logprob.masked_fill(logprob == -torch.inf, 0.0).sum() + entropy.sum()).backward()
    for grad in (hidden.grad, weight.grad, bias.grad):
        assert grad.isfinite().all()
    assert not weight.grad[:2100].any() and not bias.grad[:2100].any()


@pytest.mark.parametrize("needed", list(itertools.product([False, True], repeat=3))[1:])
def test_only_the_gradients_asked_for(rng, needed):
    inputs, target, g, h = make(rng, 5, 4, 40, torch.float64, True)
    leaves = [x.detach().requires_grad_(need) for x, need in zip(inputs, needed, strict=True)]
    logprob, entropy = ops.linear_logprob(leaves[0], leaves[1], target, leaves[2])
    ((logprob * g).sum() + (entropy * h).sum()).backward()
    truth = run(plain, inputs, target, g, h, 1.0, None)[2:]
    for leaf, need, true in zip(leaves, needed, truth, strict=True):
        assert (leaf.grad is not None) == need
        if need:
            torch.testing.assert_close(leaf.grad, true)


def test_gradient_of_one_output_alone(rng):
    inputs, target, g, _ = make(rng, 5, 4, 40, torch.float64, False)
    for k in (0, 1):
        mine = torch.autograd.grad((ops.linear_logprob(*inputs, target)[k] * g).sum(), inputs)
        true = torch.autograd.grad((plain(*inputs, target, None, 1.0, None)[k] * g).sum(), inputs)
        for a, b in zip(mine, true, strict=True):
            torch.testing.assert_close(a, b)


def test_strided_inputs_and_narrow_ids(rng):
    inputs, target, g, h = make(rng, 6, 8, 50, torch.float64, False)
    ours = ops.linear_logprob(inputs[0].T.contiguous().T, inputs[1].T.contiguous().T, target.int())
    for mine, true in zip(ours, plain(*inputs, target, None, 1.0, None), strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("softcap", [None, 4.0])
def test_gradcheck(rng, softcap):
    inputs, target, _, _ = make(rng, 4, 3, 12, torch.float64, True)
    finite = inputs[2].detach().clamp(min=-2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, w, b: ops.linear_logprob(x, w, target, b, 0.8, softcap), (*inputs[:2], finite)
    )


def test_second_derivative_is_refused(rng):
    inputs, target, g, _ = make(rng, 4, 3, 12, torch.float64, False)
    (grad,) = torch.autograd.grad((ops.linear_logprob(*inputs, target)[0] * g).sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once, not twice"):
        grad.sum().backward()


def test_same_bits_every_time(rng):
    inputs, target, g, h = make(rng, 65, 16, 3001, torch.float32, True)
    first = run(ops.linear_logprob, inputs, target, g, h, 0.7, None)
    for _ in range(5):
        for a, b in zip(first, run(ops.linear_logprob, inputs, target, g, h, 0.7, None), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("with_bias,softcap", [(False, None), (True, None), (True, 3.0)])
def test_torch_implementation_for_other_devices(rng, with_bias, softcap):
    inputs, target, g, h = make(rng, 65, 6, 203, torch.float64, with_bias)
    bias = inputs[2].detach() if with_bias else None
    hidden, weight = inputs[0].detach(), inputs[1].detach()
    logits = hidden @ weight.T
    head = (target, bias, torch.full((65,), 0.7, dtype=torch.float64), softcap, 1.0)
    logprob, entropy, lse = rows._torch_forward(logits, *head)
    rows._torch_backward(logits, g, h, entropy, lse, *head)
    grads = [logits @ weight, logits.T @ hidden, logits.sum(0)]
    truth = run(plain, inputs, target, g, h, 0.7, softcap)
    for mine, true in zip((logprob, entropy, *grads), truth, strict=False):
        torch.testing.assert_close(mine, true)


def test_autocast_casts_as_linear_does(rng):
    hidden, weight = torch.randn(3, 4, generator=rng).bfloat16(), torch.randn(9, 4, generator=rng)
    target = torch.tensor([0, 3, 8])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = ops.linear_logprob(hidden, weight, target)
    torch.testing.assert_close(mixed, ops.linear_logprob(hidden, weight.bfloat16(), target))


@pytest.mark.parametrize("softcap", [None, 2.5])
def test_temperature_of_each_row(rng, softcap):
    inputs, target, g, h = make(rng, 6, 7, 40, torch.float64, True)
    temperature = torch.rand(6, generator=rng, dtype=torch.float64) + 0.3
    ours = run(ops.linear_logprob, inputs, target, g, h, temperature, softcap)
    rows = [
        run(
            plain, [inputs[0][i : i + 1], *inputs[1:]], target[i : i + 1], g[i : i + 1], h[i : i + 1], float(t), softcap
        )
        for i, t in enumerate(temperature)
    ]
    for k, mine in enumerate(ours):  # log-prob, entropy and dX a row; dW and db are sums over the rows
        parts = [row[k] for row in rows]
        torch.testing.assert_close(mine, torch.cat(parts) if k < 3 else torch.stack(parts).sum(0))


@pytest.mark.parametrize("softcap", [None, 2.5])
def test_logit_scale(rng, softcap):
    inputs, target, g, h = make(rng, 6, 7, 40, torch.float64, True)
    ours = run(partial(ops.linear_logprob, logit_scale=0.3), inputs, target, g, h, 0.9, softcap)

    def scaled(hidden, weight, target, bias, *rest):
        return plain(hidden, 0.3 * weight, target, 0.3 * bias, *rest)

    for mine, true in zip(ours, run(scaled, inputs, target, g, h, 0.9, softcap), strict=True):
        torch.testing.assert_close(mine, true)


def small_tiles(monkeypatch):
    """Tiles of 20 rows and 32 ids at most."""
    monkeypatch.setattr(module, "TILE_BYTES", {"cpu": 1})
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    monkeypatch.setattr(module, "LEAST_IDS", 32)


@pytest.mark.parametrize("rows", [0, 1, 20, 50])
@pytest.mark.parametrize("softcap", [None, 2.5])
def test_the_numbers_do_not_depend_on_the_tiles(rng, monkeypatch, rows, softcap):
    inputs, target, g, h = make(rng, rows, 7, 300, torch.float64, True)
    inputs[2].data[64:130] = -torch.inf  # blocks without any id left, and one with some
    inputs[2].data[5] = 0.0
    target[(target >= 64) & (target < 130)] = 5
    whole = run(ops.linear_logprob, inputs, target, g, h, 0.9, softcap)
    small_tiles(monkeypatch)
    for a, b in zip(run(ops.linear_logprob, inputs, target, g, h, 0.9, softcap), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
        assert a.isfinite().all()
    if not rows:  # which torch's Categorical refuses
        return
    for a, b in zip(run(plain, inputs, target, g, h, 0.9, softcap), whole, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tiles_keep_the_error_at_most_twice_torchs(rng, monkeypatch, dtype):
    small_tiles(monkeypatch)
    inputs, target, g, h = make(rng, 60, 48, 700, dtype, True)
    wide = [x.detach().double().requires_grad_() for x in inputs]
    truth = run(plain, wide, target, g.double(), h.double(), 0.9, None)
    torchs = run(plain, inputs, target, g, h, 0.9, None)
    for name, a, b, true in zip(
        ("logprob", "entropy", "dX", "dW", "db"),
        run(ops.linear_logprob, inputs, target, g, h, 0.9, None),
        torchs,
        truth,
        strict=True,
    ):
        error, allowed = (a.double() - true).norm(), (b.double() - true).norm()
        assert error <= 2 * allowed + 1e-6 * true.norm(), name


@pytest.mark.parametrize("keep_logits", [False, True])
def test_workspace(rng, monkeypatch, keep_logits):
    """No tensor is larger than a tile, an input, a gradient or, where asked for, the kept logits."""
    monkeypatch.setattr(module, "TILE_BYTES", {"cpu": 40 * 64 * 4})
    monkeypatch.setattr(module, "LEAST_IDS", 16)
    (hidden, weight), target, g, h = make(rng, 40, 8, 3000, torch.float32, False)
    made = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            made.extend(x.numel() for x in (out if isinstance(out, tuple) else (out,)) if isinstance(x, torch.Tensor))
            return out

    head = (None, torch.ones(40), None, 1.0)
    with torch.no_grad(), Watch():
        _, entropy, lse, kept = module._forward(hidden, weight, target, *head, keep_logits)
        rows = (g.float(), h.float(), entropy, lse)
        module._backward(*rows, kept, hidden, weight, target, *head, [True, True, False])
    assert max(made) == (40 * 3000 if keep_logits else weight.numel())
    assert 40 * 64 in made  # a tile
    assert 40 * 3000 not in made or keep_logits


def test_nan_stays_nan(rng, monkeypatch):
    small_tiles(monkeypatch)
    inputs, target, _, _ = make(rng, 4, 7, 100, torch.float32, False)
    inputs[0].data[2] = torch.nan
    for value in ops.linear_logprob(*inputs, target):
        assert value.isnan().tolist() == [False, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_kept_logits_change_nothing(rng, monkeypatch, dtype):
    small_tiles(monkeypatch)
    inputs, target, g, h = make(rng, 50, 7, 300, dtype, True)
    kept = run(partial(ops.linear_logprob, keep_logits=True), inputs, target, g, h, 0.9, 2.5)
    for a, b in zip(kept, run(ops.linear_logprob, inputs, target, g, h, 0.9, 2.5), strict=True):
        assert torch.equal(a, b)


def test_kept_logits_save_a_product_and_outlive_a_backward(rng, monkeypatch):
    inputs, target, g, _ = make(rng, 5, 7, 40, torch.float64, False)
    products = []
    for home, name in ((module.torch, "mm"), (module, "add_product")):
        original = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *a, original=original, **k: products.append(1) or original(*a, **k))
    loss = (ops.linear_logprob(*inputs, target, keep_logits=True)[0] * g).sum()
    assert len(products) == 1
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    assert len(products) == 3  # and dX, dW
    for a, b in zip(first, torch.autograd.grad(loss, inputs), strict=True):
        assert torch.equal(a, b)


def sharded_head(rank, store, results):
    from torch.distributed.tensor import Shard, distribute_tensor

    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    rng = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 5), (11, 5)))
    hidden = hidden * (rank + 1)  # each process has data of its own
    target = torch.arange(6)
    head = distribute_tensor(weight, mesh, [Shard(0)]).requires_grad_()
    logprob, entropy = ops.linear_logprob(hidden, head, target)
    (logprob.sum() + entropy.sum()).backward()
    step, _ = ops.linear_policy_loss(hidden, head, target, torch.ones(2), torch.ones(2, 3))
    (grad,) = torch.autograd.grad(step, head)
    results[rank] = (logprob.detach(), step.detach(), [x.to_local().detach() for x in (head.grad, grad)])
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_sharded_head(tmp_path):
    with multiprocessing.get_context("spawn").Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(sharded_head, (tmp_path / "store", results), nprocs=2)
        results = dict(results)
    rng = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 5), (11, 5)))
    weight.requires_grad_()
    outputs = [plain(hidden * (rank + 1), weight, torch.arange(6), None, 1.0, None) for rank in range(2)]
    summed = sum(logprob.sum() + entropy.sum() for logprob, entropy in outputs)
    # the first update of equal advantages is the mean log-prob's gradient
    losses = summed, sum(-logprob.mean() for logprob, _ in outputs)
    whole = [torch.autograd.grad(loss / 2, weight, retain_graph=True)[0] for loss in losses]
    for rank, (mine, step, grads) in results.items():
        torch.testing.assert_close(mine, outputs[rank][0].detach())
        assert step.item() == pytest.approx(-1.0)
        for grad, true in zip(grads, whole, strict=True):
            torch.testing.assert_close(grad, true.chunk(2)[rank])
