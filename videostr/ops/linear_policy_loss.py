"""linear_policy_loss: from hidden states and head to the policy loss and its gradients, by three matrix products.

The upstream gradients of a token's log-prob and entropy depend on that token alone (and on constants). So a chunk of
rows can be finished while its logits are there: log-probs, loss, gradients of the rows from `policy_loss`'s own
operator, the logits turned into their gradient in place, two products. Autograd would come back when the logits are
gone, and make them again: a fourth product.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_device, check_shape, check_tensor, has_values, readable
from .linear_logprob import Head, check_head, check_target, equal_parts, linear_logprob
from .policy_loss import check_options, looks_ahead, named_stats, weighted_policy_loss
from .reference import LOSS_TYPES, STATS, PolicyOptions, wide_dtype

CHUNK_BYTES = 320 << 20  # of whole rows of logits at a time
PARTIAL_BYTES = 32 << 20  # of a 16-bit product at a time, before it is added to the weight's gradient
_NEED = 12  # the place of `need` among the operator's arguments
_SUMS, _MAXIMA = ("policy", "kl", "entropy", "tokens"), ("ratio_max", "mismatch_max")


def linear_policy_loss(
    hidden_RD: Tensor,
    weight_VD: Tensor,
    target_R: Tensor,
    advantage_N: Tensor,
    mask_NL: Tensor,
    old_logprob: Tensor | None = None,
    ref_logprob: Tensor | None = None,
    sampler_logprob: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    loss_type: str = "bnpo",
    normalizer: float | None = None,
    **options: str | float | tuple[float, float] | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`policy_loss` of `linear_logprob`, with the same formulas and options, in one operator.

    The gradients are made in the forward and only scaled in the backward. Two kinds of rows differ from the two
    operators in a row:

    - Where neither kl_coef nor entropy_coef is on, tokens with advantage 0 cannot contribute: they go through no
      product and are in no statistic (the loss and its normalisation are the same).
    - What depends on a whole answer (gspo, luspo, vespo; importance of sequences) needs its log-probs before any of its
      gradients: there the two operators run one after the other, with a fourth product. So they do in float16, where
      gradients made before the loss is scaled would round to 0. Under torch.compile they then take all rows (the loss
      and the statistics are the same).

    Args:
        hidden_RD, weight_VD, target_R, bias, temperature, softcap, logit_scale: as in `linear_logprob`; the rows are
            the tokens of the mask, answer by answer.
        advantage_N, mask_NL, loss_type, normalizer and the options: as in `policy_loss`. R is the number of true
            entries of the mask.
        old_logprob: (N, L), or None for the first update after a rollout, whose policy is still the one that sampled:
            every ratio is 1.
        ref_logprob, sampler_logprob: (N, L) as in `policy_loss`.

    Returns:
        (loss, stats) as `policy_loss`, entropy always among the stats; differentiable once in hidden, weight and bias.

    Raises:
        TypeError, ValueError: an argument is not as above (how many entries of the mask are true is counted on the CPU
        and outside torch.compile only).
    """
    hidden_RD, weight_VD, target_R, head = check_head(
        hidden_RD, weight_VD, target_R, bias, temperature, softcap, logit_scale
    )
    # The entropy is made here.
    chosen = check_options(loss_type, normalizer, options, ref_logprob, hidden_RD, sampler_logprob)
    check_tensor("mask", mask_NL, ndim=2)
    check_tensor("advantage", advantage_N, ndim=1, floating=True)
    check_shape("advantage", advantage_N, tuple(mask_NL.shape[:1]), "one an answer of the mask")
    given = {"old_logprob": old_logprob, "ref_logprob": ref_logprob, "sampler_logprob": sampler_logprob}
    for name, value in given.items():
        if value is not None:
            check_tensor(name, value, ndim=2, floating=True)
            check_shape(name, value, tuple(mask_NL.shape), "as mask")
    for name, value in {"mask": mask_NL, "advantage": advantage_N, **given}.items():
        if value is not None:
            check_device(name, value, hidden_RD.device, "hidden")
    mask_NL = mask_NL.bool()
    if readable(mask_NL) and int(mask_NL.sum()) != hidden_RD.shape[0]:
        raise ValueError(f"hidden must have a row a token of the mask ({int(mask_NL.sum())}), got {hidden_RD.shape[0]}")
    # Where the tokens are, without a shape that depends on values: R is known.
    place_R = torch.argsort(~mask_NL.flatten(), stable=True)[: hidden_RD.shape[0]]
    wide = wide_dtype(hidden_RD.dtype)

    weight_N = reference.token_weights(mask_NL, loss_type, normalizer)

    if looks_ahead(loss_type, chosen) or hidden_RD.dtype == torch.float16:
        if _zero_advantage_is_idle(chosen):
            mask_NL = mask_NL & (advantage_N != 0)[:, None]
            if has_values(mask_NL):  # else no shape may depend on them: all rows stay
                kept = mask_NL.flatten()[place_R].nonzero().flatten()
                hidden_RD, target_R, place_R, head = hidden_RD[kept], target_R[kept], place_R[kept], head.rows(kept)
        logprob_R, entropy_R = linear_logprob(hidden_RD, weight_VD, target_R, *head)

        def padded(value_R: Tensor) -> Tensor:
            return value_R.new_zeros(mask_NL.numel()).index_copy(0, place_R, value_R).view(mask_NL.shape)

        logprob_NL = padded(logprob_R)
        return weighted_policy_loss(
            logprob_NL,
            logprob_NL if old_logprob is None else old_logprob,
            advantage_N,
            mask_NL,
            weight_N,
            ref_logprob,
            padded(entropy_R),
            sampler_logprob,
            LOSS_TYPES[loss_type].objective,
            chosen,
        )

    def at_tokens(value_NL: Tensor | None) -> Tensor | None:
        return None if value_NL is None else value_NL.detach().to(wide).flatten()[place_R]

    def of_answers(value_N: Tensor) -> Tensor:
        return value_N.detach().to(wide)[place_R // max(1, mask_NL.shape[1])]

    need = [torch.is_grad_enabled() and x is not None and x.requires_grad for x in (hidden_RD, weight_VD, head.bias)]
    loss, stats, *_ = torch.ops.videostr.linear_policy_loss(
        hidden_RD,
        weight_VD,
        target_R,
        *head,
        at_tokens(old_logprob),
        of_answers(advantage_N),
        of_answers(weight_N),
        at_tokens(ref_logprob),
        at_tokens(sampler_logprob),
        need,
        LOSS_TYPES[loss_type].objective,
        *chosen,
    )
    return loss, named_stats(stats, chosen, ref_logprob, stats, sampler_logprob)


def _zero_advantage_is_idle(options: PolicyOptions) -> bool:
    """Whether a token of advantage 0 adds nothing to the loss, and so nothing to any gradient."""
    return options.kl_coef == 0 and options.entropy_coef == 0


@torch.library.register_fake("videostr::linear_policy_loss")
def _fake(hidden, weight, *arguments):
    need = arguments[_NEED - 2]
    wide = wide_dtype(hidden.dtype)
    return (
        hidden.new_empty((), dtype=wide),
        hidden.new_empty(len(STATS), dtype=wide),
        hidden.new_empty(hidden.shape if need[0] else (0,)),
        hidden.new_empty(weight.shape if need[1] else (0,)),
        hidden.new_empty(weight.shape[:1] if need[2] else (0,), dtype=wide),
    )


@any_device("linear_policy_loss")
def _any_device(
    hidden,
    weight,
    target,
    bias,
    temperature,
    softcap,
    logit_scale,
    old_logprob,
    advantage,
    token_weight,
    ref_logprob,
    sampler_logprob,
    need,
    objective,
    *options,
):
    check_target(target, weight.shape[0])
    every_hidden, kept, head = hidden, None, Head(bias, temperature, softcap, logit_scale)
    chosen = PolicyOptions(*options)
    if _zero_advantage_is_idle(chosen):
        kept = advantage.nonzero().flatten()

        def keep(value):
            return None if value is None else value[kept]

        hidden, target, advantage, token_weight = map(keep, (hidden, target, advantage, token_weight))
        head = head.rows(kept)
        old_logprob, ref_logprob, sampler_logprob = map(keep, (old_logprob, ref_logprob, sampler_logprob))
    wide = wide_dtype(hidden.dtype)
    gradients = Gradients(hidden, weight, *need)
    losses, stats = [hidden.new_zeros((), dtype=wide)], [hidden.new_zeros(len(STATS), dtype=wide)]
    for rows, logits in chunks_of_logits(hidden, weight, rows_a_chunk(hidden, weight, need_weight=need[1])):

        def column(value, rows=rows):
            """One token is an answer of length 1."""
            return None if value is None else value[rows, None]

        chunk = (target[rows], *head.rows(rows))
        logprob, entropy, lse = torch.ops.videostr.logprob_rows(logits, *chunk)
        loss, numbers, grad_logprob, grad_entropy = torch.ops.videostr.policy_loss(
            logprob[:, None],
            logprob[:, None] if old_logprob is None else column(old_logprob),
            advantage[rows],
            torch.ones_like(logprob, dtype=torch.bool)[:, None],
            token_weight[rows],
            column(ref_logprob),
            entropy[:, None],
            column(sampler_logprob),
            objective,
            *options,
        )
        losses.append(loss)
        stats.append(numbers)
        if any(need):
            torch.ops.videostr.logprob_rows_backward_(
                logits, grad_logprob[:, 0], grad_entropy[:, 0], entropy, lse, *chunk
            )
            gradients.add(rows, logits)
    grad_hidden, grad_weight, grad_bias = gradients.done()
    if kept is not None and need[0]:
        grad_hidden = every_hidden.new_zeros(every_hidden.shape).index_copy_(0, kept, grad_hidden)
    return torch.stack(losses).sum(), _together(torch.stack(stats)), grad_hidden, grad_weight, grad_bias


def rows_a_chunk(hidden: Tensor, weight: Tensor, need_weight: bool) -> int:
    """How many rows `CHUNK_BYTES` of logits hold; all, where 16-bit chunks would cost more than they save.

    Then the weight's gradient has to be summed in the wide dtype, which is that sum beyond the result.
    """
    count, row_bytes = hidden.shape[0], hidden.element_size() * weight.shape[0]
    wide = wide_dtype(hidden.dtype)
    if need_weight and wide != hidden.dtype and count * row_bytes <= weight.numel() * wide.itemsize:
        return max(1, count)
    return max(16, CHUNK_BYTES // row_bytes)


def chunks_of_logits(hidden: Tensor, weight: Tensor, most_rows: int) -> Iterator[tuple[slice, Tensor]]:
    """(rows, their raw logits) for all rows, in one buffer, which the caller may overwrite."""
    chunks = equal_parts(hidden.shape[0], most_rows)
    buffer = hidden.new_empty(chunks[0].stop if chunks else 0, weight.shape[0])
    for rows in chunks:
        logits = buffer[: rows.stop - rows.start]
        torch.mm(hidden[rows], weight.T, out=logits)
        yield rows, logits


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


def _together(stats_CS: Tensor) -> Tensor:
    """The statistics of all chunks as one call's: sums, maxima, and means over tokens."""
    column = {name: stats_CS[:, index] for index, name in enumerate(STATS)}
    tokens = column["tokens"].sum().clamp(min=1)

    def over_chunks(name: str) -> Tensor:
        if name in _SUMS:
            return column[name].sum()
        return column[name].amax() if name in _MAXIMA else (column[name] * column["tokens"]).sum() / tokens

    return torch.stack([over_chunks(name) for name in STATS])


def _setup_context(ctx, inputs, output):
    _, stats, *grads = output
    ctx.mark_non_differentiable(stats, *grads)
    ctx.set_materialize_grads(False)  # zeros as large as the head
    ctx.save_for_backward(*grads)
    ctx.need = inputs[_NEED]


def _autograd_backward(ctx, grad_loss, *_):
    if grad_loss is None:
        return (None,) * len(ctx.needs_input_grad)
    # The usual case, where looking costs no wait: not one more pass over a gradient as large as the head.
    plain = type(grad_loss) is Tensor and not torch.compiler.is_compiling()
    alone = plain and grad_loss.device.type == "cpu" and float(grad_loss) == 1
    grads = ctx.saved_tensors if alone else [grad_loss * grad for grad in ctx.saved_tensors]
    scaled = [grad if need else None for need, grad in zip(ctx.need, grads, strict=True)]
    return scaled[0], scaled[1], None, scaled[2], *[None] * (len(ctx.needs_input_grad) - 4)


torch.library.register_autograd("videostr::linear_policy_loss", _autograd_backward, setup_context=_setup_context)
