"""Where the tokens of packed groups are: `[prompt 1, its answers, prompt 2, its answers, …]`, one row."""

import math
import operator
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rectangle:
    """Some stretches as a rectangle of S rows and L columns, right-padded.

    index_SL: int64, the packed row's index of every token, some token's at padding. mask_SL: False at padding, None
    where there is none. inside_T: int64, where each token lies in the flattened rectangle; place_T: int64, where in its
    `Sequences.at_T`.
    """

    index_SL: Tensor
    mask_SL: Tensor | None
    inside_T: Tensor
    place_T: Tensor


@dataclass(frozen=True)
class Sequences:
    """S stretches of the packed row, T' tokens in all.

    lengths: tokens of each. at_T: int64, the row's index of every token, stretch by stretch. cu_seqlens_S1: int32
    (S + 1,), where each stretch begins in `at_T`, and T'.
    """

    lengths: tuple[int, ...]
    at_T: Tensor
    cu_seqlens_S1: Tensor

    @property
    def longest(self) -> int:
        return max(self.lengths)

    def rectangle(self, stretches: Sequence[int] | None = None) -> Rectangle:
        """These stretches, or all, as rows."""
        device = self.at_T.device
        stretch_S = torch.arange(len(self.lengths)) if stretches is None else torch.tensor(stretches)
        length_S = torch.tensor(self.lengths)[stretch_S].to(device)
        offset_L = torch.arange(max(self.lengths[s] for s in stretch_S.tolist()), device=device)
        mask_SL = offset_L[None] < length_S[:, None]
        place_SL = self.cu_seqlens_S1[stretch_S.to(device), None].long() + offset_L[None]
        place_SL = torch.where(mask_SL, place_SL, 0)
        return Rectangle(
            index_SL=self.at_T[place_SL],
            mask_SL=None if bool(mask_SL.all()) else mask_SL,
            inside_T=mask_SL.flatten().nonzero().flatten(),
            place_T=place_SL[mask_SL],
        )

    def to(self, device: torch.device | str) -> "Sequences":
        """The same with every tensor on `device`."""
        return Sequences(self.lengths, self.at_T.to(device), self.cu_seqlens_S1.to(device))


@dataclass(frozen=True)
class Part:
    """One set of keys for some queries: each stretch of `queries` looks at the stretch of `keys` with its number.

    causal: both are the same stretches, and a token looks at itself and those before it. blocks, on the CPU: (queries,
    keys) of stretches of about equal lengths, every query in one of them, so that little is padding.
    """

    queries: Sequences
    keys: Sequences
    causal: bool
    blocks: tuple[tuple[Rectangle, Rectangle], ...]

    @classmethod
    def of(cls, queries: Sequences, keys: Sequences, causal: bool) -> "Part":
        alike = defaultdict(list)
        if queries.at_T.device.type == "cpu":
            for stretch, (asking, asked) in enumerate(zip(queries.lengths, keys.lengths, strict=True)):
                if asking:
                    alike[_level(asking), _level(asked)].append(stretch)
        blocks = tuple((queries.rectangle(chosen), keys.rectangle(chosen)) for chosen in alike.values())
        return cls(queries, keys, causal, blocks)


@dataclass(frozen=True, eq=False)
class PrefixLayout:
    """T tokens in B groups; made by `from_lengths`.

    prompts: B stretches. answers: K stretches, each answer that is not empty alone; None where there is none.
    group_T: int64, the group of each token. answer_T: int64, the answer of each token, counted over all groups; -1 in
    prompts. parts: what the attention is put together from: prompts with themselves; where there are answers, all of a
    group together with its prompt, and each with itself.
    """

    prompts: Sequences
    answers: Sequences | None
    group_T: Tensor
    answer_T: Tensor
    parts: tuple[Part, ...]

    @classmethod
    def from_lengths(cls, prompt_lengths: Sequence[int], answer_lengths: Sequence[Sequence[int]]) -> "PrefixLayout":
        """The layout of groups packed one after the other.

        prompt_lengths: tokens of each prompt, >= 1. answer_lengths: for each prompt the tokens of its answers, >= 0,
        any number of answers. Tensors are on the CPU; `.to(device)` moves them.

        Raises ValueError where the two do not have one entry a group, there is no group, or a length is out of range;
        TypeError where one is not an integer.
        """
        prompt_lengths = _integers("prompt_lengths", prompt_lengths)
        answer_lengths = [_integers("answer_lengths", lengths) for lengths in answer_lengths]
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
                    f"{lengths}"
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
        return cls._of(
            _sequences(prompts),
            _sequences(tails) if answers else None,
            _sequences(answers) if answers else None,
            _repeated(group_of),
            _repeated(answer_of),
        )

    @classmethod
    def _of(cls, prompts, tails, answers, group_T, answer_T) -> "PrefixLayout":
        parts = [Part.of(prompts, prompts, causal=True)]
        if answers is not None:
            parts += [Part.of(tails, prompts, causal=False), Part.of(answers, answers, causal=True)]
        return cls(prompts, answers, group_T, answer_T, tuple(parts))

    @property
    def tokens(self) -> int:
        """T."""
        return len(self.group_T)

    def to(self, device: torch.device | str) -> "PrefixLayout":
        """The same with every tensor on `device`."""
        tails = None if self.answers is None else self.parts[1].queries
        moved = (None if x is None else x.to(device) for x in (self.prompts, tails, self.answers))
        return self._of(*moved, self.group_T.to(device), self.answer_T.to(device))


def _integers(name: str, lengths: Sequence[int]) -> list[int]:
    """Python's own, from a tensor or an array too."""
    try:
        return [operator.index(length) for length in lengths]
    except TypeError:
        raise TypeError(f"{name} must hold integers, got {lengths!r}") from None


def _sequences(spans: list[tuple[int, int]]) -> Sequences:
    lengths = tuple(end - start for start, end in spans)
    bounds = torch.tensor([0, *accumulate(lengths)])
    start_T = _repeated([(start - int(at), end - start) for (start, end), at in zip(spans, bounds[:-1], strict=True)])
    return Sequences(lengths, start_T + torch.arange(len(start_T)), bounds.int())


def _level(length: int) -> int:
    """Equal for lengths less than a fifth apart, and for all up to 32, where a call costs more than padding."""
    return round(4 * math.log2(max(length, 32)))


def _repeated(runs: list[tuple[int, int]]) -> Tensor:
    """(value, times) … -> each value so many times, int64."""
    value, times = torch.tensor(runs, dtype=torch.int64).unbind(1)
    return torch.repeat_interleave(value, times)
