"""linear_logprob: hidden states and head -> log-prob of the target and entropy, the logits never whole."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ._library import any_device, check_device, check_number, check_shape, check_tensor, readable
from .reference import wide_dtype

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
CHUNK_BYTES = 256 << 20  # of logits at a time: the workspace
PARTIAL_BYTES = 32 << 20  # of a 16-bit product at a time, before it is added to the weight's gradient


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
    hidden_ND, weight_VD, target_N, bias = check_head(hidden_ND, weight_VD, target_N, bias, temperature, softcap)
    logprob_N, entropy_N, _ = torch.ops.videostr.linear_logprob(
        hidden_ND, weight_VD, target_N, bias, float(temperature), None if softcap is None else float(softcap)
    )
    return logprob_N, entropy_N


def check_head(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None,
    temperature: float,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """hidden, weight, target and bias as the operators want them. Raises what `linear_logprob` raises."""
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
    return hidden_ND, weight_VD, target_N, bias


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


@any_device("linear_logprob")
def _forward(hidden, weight, target, bias, temperature, softcap):
    outputs = _fake(hidden, weight, target, bias, temperature, softcap)
    for rows, logits in chunks_of_logits(hidden, weight):
        parts = torch.ops.videostr.logprob_rows(logits, target[rows], bias, temperature, softcap)
        for output, part in zip(outputs, parts, strict=True):
            output[rows] = part
    return outputs


@any_device("linear_logprob_backward")
def _backward(
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
    gradients = Gradients(hidden, weight, need_hidden, need_weight, need_bias)
    for rows, logits in chunks_of_logits(hidden, weight):
        torch.ops.videostr.logprob_rows_backward_(
            logits,
            grad_logprob[rows],
            grad_entropy[rows],
            target[rows],
            bias,
            entropy[rows],
            lse[rows],
            temperature,
            softcap,
        )
        gradients.add(rows, logits)
    return gradients.done()


def chunks_of_logits(hidden: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """(rows, their raw logits) for all rows; the logits lie in one buffer, which the caller may overwrite."""
    count, vocabulary = hidden.shape[0], weight.shape[0]
    step = max(1, min(count, max(16, CHUNK_BYTES // (hidden.element_size() * vocabulary))))
    buffer = hidden.new_empty(step, vocabulary)
    for begin in range(0, count, step):
        rows = slice(begin, min(begin + step, count))
        logits = buffer[: rows.stop - begin]
        torch.mm(hidden[rows], weight.T, out=logits)
        yield rows, logits


class Gradients:
    """Gradients of hidden, weight and bias from chunks of the logits' gradient; those not needed stay empty ([0]).

    Those of weight and bias are summed in the wide dtype. 16-bit products come in blocks of the vocabulary, so that
    what is not yet summed stays small.
    """

    def __init__(self, hidden: Tensor, weight: Tensor, need_hidden: bool, need_weight: bool, need_bias: bool):
        wide = wide_dtype(hidden.dtype)
        self.operands, self.need = (hidden, weight), (need_hidden, need_weight, need_bias)
        self.hidden = hidden.new_empty(hidden.shape if need_hidden else (0,))
        self.weight = hidden.new_zeros(weight.shape if need_weight else (0,), dtype=wide)
        self.bias = hidden.new_zeros(weight.shape[:1] if need_bias else (0,), dtype=wide)

    def add(self, rows: slice, grad_logits: Tensor) -> None:
        hidden, weight = self.operands
        need_hidden, need_weight, need_bias = self.need
        if need_hidden:
            torch.mm(grad_logits, weight, out=self.hidden[rows])
        if need_bias:
            self.bias += grad_logits.sum(0, dtype=self.bias.dtype)
        if not need_weight:
            return
        if self.weight.dtype == hidden.dtype:
            self.weight.addmm_(grad_logits.T, hidden[rows])
            return
        step = max(1, PARTIAL_BYTES // (hidden.element_size() * hidden.shape[1]))
        for begin in range(0, weight.shape[0], step):
            block = slice(begin, begin + step)
            self.weight[block] += grad_logits[:, block].T @ hidden[rows]

    def done(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.hidden, self.weight.to(self.operands[0].dtype), self.bias


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
