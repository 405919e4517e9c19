"""What a benchmark is: how its samples are asked, how an answer is scored, and what is made of the samples' scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videostr.data.samples import Sample
from videostr.eval.resampling import Aggregate
from videostr.rewards.parse import ParsedInterval
from videostr.video import FramePolicy

Answers = Mapping[str, str]
"""Question -> the model's text."""
Parser = Callable[[str], ParsedInterval]


@dataclass(frozen=True)
class Scored:
    """One sample's scores.

    cells: name -> number, what the metrics are means of; a sample counts only in the cells it has. score: in [0, 1],
    for looking at samples. reasons: question -> a code of `rewards.REASONS`, "ok" where the answer was read. parsed:
    question -> what was read, as JSON can say it.
    """

    cells: dict[str, float]
    score: float
    reasons: dict[str, str] = field(default_factory=dict)
    parsed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What scoring needs beside the answers. prompt: its name. size: (height, width) of the frames that the model saw,
    None where it saw none; family: of the model; judges: whether a judge was asked; judged: question -> its rating."""

    parser: Parser
    prompt: str
    size: tuple[int, int] | None = None
    family: str = ""
    judges: bool = False
    judged: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """name: on the command line, and of its reader. source: where the metrics are defined. prompt, frames,
    max_new_tokens: its own protocol, or ours where it has none (docs/evaluation.md says which). headline: the metrics
    that are printed first.

    ask(sample, prompt's name) -> question -> its text, put for {query} into the prompt. score(sample, answers, context)
    -> Scored; answers None: the video could not be read, which scores 0. questions: how many a sample has.
    judged: those of them that a judge rates. score_name: what `Scored.score` is.
    """

    name: str
    title: str
    source: str
    prompt: str
    frames: FramePolicy
    max_new_tokens: int
    headline: tuple[str, ...]
    ask: Callable[[Sample, str], dict[str, str]]
    score: Callable[[Sample, Answers | None, Context], Scored]
    aggregate: Aggregate
    questions: int = 1
    judged: tuple[str, ...] = ()
    score_name: str = "IoU"
