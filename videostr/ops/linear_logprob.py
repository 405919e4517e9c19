"""linear_logprob: hidden states and head -> log-prob of the target and entropy, the logits never whole."""

from typing import NamedTuple

import torch
from torch import Tensor

from ._library import any_device, check_device, check_number, check_shape, check_tensor, readable
from .reference import wide_dtype

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
TILE_BYTES = {"cpu": 16 << 20, "cuda": 128 << 20}  # of logits at a time: a CPU's cache; few launches
MOST_ROWS, LEAST_IDS = 8192, 512  # of a tile: whole rows of the products, and columns that pay for one


class Head(NamedTuple):
    """What stands between the product hidden x weight and the softmax, as the operators take it."""

    bias: Tensor | None  # [V]
    temperature: Tensor  # [N]
    softcap: float | None
    logit_scale: float

    def rows(self, rows: slice | Tensor) -> "Head":
        return self._replace(temperature=self.temperature[rows])

    def at(self, rows: slice, ids: slice) -> "Head":
        """That of some rows and some ids."""
        return self.rows(rows)._replace(bias=None if self.bias is None else self.bias[ids])


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

    The vocabulary is taken in blocks; the backward makes a block's logits again and uses the closed form
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
        TypeError, ValueError: an argument is not as above (the values of target and of a temperature a row are checked
        on the CPU only).
    """
    hidden_ND, weight_VD, target_N, head = check_head(
        hidden_ND, weight_VD, target_N, bias, temperature, softcap, logit_scale
    )
    given = (hidden_ND, weight_VD, head.bias)
    keep_logits = keep_logits and torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in given)
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
        if readable(temperature):
            for row in (~((temperature > 0) & temperature.isfinite())).nonzero().flatten().tolist():
                raise ValueError(f"temperature must be finite and > 0, got {float(temperature[row])} at index {row}")
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
    if readable(target_N):
        check_target(target_N, weight_VD.shape[0])
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
    kept = hidden.new_empty(hidden.shape[0] * weight.shape[0] if keep_logits else 0)
    return row, torch.empty_like(row), torch.empty_like(row), kept


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
    check_target(target, weight.shape[0])
    tiles = Tiles(hidden, weight, kept if keep_logits else None)
    head = Head(bias, temperature, softcap, logit_scale)
    for rows in tiles.row_parts:
        parts = []
        for ids in tiles.id_blocks:
            tile = torch.mm(
                hidden[rows], weight[ids].T, out=tiles.kept(rows, ids) if keep_logits else tiles.buffer(rows, ids)
            )
            parts.append(torch.ops.videostr.logprob_rows(tile, target[rows] - ids.start, *head.at(rows, ids)))
        for output, value in zip(outputs, merged(*map(torch.stack, zip(*parts, strict=True))), strict=True):
            output[rows] = value
    return *outputs, kept


def merged(logprob_KN: Tensor, entropy_KN: Tensor, lse_KN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """logprob_N, entropy_N, lse_N of whole rows from those of their K blocks; -inf where a block lacks the target.

    With the blocks' shares w_k = e^(lse_k - lse): H = sum w_k H_k - sum w_k log w_k, in which nothing cancels.
    """
    lse_N = torch.logsumexp(lse_KN, dim=0)
    log_share_KN = lse_KN - lse_N
    share_KN = log_share_KN.exp()
    entropy_N = (share_KN * entropy_KN + torch.special.entr(share_KN)).sum(0)
    return (logprob_KN + log_share_KN).amax(0), entropy_N, lse_N


@any_device("linear_logprob_backward")
def _backward(grad_logprob, grad_entropy, entropy, lse, kept, hidden, weight, target, *head_and_need):
    *head, need = head_and_need
    head, gradients = Head(*head), _Gradients(hidden, weight, *need)
    tiles = Tiles(hidden, weight, kept if kept.shape[0] else None)
    for ids in tiles.id_blocks:
        for rows in tiles.row_parts:
            tile = tiles.buffer(rows, ids)
            if kept.shape[0]:  # copied, not overwritten: a graph that is retained may come back for them
                tile.copy_(tiles.kept(rows, ids))
            else:
                torch.mm(hidden[rows], weight[ids].T, out=tile)
            given = (x[rows] for x in (grad_logprob, grad_entropy, entropy, lse))
            torch.ops.videostr.logprob_rows_backward_(tile, *given, target[rows] - ids.start, *head.at(rows, ids))
            gradients.add(rows, ids, tile)
    return gradients.hidden.to(hidden.dtype), gradients.weight, gradients.bias


def check_target(target: Tensor, vocabulary: int) -> None:
    """Once more where it costs no wait: under torch.compile nothing has looked at the values yet."""
    if target.device.type != "cpu" or not target.numel():
        return
    low, high = int(target.min()), int(target.max())
    if low < 0 or high >= vocabulary:
        raise ValueError(
            f"target must hold ids in [0, {vocabulary}), got {low if low < 0 else high}; drop masked rows first"
        )


class Tiles:
    """How N x V logits are taken: blocks of ids that all rows pass through before the next.

    So the gradient of a block's weights is written once, and the tile is still in a CPU's cache when it is read.
    """

    def __init__(self, hidden: Tensor, weight: Tensor, kept: Tensor | None):
        count, vocabulary = hidden.shape[0], weight.shape[0]
        self.row_parts = equal_parts(count, MOST_ROWS)
        rows = max((part.stop - part.start for part in self.row_parts), default=1)
        budget = TILE_BYTES["cuda" if hidden.is_cuda else "cpu"] // (rows * hidden.element_size())
        self.id_blocks = equal_parts(vocabulary, max(budget, LEAST_IDS), multiple=16)
        self._kept, self._vocabulary = kept, vocabulary
        self._buffer = hidden.new_empty(rows * max(ids.stop - ids.start for ids in self.id_blocks))

    def buffer(self, rows: slice, ids: slice) -> Tensor:
        """(rows, ids), the same memory for every tile."""
        return self._view(self._buffer, 0, rows, ids)

    def kept(self, rows: slice, ids: slice) -> Tensor:
        """(rows, ids), each tile's own memory, tile behind tile."""
        first = rows.start * self._vocabulary + (rows.stop - rows.start) * ids.start
        return self._view(self._kept, first, rows, ids)

    @staticmethod
    def _view(flat: Tensor, first: int, rows: slice, ids: slice) -> Tensor:
        height, width = rows.stop - rows.start, ids.stop - ids.start
        return flat[first : first + height * width].view(height, width)


def equal_parts(count: int, most: int, multiple: int = 1) -> list[slice]:
    """[0, count) in as few parts as there can be of at most `most`, nearly equal, their lengths such multiples."""
    parts = -(-count // most)
    step = -(-count // max(parts, 1) // multiple) * multiple
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)] if count else []


class _Gradients:
    """Sums over tiles, ids outermost; those not needed stay empty ([0]). Sums of more than one term are kept wide."""

    def __init__(self, hidden: Tensor, weight: Tensor, need_hidden: bool, need_weight: bool, need_bias: bool):
        self.operands, self.wide = (hidden, weight), wide_dtype(hidden.dtype)
        self.hidden = hidden.new_zeros(hidden.shape if need_hidden else (0,), dtype=self.wide)
        self.weight = hidden.new_empty(weight.shape if need_weight else (0,))
        self.bias = hidden.new_zeros(weight.shape[:1] if need_bias else (0,), dtype=self.wide)
        self.need = need_hidden, need_weight, need_bias
        self._block: Tensor | None = None  # of the weight's gradient, where its dtype is too narrow for a sum
        if need_weight and not hidden.shape[0]:
            self.weight.zero_()

    def add(self, rows: slice, ids: slice, grad_tile: Tensor) -> None:
        hidden, weight = self.operands
        need_hidden, need_weight, need_bias = self.need
        if need_hidden:
            add_product(self.hidden[rows], grad_tile, weight[ids])
        if need_bias:
            self.bias[ids] += grad_tile.sum(0, dtype=self.wide)
        if not need_weight:
            return
        first, last = rows.start == 0, rows.stop == hidden.shape[0]
        total = self.weight[ids]
        if not (first and last) and self.wide != hidden.dtype:
            if first:
                self._block = hidden.new_zeros(total.shape, dtype=self.wide)
            add_product(self._block, grad_tile.T, hidden[rows])
            if last:
                total.copy_(self._block)
        elif first:
            torch.mm(grad_tile.T, hidden[rows], out=total)
        else:
            total.addmm_(grad_tile.T, hidden[rows])


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, the product rounded to its operands' dtype where total is wider."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


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
