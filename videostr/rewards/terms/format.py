"""Whether a text has the tags that were asked for, each with something in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from videostr.rewards.batch import Completions, Score
from videostr.rewards.parse.answer import read_answer
from videostr.text.tags import find_section, says_something


@dataclass(frozen=True)
class FormatTerm:
    """1 where the text is <think>…</think> and then <answer>…</answer>.

    strict: white space aside that is all of the text, both tags say something (a letter or a digit), and neither
    stands twice. think=False: <answer>…</answer> alone, or with text around it.
    paper: fullmatch of <think>.*?</think>\\s*<answer>.*?</answer>, SpaceR's (C), which an empty tag matches too.

    extra: further tags that must stand between the two, in order, with any text between them: ["time"] is the form of
    TVG-R1's grounded question answering; with where: "boxed" the answer stands in \\boxed{…} and any text may follow.
    """

    mode: Literal["strict", "paper"] = "strict"
    think: bool = True
    where: Literal["answer", "boxed"] = "answer"
    extra: tuple[str, ...] = ()
    columns: ClassVar = ()
    optional: ClassVar = ()

    def __post_init__(self) -> None:
        if self.mode == "paper" and (self.extra or self.where != "answer" or not self.think):
            raise ValueError("mode: 'paper' is SpaceR's pattern, without extra, where or think")

    def __call__(self, batch: Completions, values: Mapping[str, torch.Tensor]) -> Score:
        check = _spacer if self.mode == "paper" else self._strict
        reasons = batch.once(self, lambda: [check(text) for text in batch.texts])
        return Score(torch.tensor([reason == "ok" for reason in reasons], dtype=torch.float64), reasons)

    def _strict(self, text: str) -> str:
        content, reason = read_answer(text, self.where)
        if content is None:
            return reason
        if not says_something(content):
            return "empty"
        section = find_section(text, self.extra[0] if self.extra else "answer")
        if self.think and section.thinking != "ok":
            return section.thinking
        if not self.think:
            return "unexpected_think" if section.has_think else "ok"
        if self.extra:
            return self._extra_in_order(text)
        if self.where == "boxed":
            return "ok"
        outside = text[section.think_end : section.start - len("<answer>")] + text[section.end + len("</answer>") :]
        return "bad_format" if outside.strip() or "<answer>" in text[: section.think_end] else "ok"

    def _extra_in_order(self, text: str) -> str:
        position = 0
        for tag in self.extra:
            section = find_section(text, tag)
            if section.reason != "ok":
                return section.reason
            if section.start < position or not says_something(text, section.start, section.end):
                return "bad_format" if section.start < position else "empty"
            position = section.end
        final = text.rfind("\\boxed{") if self.where == "boxed" else find_section(text, "answer").start
        return "ok" if final > position else "bad_format"


_JOINT = re.compile(r"</think>\s*<answer>")


def _spacer(text: str) -> str:
    """Linear: the text begins and ends with the outer tags, and the inner two meet somewhere between."""
    begins, ends = text.startswith("<think>"), text.endswith("</answer>")
    joined = _JOINT.search(text, len("<think>"), max(len(text) - len("</answer>"), len("<think>")))
    if begins and ends and joined:
        return "ok"
    return "no_think" if not begins else "no_tag" if not ends else "bad_format"
