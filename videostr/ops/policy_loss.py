"""policy_loss: the GRPO family's loss, its gradient and its logged numbers in one pass."""

import numbers

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_choice, check_device, check_number, check_shape, check_tensor, on_cuda
from .reference import LOSS_TYPES, STATS, PolicyOptions, wide_dtype

KL_TYPES = ("k1", "k2", "k3")
IMPORTANCE = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")


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
    **options: str | float | tuple[float, float] | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Policy loss of N answers of at most L tokens.

    With d = logprob - old_logprob and the ratio r = exp(d) of each token (a log-ratio beyond +-20 counts as +-20),

        loss = sum over tokens of weight * (term * importance + kl_coef * kl - entropy_coef * entropy)

    loss_type      term of a token                                              weight of a token of N answers
    bnpo           clip: -min(min(r, ratio_cap) A, clip(r, 1-low, 1+high) A)    1 / (tokens of all answers)
    grpo           clip                                                         1 / (tokens of its answer * N)
    dr_grpo        clip                                                         1 / (N * normalizer)
    dapo           clip                                                         1 / normalizer
    gspo           clip, r = exp(mean of d over the answer)                     as grpo
    luspo          clip, r = exp(mean of d over the answer)                     1 / N
    cispo          -const(min(r, 1 + high)) A logprob                           1 / normalizer
    sapo           -sigmoid(t (r - 1)) 4 / t A, t = sapo_temperature            as grpo
    vespo          -const(phi(w)) A logprob, w = exp(sum over the answer of     1 / normalizer
                   d + log importance), phi(w) = e^b w^k e^(-b w),
                   k = vespo_k, b = vespo_lambda

    A pair, such as sapo_temperature, is for A > 0 and the rest (VESPO: A >= 0 and A < 0). `const` passes no gradient.

        kl           k1  -d    k2  d^2/2    k3  exp(d) - d - 1,  d = ref_logprob - logprob; each clamped to +-kl_clamp;
                     times r with kl_bias_correction
        importance   q = exp(old_logprob - sampler_logprob), of a token, or of an answer (the sum of the logs).
                     "truncate": clip(q, importance_min, importance_max); "mask": 0 where q is outside. None: 1

    Sources: PPO's clip (Schulman 2017); GRPO (DeepSeekMath) for "grpo", TRL's "bnpo", Dr. GRPO, DAPO (asymmetric clip,
    sum over the batch's tokens, whose number is the normalizer), GSPO, LUSPO, CISPO (MiniMax-M1), SAPO, VESPO, as TRL
    1.16 computes them (its `epsilon_high` of cispo is 1 + clip_high here, its `delta` is ratio_cap, INTELLECT-2's
    two-sided clip); estimators k1 to k3 (Schulman, "Approximating KL divergence"), bias-corrected as in DeepSeek-V3.2;
    truncated importance sampling for a sampler that is not the trainer (verl, TRL). "bnpo", clip 0.2, k3 and clamp 10
    are the temporal-grounding paper's (papers A3, grade C).

    Args:
        logprob_NL, old_logprob_NL: (N, L) floating, nats. Float64 is kept, everything else computed in float32.
        advantage_N: (N,) floating.
        mask_NL: (N, L), 1 or True where a token counts. The rest may hold anything, NaN included.
        ref_logprob: (N, L) of the reference policy; needed where kl_coef > 0, else only measured.
        entropy: (N, L) of the policy, in nats; its gradient goes back too. Needed where entropy_coef is not 0.
        sampler_logprob: (N, L) as the sampler reported them; importance is a constant, without gradient.
        loss_type: a row of the table above.
        normalizer: > 0; for dr_grpo (longest answer) and the types whose sum is over the whole update, those only.
        options, by name (defaults: `reference.PolicyOptions`): clip_low, clip_high 0.2, >= 0; ratio_cap > 1 + clip_high
            or None, of the clip types; sapo_temperature (1, 1.05), vespo_k (2, 3), vespo_lambda (3, 2), each > 0;
            kl_coef 0, >= 0; kl_type "k3"; kl_clamp 10, > 0 or None for none; kl_bias_correction False; entropy_coef 0;
            importance None to measure the mismatch and weigh nothing, or "token_truncate", "token_mask",
            "sequence_truncate", "sequence_mask" (not with vespo); importance_min 0, importance_max 2, of q.

    Returns:
        (loss, stats): 0-d float32 (float64 for float64), differentiable once in logprob and entropy; and a dict of
        detached 0-d tensors, those whose input was given:

        policy, kl, entropy: the three sums above, without their coefficients
        ratio_mean, ratio_max, old_kl (mean of -d): over the counted tokens
        clip_low_frac: share of tokens with r < 1-low and A < 0; clip_high_frac: r > 1+high and A > 0
        ess: Kish's effective sample size of the weights r * importance, as a share of the tokens: 1 when all are equal
        importance_mean; mismatch_mean, mismatch_max of |old_logprob - sampler_logprob|
        tokens: number of counted tokens

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    check_tensor("logprob", logprob_NL, ndim=2, floating=True)
    shape, device = tuple(logprob_NL.shape), logprob_NL.device
    check_tensor("mask", mask_NL, ndim=2)
    check_tensor("advantage", advantage_N, ndim=1, floating=True)
    check_shape("advantage", advantage_N, shape[:1], "one an answer")
    given = {"old_logprob": old_logprob_NL, "ref_logprob": ref_logprob, "sampler_logprob": sampler_logprob}
    for name, value in {**given, "entropy": entropy, "mask": mask_NL}.items():
        if value is not None:
            check_tensor(name, value, ndim=2, floating=None if name == "mask" else True)
            check_shape(name, value, shape, "as logprob")
            check_device(name, value, device, "logprob")
    check_device("advantage", advantage_N, device, "logprob")
    chosen = check_options(loss_type, normalizer, options, ref_logprob, entropy, sampler_logprob)

    weight_N = reference.token_weights(mask_NL, loss_type, normalizer)
    return weighted_policy_loss(
        logprob_NL,
        old_logprob_NL,
        advantage_N,
        mask_NL,
        weight_N,
        ref_logprob,
        entropy,
        sampler_logprob,
        LOSS_TYPES[loss_type].objective,
        chosen,
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
    objective: str,
    options: PolicyOptions,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`policy_loss` of checked arguments, with the weight of each of an answer's tokens given."""
    dtype = wide_dtype(logprob_NL.dtype)
    loss, stats, _, _ = torch.ops.videostr.policy_loss(
        logprob_NL.to(dtype),
        old_logprob_NL.detach().to(dtype),
        advantage_N.detach().to(dtype),
        mask_NL.bool(),
        weight_N.to(dtype),
        None if ref_logprob is None else ref_logprob.detach().to(dtype),
        None if entropy is None else entropy.to(dtype),
        None if sampler_logprob is None else sampler_logprob.detach().to(dtype),
        objective,
        *options,
    )
    return loss, named_stats(stats, options, ref_logprob, entropy, sampler_logprob)


def check_options(
    loss_type: str,
    normalizer: float | None,
    options: dict,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
) -> PolicyOptions:
    """The options with their defaults. Raises for one that is wrong or whose input is missing."""
    check_choice("loss_type", loss_type, tuple(LOSS_TYPES))
    if unknown := options.keys() - PolicyOptions._fields:
        raise TypeError(f"unknown option {min(unknown)!r}; there are {', '.join(PolicyOptions._fields)}")
    options = PolicyOptions(**options)
    check_choice("kl_type", options.kl_type, KL_TYPES)
    for name in ("clip_low", "clip_high", "kl_coef", "importance_min"):
        check_number(name, getattr(options, name), at_least=0)
    check_number("entropy_coef", options.entropy_coef)
    check_number("importance_max", options.importance_max, above=0)
    if options.importance_min > options.importance_max:
        raise ValueError(
            f"importance_min must be at most importance_max ({options.importance_max}), got {options.importance_min}"
        )
    if options.kl_clamp is not None:
        check_number("kl_clamp", options.kl_clamp, above=0)
    if options.ratio_cap is not None:  # below the clip it would be the clip
        check_number("ratio_cap", options.ratio_cap, above=1 + options.clip_high)
        if LOSS_TYPES[loss_type].objective not in ("clip", "sequence"):
            raise ValueError(f"ratio_cap is for the loss types that clip, got {options.ratio_cap} with {loss_type}")
    if not isinstance(options.kl_bias_correction, bool):
        raise TypeError(f"kl_bias_correction must be True or False, got {options.kl_bias_correction!r}")
    pairs = {
        name: _check_pair(name, getattr(options, name)) for name in ("sapo_temperature", "vespo_k", "vespo_lambda")
    }
    if options.importance is not None:
        check_choice("importance", options.importance, IMPORTANCE)
        if sampler_logprob is None:
            raise ValueError(f"sampler_logprob must be given with importance, got None with {options.importance}")
        if loss_type == "vespo" and options.importance.startswith("sequence"):
            raise ValueError(
                f"importance must be of tokens with vespo, which adds it up itself, got {options.importance}"
            )
    if options.kl_coef != 0 and ref_logprob is None:
        raise ValueError(f"ref_logprob must be given where kl_coef is not 0, got None with kl_coef={options.kl_coef}")
    if options.entropy_coef != 0 and entropy is None:
        raise ValueError(f"entropy must be given where entropy_coef is not 0, got None with {options.entropy_coef}")
    needs = [name for name, kind in LOSS_TYPES.items() if kind.aggregation.endswith("norm")]
    if (normalizer is None) == (loss_type in needs):
        raise ValueError(f"normalizer must be given for {', '.join(needs)} only, got {normalizer} with {loss_type}")
    if normalizer is not None:
        check_number("normalizer", normalizer, above=0)
    as_floats = {
        k: float(v) for k, v in options._asdict().items() if isinstance(v, numbers.Real) and type(v) is not bool
    }
    return options._replace(**as_floats | pairs)


def _check_pair(name: str, value: tuple[float, float]) -> list[float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, for positive advantages and for the others, got {value!r}")
    for number in value:
        check_number(name, number, above=0)
    return [float(number) for number in value]


def looks_ahead(loss_type: str, options: PolicyOptions) -> bool:
    """Whether a token's term depends on the log-probs of its whole answer."""
    if options.importance is not None and options.importance.startswith("sequence"):
        return True
    return LOSS_TYPES[loss_type].objective in ("sequence", "vespo")


def named_stats(
    stats: Tensor,
    options: PolicyOptions,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
) -> dict[str, Tensor]:
    """The operator's statistics by name, without those for which there was no input."""
    absent = {
        "kl": ref_logprob is None,
        "entropy": entropy is None,
        "importance_mean": options.importance is None,
        "mismatch_mean": sampler_logprob is None,
        "mismatch_max": sampler_logprob is None,
    }
    named = {name: value for name, value in zip(STATS, stats.unbind(), strict=True) if not absent.get(name, False)}
    return reference.with_sample_size(named)


@torch.library.register_fake("videostr::policy_loss")
def _fake(logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, *_):
    return (
        logprob.new_empty(()),
        logprob.new_empty(len(STATS)),
        logprob.new_empty(logprob.shape),
        logprob.new_empty((0, 0) if entropy is None else logprob.shape),
    )


@any_device("policy_loss")
def _torch(logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, sampler_logprob, objective, *options):
    def loss_of(logprob, entropy):
        inputs = (logprob, old_logprob, advantage, mask, weight, ref_logprob, entropy, sampler_logprob)
        return reference.weighted_policy_loss(*inputs, objective, PolicyOptions(*options))

    # func.grad brings its own autograd, which an operator's kernel otherwise runs below
    wanted = (0,) if entropy is None else (0, 1)
    grads, (loss, stats) = torch.func.grad_and_value(loss_of, argnums=wanted, has_aux=True)(logprob, entropy)
    packed = torch.stack([stats.get(name, loss.new_zeros(())) for name in STATS])
    return loss, packed, grads[0], logprob.new_empty((0, 0)) if entropy is None else grads[1]


@on_cuda("policy_loss")
def _triton(*arguments):
    from videostr.kernels.policy_loss import policy_loss  # imports triton, which only a GPU needs

    return policy_loss(*(x.contiguous() if isinstance(x, Tensor) else x for x in arguments))


def _setup_context(ctx, inputs, output):
    _, stats, grad_logprob, grad_entropy = output
    ctx.mark_non_differentiable(stats, grad_logprob, grad_entropy)
    ctx.set_materialize_grads(False)  # zeros as large as these
    ctx.save_for_backward(grad_logprob, grad_entropy)


def _autograd_backward(ctx, grad_loss, *_):
    grad_logprob, grad_entropy = ctx.saved_tensors
    need_logprob, need_entropy = ctx.needs_input_grad[0], ctx.needs_input_grad[6]
    grads = [None] * len(ctx.needs_input_grad)
    if grad_loss is None:
        return tuple(grads)
    if need_logprob:
        grads[0] = grad_loss * grad_logprob
    if need_entropy:
        grads[6] = grad_loss * grad_entropy
    return tuple(grads)


torch.library.register_autograd("videostr::policy_loss", _autograd_backward, setup_context=_setup_context)
