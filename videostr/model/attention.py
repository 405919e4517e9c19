"""How a policy's attention is chosen: one registered implementation, told by keyword what to do.

transformers passes unknown keyword arguments of a model's forward down to its attention function. The implementation
registered here looks for one of them, `attend`: when it is there it computes the attention (a packed group in training,
a decode step in sampling), otherwise transformers' own SDPA does. Nothing is patched, and the same model still runs
`generate`, an ordinary forward and anything else transformers offers.
"""

from typing import Protocol

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

IMPLEMENTATION = "videostr"


class Attend(Protocol):
    """Computes one layer's attention: query (1 or N, H, T, D), key and value with Hk heads -> (1 or N, T, H, D)."""

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor: ...


def videostr_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    attend: Attend | None = None,
    **kwargs,
) -> tuple[Tensor, None]:
    """The function transformers calls in every text layer; see the head of this file."""
    if attend is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    if dropout:
        raise ValueError(
            f"attention_dropout must be 0 for grouped training (a dropped attention weight makes sampling and training "
            f"disagree), got {dropout}"
        )
    # Under autocast the rotary embedding leaves query and key in float32 beside a half-precision value.
    query, key = query.to(value.dtype), key.to(value.dtype)
    return attend(module, query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling), None


AttentionInterface.register(IMPLEMENTATION, videostr_attention)
# Without `attend` the mask must be SDPA's; with it no mask is made, because a causal row without padding needs none.
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
