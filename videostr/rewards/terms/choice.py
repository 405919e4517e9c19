"""Multiple choice: 1 for the right option, else 0."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import ClassVar, Literal

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.choice import option_text, parse_choice


@dataclass(frozen=True)
class ChoiceTerm:
    """Whether the option that is named is the right one (as STI-Bench and VSI-Bench, C; how it is read: O).

    where: "answer" or "boxed". Columns: answer, a letter or the right option's text; options,
    the options' texts, in a list or by letter.
    """

    where: Literal["answer", "boxed"] = "answer"
    columns: ClassVar = ("answer",)
    optional: ClassVar = ("options",)

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        right, reasons = [], []
        rows = zip(batch.texts, batch.column("answer"), batch.optional("options"), strict=True)
        before, texts, truth = (), None, ""  # the completions of a group have one and the same sample
        for row, (text, answer, options) in enumerate(rows):
            if not before or before[0] is not answer or before[1] is not options:
                texts = _texts(options, row)
                truth = _truth(answer, texts, row)
                before = answer, options
            parsed = parse_choice(text, texts, where=self.where)
            right.append(parsed.letter == truth)
            reasons.append(parsed.reason)
        return Score(torch.tensor(right, dtype=torch.float64), reasons)


def _texts(options: object, row: int) -> tuple[str, ...] | None:
    """The options' texts in order: of a list, or of STI-Bench's mapping of letters to texts, which may be JSON text."""
    if isinstance(options, str):
        try:
            options = json.loads(options)
        except ValueError:
            raise ValueError(
                f"options[{row}]: expected a list of texts or JSON text of one, got {options!r:.80}"
            ) from None
    if isinstance(options, Mapping):
        if sorted(options) != list(ascii_uppercase[: len(options)]):
            raise ValueError(f"options[{row}]: expected the letters A, B, … as keys, got {list(options)!r:.80}")
        options = [options[letter] for letter in sorted(options)]
    if options is None:
        return None
    texts = tuple(options) if hasattr(options, "__iter__") else ()
    if not 0 < len(texts) <= len(ascii_uppercase) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"options[{row}]: expected 1 to {len(ascii_uppercase)} texts, got {options!r:.80}")
    return texts


def _truth(answer: object, options: Sequence[str] | None, row: int) -> str:
    """The right letter."""
    if isinstance(answer, str):
        letter = answer.strip().strip("().").upper()
        if len(letter) == 1 and letter in ascii_uppercase[: 26 if options is None else len(options)]:
            return letter
        texts = [option_text(option) for option in options or ()]
        if texts.count(option_text(answer)) == 1:
            return ascii_uppercase[texts.index(option_text(answer))]
    raise ValueError(f"answer[{row}]: expected a letter or the text of one of {options!r:.80}, got {answer!r:.80}")
