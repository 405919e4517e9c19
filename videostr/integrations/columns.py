"""Other trainers' batches in the form that `RewardSpec` takes."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from videostr.rewards import RewardBatch, RewardSpec, load_reward


def as_reward(reward: RewardSpec | str | Path) -> RewardSpec:
    """The spec itself, or the one of that name or YAML file (read once)."""
    return reward if isinstance(reward, RewardSpec) else _load(str(reward))


_load = lru_cache(32)(load_reward)


def text_of(completion: Any) -> str:
    """A completion's text: a string, or chat messages, whose last one counts; of content in parts the texts."""
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping):
        completion = [completion]
    if not isinstance(completion, Sequence) or not all(isinstance(message, Mapping) for message in completion):
        raise TypeError(f"completions: expected text or chat messages, got {type(completion).__name__}")
    content = completion[-1].get("content") if completion else None
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    return content or ""


def plain(value: Any) -> Any:
    """A dataset's value as Python lists, dicts and numbers: Arrow and numpy give arrays."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def plain_columns(reward: RewardSpec, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns that the reward reads. The values of one object, as a group's are, stay one."""
    return {name: _each_once(list(columns[name])) for name in reward.needs if columns.get(name) is not None}


def _each_once(values: list[Any]) -> list[Any]:
    """`plain` of every value, of one object once. The list keeps the objects, and so their identities, alive."""
    known = {id(value): value for value in values}
    known = {key: plain(value) for key, value in known.items()}
    return [known[id(value)] for value in values]


def same_prompt(prompts: Sequence[Any]) -> list[str]:
    """One key a prompt, equal for equal ones."""
    return [json.dumps(prompt, sort_keys=True, default=repr) for prompt in prompts]


def shares(batch: RewardBatch) -> dict[str, float]:
    """The numbers of a batch to log: each term's mean before its weight, each reason's share."""
    count = max(1, len(batch.reasons))
    rates = {f"reason/{code}": batch.reasons.count(code) / count for code in sorted(set(batch.reasons))}
    return {f"reward/{name}": float(value_N.mean()) for name, value_N in batch.terms.items()} | rates
