"""logprob_rows: a program a row of logits, which it walks block by block.

Forward: an online softmax keeps the largest logit, the sum of e^(z - m) and the sum of (z - m) e^(z - m). Backward: the
row is read once more and overwritten with its gradient. Formulas: videostr/ops/linear_logprob.py.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

NUM_WARPS = 8


@triton.jit
def _tanh(x):
    """By exp, as Triton has no tanh of its own: exact to a rounding of 1, which is all a soft-cap needs."""
    e = tl.exp(-2.0 * tl.abs(x))
    t = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def _scaled(raw, bias_ptr, at, inside, inv_t, SCALE: tl.constexpr, CAP: tl.constexpr, HAS_BIAS: tl.constexpr):
    """Raw products -> (scaled logits, d(capped)/d(raw)); -inf outside the row and at excluded ids."""
    if HAS_BIAS:
        raw += tl.load(bias_ptr + at, mask=inside, other=0.0)
    z = tl.where(inside, raw * SCALE, float("-inf"))
    slope = tl.zeros_like(z) + 1.0
    if CAP > 0:
        excluded = z == float("-inf")
        t = _tanh(tl.where(excluded, 0.0, z) / CAP)
        slope = tl.where(excluded, 0.0, 1.0 - t * t)
        z = tl.where(excluded, z, CAP * t)
    return z * inv_t, slope


@triton.jit
def logprob_rows_kernel(
    logits_ptr,  # [N, V]
    target_ptr,  # [N] int64
    bias_ptr,  # [V], anything without HAS_BIAS
    temperature_ptr,  # [N]
    logprob_ptr,  # [N]
    entropy_ptr,  # [N]
    lse_ptr,  # [N]
    V,
    SCALE: tl.constexpr,  # not arguments, which would be rounded to float32
    CAP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    inv_t = 1.0 / tl.load(temperature_ptr + row)
    zero = tl.sum(tl.zeros([BLOCK], dtype=lse_ptr.dtype.element_ty))
    largest, total, weighted, at_target = zero + float("-inf"), zero, zero, zero + float("-inf")
    for start in range(0, V, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < V
        raw = tl.load(logits_ptr + row * V + at, mask=inside, other=0.0).to(zero.dtype)  # [BLOCK]
        z, _ = _scaled(raw, bias_ptr, at, inside, inv_t, SCALE, CAP, HAS_BIAS)
        at_target = tl.maximum(at_target, tl.max(tl.where(at == target, z, float("-inf")), axis=0))
        above = tl.maximum(largest, tl.max(z, axis=0))
        # Nothing but excluded ids so far: -inf - -inf would be NaN.
        anchor = tl.where(above == float("-inf"), 0.0, above)
        shift = tl.where(largest == float("-inf"), 0.0, largest - anchor)
        rescale = tl.exp(shift)
        weighted = rescale * (weighted + shift * total)
        total = total * rescale
        away = tl.where(z == float("-inf"), 0.0, z - anchor)
        e = tl.where(z == float("-inf"), 0.0, tl.exp(away))
        total += tl.sum(e, axis=0)
        weighted += tl.sum(away * e, axis=0)
        largest = above
    none = total == 0.0  # every id is excluded
    log_total = tl.log(tl.where(none, 1.0, total))
    tl.store(lse_ptr + row, largest + log_total)
    tl.store(logprob_ptr + row, tl.where(none, largest, at_target - largest - log_total))
    tl.store(entropy_ptr + row, tl.where(none, 0.0, log_total - weighted / total))


@triton.jit
def logprob_rows_backward_kernel(
    logits_ptr,  # [N, V], overwritten
    grad_logprob_ptr,  # [N]
    grad_entropy_ptr,  # [N]
    target_ptr,  # [N] int64
    bias_ptr,  # [V], anything without HAS_BIAS
    temperature_ptr,  # [N]
    entropy_ptr,  # [N]
    lse_ptr,  # [N]
    V,
    SCALE: tl.constexpr,
    CAP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    inv_t = 1.0 / tl.load(temperature_ptr + row)
    g, h = tl.load(grad_logprob_ptr + row), tl.load(grad_entropy_ptr + row)
    entropy, lse = tl.load(entropy_ptr + row), tl.load(lse_ptr + row)
    for start in range(0, V, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < V
        raw = tl.load(logits_ptr + row * V + at, mask=inside, other=0.0).to(lse.dtype)  # [BLOCK]
        z, slope = _scaled(raw, bias_ptr, at, inside, inv_t, SCALE, CAP, HAS_BIAS)
        excluded = z == float("-inf")
        logprob = tl.where(excluded, 0.0, z - lse)
        p = tl.where(excluded, 0.0, tl.exp(logprob))
        grad = tl.where((at == target) & ~excluded, g, 0.0) - p * (g + h * (logprob + entropy))
        grad = grad * slope * (inv_t * SCALE)
        tl.store(logits_ptr + row * V + at, grad.to(logits_ptr.dtype.element_ty), mask=inside)


def _head(bias: Tensor | None, placeholder: Tensor, softcap: float | None, logit_scale: float, block: int) -> tuple:
    options = {"SCALE": logit_scale, "CAP": softcap or 0.0, "HAS_BIAS": bias is not None, "BLOCK": block}
    return (placeholder if bias is None else bias), options | {"num_warps": NUM_WARPS}


def logprob_rows(
    logits: Tensor,
    target: Tensor,
    bias: Tensor | None,
    temperature: Tensor,
    softcap: float | None,
    logit_scale: float,
    block: int = 2048,
) -> tuple[Tensor, Tensor, Tensor]:
    """The operator `videostr::logprob_rows` on contiguous tensors of one device."""
    rows, vocabulary = logits.shape
    wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
    logprob = logits.new_empty(rows, dtype=wide)
    entropy, lse = torch.empty_like(logprob), torch.empty_like(logprob)
    bias, options = _head(bias, logprob, softcap, logit_scale, block)
    if rows:
        logprob_rows_kernel[(rows,)](logits, target, bias, temperature, logprob, entropy, lse, vocabulary, **options)
    return logprob, entropy, lse


def logprob_rows_backward_(
    logits: Tensor,
    grad_logprob: Tensor,
    grad_entropy: Tensor,
    entropy: Tensor,
    lse: Tensor,
    target: Tensor,
    bias: Tensor | None,
    temperature: Tensor,
    softcap: float | None,
    logit_scale: float,
    block: int = 2048,
) -> None:
    """The operator `videostr::logprob_rows_backward_` on contiguous tensors of one device."""
    rows, vocabulary = logits.shape
    bias, options = _head(bias, lse, softcap, logit_scale, block)
    if rows:
        logprob_rows_backward_kernel[(rows,)](
            logits, grad_logprob, grad_entropy, target, bias, temperature, entropy, lse, vocabulary, **options
        )
