"""Where the tokens of packed groups are: `[prompt 1, its answers, prompt 2, its answers, …]`, one row."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """S stretches of the packed row, T' tokens in all, in the forms that attention kernels ask for.

    at_T: int64, the row's index of every token, stretch by stretch.
    cu_seqlens_S1: int32 (S + 1,), where each stretch begins in `at_T`, and T'.
    index_SL: int64, `at_T` as a rectangle, right-padded with 0; mask_SL: False at padding, None where there is none.
    rows_T: int64, where each token lies in the flattened rectangle.
    longest: L.
    """

    at_T: Tensor
    cu_seqlens_S1: Tensor
    index_SL: Tensor
    mask_SL: Tensor | None
    rows_T: Tensor
    longest: int

    def to(self, device: torch.device | str) -> "Sequences":
        """The same with every tensor on `device`."""
        mask_SL = None if self.mask_SL is None else self.mask_SL.to(device)
        tensors = (x.to(device) for x in (self.at_T, self.cu_seqlens_S1, self.index_SL))
        return Sequences(*tensors, mask_SL, self.rows_T.to(device), self.longest)


@dataclass(frozen=True, eq=False)
class PrefixLayout:
    """T tokens in B groups with K answers that are not empty; made by `from_lengths`.

    prompts: B stretches. tails: B stretches, all answers of a group together. answers: K stretches, each answer alone;
    tails and answers hold the same tokens in the same order, and both are None where there is no such token.
    group_T: int64, the group of each token. answer_T: int64, the answer of each token, counted over all groups; -1 in
    prompts.
    """

    prompts: Sequences
    tails: Sequences | None
    answers: Sequences | None
    group_T: Tensor
    answer_T: Tensor

    @classmethod
    def from_lengths(cls, prompt_lengths: Sequence[int], answer_lengths: Sequence[Sequence[int]]) -> "PrefixLayout":
        """The layout of groups packed one after the other.

        prompt_lengths: tokens of each prompt, >= 1. answer_lengths: for each prompt the tokens of its answers, >= 0,
        any number of answers. Tensors are on the CPU; `.to(device)` moves them.

        Raises ValueError where the two do not have one entry a group, there is no group, or a length is out of range.
        """
        if not prompt_lengths or len(prompt_lengths) != len(answer_lengths):
            raise ValueError(
                f"answer_lengths must have one entry for each of the {len(prompt_lengths)} prompts (at least one), "
                f"got {len(answer_lengths)}"
            )
        prompts, tails, answers, group_of, answer_of = [], [], [], [], []
        size = count = 0
        for group, (prompt, lengths) in enumerate(zip(prompt_lengths, answer_lengths, strict=True)):
            if prompt < 1 or min(lengths, default=0) < 0:
                raise ValueError(
                    f"group {group} must have a prompt of at least 1 token and answers of at least 0, got {prompt} and "
                    f"{list(lengths)}"
                )
            prompts.append((size, size + prompt))
            size += prompt
            tails.append((size, size + sum(lengths)))
            group_of.append((group, prompt + sum(lengths)))
            answer_of.append((-1, prompt))
            for length in lengths:
                answer_of.append((count, length))
                count += 1
                if length:
                    answers.append((size, size + length))
                size += length
        return cls(
            prompts=_sequences(prompts),
            tails=_sequences(tails) if answers else None,
            answers=_sequences(answers) if answers else None,
            group_T=_repeated(group_of),
            answer_T=_repeated(answer_of),
        )

    @property
    def tokens(self) -> int:
        """T."""
        return len(self.group_T)

    def to(self, device: torch.device | str) -> "PrefixLayout":
        """The same with every tensor on `device`."""
        parts = (None if part is None else part.to(device) for part in (self.prompts, self.tails, self.answers))
        return PrefixLayout(*parts, self.group_T.to(device), self.answer_T.to(device))


def _sequences(spans: list[tuple[int, int]]) -> Sequences:
    start_S, end_S = torch.tensor(spans, dtype=torch.int64).unbind(1)
    length_S = end_S - start_S
    longest = int(length_S.max())
    offset_L = torch.arange(longest)
    mask_SL = offset_L[None] < length_S[:, None]
    index_SL = torch.where(mask_SL, start_S[:, None] + offset_L[None], 0)
    return Sequences(
        at_T=index_SL[mask_SL],
        cu_seqlens_S1=torch.cat([length_S.new_zeros(1), length_S.cumsum(0)]).int(),
        index_SL=index_SL,
        mask_SL=None if bool(mask_SL.all()) else mask_SL,
        rows_T=mask_SL.flatten().nonzero().flatten(),
        longest=longest,
    )


def _repeated(runs: list[tuple[int, int]]) -> Tensor:
    """(value, times) … -> each value so many times, int64."""
    value, times = torch.tensor(runs, dtype=torch.int64).unbind(1)
    return torch.repeat_interleave(value, times)
