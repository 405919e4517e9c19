"""The operators in plain torch: the specification every kernel is tested against.

Differentiable by autograd, at the precision of the inputs (float64 in, float64 throughout; 16-bit inputs are widened
after the matrix product, as torch's own log-softmax would see them). Nothing here is blocked or fast, and arguments are
taken as checked: `videostr.ops` does that.
"""

from typing import NamedTuple

import torch
from torch import Tensor

LOG_RATIO_LIMIT = 20.0  # exp(20) = 5e8: keeps every ratio and its gradient finite
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
    "tokens",
)


class GroupAdvantage(NamedTuple):
    """What `group_advantage` returns; N answers in B groups."""

    advantage_N: Tensor
    mean_B: Tensor
    std_B: Tensor
    informative_B: Tensor


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype sums are kept in: float32, or float64 for float64."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def scaled_logits(
    hidden_ND: Tensor, weight_VD: Tensor, bias: Tensor | None, temperature: float, softcap: float | None
) -> Tensor:
    """Logits after bias, soft-cap and temperature."""
    return scale_logits(hidden_ND @ weight_VD.T, bias, temperature, softcap)


def scale_logits(logits_NV: Tensor, bias: Tensor | None, temperature: float, softcap: float | None) -> Tensor:
    """Bias, soft-cap and temperature, in the wide dtype; an id whose raw logit is -inf stays there."""
    z_NV = logits_NV.to(wide_dtype(logits_NV.dtype))
    if bias is not None:
        z_NV = z_NV + bias
    if softcap is not None:
        excluded_NV = z_NV == -torch.inf
        z_NV = softcap * torch.tanh(z_NV.masked_fill(excluded_NV, 0.0) / softcap)
        z_NV = z_NV.masked_fill(excluded_NV, -torch.inf)
    return z_NV / temperature


def linear_logprob(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    z_NV = scaled_logits(hidden_ND, weight_VD, bias, temperature, softcap)
    logp_NV = torch.log_softmax(z_NV, dim=-1)
    logprob_N = logp_NV.gather(1, target_N.long()[:, None]).squeeze(1)
    # 0 * log 0 = 0, in the gradient too: an excluded id enters the sum as p = 0, log p = 0
    finite_NV = logp_NV.masked_fill(logp_NV == -torch.inf, 0.0)
    entropy_N = -(logp_NV.exp() * finite_NV).sum(-1)
    return logprob_N, entropy_N


def group_advantage(
    reward_N: Tensor,
    group_N: Tensor,
    scale: str = "std",
    eps: float = 1e-6,
    min_std: float = 0.0,
    task_reward: Tensor | None = None,
    num_groups: int | None = None,
) -> GroupAdvantage:
    if num_groups is None:
        num_groups = int(group_N.max()) + 1 if group_N.numel() else 0
    advantage_N = torch.zeros_like(reward_N)
    mean_B = reward_N.new_zeros(num_groups)
    std_B = reward_N.new_zeros(num_groups)
    informative_B = torch.zeros(num_groups, dtype=torch.bool, device=reward_N.device)
    batch_std = _spread(reward_N)
    for b in range(num_groups):
        member_N = group_N == b
        reward_G = reward_N[member_N]
        if reward_G.numel() == 0:
            continue
        mean_B[b] = reward_G.mean()
        std_B[b] = _spread(reward_G)
        gate = std_B[b] if task_reward is None else _spread(task_reward[member_N])
        informative_B[b] = gate > min_std
        if not informative_B[b] or std_B[b] == 0:
            continue
        centred_G = reward_G - mean_B[b]
        if scale == "std":
            centred_G = centred_G / (std_B[b] + eps)
        elif scale == "batch":
            centred_G = centred_G / (batch_std + eps)
        elif scale == "loo":
            centred_G = centred_G * (reward_G.numel() / (reward_G.numel() - 1))
        advantage_N[member_N] = centred_G
    return GroupAdvantage(advantage_N, mean_B, std_B, informative_B)


def _spread(reward_G: Tensor) -> Tensor:
    """Unbiased standard deviation; exactly 0 for fewer than two values and for equal ones, whatever the rounding."""
    if reward_G.numel() < 2 or bool((reward_G == reward_G[0]).all()):
        return reward_G.new_zeros(())
    return reward_G.std(unbiased=True)


class PolicyOptions(NamedTuple):
    """Options of the policy loss, in the order in which the operators take them; `ops.policy_loss` explains them."""

    loss_type: str = "bnpo"
    ratio_level: str = "token"
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_coef: float = 0.0
    kl_type: str = "k3"
    kl_clamp: float | None = 10.0
    entropy_coef: float = 0.0
    importance_cap: float | None = None
    normalizer: float | None = None


def policy_loss(
    logprob_NL: Tensor,
    old_logprob_NL: Tensor,
    advantage_N: Tensor,
    mask_NL: Tensor,
    ref_logprob: Tensor | None = None,
    entropy: Tensor | None = None,
    sampler_logprob: Tensor | None = None,
    **options,
) -> tuple[Tensor, dict[str, Tensor]]:
    options = PolicyOptions(**options)
    weight_N = token_weights(mask_NL, options.loss_type, options.normalizer).to(logprob_NL.dtype)
    return weighted_policy_loss(
        logprob_NL, old_logprob_NL, advantage_N, mask_NL, weight_N, ref_logprob, entropy, sampler_logprob, options
    )


def weighted_policy_loss(
    logprob_NL: Tensor,
    old_logprob_NL: Tensor,
    advantage_N: Tensor,
    mask_NL: Tensor,
    weight_N: Tensor,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
    options: PolicyOptions,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`policy_loss` with the weight of each of an answer's tokens given."""
    mask_NL = mask_NL.bool()
    zero = logprob_NL.new_zeros(())

    def valid(x_NL: Tensor) -> Tensor:  # padding may hold anything, NaN included
        return torch.where(mask_NL, x_NL, zero)

    weight_NL = weight_N[:, None] * mask_NL
    logprob_NL, old_logprob_NL = valid(logprob_NL), valid(old_logprob_NL)
    delta_NL = logprob_NL - old_logprob_NL
    if options.ratio_level == "sequence":
        mean_N = delta_NL.sum(1) / mask_NL.sum(1).clamp(min=1)
        log_ratio_NL = mean_N[:, None].expand_as(delta_NL)
    else:
        log_ratio_NL = delta_NL
    ratio_NL = log_ratio_NL.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    advantage_NL = advantage_N[:, None]
    clipped_NL = ratio_NL.clamp(1 - options.clip_low, 1 + options.clip_high)
    policy_NL = -torch.minimum(ratio_NL * advantage_NL, clipped_NL * advantage_NL)

    tokens = mask_NL.sum().to(logprob_NL.dtype)

    def mean(x_NL: Tensor) -> Tensor:
        return valid(x_NL).sum() / tokens.clamp(min=1)

    stats = {
        "ratio_mean": mean(ratio_NL),
        "ratio_max": valid(ratio_NL).amax() if ratio_NL.numel() else zero,
        "clip_low_frac": mean(((ratio_NL < 1 - options.clip_low) & (advantage_NL < 0)).to(ratio_NL.dtype)),
        "clip_high_frac": mean(((ratio_NL > 1 + options.clip_high) & (advantage_NL > 0)).to(ratio_NL.dtype)),
        "old_kl": mean(-delta_NL),
        "tokens": tokens,
    }
    if sampler_logprob is not None:
        gap_NL = old_logprob_NL - valid(sampler_logprob)
        stats["mismatch_mean"] = mean(gap_NL.abs())
        stats["mismatch_max"] = gap_NL.abs().amax() if gap_NL.numel() else zero
        if options.importance_cap is not None:
            importance_NL = (
                gap_NL.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp().clamp(max=options.importance_cap).detach()
            )
            policy_NL = policy_NL * importance_NL
            stats["importance_mean"] = mean(importance_NL)

    policy = valid(policy_NL * weight_NL).sum()
    loss = policy
    stats["policy"] = policy
    if ref_logprob is not None:
        kl_NL = kl_terms(logprob_NL, valid(ref_logprob), options.kl_type)
        if options.kl_clamp is not None:
            kl_NL = kl_NL.clamp(-options.kl_clamp, options.kl_clamp)
        stats["kl"] = valid(kl_NL * weight_NL).sum()
        loss = loss + options.kl_coef * stats["kl"]
    if entropy is not None:
        stats["entropy"] = (valid(entropy) * weight_NL).sum()
        loss = loss - options.entropy_coef * stats["entropy"]
    return loss, {name: stats[name].detach() for name in STATS if name in stats}


def token_weights(mask_NL: Tensor, loss_type: str, normalizer: float | None) -> Tensor:
    """(N,) float64: the weight of each of an answer's tokens in the loss; the loss types differ in nothing else."""
    tokens_N = mask_NL.bool().sum(1).double()
    rows = max(mask_NL.shape[0], 1)
    if loss_type == "bnpo":
        return torch.ones_like(tokens_N) / tokens_N.sum().clamp(min=1)
    if loss_type == "grpo":
        return 1 / (tokens_N.clamp(min=1) * rows)
    if loss_type == "dr_grpo":
        return torch.full_like(tokens_N, 1 / (rows * normalizer))
    return torch.full_like(tokens_N, 1 / normalizer)  # dapo


def kl_terms(logprob_NL: Tensor, ref_logprob_NL: Tensor, kl_type: str) -> Tensor:
    """Schulman's estimators of KL(policy || reference) from the policy's own samples."""
    gap_NL = ref_logprob_NL - logprob_NL
    if kl_type == "k1":
        return -gap_NL
    if kl_type == "k2":
        return 0.5 * gap_NL.square()
    gap_NL = gap_NL.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return torch.expm1(gap_NL) - gap_NL


def temporal_iou(pred: Tensor, target: Tensor, kind: str = "iou") -> Tensor:
    pred, target = torch.broadcast_tensors(pred, target)
    pred_start, pred_end = pred.unbind(-1)
    start, end = target.unbind(-1)
    hull = torch.maximum(pred_end, end) - torch.minimum(pred_start, start)
    valid = torch.isfinite(pred).all(-1) & torch.isfinite(target).all(-1) & (pred_end >= pred_start) & (end >= start)
    valid = valid & (hull > 0)

    def where_valid(x: Tensor, otherwise: float) -> Tensor:
        return torch.where(valid, x, x.new_tensor(otherwise))

    # an invalid interval is replaced before any arithmetic, so that its NaN reaches no gradient either
    pred_start, start = where_valid(pred_start, 0.0), where_valid(start, 0.0)
    pred_end, end = where_valid(pred_end, 1.0), where_valid(end, 1.0)
    hull = torch.maximum(pred_end, end) - torch.minimum(pred_start, start)
    inter = (torch.minimum(pred_end, end) - torch.maximum(pred_start, start)).clamp(min=0)
    union = (pred_end - pred_start) + (end - start) - inter
    iou = torch.where(union > 0, inter / torch.where(union > 0, union, 1.0), 0.0)  # two points share nothing
    if kind == "iou":
        return where_valid(iou, 0.0)
    if kind == "hull":
        return where_valid(inter / hull, 0.0)
    if kind == "giou":
        return where_valid(iou - (hull - union) / hull, -1.0)
    centre_gap = (pred_start + pred_end - start - end) / 2
    return where_valid(iou - (centre_gap / hull).square(), -1.0)  # diou


def temporal_iou_pairwise(pred_N2: Tensor, target_M2: Tensor, kind: str = "iou") -> Tensor:
    return temporal_iou(pred_N2[:, None], target_M2[None], kind)


def temporal_iou_sets(pred_K2: Tensor, pred_offsets_B1: Tensor, target_J2: Tensor, target_offsets_B1: Tensor) -> Tensor:
    pred_offsets, target_offsets = pred_offsets_B1.tolist(), target_offsets_B1.tolist()
    score_B = pred_K2.new_zeros(len(pred_offsets) - 1)
    for b in range(len(pred_offsets) - 1):
        pred = _drop_invalid(pred_K2[pred_offsets[b] : pred_offsets[b + 1]])
        target = _drop_invalid(target_J2[target_offsets[b] : target_offsets[b + 1]])
        cut_E = torch.cat([pred.flatten(), target.flatten()]).unique(sorted=True)
        if cut_E.numel() < 2:
            continue
        # between two neighbouring end points nothing changes: a piece lies in a set or it does not
        piece_E, left_E = cut_E.diff(), cut_E[:-1]
        in_pred_E, in_target_E = _covers(pred, left_E), _covers(target, left_E)
        union = piece_E[in_pred_E | in_target_E].sum()
        if union > 0:
            score_B[b] = piece_E[in_pred_E & in_target_E].sum() / union
    return score_B


def _drop_invalid(span_K2: Tensor) -> Tensor:
    return span_K2[torch.isfinite(span_K2).all(-1) & (span_K2[:, 1] > span_K2[:, 0])]


def _covers(span_K2: Tensor, left_E: Tensor) -> Tensor:
    return ((span_K2[:, :1] <= left_E) & (left_E < span_K2[:, 1:])).any(0)
