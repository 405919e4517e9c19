"""prefix_attention: packed groups' attention in three flash calls: no mask, no copy of the prompt an answer.

An answer token's softmax runs over two sets of keys, its prompt's and its own answer's. With out_i, lse_i of each set,

    lse = log(exp(lse_1) + exp(lse_2)),   out = exp(lse_1 - lse) out_1 + exp(lse_2 - lse) out_2.

Of the forward, the flash backward needs only P = exp(S - lse) and D = rowsum(dO * O). Given the merged out and lse
it makes each set's exact share of the gradients (as ring attention, arXiv 2310.01889, does for keys elsewhere).
"""

import torch
from torch import Tensor

from . import prefix_flash
from ._library import check_device, check_number, check_shape, check_tensor
from .prefix_flex import flex_prefix_attention
from .prefix_layout import PrefixLayout
from .reference import wide_dtype


def prefix_attention(
    query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, layout: PrefixLayout, scale: float | None = None
) -> Tensor:
    """Attention in which a prompt sees itself and an answer sees its prompt and itself, each causally.

    Memory is linear in T. On the CPU torch's flash kernel does the work, on stretches of about equal lengths at a time;
    on CUDA, in float16 and bfloat16 with D a multiple of 8 up to 256, flash-attention's kernels for sequences of
    different lengths; flex_attention otherwise.

    Args:
        query_THD: (T, H, D), floating; T the layout's tokens.
        key_TKD, value_TKD: (T, Hk, D), same dtype; H a multiple of Hk, query heads h * H / Hk … share key head h.
        layout: a `PrefixLayout`, on query's device.
        scale: what scores are multiplied by; 1 / sqrt(D) where None.

    Returns:
        (T, H, D) in the dtype of query, differentiable once in query, key and value.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    check_tensor("query", query_THD, ndim=3, floating=True)
    tokens, heads, width = query_THD.shape
    for name, value in (("key", key_TKD), ("value", value_TKD)):
        check_tensor(name, value, ndim=3, floating=True)
        check_shape(name, value, (tokens, key_TKD.shape[1], width), "tokens of query, heads of key, width of query")
        check_device(name, value, query_THD.device, "query")
        if value.dtype != query_THD.dtype:
            raise TypeError(f"{name} must be {query_THD.dtype} like query, got {value.dtype}")
    if heads == 0 or key_TKD.shape[1] == 0 or heads % key_TKD.shape[1]:
        raise ValueError(f"query must have a multiple of key's heads ({key_TKD.shape[1]}), got {heads}")
    if not isinstance(layout, PrefixLayout):
        raise TypeError(f"layout must be a PrefixLayout, got {type(layout).__name__}")
    if layout.tokens != tokens:
        raise ValueError(f"layout must be of {tokens} tokens, as query is, got one of {layout.tokens}")
    check_device("layout", layout.group_T, query_THD.device, "query")
    if scale is None:
        scale = width**-0.5
    check_number("scale", scale)
    kernel = prefix_flash.choose(query_THD)
    if kernel is None:
        return flex_prefix_attention(query_THD, key_TKD, value_TKD, layout, scale)
    return _Merged.apply(query_THD, key_TKD, value_TKD, layout, scale, kernel)


class _Merged(torch.autograd.Function):
    """kernel: a `prefix_flash.Kernel`."""

    @staticmethod
    def forward(ctx, query, key, value, layout: PrefixLayout, scale: float, kernel: prefix_flash.Kernel) -> Tensor:
        states = query, key, value
        out, lse = torch.empty_like(query), query.new_empty(query.shape[:2], dtype=wide_dtype(query.dtype))
        of_prompts, *of_answers = layout.parts
        place = of_prompts.queries.at_T
        out[place], lse[place] = kernel.forward(*states, of_prompts, scale)
        if of_answers:
            (out_1, lse_1), (out_2, lse_2) = (kernel.forward(*states, part, scale) for part in of_answers)
            merged, place = torch.logaddexp(lse_1, lse_2), layout.answers.at_T
            weight_1, weight_2 = (torch.exp(part - merged)[..., None] for part in (lse_1, lse_2))
            out[place] = (weight_1 * out_1 + weight_2 * out_2).to(out.dtype)
            lse[place] = merged
        ctx.save_for_backward(*states, out, lse)
        ctx.layout, ctx.scale, ctx.kernel = layout, scale, kernel
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out: Tensor):
        *states, out, lse = ctx.saved_tensors
        totals = [torch.zeros_like(x) for x in states]
        for part in ctx.layout.parts:
            grads = ctx.kernel.backward(grad_out, *states, out, lse, part, ctx.scale)
            places = part.queries.at_T, part.keys.at_T, part.keys.at_T
            for total, grad, place in zip(totals, grads, places, strict=True):
                total[place] += grad
        return *totals, None, None, None
