"""A model that rates free answers against the true ones, over an OpenAI-compatible endpoint.

The words are V-STaR's (eval.py: C), whose judge is Qwen2.5-72B-Instruct; a rating is a whole number from 0 to 3, and
anything else counts as 0. Its code samples the rating with the model's own settings; here the temperature is 0 (O).
Each rating is on the disk before the next is asked for: a killed run pays for none twice, but for those in flight.
"""

import asyncio
import os
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videostr.data.annotate.client import Answer, Client
from videostr.data.annotate.journal import Journal
from videostr.data.annotate.limits import Limits
from videostr.eval.results import EvalError
from videostr.fingerprint import digest

SYSTEM = (
    "\nAs an AI assistant, your task is to evaluate a candidate answer in comparison to a given correct answer.\n"
    "The question itself, the correct 'groundtruth' answer, and the candidate answer will be provided to you.\n"
    "Your assessment should range from 0 to 3, based solely on the semantic similarity between the groundtruth and the "
    "candidate answer, disregarding any grammatical differences.\n"
    "A rating of 0 suggests no similarity, implying the candidate answer is entirely incorrect.\n"
    "A rating of 1 suggests low similarity, meaning the candidate answer is largely incorrect.\n"
    "A rating of 2 suggests high similarity, meaning the candidate answer is largely correct.\n"
    "Lastly, a rating of 3 indicates complete similarity, which means the candidate answer is entirely correct.\n"
    "Your response should be a single integer from 0, 1, 2, or 3.\n"
)
QUESTION = "Question: {question}\nGroundtruth answer: {truth}\nCandidate answer: {candidate}\nYour response: "
_MOST = 4000  # characters of a candidate answer that are sent


@dataclass
class JudgeConfig:
    """url: the endpoint up to and with its version, such as http://localhost:8000/v1; null: nobody is asked. model: its
    name there. key_variable: the environment variable that holds the key, if the endpoint wants one. concurrency:
    requests at a time; requests_per_minute: null for no limit; retries: of a request that failed; timeout: seconds
    without a byte."""

    url: str | None = None
    model: str = "Qwen/Qwen2.5-72B-Instruct"
    key_variable: str | None = None
    concurrency: int = 8
    requests_per_minute: float | None = None
    retries: int = 5
    timeout: float = 120.0

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"judge.concurrency must be at least 1, got {self.concurrency}")
        if self.retries < 0:
            raise ValueError(f"judge.retries must be at least 0, got {self.retries}")


@dataclass(frozen=True)
class ToRate:
    """One answer for the judge. id, name: the sample and the question that the rating is of."""

    id: str
    name: str
    question: str
    truth: str
    candidate: str


def rate(items: Sequence[ToRate], config: JudgeConfig, path: Path) -> dict[str, dict[str, int]]:
    """Sample id -> question -> rating 0 to 3, or -1 for a response that is none and a request that the endpoint refuses
    for what is in it (a content filter). What `path` holds is not asked again, but for what was refused; an empty
    answer is 0 without asking.

    Raises EvalError where the endpoint refuses everything or does not answer (the ratings so far are kept),
    JournalError where `path` was begun with another model, ImportError without the package httpx2.
    """
    journal = Journal(path, {"model": config.model, "system": digest(SYSTEM + QUESTION)})
    try:
        asked = {_key(item, config): item for item in items if item.candidate.strip()}
        asyncio.run(_ask_all({key: item for key, item in asked.items() if key not in journal.answers}, config, journal))
        texts: Mapping[str, str] = {key: record["text"] for key, record in journal.answers.items()}
        refused = [key for key in asked if key not in texts]
    finally:
        journal.close()
    if refused and len(refused) == len(asked):
        reason = journal.failed[refused[0]]
        raise EvalError(f"judge.url {config.url}: every request was refused, the first with {reason} (see {path})")
    ratings: dict[str, dict[str, int]] = {}
    for item in items:
        value = read_rating(texts.get(_key(item, config), "")) if item.candidate.strip() else 0
        ratings.setdefault(item.id, {})[item.name] = value
    return ratings


def read_rating(text: str) -> int:
    """0 to 3 where the response, thinking aside, is that number; -1 for anything else."""
    text = text.rpartition("</think>")[2].strip()
    return int(text) if re.fullmatch(r"[0-3]", text) else -1


def _key(item: ToRate, config: JudgeConfig) -> str:
    return digest([config.model, item.question, item.truth, item.candidate])


async def _ask_all(items: Mapping[str, ToRate], config: JudgeConfig, journal: Journal) -> None:
    if not items:
        return
    key = os.environ.get(config.key_variable) if config.key_variable else None
    limits, queue = Limits(config.requests_per_minute), iter(items.items())
    async with Client(config.url, key, config.timeout, config.concurrency) as client:

        async def work() -> None:
            for name, item in queue:
                await _ask(client, name, item, config, journal, limits)

        workers = [asyncio.create_task(work()) for _ in range(min(config.concurrency, len(items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _ask(client: Client, key: str, item: ToRate, config: JudgeConfig, journal: Journal, limits: Limits) -> None:
    user = QUESTION.format(question=item.question, truth=item.truth, candidate=item.candidate[:_MOST])
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    body = {"model": config.model, "messages": messages, "temperature": 0, "max_tokens": 512}
    for attempt in range(config.retries + 1):
        reserved = await limits.wait()
        about = {"key": key, "id": f"{item.id}/{item.name}", "attempt": attempt}
        journal.add("start", **about)
        result = await client.ask(body, key)
        if isinstance(result, Answer):
            limits.used(reserved, sum(result.usage.values()) or None)
            facts = {"finish": result.finish, "usage": result.usage, "model": result.model}
            journal.add("answer", **about, text=result.text, **facts)
            return
        limits.used(reserved, 0)
        facts = {"reason": result.reason, "detail": result.detail, "paid": result.paid, "usage": result.usage}
        journal.add("error", **about, **facts)
        if not (result.fatal or result.retry or result.reason == "empty"):  # this one alone
            journal.add("failed", key=key, id=about["id"], reason=f"{result.reason}: {result.detail[:300]}")
            return
        if result.fatal or attempt == config.retries:
            break
        await asyncio.sleep(result.wait if result.wait is not None else random.uniform(0.5, 1) * min(30, 2**attempt))
    raise EvalError(
        f"judge.url {config.url}: {result.reason}: {result.detail[:300]}; all answers and ratings so far are kept, the "
        "same command goes on"
    )
