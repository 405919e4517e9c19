"""policy_loss: the GRPO family's loss, its gradient and its logged numbers in one pass."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor
from .reference import STATS, PolicyOptions, wide_dtype

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
    **options: str | float | None,
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
        options, by name (defaults: `reference.PolicyOptions`): loss_type "bnpo"; ratio_level "token"; clip_low and
            clip_high 0.2, >= 0; kl_coef 0, >= 0; kl_type "k3"; kl_clamp 10, > 0 or None for none; entropy_coef 0;
            importance_cap > 0, or None (the default) to measure the mismatch and weigh nothing; normalizer > 0, for
            dr_grpo and dapo only.

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
    options = check_options(options, ref_logprob, entropy, sampler_logprob)

    dtype = wide_dtype(logprob_NL.dtype)
    loss, stats, _, _ = torch.ops.videostr.policy_loss(
        logprob_NL.to(dtype),
        old_logprob_NL.detach().to(dtype),
        advantage_N.detach().to(dtype),
        mask_NL.bool(),
        reference.token_weights(mask_NL, options.loss_type, options.normalizer).to(dtype),
        None if ref_logprob is None else ref_logprob.detach().to(dtype),
        None if entropy is None else entropy.to(dtype),
        None if sampler_logprob is None else sampler_logprob.detach().to(dtype),
        *options[1:9],
    )
    return loss, named_stats(stats, ref_logprob, entropy, sampler_logprob, options)


def check_options(
    options: dict, ref_logprob: Tensor | None, entropy: Tensor | None, sampler_logprob: Tensor | None
) -> PolicyOptions:
    """The options with their defaults. Raises for one that is wrong or whose input is missing."""
    if unknown := options.keys() - PolicyOptions._fields:
        raise TypeError(f"unknown option {min(unknown)!r}; there are {', '.join(PolicyOptions._fields)}")
    options = PolicyOptions(**options)
    check_choice("loss_type", options.loss_type, LOSS_TYPES)
    check_choice("ratio_level", options.ratio_level, RATIO_LEVELS)
    check_choice("kl_type", options.kl_type, KL_TYPES)
    for name in ("clip_low", "clip_high", "kl_coef"):
        check_number(name, getattr(options, name), at_least=0)
    check_number("entropy_coef", options.entropy_coef)
    for name in ("kl_clamp", "importance_cap", "normalizer"):
        if getattr(options, name) is not None:
            check_number(name, getattr(options, name), above=0)
    if options.kl_coef != 0 and ref_logprob is None:
        raise ValueError(f"ref_logprob must be given where kl_coef is not 0, got None with kl_coef={options.kl_coef}")
    if options.entropy_coef != 0 and entropy is None:
        raise ValueError(f"entropy must be given where entropy_coef is not 0, got None with {options.entropy_coef}")
    if options.importance_cap is not None and sampler_logprob is None:
        raise ValueError("sampler_logprob must be given with importance_cap, got None")
    if (options.normalizer is None) == (options.loss_type in ("dr_grpo", "dapo")):
        raise ValueError(
            f"normalizer must be given for dr_grpo and dapo only, got {options.normalizer} with {options.loss_type}"
        )
    return PolicyOptions(*(x if x is None or isinstance(x, str) else float(x) for x in options))


def named_stats(
    stats: Tensor,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
    options: PolicyOptions,
) -> dict[str, Tensor]:
    """The operator's statistics by name, without those for which there was no input."""
    absent = {
        "kl": ref_logprob is None,
        "entropy": entropy is None,
        "importance_mean": options.importance_cap is None,
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
def _torch(logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, sampler_logprob, *options):
    def loss_of(logprob, entropy):
        inputs = (logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, sampler_logprob)
        return reference.weighted_policy_loss(*inputs, PolicyOptions("", *options))  # the weights say which loss it is

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
