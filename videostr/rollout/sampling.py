"""From logits to the next token: suppression, temperature, top-k, top-p, and a draw from given uniform numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingParams:
    """How answers are drawn. top_k = 0 and top_p = 1 leave the distribution whole; greedy takes the likeliest id."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    greedy: bool = False

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0 (use greedy=True for the likeliest id), got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be >= 0 (0 is off), got {self.top_k}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be >= 1, got {self.max_new_tokens}")


def keep_top(logprob_NV: Tensor, top_k: int, top_p: float) -> Tensor:
    """The log-probs, -inf outside the top-k ids and then outside the smallest set that holds `top_p` of what is left.

    The kept sets are those of transformers' TopKLogitsWarper followed by TopPLogitsWarper; at least one id stays.
    """
    vocab = logprob_NV.shape[-1]
    if 0 < top_k < vocab:
        least = logprob_NV.topk(top_k, dim=-1).values[:, -1:]
        logprob_NV = logprob_NV.masked_fill(logprob_NV < least, float("-inf"))
    if top_p < 1:
        ascending_NV, index_NV = logprob_NV.sort(dim=-1)
        drop_NV = ascending_NV.softmax(-1).cumsum(-1) <= 1 - top_p
        drop_NV[:, -1] = False
        logprob_NV = logprob_NV.masked_fill(drop_NV.scatter(-1, index_NV, drop_NV), float("-inf"))
    return logprob_NV


def draw(logits_NV: Tensor, bias_V: Tensor, params: SamplingParams, uniform_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one id a row -> (id_N, logprob_N under the whole distribution, logprob_N under the filtered one).

    uniform_N: float64 in [0, 1), one number a row; the id is where the cumulative distribution passes it, so a row's
    draw depends on nothing but its own logits and its own number. bias_V holds -inf at suppressed ids.
    """
    logprob_NV = ((logits_NV.float() + bias_V) / params.temperature).log_softmax(-1)
    if params.greedy:
        logprob_N, id_N = logprob_NV.max(-1)
        return id_N, logprob_N, torch.zeros_like(logprob_N)
    if params.top_k or params.top_p < 1:
        kept_NV = keep_top(logprob_NV, params.top_k, params.top_p).log_softmax(-1)
    else:
        kept_NV = logprob_NV
    # float64: in float32 the sum over 150,000 ids loses what the unlikely ones add.
    cumulative_NV = kept_NV.exp().cumsum(-1, dtype=torch.float64)
    at_N1 = uniform_N[:, None] * cumulative_NV[:, -1:]
    id_N = torch.searchsorted(cumulative_NV, at_N1, right=True).clamp_(max=logits_NV.shape[-1] - 1)
    return id_N[:, 0], logprob_NV.gather(-1, id_N)[:, 0], kept_NV.gather(-1, id_N)[:, 0]
