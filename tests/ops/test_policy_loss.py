"""policy_loss against closed forms worked out by hand, and against float64 autograd of the specification."""

import importlib
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videostr import ops

module = importlib.import_module("videostr.ops.policy_loss")


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def ones(*shape):
    return torch.ones(*shape, dtype=torch.bool)


# ---- by hand


@pytest.mark.parametrize(
    "ratio,advantage,loss,slope",
    [  # slope: d loss / d logprob of the one token = -ratio * A, or 0 where the clip holds
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 2.0, -2.2, -2.2),
        (1.5, 2.0, -2.4, 0.0),  # rises past 1 + 0.2: held
        (0.5, 2.0, -1.0, -1.0),  # fell while it should rise: not held
        (0.5, -2.0, 1.6, 0.0),  # fell past 1 - 0.2: held
        (1.5, -2.0, 3.0, 3.0),  # rose while it should fall: not held
        (1.5, 0.0, 0.0, 0.0),
    ],
)
def test_clip(ratio, advantage, loss, slope):
    logprob = rows([math.log(ratio) - 1]).requires_grad_()
    value, stats = ops.policy_loss(logprob, rows([-1.0]), rows(advantage), ones(1, 1))
    value.backward()
    assert value.item() == pytest.approx(loss, abs=1e-12)
    assert logprob.grad.item() == pytest.approx(slope, abs=1e-12)
    assert stats["ratio_mean"].item() == pytest.approx(ratio)
    assert stats["clip_high_frac"].item() == float(ratio > 1.2 and advantage > 0)
    assert stats["clip_low_frac"].item() == float(ratio < 0.8 and advantage < 0)


def test_clip_is_asymmetric():
    logprob = rows([math.log(1.25)], [math.log(0.75)])
    value, stats = ops.policy_loss(logprob, logprob * 0, rows(1.0, -1.0), ones(2, 1), clip_low=0.3, clip_high=0.28)
    assert value.item() == pytest.approx((-1.25 + 0.75) / 2)
    assert stats["clip_high_frac"] == stats["clip_low_frac"] == 0


@pytest.mark.parametrize(
    "loss_type,normalizer,weights",  # two answers, of 1 and 3 tokens, in a padded length of 4
    [
        ("bnpo", None, (1 / 4, 1 / 4)),
        ("grpo", None, (1 / 2, 1 / 6)),
        ("dr_grpo", 5.0, (1 / 10, 1 / 10)),
        ("dapo", 8, (1 / 8, 1 / 8)),
    ],
)
def test_aggregation(loss_type, normalizer, weights):
    mask = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 0]])
    logprob = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    entropy = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    value, stats = ops.policy_loss(
        logprob,
        torch.zeros(2, 4),
        rows(3.0, -5.0),
        mask,
        torch.full((2, 4), 2.0),
        entropy,
        loss_type=loss_type,
        normalizer=normalizer,
        kl_coef=0.5,
        kl_type="k2",
        entropy_coef=0.25,
    )
    total = weights[0] + 3 * weights[1]
    policy = -3 * weights[0] + 15 * weights[1]
    assert stats["policy"].item() == pytest.approx(policy)
    assert stats["kl"].item() == pytest.approx(2 * total)  # (0 - 2)^2 / 2 a token
    assert stats["entropy"].item() == pytest.approx(total)
    assert stats["tokens"] == 4
    assert value.item() == pytest.approx(policy + 0.5 * 2 * total - 0.25 * total)
    value.backward()
    slope = torch.tensor([[-3 * weights[0]] * 4, [5 * weights[1]] * 4]) + 0.5 * -2 * torch.tensor(weights)[:, None]
    torch.testing.assert_close(logprob.grad, (slope * mask).double(), check_dtype=False, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        entropy.grad, -0.25 * torch.tensor(weights).double()[:, None] * mask, atol=1e-8, rtol=1e-6
    )


@pytest.mark.parametrize(
    "gap,kl_type,value,slope",
    [  # gap = reference - policy
        (0.5, "k1", -0.5, 1.0),
        (0.5, "k2", 0.125, -0.5),
        (0.5, "k3", math.exp(0.5) - 1.5, 1 - math.exp(0.5)),
        (-0.5, "k3", math.exp(-0.5) - 0.5, 1 - math.exp(-0.5)),
        (5.0, "k3", 10.0, 0.0),  # clamped to 10
        (300.0, "k3", 10.0, 0.0),
        (-30.0, "k1", 10.0, 0.0),
        (30.0, "k1", -10.0, 0.0),
    ],
)
def test_kl(gap, kl_type, value, slope):
    logprob = rows([-1.0]).requires_grad_()
    loss, stats = ops.policy_loss(
        logprob, rows([-1.0]), rows(0.0), ones(1, 1), rows([-1.0 + gap]), kl_coef=1.0, kl_type=kl_type
    )
    loss.backward()
    assert stats["kl"].item() == pytest.approx(value, abs=1e-12)
    assert logprob.grad.item() == pytest.approx(slope, abs=1e-12)


def test_sequence_ratio():
    # mean of (0.3, -0.1, 0.1) = 0.1; the clip is on exp(0.1), and each token gets a third of the slope
    logprob = rows([0.3, -0.1, 0.1, 9.0]).requires_grad_()
    mask = torch.tensor([[True, True, True, False]])
    loss, stats = ops.policy_loss(logprob, rows([0.0] * 4), rows(2.0), mask, loss_type="gspo")
    loss.backward()
    assert loss.item() == pytest.approx(-2 * math.exp(0.1))
    torch.testing.assert_close(logprob.grad, rows([-2 * math.exp(0.1) / 3] * 3 + [0.0]))
    assert stats["ratio_mean"].item() == stats["ratio_max"].item() == pytest.approx(math.exp(0.1))


def test_importance_weight_is_truncated_and_constant():
    old, sampler = rows([-1.0, -1.0]), rows([-1.0 - math.log(1.5), -1.0 - math.log(4.0)])
    logprob = old.clone().requires_grad_()
    loss, stats = ops.policy_loss(
        logprob, old, rows(1.0), ones(1, 2), sampler_logprob=sampler, importance="token_truncate"
    )
    loss.backward()
    assert loss.item() == pytest.approx(-(1.5 + 2.0) / 2)
    torch.testing.assert_close(logprob.grad, rows([-0.75, -1.0]))
    assert stats["importance_mean"].item() == pytest.approx(1.75)
    assert stats["mismatch_max"].item() == pytest.approx(math.log(4.0))
    measured, stats = ops.policy_loss(logprob, old, rows(1.0), ones(1, 2), sampler_logprob=sampler)
    assert measured.item() == pytest.approx(-1.0) and "importance_mean" not in stats
    assert stats["mismatch_mean"].item() == pytest.approx(math.log(6.0) / 2)


@pytest.mark.parametrize(
    "importance,weights",  # each token's p_old / p_sampler is 1.5 and 0.4, the answer's 0.6
    [
        ("token_truncate", (1.2, 0.5)),
        ("token_mask", (0.0, 0.0)),
        ("sequence_truncate", (0.6, 0.6)),
        ("sequence_mask", (0.6, 0.6)),
    ],
)
def test_importance(importance, weights):
    old = rows([-1.0, -1.0])
    sampler = old - rows([math.log(1.5), math.log(0.4)])
    logprob = old.clone().requires_grad_()
    loss, stats = ops.policy_loss(
        logprob,
        old,
        rows(1.0),
        ones(1, 2),
        sampler_logprob=sampler,
        importance=importance,
        importance_min=0.5,
        importance_max=1.2,
    )
    loss.backward()
    assert loss.item() == pytest.approx(-sum(weights) / 2)
    torch.testing.assert_close(logprob.grad, -rows(weights) / 2)
    assert stats["importance_mean"].item() == pytest.approx(sum(weights) / 2)


@pytest.mark.parametrize(
    "ratio,advantage,loss,slope",
    [  # ratio_cap holds what the clip lets pass: a ratio that rose while it should fall
        (1.5, -2.0, 3.0, 3.0),
        (4.0, -2.0, 6.0, 0.0),
        (4.0, 2.0, -2.4, 0.0),
        (0.5, 2.0, -1.0, -1.0),
    ],
)
def test_two_sided_clip(ratio, advantage, loss, slope):
    logprob = rows([math.log(ratio) - 1]).requires_grad_()
    value, _ = ops.policy_loss(logprob, rows([-1.0]), rows(advantage), ones(1, 1), ratio_cap=3.0)
    value.backward()
    assert value.item() == pytest.approx(loss)
    assert logprob.grad.item() == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize("ratio,constant", [(0.5, 0.5), (1.5, 1.5), (9.0, 3.0)])
def test_cispo_clips_the_weight_not_the_gradient(ratio, constant):
    logprob = rows([math.log(ratio) - 1]).requires_grad_()
    value, _ = ops.policy_loss(
        logprob, rows([-1.0]), rows(2.0), ones(1, 1), loss_type="cispo", clip_high=2.0, normalizer=1
    )
    value.backward()
    assert value.item() == pytest.approx(-constant * 2 * (math.log(ratio) - 1))
    assert logprob.grad.item() == pytest.approx(-constant * 2)


@pytest.mark.parametrize("advantage,temperature", [(2.0, 1.0), (-2.0, 1.05)])
def test_sapo_at_ratio_one_is_the_policy_gradient(advantage, temperature):
    # sigmoid(0) 4 / t = 2 / t, and its slope 4 / t * t / 4 = 1
    logprob = rows([-1.0]).requires_grad_()
    value, _ = ops.policy_loss(logprob, rows([-1.0]), rows(advantage), ones(1, 1), loss_type="sapo")
    value.backward()
    assert value.item() == pytest.approx(-2 / temperature * advantage)
    assert logprob.grad.item() == pytest.approx(-advantage)


def test_vespo_weighs_whole_answers():
    # w = 1.5 * 0.8 = 1.2; phi(w) = e^3 w^2 e^(-3 w), which is 1 at w = 1
    logprob = rows([math.log(1.5) - 1, math.log(0.8) - 1]).requires_grad_()
    value, _ = ops.policy_loss(logprob, rows([-1.0, -1.0]), rows(2.0), ones(1, 2), loss_type="vespo", normalizer=2)
    value.backward()
    phi = math.exp(3) * 1.2**2 * math.exp(-3 * 1.2)
    assert value.item() == pytest.approx(-phi * 2 * (math.log(1.2) - 2) / 2)
    torch.testing.assert_close(logprob.grad, rows([-phi, -phi]))


def test_bias_corrected_kl():
    # k3 * r with r = 1.5, d = 0.5: value (e^0.5 - 1.5) 1.5, slope 1.5 (1 - e^0.5 + e^0.5 - 1.5) = -0.75
    logprob = rows([math.log(1.5) - 1]).requires_grad_()
    loss, stats = ops.policy_loss(
        logprob, rows([-1.0]), rows(0.0), ones(1, 1), logprob.detach() + 0.5, kl_coef=1.0, kl_bias_correction=True
    )
    loss.backward()
    assert stats["kl"].item() == pytest.approx((math.exp(0.5) - 1.5) * 1.5)
    assert logprob.grad.item() == pytest.approx(-0.75)


def test_effective_sample_size():
    # weights 1, 3: (1 + 3)^2 / (1 + 9) = 1.6 of 2 tokens
    logprob = rows([-1.0, math.log(3) - 1, 5.0])
    mask = torch.tensor([[True, True, False]])
    _, stats = ops.policy_loss(logprob, rows([-1.0, -1.0, 0.0]), rows(1.0), mask)
    assert stats["ess"].item() == pytest.approx(0.8)
    assert ops.policy_loss(logprob, logprob, rows(1.0), mask)[1]["ess"].item() == pytest.approx(1.0)


def test_first_update_is_the_policy_gradient():
    # at ratio 1 the gradient is REINFORCE's, -A / tokens
    logprob = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    advantage = rows(1.0, -2.0, 0.5)
    ops.policy_loss(logprob, logprob.detach(), advantage, ones(3, 5))[0].backward()
    torch.testing.assert_close(logprob.grad, -advantage[:, None].expand(3, 5) / 15)


# ---- against the specification, by autograd


def allowed(options):
    """Without what the loss type refuses."""
    kind = module.LOSS_TYPES[options["loss_type"]]
    if kind.objective not in ("clip", "sequence"):
        options["ratio_cap"] = None
    if kind.objective == "vespo" and (options["importance"] or "").startswith("sequence"):
        options["importance"] = None
    if kind.aggregation.endswith("norm"):
        options["normalizer"] = 7.0
    return options


OPTIONS = st.fixed_dictionaries(
    {
        "loss_type": st.sampled_from(list(module.LOSS_TYPES)),
        "kl_type": st.sampled_from(module.KL_TYPES),
        "kl_coef": st.sampled_from([0.0, 0.3]),
        "kl_clamp": st.sampled_from([None, 0.5, 10.0]),
        "kl_bias_correction": st.booleans(),
        "entropy_coef": st.sampled_from([0.0, 0.2, -0.1]),
        "importance": st.sampled_from([None, *module.IMPORTANCE]),
        "importance_min": st.sampled_from([0.0, 0.8]),
        "importance_max": st.sampled_from([1.1, 2.0]),
        "clip_low": st.sampled_from([0.0, 0.2]),
        "clip_high": st.sampled_from([0.2, 0.28]),
        "ratio_cap": st.sampled_from([None, 1.4]),
        "sapo_temperature": st.sampled_from([(1.0, 1.05), (3.0, 0.5)]),
        "vespo_k": st.sampled_from([(2.0, 3.0), (0.5, 1.5)]),
    }
).map(allowed)
CANCELLING = {
    "loss_type": "bnpo",
    "kl_type": "k1",
    "kl_coef": 0.0,
    "kl_clamp": 10.0,
    "kl_bias_correction": True,
    "clip_low": 0.0,
}


def draw_case(seed, n, length, dtype, wide=False):
    generator = torch.Generator().manual_seed(seed)

    def noise(scale=1.0):
        return torch.randn(n, length, generator=generator, dtype=torch.float64) * scale

    logprob = -noise().abs() * 3
    spread = 40.0 if wide else 0.3  # wide: past the limit on log-ratios
    mask = torch.rand(n, length, generator=generator) < 0.7
    if n > 1:
        mask[0] = False  # an empty answer
    tensors = {
        "logprob": logprob,
        "old": logprob + noise(spread),
        "ref": logprob + noise(spread),
        "entropy": noise().abs(),
        "sampler": logprob + noise(spread),
    }
    for value in tensors.values():
        value[~mask] = torch.nan  # padding is never read
    advantage = torch.randn(n, generator=generator, dtype=torch.float64)
    return {k: v.to(dtype) for k, v in tensors.items()}, advantage.to(dtype), mask


def evaluate(function, case, advantage, mask, options):
    logprob, entropy = (case[k].clone().requires_grad_() for k in ("logprob", "entropy"))
    loss, stats = function(logprob, case["old"], advantage, mask, case["ref"], entropy, case["sampler"], **options)
    grads = torch.autograd.grad(loss * 3, (logprob, entropy), allow_unused=True, materialize_grads=True)
    return loss.detach(), stats, grads


@settings(max_examples=120, deadline=None)
@given(OPTIONS, st.integers(1, 6), st.integers(1, 9), st.integers(0, 999), st.booleans())
@example(CANCELLING, 3, 3, 29, True)
@example(CANCELLING | {"kl_clamp": 0.5, "kl_coef": 0.3}, 1, 9, 4, True)
@example(CANCELLING | {"kl_type": "k3", "kl_clamp": None, "kl_coef": 0.3}, 5, 6, 630, True)
def test_against_the_specification(options, n, length, seed, wide):
    case, advantage, mask = draw_case(seed, n, length, torch.float64, wide)
    loss, stats, grads = evaluate(ops.policy_loss, case, advantage, mask, options)
    true_loss, true_stats, true_grads = evaluate(ops.reference.policy_loss, case, advantage, mask, options)
    # The corrected KL is a mean of KLs times ratios of up to exp(20): where they cancel, their rounding is left, in the
    # loss too, which may add up a sequence's tokens. (Seed 4 below: the operator's is exact, the reference's is not.)
    largest = min(options["kl_clamp"] or 200.0, 200.0) * float(true_stats["ratio_max"])
    rounding = 1e-15 * largest if options["kl_bias_correction"] else 0.0
    atol = max(1e-9, options["kl_coef"] * rounding * length)
    torch.testing.assert_close(loss, true_loss, rtol=1e-9, atol=atol)
    assert stats.keys() == true_stats.keys()
    for name, value in stats.items():
        atol = max(1e-9, rounding) if name == "kl" else 1e-9
        torch.testing.assert_close(value, true_stats[name], rtol=1e-9, atol=atol, msg=name)
    # The corrected k3's gradient is a ratio times -x, as the sum of e^x - x - 1 and 1 - e^x with x up to 20.
    cancels = wide and options["kl_bias_correction"] and options["kl_type"] == "k3" and options["kl_clamp"] is None
    for mine, true in zip(grads, true_grads, strict=True):
        assert not mine[~mask].any()
        torch.testing.assert_close(mine, true, rtol=2e-8 if cancels else 1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(OPTIONS, st.integers(0, 999))
def test_torch_implementation_for_other_devices(options, seed):
    case, advantage, mask = draw_case(seed, 4, 5, torch.float64)
    objective = module.LOSS_TYPES[options.pop("loss_type")].objective
    options.pop("normalizer", None)
    weight = torch.rand(4, dtype=torch.float64)
    arguments = (case["logprob"], case["old"], advantage, mask, weight, case["ref"], case["entropy"], case["sampler"])
    chosen = (list(x) if isinstance(x, tuple) else x for x in ops.reference.PolicyOptions(**options))
    arguments += (objective, *chosen)
    with torch._C._AutoDispatchBelowAutograd():  # as the dispatcher calls a kernel
        mine = module._torch(*arguments)
    for a, b in zip(mine, torch.ops.videostr.policy_loss(*arguments), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss_type", ["grpo", "gspo", "sapo"])
def test_float32_error_is_at_most_twice_torchs_own(loss_type):
    options = {"loss_type": loss_type, "kl_coef": 0.1, "entropy_coef": 0.1, "kl_type": "k3"}
    case, advantage, mask = draw_case(3, 32, 257, torch.float32)
    exact = evaluate(
        ops.reference.policy_loss, {k: v.double() for k, v in case.items()}, advantage.double(), mask, options
    )
    torchs = evaluate(ops.reference.policy_loss, case, advantage, mask, options)
    ours = evaluate(ops.policy_loss, case, advantage, mask, options)
    assert (ours[0] - exact[0]).abs() <= 2 * (torchs[0] - exact[0]).abs() + 1e-6
    for k in (0, 1):
        error, allowed = ((x[2][k].double() - exact[2][k])[mask].norm() for x in (ours, torchs))
        assert error <= 2 * allowed + 1e-9


def test_more_answers_than_a_16_bit_count():
    case, advantage, mask = draw_case(0, 70_000, 3, torch.float32)
    options = {"loss_type": "bnpo", "kl_coef": 0.1, "entropy_coef": 0.1}
    ours = evaluate(ops.policy_loss, case, advantage, mask, options)
    exact = evaluate(
        ops.reference.policy_loss, {k: v.double() for k, v in case.items()}, advantage.double(), mask, options
    )
    torch.testing.assert_close(ours[0].double(), exact[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours[2][0].double(), exact[2][0], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("loss_type", ["bnpo", "grpo"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0), (3, 4)])
def test_nothing_to_learn_from(loss_type, shape):
    logprob = torch.full(shape, torch.nan, requires_grad=True)
    entropy = torch.full(shape, torch.nan, requires_grad=True)
    loss, stats = ops.policy_loss(
        logprob,
        logprob.detach(),
        torch.ones(shape[0]),
        torch.zeros(shape),
        logprob.detach(),
        entropy,
        kl_coef=1.0,
        entropy_coef=1.0,
        loss_type=loss_type,
    )
    loss.backward()
    assert loss == 0 and not logprob.grad.any() and not entropy.grad.any()
    assert all(value == 0 for value in stats.values())


def test_far_ratios_stay_finite():
    logprob = torch.tensor([[0.0, -1000.0]], requires_grad=True)
    old = torch.tensor([[-1000.0, 0.0]])
    for advantage in (1.0, -1.0):
        loss, stats = ops.policy_loss(logprob, old, torch.tensor([advantage]), ones(1, 2))
        (grad,) = torch.autograd.grad(loss, logprob)
        assert loss.isfinite() and grad.isfinite().all() and all(x.isfinite() for x in stats.values())


def test_same_bits_whatever_the_threads():
    case, advantage, mask = draw_case(5, 500, 300, torch.float32)
    options = {"loss_type": "bnpo", "kl_coef": 0.1, "entropy_coef": 0.1}
    threads, results = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(evaluate(ops.policy_loss, case, advantage, mask, options))
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert torch.equal(results[0][0], other[0]) and torch.equal(results[0][2][0][mask], other[2][0][mask])
        assert all(torch.equal(results[0][1][k], other[1][k]) for k in other[1])


def test_stats_and_constants_carry_no_gradient():
    x = torch.zeros(1, 2, requires_grad=True)
    loss, stats = ops.policy_loss(x, x, torch.ones(1, requires_grad=True), ones(1, 2), x, kl_coef=1.0)
    assert loss.requires_grad and not any(value.requires_grad for value in stats.values())
    loss.backward()
    torch.testing.assert_close(x.grad, torch.full((1, 2), -0.5))
