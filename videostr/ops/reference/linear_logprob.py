"""Log-prob and entropy of one token a row, from whole logits."""

import torch
from torch import Tensor

from .dtypes import wide_dtype


def scale_logits(
    logits_NV: Tensor,
    bias: Tensor | None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
) -> Tensor:
    """Bias, scale, soft-cap and temperature, in the wide dtype; an id whose raw logit is -inf stays there."""
    z_NV = logits_NV.to(wide_dtype(logits_NV.dtype))
    if bias is not None:
        z_NV = z_NV + bias
    z_NV = z_NV * logit_scale
    if softcap is not None:
        excluded_NV = z_NV == -torch.inf
        z_NV = softcap * torch.tanh(z_NV.masked_fill(excluded_NV, 0.0) / softcap)
        z_NV = z_NV.masked_fill(excluded_NV, -torch.inf)
    return z_NV / (temperature[:, None] if isinstance(temperature, Tensor) else temperature)


def linear_logprob(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    target_N: Tensor,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    z_NV = scale_logits(hidden_ND @ weight_VD.T, bias, temperature, softcap, logit_scale)
    logp_NV = torch.log_softmax(z_NV, dim=-1)
    logprob_N = logp_NV.gather(1, target_N.long()[:, None]).squeeze(1)
    # 0 * log 0 = 0, in the gradient too: an excluded id enters the sum as p = 0, log p = 0
    finite_NV = logp_NV.masked_fill(logp_NV == -torch.inf, 0.0)
    entropy_N = -(logp_NV.exp() * finite_NV).sum(-1)
    return logprob_N, entropy_N
