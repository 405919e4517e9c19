"""What a step of a curation is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from videostr.data.samples import Sample


class Step(ABC):
    """One question that every sample has to pass."""

    name: ClassVar[str]

    @abstractmethod
    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        """(reason, detail) of a sample that does not pass, None of one that does."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the answers depend on, ready for JSON: a curation with other settings does not continue this one."""

    def remember(self, sample: Sample) -> None:  # noqa: B027 - most steps have nothing to remember
        """Called with every sample that passed all steps, in order; after a kill, again with those kept before it."""
