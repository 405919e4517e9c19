"""The vision tower's attention in one call per chunk length.

Qwen's vision towers attend within chunks (a window, or a whole frame pair). Without flash-attn, transformers makes one
SDPA call per chunk: hundreds per layer for a batch of videos. Chunks of one length are a batch, and there are few
lengths.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

# transformers hands the chunk boundaries to an implementation only when its name contains "flash".
VISION_IMPLEMENTATION = "videostr_vision_flash"


def chunked_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    cu_seq_lens_q: Tensor,
    **kwargs,
) -> tuple[Tensor, None]:
    """query, key, value: (1, H, N, D); chunk c spans tokens cu_seq_lens_q[c] … cu_seq_lens_q[c + 1].

    Returns (1, N, H, D).
    """
    bounds = cu_seq_lens_q.to(torch.int64)
    lengths_C = bounds[1:] - bounds[:-1]
    result_NHD = torch.empty_like(query[0].transpose(0, 1))
    for length in lengths_C.unique().tolist():
        if length == 0:
            continue
        starts_C = bounds[:-1][lengths_C == length]
        index_CL = starts_C[:, None] + torch.arange(length, device=bounds.device)
        q, k, v = (states[0][:, index_CL].transpose(0, 1) for states in (query, key, value))  # (C, H, L, D)
        part_CHLD = scaled_dot_product_attention(q, k, v, scale=scaling)
        result_NHD = result_NHD.index_copy(0, index_CL.flatten(), part_CHLD.transpose(1, 2).flatten(0, 1))
    return result_NHD[None], None


AttentionInterface.register(VISION_IMPLEMENTATION, chunked_attention)
