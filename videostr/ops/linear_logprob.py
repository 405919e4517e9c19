"""linear_logprob: hidden states and head -> log-prob of the target and entropy, the logits never whole."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._library import any_device, check_device, check_number, check_shape, check_tensor, readable
from .reference import wide_dtype

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
CHUNK_BYTES = 224 << 20  # of logits at a time: the workspace
PARTIAL_BYTES = 32 << 20  # of a 16-bit product at a time, before it is added to the weight's gradient


class Head(NamedTuple):
    """What stands between the product hidden x weight and the softmax, as the operators take it."""

    bias: Tensor | None  # [V]
    temperature: Tensor  # [N]
    softcap: float | None
    logit_scale: float

    def rows(self, rows: slice | Tensor) -> "Head":
        return self._replace(temperature=self.temperature[rows])


def linear_logprob(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    keep_logits: bool = False,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each row's target, and entropy of each row, under softmax(z).

        z = cap(logit_scale * (hidden @ weight.T + bias)) / temperature,  cap(x) = softcap * tanh(x / softcap)

    Rows are taken in chunks; the backward makes a chunk's logits again and uses the closed form
    dz_j = g (δ_j - p_j) - h p_j (log p_j + H), with g and h the gradients of log-prob and entropy. Nothing is added in
    an order that chance decides: the same call on the same device gives the same bits.

    Args:
        hidden_ND: float32, bfloat16, float16 or float64. N may be 0.
        weight_VD: the head, same dtype (under autocast both are cast as `F.linear` would). A sharded one (DTensor, as
            FSDP2 leaves it) is gathered; its gradient is averaged over the processes and sharded like it.
        target_N: integer ids in [0, V). Drop masked rows before the call: there is no ignored id.
        bias: (V,) floating or None. -inf excludes an id: probability 0, no part in the entropy, no gradient; a target
            that is excluded has log-prob -inf. At least one id must be left.
        temperature: > 0, one number or (N,), one a row; a constant, without gradient.
        softcap: > 0, or None for none. Excluded ids stay excluded.
        logit_scale: > 0: what some models multiply their logits by (Cohere; Granite's 1 / logits_scaling).
        keep_logits: keep the logits, in hidden's dtype, for the backward: N V numbers of memory for one of the four
            matrix products. The values are the same.

    Returns:
        (logprob_N, entropy_N), float32 (float64 for float64 inputs), in nats; both differentiable once in hidden,
        weight and bias. Sums, and the gradient of the weight, are kept in float32 at least.

    Raises:
        TypeError, ValueError: an argument is not as above (the range of target is checked on the CPU only, of a
        temperature a row nowhere).
    """
    hidden_ND, weight_VD, target_N, head = check_head(
        hidden_ND, weight_VD, target_N, bias, temperature, softcap, logit_scale
    )
    keep_logits = keep_logits and torch.is_grad_enabled()
    return torch.ops.videostr.linear_logprob(hidden_ND, weight_VD, target_N, *head, keep_logits)[:2]


def check_head(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None,
    temperature: float | Tensor,
    softcap: float | None,
    logit_scale: float,
) -> tuple[Tensor, Tensor, Tensor, Head]:
    """hidden, weight, target and the rest as the operators want them. Raises what `linear_logprob` raises."""
    check_tensor("hidden", hidden_ND, ndim=2, floating=True)
    check_tensor("weight", weight_VD, ndim=2, floating=True)
    check_tensor("target", target_N, ndim=1, floating=False)
    check_shape("target", target_N, (hidden_ND.shape[0],), "one id a row of hidden")
    if weight_VD.shape[1] != hidden_ND.shape[1] or weight_VD.shape[0] == 0:
        expected = f"(V, {hidden_ND.shape[1]}) with V > 0, as hidden is {tuple(hidden_ND.shape)}"
        raise ValueError(f"weight must have shape {expected}, got {tuple(weight_VD.shape)}")
    check_device("weight", weight_VD, hidden_ND.device, "hidden")
    check_device("target", target_N, hidden_ND.device, "hidden")
    if softcap is not None:
        check_number("softcap", softcap, above=0)
    check_number("logit_scale", logit_scale, above=0)
    weight_VD = _gathered(weight_VD)
    hidden_ND, weight_VD = _autocast(hidden_ND, weight_VD)
    if hidden_ND.dtype != weight_VD.dtype:
        raise TypeError(f"hidden and weight must have one dtype, got {hidden_ND.dtype} and {weight_VD.dtype}")
    if hidden_ND.dtype not in DTYPES:
        raise TypeError(f"hidden must be float32, bfloat16, float16 or float64, got {hidden_ND.dtype}")
    wide = wide_dtype(hidden_ND.dtype)
    if isinstance(temperature, Tensor):
        check_tensor("temperature", temperature, ndim=1, floating=True)
        check_shape("temperature", temperature, (hidden_ND.shape[0],), "one a row of hidden")
        check_device("temperature", temperature, hidden_ND.device, "hidden")
        temperature_N = temperature.detach().to(wide)
    else:
        check_number("temperature", temperature, above=0)
        temperature_N = hidden_ND.new_full((hidden_ND.shape[0],), float(temperature), dtype=wide)
    if bias is not None:
        bias = _gathered(bias)
        check_tensor("bias", bias, ndim=1, floating=True)
        check_shape("bias", bias, (weight_VD.shape[0],), "one value an id")
        check_device("bias", bias, hidden_ND.device, "hidden")
        bias = bias.to(wide)
    target_N = target_N.long()
    if readable(target_N) and target_N.numel():
        low, high = int(target_N.min()), int(target_N.max())
        if low < 0 or high >= weight_VD.shape[0]:
            bad = low if low < 0 else high
            raise ValueError(f"target must hold ids in [0, {weight_VD.shape[0]}), got {bad}; drop masked rows first")
    head = Head(bias, temperature_N, None if softcap is None else float(softcap), float(logit_scale))
    return hidden_ND, weight_VD, target_N, head


def _gathered(parameter: Tensor) -> Tensor:
    """The whole of a sharded parameter. Its gradient is averaged over the processes, as FSDP2 does with their data."""
    if not hasattr(parameter, "full_tensor"):
        return parameter
    from torch.distributed.tensor import Partial  # heavy, and only there where a DTensor is

    return parameter.full_tensor(grad_placements=[Partial("avg")] * parameter.device_mesh.ndim)


def _autocast(hidden_ND: Tensor, weight_VD: Tensor) -> tuple[Tensor, Tensor]:
    device = hidden_ND.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return hidden_ND, weight_VD
    dtype = torch.get_autocast_dtype(device)
    return tuple(x if x.dtype == torch.float64 else x.to(dtype) for x in (hidden_ND, weight_VD))


@torch.library.register_fake("videostr::linear_logprob")
def _fake(hidden, weight, target, bias, temperature, softcap, logit_scale, keep_logits):
    row = hidden.new_empty(hidden.shape[0], dtype=wide_dtype(hidden.dtype))
    logits = hidden.new_empty(hidden.shape[0] if keep_logits else 0, weight.shape[0])
    return row, torch.empty_like(row), torch.empty_like(row), logits


@torch.library.register_fake("videostr::linear_logprob_backward")
def _fake_backward(grad_logprob, grad_entropy, entropy, lse, logits, hidden, weight, *arguments):
    need = arguments[-1]
    return (
        hidden.new_empty(hidden.shape if need[0] else (0,)),
        hidden.new_empty(weight.shape if need[1] else (0,)),
        hidden.new_empty(weight.shape[:1] if need[2] else (0,), dtype=wide_dtype(hidden.dtype)),
    )


@any_device("linear_logprob")
def _forward(hidden, weight, target, bias, temperature, softcap, logit_scale, keep_logits):
    *outputs, kept = _fake(hidden, weight, target, bias, temperature, softcap, logit_scale, keep_logits)
    head = Head(bias, temperature, softcap, logit_scale)
    for rows, logits in chunks_of_logits(hidden, weight, kept if keep_logits else None):
        parts = torch.ops.videostr.logprob_rows(logits, target[rows], *head.rows(rows))
        for output, part in zip(outputs, parts, strict=True):
            output[rows] = part
    return *outputs, kept


@any_device("linear_logprob_backward")
def _backward(grad_logprob, grad_entropy, entropy, lse, kept, hidden, weight, target, *head_and_need):
    *head, need = head_and_need
    head = Head(*head)
    gradients = Gradients(hidden, weight, *need)
    # Kept logits are copied, not overwritten: a graph that is retained may come back for them.
    chunks = chunks_of_logits(hidden, weight) if kept.shape[0] == 0 else _copies(kept)
    for rows, logits in chunks:
        torch.ops.videostr.logprob_rows_backward_(
            logits, grad_logprob[rows], grad_entropy[rows], entropy[rows], lse[rows], target[rows], *head.rows(rows)
        )
        gradients.add(rows, logits)
    return gradients.done()


def row_chunks(count: int, row_bytes: int) -> list[slice]:
    """Equal parts of the rows, each of at most CHUNK_BYTES or 16 rows."""
    largest = max(16, CHUNK_BYTES // row_bytes)
    step = -(-count // max(1, -(-count // largest)))
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)] if count else []


def chunks_of_logits(hidden: Tensor, weight: Tensor, kept: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
    """(rows, their raw logits) for all rows, in `kept` or else in one buffer, which the caller may overwrite."""
    chunks = row_chunks(hidden.shape[0], hidden.element_size() * weight.shape[0])
    buffer = hidden.new_empty(chunks[0].stop if chunks and kept is None else 0, weight.shape[0])
    for rows in chunks:
        logits = buffer[: rows.stop - rows.start] if kept is None else kept[rows]
        torch.mm(hidden[rows], weight.T, out=logits)
        yield rows, logits


def _copies(kept: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for rows in row_chunks(kept.shape[0], kept.element_size() * kept.shape[1]):
        yield rows, kept[rows].clone()


class Gradients:
    """Gradients of hidden, weight and bias from chunks of the logits' gradient; those not needed stay empty ([0]).

    Those of weight and bias are summed in the wide dtype, unless one chunk is all there is: then the product's own sums
    are. 16-bit products come in blocks of the vocabulary, so that what is not yet summed stays small.
    """

    def __init__(self, hidden: Tensor, weight: Tensor, need_hidden: bool, need_weight: bool, need_bias: bool):
        wide = wide_dtype(hidden.dtype)
        self.operands, self.need = (hidden, weight), (need_hidden, need_weight, need_bias)
        self.hidden = hidden.new_empty(hidden.shape if need_hidden else (0,))
        self.bias = hidden.new_zeros(weight.shape[:1] if need_bias else (0,), dtype=wide)
        self.weight: Tensor | None = None

    def add(self, rows: slice, grad_logits: Tensor) -> None:
        hidden, weight = self.operands
        need_hidden, need_weight, need_bias = self.need
        if need_hidden:
            torch.mm(grad_logits, weight, out=self.hidden[rows])
        if need_bias:
            self.bias += grad_logits.sum(0, dtype=self.bias.dtype)
        if not need_weight:
            return
        if self.weight is None:  # the first chunk writes the sum, so that nobody fills it with zeros first
            alone = rows.stop - rows.start == hidden.shape[0]
            dtype = hidden.dtype if alone else wide_dtype(hidden.dtype)
            self.weight = hidden.new_empty(weight.shape, dtype=dtype)
            if dtype == hidden.dtype:
                torch.mm(grad_logits.T, hidden[rows], out=self.weight)
            else:
                self._in_blocks(grad_logits, hidden[rows], Tensor.copy_)
        elif self.weight.dtype == hidden.dtype:
            self.weight.addmm_(grad_logits.T, hidden[rows])
        else:
            self._in_blocks(grad_logits, hidden[rows], Tensor.add_)

    def _in_blocks(self, grad_logits: Tensor, hidden: Tensor, put: Callable[[Tensor, Tensor], object]) -> None:
        step = max(1, PARTIAL_BYTES // (hidden.element_size() * hidden.shape[1]))
        for begin in range(0, self.weight.shape[0], step):
            block = slice(begin, begin + step)
            put(self.weight[block], grad_logits[:, block].T @ hidden)

    def done(self) -> tuple[Tensor, Tensor, Tensor]:
        hidden, weight = self.operands
        if self.weight is None:
            self.weight = hidden.new_zeros(weight.shape if self.need[1] else (0,))
        return self.hidden, self.weight.to(hidden.dtype), self.bias


def _setup_context(ctx, inputs, output):
    hidden, weight, target, bias, temperature, ctx.softcap, ctx.logit_scale, _ = inputs
    _, entropy, lse, logits = output
    ctx.save_for_backward(entropy, lse, logits, hidden, weight, target, bias, temperature)
    ctx.mark_non_differentiable(lse, logits)
    ctx.set_materialize_grads(False)  # zeros as large as the logits


def _autograd_backward(ctx, grad_logprob, grad_entropy, *_):
    saved = ctx.saved_tensors
    need = [ctx.needs_input_grad[place] for place in (0, 1, 3)]
    grads = torch.ops.videostr.linear_logprob_backward(
        *(torch.zeros_like(saved[0]) if grad is None else grad for grad in (grad_logprob, grad_entropy)),
        *saved,
        ctx.softcap,
        ctx.logit_scale,
        need,
    )
    hidden, weight, bias = (grad if needed else None for grad, needed in zip(grads, need, strict=True))
    return hidden, weight, None, bias, None, None, None, None


def _no_second_derivative(ctx, *grads):
    raise RuntimeError("linear_logprob can be differentiated once, not twice")


torch.library.register_autograd("videostr::linear_logprob", _autograd_backward, setup_context=_setup_context)
torch.library.register_autograd("videostr::linear_logprob_backward", _no_second_derivative)
