"""Non-maximum suppression of intervals."""

import torch
from torch import Tensor

from .temporal_iou import temporal_iou_pairwise, within_range


def temporal_nms(span_K2: Tensor, score_K: Tensor, offsets_B1: Tensor, threshold: float) -> Tensor:
    keep_K = torch.zeros(len(span_K2), dtype=torch.bool, device=span_K2.device)
    for begin, end in zip(offsets_B1.tolist(), offsets_B1.tolist()[1:], strict=False):
        span = span_K2[begin:end]
        valid = (within_range(span) & (span[:, 1] >= span[:, 0])).tolist()
        suppresses = (temporal_iou_pairwise(span.double(), span.double()) > threshold).tolist()
        order = torch.sort(
            score_K[begin:end].nan_to_num(-torch.inf, torch.inf, -torch.inf), descending=True, stable=True
        ).indices
        kept: list[int] = []
        for i in order.tolist():
            if valid[i] and not any(suppresses[j][i] for j in kept):
                kept.append(i)
        keep_K[begin + torch.tensor(kept, dtype=torch.long, device=span.device)] = True
    return keep_K
