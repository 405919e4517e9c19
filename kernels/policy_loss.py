"""policy_loss: a program a few answers, all their tokens in one walk; then a single program adds up the partial sums.

No atomics: the result does not depend on the order in which programs run. Formulas: videostr/ops/policy_loss.py. The
options are constants of the compiled kernel, so that none is rounded to float32 on the way: a new value compiles anew.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

NUM_WARPS = 4
OBJECTIVES = {"clip": 0, "sequence": 1, "cispo": 2, "sapo": 3, "vespo": 4}
KL_TYPES = {"k1": 1, "k2": 2, "k3": 3}
IMPORTANCE = {None: 0, "token_truncate": 1, "token_mask": 2, "sequence_truncate": 3, "sequence_mask": 4}
STATS = 14  # reference.STATS; the places below are theirs
LIMIT = tl.constexpr(20.0)  # reference.LOG_RATIO_LIMIT
LOG_TINY = tl.constexpr(-18.420680743952367)  # reference.LOG_TINY


@triton.jit
def _number(VALUE: tl.constexpr, like):
    """A constant in the dtype of a tensor; written out it would be a float32 in `where`, `minimum` and `maximum`."""
    return tl.full((), VALUE, like.dtype)


@triton.jit
def _between(x, LEAST: tl.constexpr, MOST: tl.constexpr):
    return tl.minimum(tl.maximum(x, _number(LEAST, x)), _number(MOST, x))


@triton.jit
def _limited(x):
    return _between(x, -LIMIT, LIMIT)


@triton.jit
def _exp_minus_1_minus_x(x, TERMS: tl.constexpr):
    """Near 0 the difference would cancel: x^2 / 2 (1 + x / 3 (1 + x / 4 (1 + ...)))."""
    series = x * 0.0 + 1.0
    for k in tl.static_range(TERMS):
        series = 1.0 + x / (TERMS + 2 - k) * series
    return tl.where(tl.abs(x) < 1.0, 0.5 * x * x * series, tl.exp(x) - 1.0 - x)


@triton.jit
def _weighed(gap, MASKS: tl.constexpr, LEAST: tl.constexpr, MOST: tl.constexpr):
    q = tl.exp(_limited(gap))
    if MASKS:
        return tl.where((q < LEAST) | (q > MOST), 0.0, q)
    return _between(q, LEAST, MOST)


@triton.jit
def _tokens(ptr, at, within, keep):
    """Padding may hold anything, NaN included, and is loaded all the same: a mask with holes allows no wide load."""
    x = tl.load(ptr + at, mask=within, other=0.0)
    return tl.where(keep, x, 0.0)


@triton.jit
def policy_loss_kernel(
    logprob_ptr,  # [N, L], as all that follows but
    old_ptr,
    advantage_ptr,  # [N]
    mask_ptr,  # bool
    weight_ptr,  # [N]
    ref_ptr,  # anything without HAS_REF, and so on
    entropy_ptr,
    sampler_ptr,
    grad_logprob_ptr,
    grad_entropy_ptr,
    partial_ptr,  # [programs, STATS] float64
    N,
    L,
    HAS_REF: tl.constexpr,
    HAS_ENTROPY: tl.constexpr,
    HAS_SAMPLER: tl.constexpr,
    OBJECTIVE: tl.constexpr,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    CAP: tl.constexpr,
    SAPO_ABOVE: tl.constexpr,
    SAPO_BELOW: tl.constexpr,
    K_ABOVE: tl.constexpr,
    K_BELOW: tl.constexpr,
    LAMBDA_ABOVE: tl.constexpr,
    LAMBDA_BELOW: tl.constexpr,
    KL_COEF: tl.constexpr,
    KL_TYPE: tl.constexpr,
    KL_CLAMP: tl.constexpr,
    KL_BIAS_CORRECTION: tl.constexpr,
    ENTROPY_COEF: tl.constexpr,
    IMPORTANCE: tl.constexpr,
    IMPORTANCE_MIN: tl.constexpr,
    IMPORTANCE_MAX: tl.constexpr,
    TERMS: tl.constexpr,
    STATS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    row = program * ROWS + tl.arange(0, ROWS)  # [ROWS]
    inside = row < N
    advantage = tl.load(advantage_ptr + row, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + row, mask=inside, other=0.0)
    zero = advantage * 0.0  # an infinite advantage is the caller's
    MASKS: tl.constexpr = (IMPORTANCE == 2) or (IMPORTANCE == 4)
    BY_ANSWER: tl.constexpr = IMPORTANCE >= 3

    tokens, answer_ratio, answer_importance, phi = zero, zero, zero, zero
    if (OBJECTIVE == 1) or (OBJECTIVE == 4) or BY_ANSWER:
        delta_sum, limited_sum, gap_sum = zero, zero, zero
        for start in range(0, L, COLUMNS):
            column = start + tl.arange(0, COLUMNS)
            within = inside[:, None] & (column < L)[None, :]
            at = row[:, None] * L + column[None, :]
            keep = within & tl.load(mask_ptr + at, mask=within, other=0).to(tl.int1)
            old = _tokens(old_ptr, at, within, keep)
            delta = _tokens(logprob_ptr, at, within, keep) - old
            tokens += tl.sum(tl.where(keep, 1.0, 0.0).to(zero.dtype), axis=1)
            delta_sum += tl.sum(delta, axis=1)
            if IMPORTANCE > 0:
                gap = old - _tokens(sampler_ptr, at, within, keep)
                gap_sum += tl.sum(gap, axis=1)
            if OBJECTIVE == 4:
                log_w = _limited(delta)
                if IMPORTANCE > 0:
                    importance = _weighed(gap, MASKS, IMPORTANCE_MIN, IMPORTANCE_MAX)
                    empty = importance == 0.0
                    logged = tl.log(tl.where(empty, 1.0, importance))
                    log_w += _between(tl.where(empty, _number(LOG_TINY, logged), logged), LOG_TINY, LIMIT)
                limited_sum += tl.sum(tl.where(keep, log_w, 0.0), axis=1)
        answer_ratio = delta_sum / tl.maximum(tokens, 1.0)
        answer_importance = _weighed(gap_sum, MASKS, IMPORTANCE_MIN, IMPORTANCE_MAX)
        log_w_sum = _between(limited_sum, LOG_TINY, LIMIT)
        k = tl.where(advantage >= 0, _number(K_ABOVE, zero), _number(K_BELOW, zero))
        rate = tl.where(advantage >= 0, _number(LAMBDA_ABOVE, zero), _number(LAMBDA_BELOW, zero))
        phi = tl.exp(rate + k * log_w_sum - rate * tl.exp(log_w_sum))

    policy_sum, kl_sum, entropy_sum, ratio_sum, ratio_max, low_sum, high_sum = zero, zero, zero, zero, zero, zero, zero
    old_kl_sum, importance_sum, mismatch_sum, mismatch_max = zero, zero, zero, zero
    weight_sum, square_sum, token_sum, shared = zero, zero, zero, zero
    for start in range(0, L, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        within = inside[:, None] & (column < L)[None, :]
        at = row[:, None] * L + column[None, :]
        keep = within & tl.load(mask_ptr + at, mask=within, other=0).to(tl.int1)
        logprob, old = _tokens(logprob_ptr, at, within, keep), _tokens(old_ptr, at, within, keep)
        delta = logprob - old  # [ROWS, COLUMNS]
        a = advantage[:, None] + delta * 0.0
        log_ratio = delta
        if OBJECTIVE == 1:
            log_ratio = answer_ratio[:, None] + delta * 0.0
        limited = _limited(log_ratio)
        ratio = tl.exp(limited)
        ratio_slope = tl.where(limited == log_ratio, ratio, 0.0)

        if OBJECTIVE <= 1:
            plain = tl.minimum(ratio, _number(CAP, ratio)) * a
            clipped = _between(ratio, LOW, HIGH) * a
            policy = -tl.minimum(plain, clipped)
            grad = tl.where((plain <= clipped) & (ratio <= CAP), -ratio_slope * a, 0.0)
        elif OBJECTIVE == 2:
            grad = -tl.minimum(ratio, _number(HIGH, ratio)) * a
            policy = grad * logprob
        elif OBJECTIVE == 3:
            temperature = tl.where(a > 0, _number(SAPO_ABOVE, a), _number(SAPO_BELOW, a))
            gate = 1.0 / (1.0 + tl.exp(-temperature * (ratio - 1.0)))
            policy = -gate * (4.0 / temperature) * a
            grad = -4.0 * gate * (1.0 - gate) * ratio_slope * a
        else:
            grad = -phi[:, None] * a
            policy = grad * logprob

        importance = ratio * 0.0 + 1.0
        if HAS_SAMPLER:
            gap = old - _tokens(sampler_ptr, at, within, keep)
            mismatch_sum += tl.sum(tl.abs(gap), axis=1)
            mismatch_max = tl.maximum(mismatch_max, tl.max(tl.abs(gap), axis=1))
            if BY_ANSWER:
                importance = answer_importance[:, None] + ratio * 0.0
            elif IMPORTANCE > 0:
                importance = _weighed(gap, MASKS, IMPORTANCE_MIN, IMPORTANCE_MAX)
            if IMPORTANCE > 0:
                importance_sum += tl.sum(tl.where(keep, importance, 0.0), axis=1)
            if OBJECTIVE != 4:  # its phi has the weight already
                policy *= importance
                grad *= importance

        grad = tl.where(keep, grad, 0.0)
        policy_sum += tl.sum(tl.where(keep, policy, 0.0), axis=1)
        if OBJECTIVE == 1:
            shared += tl.sum(grad, axis=1)
            grad = grad * 0.0
        if HAS_REF:
            away = _tokens(ref_ptr, at, within, keep) - logprob
            if KL_TYPE == 1:
                kl = -away
                slope = away * 0.0 + 1.0
            elif KL_TYPE == 2:
                kl = 0.5 * away * away
                slope = -away
            else:
                near = _limited(away)
                kl = _exp_minus_1_minus_x(near, TERMS)
                slope = tl.where(near == away, -(kl + near), 0.0)
            bounded = _between(kl, -KL_CLAMP, KL_CLAMP)
            slope = tl.where(bounded == kl, slope, 0.0)
            kl = bounded
            if KL_BIAS_CORRECTION:
                by_ratio = kl * ratio_slope
                slope = slope * ratio
                if OBJECTIVE == 1:
                    shared += KL_COEF * tl.sum(tl.where(keep, by_ratio, 0.0), axis=1)
                else:
                    slope += by_ratio
                kl = kl * ratio
            kl_sum += tl.sum(tl.where(keep, kl, 0.0), axis=1)
            grad += tl.where(keep, KL_COEF * slope, 0.0)
        tl.store(grad_logprob_ptr + at, grad * weight[:, None], mask=within)
        if HAS_ENTROPY:
            entropy_sum += tl.sum(_tokens(entropy_ptr, at, within, keep), axis=1)
            grad_entropy = tl.where(keep, -ENTROPY_COEF * weight[:, None], 0.0)
            tl.store(grad_entropy_ptr + at, grad_entropy.to(zero.dtype), mask=within)

        kept = tl.where(keep, ratio, 0.0)
        w = kept * importance
        ratio_sum += tl.sum(kept, axis=1)
        ratio_max = tl.maximum(ratio_max, tl.max(kept, axis=1))
        low_sum += tl.sum(tl.where(keep & (ratio < LOW) & (a < 0), 1.0, 0.0).to(zero.dtype), axis=1)
        high_sum += tl.sum(tl.where(keep & (ratio > HIGH) & (a > 0), 1.0, 0.0).to(zero.dtype), axis=1)
        old_kl_sum -= tl.sum(delta, axis=1)
        weight_sum += tl.sum(w, axis=1)
        square_sum += tl.sum(w * w, axis=1)
        token_sum += tl.sum(tl.where(keep, 1.0, 0.0).to(zero.dtype), axis=1)

    if OBJECTIVE == 1:
        share = shared * weight / tl.maximum(tokens, 1.0)
        for start in range(0, L, COLUMNS):
            column = start + tl.arange(0, COLUMNS)
            within = inside[:, None] & (column < L)[None, :]
            at = row[:, None] * L + column[None, :]
            keep = within & tl.load(mask_ptr + at, mask=within, other=0).to(tl.int1)
            grad = tl.load(grad_logprob_ptr + at, mask=within, other=0.0)
            tl.store(grad_logprob_ptr + at, grad + tl.where(keep, share[:, None], 0.0), mask=within)

    out = partial_ptr + program * STATS
    counts = token_sum > 0  # an answer without tokens adds nothing, whatever its weight
    tl.store(out + 0, tl.sum(tl.where(counts, policy_sum.to(tl.float64) * weight, 0.0), axis=0))
    tl.store(out + 1, tl.sum(tl.where(counts, kl_sum.to(tl.float64) * weight, 0.0), axis=0))
    tl.store(out + 2, tl.sum(tl.where(counts, entropy_sum.to(tl.float64) * weight, 0.0), axis=0))
    tl.store(out + 3, tl.sum(ratio_sum.to(tl.float64), axis=0))
    tl.store(out + 4, tl.max(ratio_max, axis=0).to(tl.float64))
    tl.store(out + 5, tl.sum(low_sum.to(tl.float64), axis=0))
    tl.store(out + 6, tl.sum(high_sum.to(tl.float64), axis=0))
    tl.store(out + 7, tl.sum(old_kl_sum.to(tl.float64), axis=0))
    tl.store(out + 8, tl.sum(importance_sum.to(tl.float64), axis=0))
    tl.store(out + 9, tl.sum(mismatch_sum.to(tl.float64), axis=0))
    tl.store(out + 10, tl.max(mismatch_max, axis=0).to(tl.float64))
    tl.store(out + 11, tl.sum(weight_sum.to(tl.float64), axis=0))
    tl.store(out + 12, tl.sum(square_sum.to(tl.float64), axis=0))
    tl.store(out + 13, tl.sum(token_sum.to(tl.float64), axis=0))


@triton.jit
def policy_loss_total_kernel(
    partial_ptr,  # [P, STATS] float64
    loss_ptr,
    stats_ptr,  # [STATS]
    P,
    KL_COEF: tl.constexpr,
    ENTROPY_COEF: tl.constexpr,
    STATS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    stat = tl.arange(0, 16)
    largest = (stat == 4) | (stat == 10)
    mean = ((stat >= 3) & (stat <= 12)) & ~largest
    total = tl.zeros([16], dtype=tl.float64)
    for start in range(0, P, BLOCK):
        program = (start + tl.arange(0, BLOCK)).to(tl.int64)
        inside = (program < P)[:, None] & (stat < STATS)[None, :]
        part = tl.load(partial_ptr + program[:, None] * STATS + stat[None, :], mask=inside, other=0.0)
        total = tl.where(largest, tl.maximum(total, tl.max(part, axis=0)), total + tl.sum(part, axis=0))
    tokens = tl.sum(tl.where(stat == 13, total, 0.0), axis=0)
    values = tl.where(mean, total / tl.maximum(tokens, 1.0), total)
    tl.store(stats_ptr + stat, values.to(stats_ptr.dtype.element_ty), mask=stat < STATS)
    policy = tl.sum(tl.where(stat == 0, total, 0.0), axis=0)
    kl = tl.sum(tl.where(stat == 1, total, 0.0), axis=0)
    entropy = tl.sum(tl.where(stat == 2, total, 0.0), axis=0)
    tl.store(loss_ptr, (policy + KL_COEF * kl - ENTROPY_COEF * entropy).to(loss_ptr.dtype.element_ty))


def policy_loss(
    logprob: Tensor,
    old_logprob: Tensor,
    advantage: Tensor,
    mask: Tensor,
    weight: Tensor,
    ref_logprob: Tensor | None,
    entropy: Tensor | None,
    sampler_logprob: Tensor | None,
    objective: str,
    clip_low: float,
    clip_high: float,
    ratio_cap: float | None,
    sapo_temperature: list[float],
    vespo_k: list[float],
    vespo_lambda: list[float],
    kl_coef: float,
    kl_type: str,
    kl_clamp: float | None,
    kl_bias_correction: bool,
    entropy_coef: float,
    importance: str | None,
    importance_min: float,
    importance_max: float,
    block: int = 512,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The operator `videostr::policy_loss` on contiguous tensors of one device; block: tokens a program has at once."""
    answers, length = logprob.shape
    columns = min(block, triton.next_power_of_2(max(1, length)))
    rows = max(1, block // columns)
    programs = triton.cdiv(answers, rows)
    loss, stats = logprob.new_empty(()), logprob.new_empty(STATS)
    grad_logprob = torch.empty_like(logprob)
    grad_entropy = logprob.new_empty((0, 0) if entropy is None else logprob.shape)
    partial = logprob.new_empty(programs, STATS, dtype=torch.float64)
    if programs:
        policy_loss_kernel[(programs,)](
            logprob,
            old_logprob,
            advantage,
            mask,
            weight,
            logprob if ref_logprob is None else ref_logprob,
            logprob if entropy is None else entropy,
            logprob if sampler_logprob is None else sampler_logprob,
            grad_logprob,
            grad_entropy,
            partial,
            answers,
            length,
            HAS_REF=ref_logprob is not None,
            HAS_ENTROPY=entropy is not None,
            HAS_SAMPLER=sampler_logprob is not None,
            OBJECTIVE=OBJECTIVES[objective],
            LOW=1.0 - clip_low,
            HIGH=1.0 + clip_high,
            CAP=float("inf") if ratio_cap is None else ratio_cap,
            SAPO_ABOVE=sapo_temperature[0],
            SAPO_BELOW=sapo_temperature[1],
            K_ABOVE=vespo_k[0],
            K_BELOW=vespo_k[1],
            LAMBDA_ABOVE=vespo_lambda[0],
            LAMBDA_BELOW=vespo_lambda[1],
            KL_COEF=kl_coef,
            KL_TYPE=KL_TYPES[kl_type],
            KL_CLAMP=float("inf") if kl_clamp is None else kl_clamp,
            KL_BIAS_CORRECTION=kl_bias_correction,
            ENTROPY_COEF=entropy_coef,
            IMPORTANCE=IMPORTANCE[importance],
            IMPORTANCE_MIN=importance_min,
            IMPORTANCE_MAX=importance_max,
            TERMS=18 if logprob.dtype == torch.float64 else 9,
            STATS=STATS,
            ROWS=rows,
            COLUMNS=columns,
            num_warps=NUM_WARPS,
        )
    policy_loss_total_kernel[(1,)](
        partial, loss, stats, programs, KL_COEF=kl_coef, ENTROPY_COEF=entropy_coef, STATS=STATS, BLOCK=64, num_warps=4
    )
    return loss, stats, grad_logprob, grad_entropy
