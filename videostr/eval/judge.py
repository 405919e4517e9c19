"""A judge for free answers (to come)."""

from dataclasses import dataclass


@dataclass
class JudgeConfig:
    """url: of an OpenAI-compatible endpoint; null: no judge."""

    url: str | None = None
