"""policy_loss: the GRPO family's loss, its gradient and its logged numbers in one pass."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor
from .reference import STATS, wide_dtype

LOSS_TYPES = ("bnpo", "grpo", "dr_grpo", "dapo")
RATIO_LEVELS = ("token", "sequence")
KL_TYPES = ("k1", "k2", "k3")


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
    ratio_level: str = "token",
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl_coef: float = 0.0,
    kl_type: str = "k3",
    kl_clamp: float | None = 10.0,
    entropy_coef: float = 0.0,
    importance_cap: float | None = None,
    normalizer: float | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Clipped policy loss of N answers of at most L tokens.

        ratio  = exp(logprob - old)                              ratio_level "token"
               = exp(mean over the answer of (logprob - old))    "sequence" (GSPO)
        policy = -min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A) * min(exp(old - sampler), importance_cap)
        kl     = k1: logprob - ref   k2: (logprob - ref)^2 / 2   k3: exp(ref - logprob) - (ref - logprob) - 1
        loss   = agg(policy) + kl_coef * agg(kl) - entropy_coef * agg(entropy)

    agg, over the tokens of the mask:

        bnpo     mean over the tokens of this call: the paper's (papers A3, grade C)
        grpo     mean over answers of each answer's token mean; an empty answer counts as 0
        dr_grpo  sum / (N * normalizer), normalizer = the longest answer allowed
        dapo     sum / normalizer, normalizer = the tokens of the whole update

    Differences of log-probs are limited to ±20 before exp, and kl to ±kl_clamp (the paper's 10, grade C), with gradient
    0 beyond: finite inputs give a finite loss and gradient. Masked positions may hold anything, NaN included.

    Args:
        logprob_NL: of the policy, floating; the gradient goes here.
        old_logprob_NL: of the policy that was updated from (detached `logprob` for one update a rollout).
        advantage_N: one number an answer.
        mask_NL: bool or 0/1; true at the tokens that count.
        ref_logprob: (N, L) of the reference policy; needed where kl_coef > 0, else only measured.
        entropy: (N, L) of the policy, in nats; its gradient goes back too. Needed where entropy_coef is not 0.
        sampler_logprob: (N, L) as the sampler reported them; the importance weight is a constant, without gradient.
        importance_cap: > 0; None measures the mismatch and weighs nothing.
        clip_low, clip_high: >= 0. kl_clamp: > 0, or None for none. normalizer: > 0, for dr_grpo and dapo only.

    Returns:
        (loss, stats): 0-d float32 (float64 for float64), differentiable once in logprob and entropy; and a dict of
        detached 0-d tensors: policy, kl, entropy (aggregated as in the loss, the last two where given); over
        tokens ratio_mean, ratio_max, clip_low_frac (A < 0, ratio below), clip_high_frac (A > 0, ratio above), old_kl
        (mean of old - logprob), tokens; with sampler_logprob mismatch_mean, mismatch_max (of |old - sampler|) and,
        with a cap, importance_mean.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    check_tensor("logprob", logprob_NL, ndim=2, floating=True)
    shape, device = tuple(logprob_NL.shape), logprob_NL.device
    check_tensor("old_logprob", old_logprob_NL, ndim=2, floating=True)
    check_tensor("advantage", advantage_N, ndim=1, floating=True)
    check_tensor("mask", mask_NL, ndim=2)
    check_shape("advantage", advantage_N, shape[:1], "one an answer")
    optional = {"ref_logprob": ref_logprob, "entropy": entropy, "sampler_logprob": sampler_logprob}
    for name, value in optional.items():
        if value is not None:
            check_tensor(name, value, ndim=2, floating=True)
    same = {"old_logprob": old_logprob_NL, "mask": mask_NL, **optional}
    for name, value in same.items():
        if value is not None:
            check_shape(name, value, shape, "as logprob")
            check_device(name, value, device, "logprob")
    check_device("advantage", advantage_N, device, "logprob")
    check_options(
        loss_type,
        ratio_level,
        clip_low,
        clip_high,
        kl_coef,
        kl_type,
        kl_clamp,
        entropy_coef,
        importance_cap,
        normalizer,
    )
    if kl_coef != 0 and ref_logprob is None:
        raise ValueError(f"ref_logprob must be given where kl_coef is not 0, got None with kl_coef={kl_coef}")
    if entropy_coef != 0 and entropy is None:
        raise ValueError(f"entropy must be given where entropy_coef is not 0, got None with {entropy_coef=}")
    if importance_cap is not None and sampler_logprob is None:
        raise ValueError("sampler_logprob must be given with importance_cap, got None")

    dtype = wide_dtype(logprob_NL.dtype)
    loss, stats, _, _ = torch.ops.videostr.policy_loss(
        logprob_NL.to(dtype),
        old_logprob_NL.detach().to(dtype),
        advantage_N.detach().to(dtype),
        mask_NL.bool(),
        reference.token_weights(mask_NL, loss_type, normalizer).to(dtype),
        None if ref_logprob is None else ref_logprob.detach().to(dtype),
        None if entropy is None else entropy.to(dtype),
        None if sampler_logprob is None else sampler_logprob.detach().to(dtype),
        ratio_level,
        float(clip_low),
        float(clip_high),
        float(kl_coef),
        kl_type,
        None if kl_clamp is None else float(kl_clamp),
        float(entropy_coef),
        None if importance_cap is None else float(importance_cap),
    )
    return loss, named_stats(stats, ref_logprob, entropy, sampler_logprob, importance_cap)


def check_options(
    loss_type, ratio_level, clip_low, clip_high, kl_coef, kl_type, kl_clamp, entropy_coef, importance_cap, normalizer
) -> None:
    """Raise what `policy_loss` raises for its options."""
    check_choice("loss_type", loss_type, LOSS_TYPES)
    check_choice("ratio_level", ratio_level, RATIO_LEVELS)
    check_choice("kl_type", kl_type, KL_TYPES)
    check_number("clip_low", clip_low, at_least=0)
    check_number("clip_high", clip_high, at_least=0)
    check_number("kl_coef", kl_coef, at_least=0)
    check_number("entropy_coef", entropy_coef)
    for name, value in (("kl_clamp", kl_clamp), ("importance_cap", importance_cap), ("normalizer", normalizer)):
        if value is not None:
            check_number(name, value, above=0)
    if (normalizer is None) == (loss_type in ("dr_grpo", "dapo")):
        raise ValueError(f"normalizer must be given for dr_grpo and dapo only, got {normalizer} with {loss_type}")


def named_stats(stats: Tensor, ref_logprob, entropy, sampler_logprob, importance_cap) -> dict[str, Tensor]:
    """The operator's statistics by name, without those for which there was no input."""
    absent = {
        "kl": ref_logprob is None,
        "entropy": entropy is None,
        "importance_mean": importance_cap is None,
        "mismatch_mean": sampler_logprob is None,
        "mismatch_max": sampler_logprob is None,
    }
    return {name: value for name, value in zip(STATS, stats.unbind(), strict=True) if not absent.get(name)}


@torch.library.register_fake("videostr::policy_loss")
def _fake(logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, *_):
    return (
        logprob.new_empty(()),
        logprob.new_empty(len(STATS)),
        logprob.new_empty(logprob.shape),
        logprob.new_empty((0, 0) if entropy is None else logprob.shape),
    )


@any_device("policy_loss")
def _torch(
    logprob,
    old_logprob,
    advantage,
    mask,
    weight,
    ref_logprob,
    entropy,
    sampler_logprob,
    ratio_level,
    clip_low,
    clip_high,
    kl_coef,
    kl_type,
    kl_clamp,
    entropy_coef,
    importance_cap,
):
    def loss_of(logprob, entropy):
        return reference.weighted_policy_loss(
            logprob,
            old_logprob,
            advantage,
            mask,
            weight,
            ref_logprob,
            entropy,
            sampler_logprob,
            ratio_level=ratio_level,
            clip_low=clip_low,
            clip_high=clip_high,
            kl_coef=kl_coef,
            kl_type=kl_type,
            kl_clamp=kl_clamp,
            entropy_coef=entropy_coef,
            importance_cap=importance_cap,
        )

    # func.grad brings its own autograd, which an operator's kernel otherwise runs below
    wanted = (0,) if entropy is None else (0, 1)
    grads, (loss, stats) = torch.func.grad_and_value(loss_of, argnums=wanted, has_aux=True)(logprob, entropy)
    packed = torch.stack([stats.get(name, loss.new_zeros(())) for name in STATS])
    return loss, packed, grads[0], logprob.new_empty((0, 0)) if entropy is None else grads[1]


def _setup_context(ctx, inputs, output):
    _, stats, grad_logprob, grad_entropy = output
    ctx.mark_non_differentiable(stats, grad_logprob, grad_entropy)
    ctx.save_for_backward(grad_logprob, grad_entropy)


def _autograd_backward(ctx, grad_loss, *_):
    grad_logprob, grad_entropy = ctx.saved_tensors
    need_logprob, need_entropy = ctx.needs_input_grad[0], ctx.needs_input_grad[6]
    grads = [None] * 16
    if need_logprob:
        grads[0] = grad_loss * grad_logprob
    if need_entropy:
        grads[6] = grad_loss * grad_entropy
    return tuple(grads)


torch.library.register_autograd("videostr::policy_loss", _autograd_backward, setup_context=_setup_context)
