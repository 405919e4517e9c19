"""policy_loss against TRL's own code: loss, gradient and clip shares of every loss type it has."""

import pytest
import torch

from benchmarks.trl_loss import TrlLoss
from videostr import ops

L = 11
PLAIN = {"kl_clamp": None}  # TRL does not clamp
CASES = {  # our options, TRL's
    "grpo": ({"loss_type": "grpo"}, {"loss_type": "grpo"}),
    "bnpo": ({"loss_type": "bnpo", "entropy_coef": 0.1}, {"loss_type": "bnpo", "entropy_coef": 0.1}),
    "dr_grpo": ({"loss_type": "dr_grpo", "normalizer": L}, {"loss_type": "dr_grpo", "max_completion_length": L}),
    "dapo": (
        {"loss_type": "dapo", "normalizer": 90.0, "clip_high": 0.28},
        {"loss_type": "dapo", "epsilon_high": 0.28},
    ),
    "gspo": ({"loss_type": "gspo"}, {"loss_type": "grpo", "importance_sampling_level": "sequence"}),
    "luspo": ({"loss_type": "luspo"}, {"loss_type": "luspo", "importance_sampling_level": "sequence"}),
    "cispo": (
        {"loss_type": "cispo", "normalizer": 90.0, "clip_high": 0.4},
        {"loss_type": "cispo", "epsilon_high": 1.4},
    ),
    "sapo": (
        {"loss_type": "sapo", "sapo_temperature": (1.5, 2.0)},
        {"loss_type": "sapo", "sapo_temperature_pos": 1.5, "sapo_temperature_neg": 2.0},
    ),
    "vespo": (
        {"loss_type": "vespo", "normalizer": 90.0, "vespo_k": (1.5, 2.0), "vespo_lambda": (2.5, 1.0)},
        {
            "loss_type": "vespo",
            "vespo_k_pos": 1.5,
            "vespo_k_neg": 2.0,
            "vespo_lambda_pos": 2.5,
            "vespo_lambda_neg": 1.0,
        },
    ),
    "two-sided": ({"loss_type": "grpo", "ratio_cap": 1.3}, {"loss_type": "grpo", "delta": 1.3}),
    "corrected KL": (
        {"loss_type": "bnpo", "kl_bias_correction": True},
        {"loss_type": "bnpo", "use_bias_correction_kl": True},
    ),
    "corrected KL, gspo": (
        {"loss_type": "gspo", "kl_bias_correction": True},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "use_bias_correction_kl": True},
    ),
}


@pytest.fixture(scope="module")
def inputs():
    rng = torch.Generator().manual_seed(0)

    def noise():
        return torch.randn(9, L, generator=rng, dtype=torch.float64) * 0.4

    logprob = -torch.rand(9, L, generator=rng, dtype=torch.float64) * 3
    mask = torch.arange(L) < torch.randint(1, L + 1, (9, 1), generator=rng)
    advantage = torch.randn(9, generator=rng, dtype=torch.float64)
    return logprob, logprob + noise(), advantage, mask, logprob + noise(), noise().abs(), logprob + noise()


def both(inputs, ours, trls, beta, importance=None):
    """(loss, gradients, statistics) of either side."""
    logprob, old, advantage, mask, ref, entropy, sampler = inputs
    results = []
    for which in ("ours", "trl"):
        leaves = [logprob.clone().requires_grad_(), entropy.clone().requires_grad_()]
        if which == "ours":
            given = None if importance is None else sampler
            loss, stats = ops.policy_loss(
                leaves[0], old, advantage, mask, ref, leaves[1], given, kl_coef=beta, **PLAIN | ours
            )
        else:
            loss, stats = TrlLoss(beta=beta, **trls)(
                leaves[0], old, advantage, mask, ref, leaves[1], importance, items=ours.get("normalizer")
            )
        grads = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        results.append((loss.detach(), grads, stats))
    return results


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.0, 0.2])
@pytest.mark.parametrize("name", CASES)
def test_every_loss_type(inputs, name, beta):
    ours, trl = both(inputs, *CASES[name], beta)
    torch.testing.assert_close(ours[0], trl[0])
    assert ours[1][0].abs().max() > 0
    for mine, theirs in zip(ours[1], trl[1], strict=True):
        torch.testing.assert_close(mine, theirs)
    if CASES[name][0]["loss_type"] in ("grpo", "bnpo", "dr_grpo", "dapo"):
        # TRL counts the answers of a sequence ratio, we their tokens
        assert ours[2]["clip_low_frac"].item() == pytest.approx(trl[2]["clip_ratio/low_mean"])
        assert ours[2]["clip_high_frac"].item() == pytest.approx(trl[2]["clip_ratio/high_mean"])
    if name == "cispo":
        assert ours[2]["clip_high_frac"].item() == pytest.approx(trl[2]["cispo_clip_ratio"])
    if CASES[name][0]["loss_type"] == "bnpo" and beta:
        assert ours[2]["kl"].item() == pytest.approx(trl[2]["kl"])
        assert ours[2]["entropy"].item() == pytest.approx(trl[2]["entropy"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,importance",
    [
        (name, f"{level}_{treatment}")
        for name in ("grpo", "gspo", "cispo", "sapo", "vespo")
        for level in ("token", "sequence")
        for treatment in ("truncate", "mask")
        if (name, level) != ("vespo", "sequence")  # TRL refuses it, as we do
    ],
)
def test_importance_of_a_sampler(inputs, name, importance):
    """TRL makes the weights where it generates, so their formula is written out; what it does with them is its own."""
    _, old, _, mask, _, _, sampler = inputs
    gap = (old - sampler) * mask
    weight = (gap.sum(-1, keepdim=True) if importance.startswith("sequence") else gap).exp()
    if importance.endswith("truncate"):
        weight = weight.clamp(0.5, 1.2)
    else:
        weight = weight.masked_fill((weight < 0.5) | (weight > 1.2), 0.0)
    options = {"importance": importance, "importance_min": 0.5, "importance_max": 1.2}
    ours, trl = both(inputs, CASES[name][0] | options, CASES[name][1], 0.1, weight)
    torch.testing.assert_close(ours[0], trl[0])
    torch.testing.assert_close(ours[1][0], trl[1][0])
