"""parse_interval: the intervals that many texts answer, for texts written as asked."""

import torch
from torch import Tensor

from ._library import check_texts

CODES = (
    "ok",
    "no_tag",
    "unclosed_tag",
    "unclosed_think",
    "reversed",
    "zero_length",
    "no_think",
    "empty_think",
    "unexpected_think",
)
"""What `parse_interval`'s codes mean, as videostr.rewards.parse.REASONS says it; -1 is none of them."""


def parse_interval(text_C: Tensor, offsets_N1: Tensor, think: bool = True) -> tuple[Tensor, Tensor]:
    """What `videostr.rewards.parse_interval(mode="strict")` reads, of N texts at once.

    It decides texts without a closed <time>, and those whose last closed one outside the thinking holds
    "[number, number]" with plain decimals. Any other gets code -1: ask the function.

    Args:
        text_C: (C,) uint8, the texts in UTF-8, one behind the other; on the CPU.
        offsets_N1: (N + 1,) int64, from 0 to C, never falling: text n is text[offsets[n] : offsets[n + 1]].
        think: whether the answers were to begin with their thinking.

    Returns:
        span_N2: (N, 2) float64, seconds; NaN where there is none. code_N: (N,) int64, an index of `CODES`, or -1.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    check_texts(text_C, offsets_N1)
    return torch.ops.videostr.parse_interval(text_C, offsets_N1.long(), think)


@torch.library.register_fake("videostr::parse_interval")
def _fake(text, offsets, think):
    rows = offsets.shape[0] - 1
    return offsets.new_empty(rows, 2, dtype=torch.float64), offsets.new_empty(rows)
