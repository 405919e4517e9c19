"""linear_logprob: hidden states and head -> log-prob of the target and entropy, the logits never whole."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_device, check_number, check_shape, check_tensor, readable
from .reference import wide_dtype

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
CHUNK_BYTES = 256 << 20  # of wide logits at a time, on devices without a kernel


def linear_logprob(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each row's target, and entropy of each row, under softmax(z).

        z = cap(hidden @ weight.T + bias) / temperature,  cap(x) = softcap * tanh(x / softcap)

    Rows are taken in chunks; the backward makes a chunk's logits again and uses the closed form
    dz_j = g (δ_j - p_j) - h p_j (log p_j + H), with g and h the gradients of log-prob and entropy.

    Args:
        hidden_ND: float32, bfloat16, float16 or float64. N may be 0.
        weight_VD: the head, same dtype (under autocast both are cast as `F.linear` would).
        target_N: integer ids in [0, V). Drop masked rows before the call: there is no ignored id.
        bias: (V,) floating or None. -inf excludes an id: probability 0, no part in the entropy, no gradient; a target
            that is excluded has log-prob -inf. At least one id must be left.
        temperature: > 0.
        softcap: > 0, or None for none. Excluded ids stay excluded.

    Returns:
        (logprob_N, entropy_N), float32 (float64 for float64 inputs), in nats; both differentiable once in hidden,
        weight and bias. Sums, and the gradient of the weight, are kept in float32 at least.

    Raises:
        TypeError, ValueError: an argument is not as above (the range of target is checked on the CPU only).
    """
    check_tensor("hidden", hidden_ND, ndim=2, floating=True)
    check_tensor("weight", weight_VD, ndim=2, floating=True)
    check_tensor("target", target_N, ndim=1, floating=False)
    check_shape("target", target_N, (hidden_ND.shape[0],), "one id a row of hidden")
    if weight_VD.shape[1] != hidden_ND.shape[1] or weight_VD.shape[0] == 0:
        expected = f"(V, {hidden_ND.shape[1]}) with V > 0, as hidden is {tuple(hidden_ND.shape)}"
        raise ValueError(f"weight must have shape {expected}, got {tuple(weight_VD.shape)}")
    check_device("weight", weight_VD, hidden_ND.device, "hidden")
    check_device("target", target_N, hidden_ND.device, "hidden")
    check_number("temperature", temperature, above=0)
    if softcap is not None:
        check_number("softcap", softcap, above=0)
    hidden_ND, weight_VD = _autocast(hidden_ND, weight_VD)
    if hidden_ND.dtype != weight_VD.dtype:
        raise TypeError(f"hidden and weight must have one dtype, got {hidden_ND.dtype} and {weight_VD.dtype}")
    if hidden_ND.dtype not in DTYPES:
        raise TypeError(f"hidden must be float32, bfloat16, float16 or float64, got {hidden_ND.dtype}")
    if bias is not None:
        check_tensor("bias", bias, ndim=1, floating=True)
        check_shape("bias", bias, (weight_VD.shape[0],), "one value an id")
        check_device("bias", bias, hidden_ND.device, "hidden")
        bias = bias.to(wide_dtype(hidden_ND.dtype))
    target_N = target_N.long()
    if readable(target_N) and target_N.numel():
        low, high = int(target_N.min()), int(target_N.max())
        if low < 0 or high >= weight_VD.shape[0]:
            bad = low if low < 0 else high
            raise ValueError(f"target must hold ids in [0, {weight_VD.shape[0]}), got {bad}; drop masked rows first")
    logprob_N, entropy_N, _ = torch.ops.videostr.linear_logprob(
        hidden_ND, weight_VD, target_N, bias, float(temperature), None if softcap is None else float(softcap)
    )
    return logprob_N, entropy_N


def _autocast(hidden_ND: Tensor, weight_VD: Tensor) -> tuple[Tensor, Tensor]:
    device = hidden_ND.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return hidden_ND, weight_VD
    dtype = torch.get_autocast_dtype(device)
    return tuple(x if x.dtype == torch.float64 else x.to(dtype) for x in (hidden_ND, weight_VD))


@torch.library.register_fake("videostr::linear_logprob")
def _fake(hidden, weight, target, bias, temperature, softcap):
    row = hidden.new_empty(hidden.shape[0], dtype=wide_dtype(hidden.dtype))
    return row, torch.empty_like(row), torch.empty_like(row)


@torch.library.register_fake("videostr::linear_logprob_backward")
def _fake_backward(
    grad_logprob,
    grad_entropy,
    hidden,
    weight,
    target,
    bias,
    entropy,
    lse,
    temperature,
    softcap,
    need_hidden,
    need_weight,
    need_bias,
):
    return (
        hidden.new_empty(hidden.shape if need_hidden else (0,)),
        hidden.new_empty(weight.shape if need_weight else (0,)),
        hidden.new_empty(weight.shape[:1] if need_bias else (0,), dtype=wide_dtype(hidden.dtype)),
    )


def _chunks(rows: int, vocabulary: int):
    step = max(16, CHUNK_BYTES // (8 * vocabulary))
    return (slice(begin, min(begin + step, rows)) for begin in range(0, rows, step))


@any_device("linear_logprob")
def _torch_forward(hidden, weight, target, bias, temperature, softcap):
    outputs = _fake(hidden, weight, target, bias, temperature, softcap)
    for rows in _chunks(hidden.shape[0], weight.shape[0]):
        z = reference.scaled_logits(hidden[rows], weight, bias, temperature, softcap)
        lse = torch.logsumexp(z, dim=-1)
        logp = z - lse[:, None]
        outputs[0][rows] = logp.gather(1, target[rows, None]).squeeze(1)
        outputs[1][rows] = -(logp.exp() * logp.masked_fill(logp == -torch.inf, 0.0)).sum(-1)
        outputs[2][rows] = lse
    return outputs


@any_device("linear_logprob_backward")
def _torch_backward(
    grad_logprob,
    grad_entropy,
    hidden,
    weight,
    target,
    bias,
    entropy,
    lse,
    temperature,
    softcap,
    need_hidden,
    need_weight,
    need_bias,
):
    wide = wide_dtype(hidden.dtype)
    grad_hidden = hidden.new_empty(hidden.shape if need_hidden else (0,))
    grad_weight = hidden.new_zeros(weight.shape if need_weight else (0,), dtype=wide)
    grad_bias = hidden.new_zeros(weight.shape[:1] if need_bias else (0,), dtype=wide)
    for rows in _chunks(hidden.shape[0], weight.shape[0]):
        z = reference.scaled_logits(hidden[rows], weight, bias, temperature, softcap)
        excluded = z == -torch.inf
        logp = z - lse[rows, None]
        p = logp.exp()
        g, h = grad_logprob[rows, None], grad_entropy[rows, None]
        dz = -p * (g + h * (logp.masked_fill(excluded, 0.0) + entropy[rows, None]))
        dz.scatter_add_(1, target[rows, None], g)
        if softcap is not None:
            dz = dz * (1 - (z.masked_fill(excluded, 0.0) * (temperature / softcap)).square())
        dz = (dz / temperature).masked_fill(excluded, 0.0)
        if need_bias:
            grad_bias += dz.sum(0)
        dz = dz.to(hidden.dtype)
        if need_hidden:
            grad_hidden[rows] = dz @ weight
        if need_weight:
            grad_weight += dz.T @ hidden[rows]
    return grad_hidden, grad_weight.to(hidden.dtype), grad_bias


def _setup_context(ctx, inputs, output):
    hidden, weight, target, bias, ctx.temperature, ctx.softcap = inputs
    _, entropy, lse = output
    ctx.save_for_backward(hidden, weight, target, bias, entropy, lse)
    ctx.mark_non_differentiable(lse)


def _autograd_backward(ctx, grad_logprob, grad_entropy, _grad_lse):
    hidden, weight, target, bias, entropy, lse = ctx.saved_tensors
    need_hidden, need_weight, _, need_bias, *_ = ctx.needs_input_grad
    grads = torch.ops.videostr.linear_logprob_backward(
        torch.zeros_like(lse) if grad_logprob is None else grad_logprob,
        torch.zeros_like(lse) if grad_entropy is None else grad_entropy,
        hidden,
        weight,
        target,
        bias,
        entropy,
        lse,
        ctx.temperature,
        ctx.softcap,
        need_hidden,
        need_weight,
        need_bias,
    )
    grad_hidden, grad_weight, grad_bias = (
        grad if need else None for grad, need in zip(grads, (need_hidden, need_weight, need_bias), strict=True)
    )
    return grad_hidden, grad_weight, None, grad_bias, None, None


def _no_second_derivative(ctx, *grads):
    raise RuntimeError("linear_logprob can be differentiated once, not twice")


torch.library.register_autograd("videostr::linear_logprob", _autograd_backward, setup_context=_setup_context)
torch.library.register_autograd("videostr::linear_logprob_backward", _no_second_derivative)
