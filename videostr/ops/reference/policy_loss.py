"""The GRPO family's losses and their statistics."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOG_RATIO_LIMIT = 20.0  # exp(20) = 5e8: keeps every ratio and its gradient finite
LOG_TINY = math.log(1e-8)  # VESPO's smallest log-weight
STATS = (
    "policy",
    "kl",
    "entropy",
    "ratio_mean",
    "ratio_max",
    "clip_low_frac",
    "clip_high_frac",
    "old_kl",
    "importance_mean",
    "mismatch_mean",
    "mismatch_max",
    "weight_mean",
    "weight_square_mean",
    "tokens",
)


class LossType(NamedTuple):
    """objective: what a token's term is. aggregation: how the terms are added, by verl's names for `loss_agg_mode`;
    token-sum-norm is the sum over a number that is given, such as the tokens of the whole update."""

    objective: str
    aggregation: str


LOSS_TYPES = {
    "bnpo": LossType("clip", "token-mean"),
    "grpo": LossType("clip", "seq-mean-token-mean"),
    "dr_grpo": LossType("clip", "seq-mean-token-sum-norm"),
    "dapo": LossType("clip", "token-sum-norm"),
    "gspo": LossType("sequence", "seq-mean-token-mean"),
    "luspo": LossType("sequence", "seq-mean-token-sum"),
    "cispo": LossType("cispo", "token-sum-norm"),
    "sapo": LossType("sapo", "seq-mean-token-mean"),
    "vespo": LossType("vespo", "token-sum-norm"),
}


class PolicyOptions(NamedTuple):
    """Options of the policy loss, in the order in which the operators take them; `ops.policy_loss` explains them."""

    clip_low: float = 0.2
    clip_high: float = 0.2
    ratio_cap: float | None = None
    sapo_temperature: tuple[float, float] = (1.0, 1.05)
    vespo_k: tuple[float, float] = (2.0, 3.0)
    vespo_lambda: tuple[float, float] = (3.0, 2.0)
    kl_coef: float = 0.0
    kl_type: str = "k3"
    kl_clamp: float | None = 10.0
    kl_bias_correction: bool = False
    entropy_coef: float = 0.0
    importance: str | None = None
    importance_min: float = 0.0
    importance_max: float = 2.0


def policy_loss(
    logprob_NL: Tensor,
    old_logprob_NL: Tensor,
    advantage_N: Tensor,
    mask_NL: Tensor,
    ref_logprob: Tensor | None = None,
    entropy: Tensor | None = None,
    sampler_logprob: Tensor | None = None,
    *,
    loss_type: str = "bnpo",
    normalizer: float | None = None,
    **options,
) -> tuple[Tensor, dict[str, Tensor]]:
    weight_N = token_weights(mask_NL, loss_type, normalizer).to(logprob_NL.dtype)
    loss, stats = weighted_policy_loss(
        logprob_NL,
        old_logprob_NL,
        advantage_N,
        mask_NL,
        weight_N,
        ref_logprob,
        entropy,
        sampler_logprob,
        LOSS_TYPES[loss_type].objective,
        PolicyOptions(**options),
    )
    return loss, with_sample_size(stats)


def weighted_policy_loss(
    logprob_NL: Tensor,
    old_logprob_NL: Tensor,
    advantage_N: Tensor,
    mask_NL: Tensor,
    weight_N: Tensor,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
    objective: str,
    options: PolicyOptions,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`policy_loss` with the weight of each of an answer's tokens given; the statistics as the operators make them."""
    mask_NL = mask_NL.bool()
    zero = logprob_NL.new_zeros(())

    def valid(x_NL: Tensor) -> Tensor:  # padding may hold anything, NaN included
        return torch.where(mask_NL, x_NL, zero)

    weight_NL = weight_N[:, None] * mask_NL
    logprob_NL, old_logprob_NL = valid(logprob_NL), valid(old_logprob_NL)
    delta_NL = logprob_NL - old_logprob_NL
    if objective == "sequence":
        mean_N = delta_NL.sum(1) / mask_NL.sum(1).clamp(min=1)
        log_ratio_NL = mean_N[:, None].expand_as(delta_NL)
    else:
        log_ratio_NL = delta_NL
    ratio_NL = _limited(log_ratio_NL).exp()
    advantage_NL = advantage_N[:, None]

    importance_NL = torch.ones_like(delta_NL)
    gap_NL = None if sampler_logprob is None else old_logprob_NL - valid(sampler_logprob)
    if options.importance is not None:
        importance_NL = valid(importance_weights(gap_NL, options).expand_as(gap_NL)).detach()
    policy_NL = objective_terms(
        objective, logprob_NL, delta_NL, ratio_NL, advantage_NL, importance_NL, mask_NL, options
    )

    tokens = mask_NL.sum().to(logprob_NL.dtype)

    def mean(x_NL: Tensor) -> Tensor:
        return valid(x_NL).sum() / tokens.clamp(min=1)

    low_NL = (ratio_NL < 1 - options.clip_low) & (advantage_NL < 0)
    high_NL = (ratio_NL > 1 + options.clip_high) & (advantage_NL > 0)
    stats = {
        "ratio_mean": mean(ratio_NL),
        "ratio_max": valid(ratio_NL).amax() if ratio_NL.numel() else zero,
        "clip_low_frac": mean(low_NL.to(ratio_NL.dtype)),
        "clip_high_frac": mean(high_NL.to(ratio_NL.dtype)),
        "old_kl": mean(-delta_NL),
        "weight_mean": mean(ratio_NL * importance_NL),
        "weight_square_mean": mean((ratio_NL * importance_NL).square()),
        "tokens": tokens,
    }
    if gap_NL is not None:
        stats["mismatch_mean"] = mean(gap_NL.abs())
        stats["mismatch_max"] = gap_NL.abs().amax() if gap_NL.numel() else zero
    if options.importance is not None:
        stats["importance_mean"] = mean(importance_NL)

    policy = valid(policy_NL * weight_NL).sum()
    loss = policy
    stats["policy"] = policy
    if ref_logprob is not None:
        kl_NL = kl_terms(logprob_NL, valid(ref_logprob), options.kl_type)
        if options.kl_clamp is not None:
            kl_NL = kl_NL.clamp(-options.kl_clamp, options.kl_clamp)
        if options.kl_bias_correction:
            kl_NL = kl_NL * ratio_NL
        stats["kl"] = valid(kl_NL * weight_NL).sum()
        loss = loss + options.kl_coef * stats["kl"]
    if entropy is not None:
        stats["entropy"] = (valid(entropy) * weight_NL).sum()
        loss = loss - options.entropy_coef * stats["entropy"]
    return loss, {name: stats[name].detach() for name in STATS if name in stats}


def objective_terms(
    objective: str,
    logprob_NL: Tensor,
    delta_NL: Tensor,
    ratio_NL: Tensor,
    advantage_NL: Tensor,
    importance_NL: Tensor,
    mask_NL: Tensor,
    options: PolicyOptions,
) -> Tensor:
    """(N, L): what each token adds to the loss, importance included. Formulas and sources: `ops.policy_loss`."""
    low, high = 1 - options.clip_low, 1 + options.clip_high
    if objective in ("clip", "sequence"):
        capped_NL = ratio_NL if options.ratio_cap is None else ratio_NL.clamp(max=options.ratio_cap)
        gain_NL = torch.minimum(capped_NL * advantage_NL, ratio_NL.clamp(low, high) * advantage_NL)
    elif objective == "cispo":
        gain_NL = ratio_NL.clamp(max=high).detach() * advantage_NL * logprob_NL
    elif objective == "sapo":
        temperature_NL = _by_sign(advantage_NL > 0, options.sapo_temperature, ratio_NL)
        gain_NL = torch.sigmoid(temperature_NL * (ratio_NL - 1)) * (4 / temperature_NL) * advantage_NL
    else:
        gain_NL = _gamma_weight(delta_NL, advantage_NL, importance_NL, mask_NL, options) * advantage_NL * logprob_NL
        return -gain_NL  # the weight has the importance already
    return -gain_NL * importance_NL


def _gamma_weight(delta_NL, advantage_NL, importance_NL, mask_NL, options: PolicyOptions) -> Tensor:
    """VESPO's constant weight of an answer, phi(w) = e^lambda w^k e^(-lambda w), w its ratio to the sampler: (N, 1)."""
    log_importance_NL = importance_NL.log().clamp(LOG_TINY, LOG_RATIO_LIMIT)
    log_w_NL = torch.where(mask_NL, _limited(delta_NL.detach()) + log_importance_NL, 0.0)
    log_w_N1 = log_w_NL.sum(1, keepdim=True).clamp(LOG_TINY, LOG_RATIO_LIMIT)
    k_N1 = _by_sign(advantage_NL >= 0, options.vespo_k, delta_NL)
    lambda_N1 = _by_sign(advantage_NL >= 0, options.vespo_lambda, delta_NL)
    return (lambda_N1 + k_N1 * log_w_N1 - lambda_N1 * log_w_N1.exp()).exp()


def _by_sign(positive: Tensor, pair: tuple[float, float], like: Tensor) -> Tensor:
    return torch.where(positive, like.new_tensor(pair[0]), like.new_tensor(pair[1]))


def importance_weights(gap_NL: Tensor, options: PolicyOptions) -> Tensor:
    """p_old / p_sampler of a token (N, L) or an answer (N, 1), truncated or, out of bounds, 0."""
    level, treatment = options.importance.split("_")
    ratio_NL = _limited(gap_NL if level == "token" else gap_NL.sum(1, keepdim=True)).exp()
    if treatment == "truncate":
        return ratio_NL.clamp(options.importance_min, options.importance_max)
    return ratio_NL.masked_fill((ratio_NL < options.importance_min) | (ratio_NL > options.importance_max), 0.0)


def _limited(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def with_sample_size(stats: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights' two moments replaced by Kish's effective sample size as a share: (sum w)^2 / sum w^2 / tokens."""
    stats = dict(stats)
    mean, square = stats.pop("weight_mean"), stats.pop("weight_square_mean")
    # no token at all: 0 / 0
    return stats | {"ess": torch.where(square > 0, mean.square() / torch.where(square > 0, square, 1.0), 0.0)}


def token_weights(mask_NL: Tensor, loss_type: str, normalizer: float | None) -> Tensor:
    """(N,) float64: the weight of each of an answer's tokens in the loss."""
    tokens_N = mask_NL.bool().sum(1).double()
    rows = max(mask_NL.shape[0], 1)
    aggregation = LOSS_TYPES[loss_type].aggregation
    if aggregation == "token-mean":
        return torch.ones_like(tokens_N) / tokens_N.sum().clamp(min=1)
    if aggregation == "seq-mean-token-mean":
        return 1 / (tokens_N.clamp(min=1) * rows)
    if aggregation == "seq-mean-token-sum":
        return torch.full_like(tokens_N, 1 / rows)
    if aggregation == "seq-mean-token-sum-norm":
        return torch.full_like(tokens_N, 1 / (rows * normalizer))
    return torch.full_like(tokens_N, 1 / normalizer)


def kl_terms(logprob_NL: Tensor, ref_logprob_NL: Tensor, kl_type: str) -> Tensor:
    """Schulman's estimators of KL(policy || reference) from the policy's own samples."""
    gap_NL = ref_logprob_NL - logprob_NL
    if kl_type == "k1":
        return -gap_NL
    if kl_type == "k2":
        return 0.5 * gap_NL.square()
    gap_NL = _limited(gap_NL)
    return torch.expm1(gap_NL) - gap_NL
