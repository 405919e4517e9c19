"""What an evaluation keeps of each answer, and what it makes of them all: one object a kind of question."""

from collections.abc import Sequence
from typing import Any, Protocol

from videostr.data.samples import Sample
from videostr.rewards import Reward, RewardBatch


class Task(Protocol):
    """name: "grounding" or "spatial"; the page of a run goes by it. reward: scores the answers.

    headline: the metrics that a line on the terminal has. curve: those of the learning curve.
    """

    name: str
    reward: Reward
    headline: tuple[str, ...]
    curve: tuple[str, ...]

    def rows(self, sample: Sample, texts: Sequence[str], scored: RewardBatch) -> list[dict[str, Any]]:
        """What a row has of each answer to `sample` beside the text and the reward; anything JSON can say."""
        ...

    def metrics(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The scores of at least one row."""
        ...
