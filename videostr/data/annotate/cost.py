"""What the requests of a journal used and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from videostr.data.annotate.journal import Journal


@dataclass(frozen=True)
class Prices:
    """Of a million tokens, in one currency. Raises ValueError below 0."""

    prompt: float
    completion: float

    def __post_init__(self) -> None:
        for name in ("prompt", "completion"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"prices: expected {name} >= 0, got {getattr(self, name)!r}")


def spent(journal: Journal, prices: Prices | None) -> dict[str, Any]:
    """tokens: prompt, completion, and `unknown`, the paid requests that did not say. cost: prompt, completion, total,
    and `wasted`, the part of responses that could not be used; None without prices. Cached tokens count in full."""
    tokens = {"prompt": journal.tokens["prompt_tokens"], "completion": journal.tokens["completion_tokens"]}
    tokens["unknown"] = journal.without_usage
    if prices is None:
        return {"tokens": tokens, "cost": None}

    def cost(prompt: int, completion: int) -> float:
        return (prompt * prices.prompt + completion * prices.completion) / 1e6

    wasted = journal.wasted["prompt_tokens"], journal.wasted["completion_tokens"]
    total = {"prompt": cost(tokens["prompt"], 0), "completion": cost(0, tokens["completion"])}
    return {"tokens": tokens, "cost": total | {"total": sum(total.values()), "wasted": cost(*wasted)}}
