"""parse_interval: the intervals that many texts answer, for texts written as asked."""

import torch
from torch import Tensor

from ._library import check_device, check_tensor, readable

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
    check_tensor("text", text_C, ndim=1, floating=False)
    if text_C.dtype != torch.uint8:
        raise TypeError(f"text must be uint8, got {text_C.dtype}")
    check_device("text", text_C, torch.device("cpu"), "any text")
    check_tensor("offsets", offsets_N1, ndim=1, floating=False)
    check_device("offsets", offsets_N1, text_C.device, "text")
    if offsets_N1.numel() == 0:
        raise ValueError("offsets must have at least one entry (N + 1), got none")
    if readable(offsets_N1):
        first, last = int(offsets_N1[0]), int(offsets_N1[-1])
        if first != 0 or last != text_C.numel() or bool((offsets_N1.diff() < 0).any()):
            raise ValueError(f"offsets must run from 0 to {text_C.numel()} without falling, got {offsets_N1.tolist()}")
    return torch.ops.videostr.parse_interval(text_C, offsets_N1.long(), think)


@torch.library.register_fake("videostr::parse_interval")
def _fake(text, offsets, think):
    rows = offsets.shape[0] - 1
    return offsets.new_empty(rows, 2, dtype=torch.float64), offsets.new_empty(rows)
