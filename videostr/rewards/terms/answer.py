"""The answer of a sample of any kind: multiple choice, a number, a box, a tube."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.terms.boxes import BoxTerm, TubeTerm
from videostr.rewards.terms.choice import ChoiceTerm
from videostr.rewards.terms.number import NumberTerm

KINDS = ("choice", "number", "box", "tube")


@dataclass(frozen=True)
class AnswerTerm:
    """What `choice`, `number`, `box` or `tube` gives, whichever the sample's column "answer_kind" says.

    tolerance: of `tube`. where: as theirs. Columns: answer, answer_kind, and theirs.
    """

    tolerance: float = 0.25
    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer", "answer_kind")
    optional: ClassVar = ("options", "unit")

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        kinds = batch.column("answer_kind")
        for row, kind in enumerate(kinds):
            if not isinstance(kind, str) or kind not in KINDS:
                raise ValueError(f"answer_kind[{row}]: expected one of {KINDS}, got {kind!r:.80}")
        terms = {
            "choice": ChoiceTerm(self.where),
            "number": NumberTerm(self.where),
            "box": BoxTerm(self.where),
            "tube": TubeTerm(self.tolerance, self.where),
        }
        value_N, reasons = torch.zeros(len(batch), dtype=torch.float64), [""] * len(batch)
        for kind in sorted(set(kinds)):
            rows = [row for row, other in enumerate(kinds) if other == kind]
            score = terms[kind](batch.take(rows), values)
            value_N[rows] = score.value_N
            for row, reason in zip(rows, score.reasons, strict=True):
                reasons[row] = reason
        return Score(value_N, reasons)
