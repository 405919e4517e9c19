"""Samples -> the same samples with a chain of thought and an interval, written by a model behind an HTTP interface."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from videostr import atomic
from videostr.data.annotate.ask import request_body, request_key
from videostr.data.annotate.client import Answer, Client, Problem
from videostr.data.annotate.cost import Prices, spent
from videostr.data.annotate.journal import Journal
from videostr.data.annotate.limits import Limits
from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample, write_samples

Frames = Callable[[str], Sequence[tuple[float, bytes]]]


class AnnotateError(ValueError):
    """The endpoint cannot be used; what was answered before is kept."""


@dataclass(frozen=True)
class Settings:
    """endpoint: up to and with the version, http://localhost:8000/v1. prompt: a name of PROMPTS. options: fields of the
    request, such as max_tokens and temperature. frames: what the frames were made with, for the journal.

    concurrency: requests in flight at once. requests_per_minute, tokens_per_minute: limits, None for none. retries: of
    a request, after the first attempt. backoff: (first, longest) wait before one, in seconds, unless the endpoint says.
    timeout: seconds without a byte. prices, max_cost: see `Prices`; no new request once so much is spent. limit: at
    most so many new samples. in_doubt: "ask" again where the program was killed during a request, or "leave" it.
    retry_failed: try samples again that an earlier run gave up. give_up_after: failed samples in a row that end a run.
    """

    endpoint: str
    model: str
    prompt: str = "tvg_think"
    options: Mapping[str, Any] = field(default_factory=lambda: {"max_tokens": 2048, "temperature": 0.7})
    frames: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    retries: int = 6
    backoff: tuple[float, float] = (1.0, 60.0)
    timeout: float = 180.0
    prices: Prices | None = None
    max_cost: float | None = None
    limit: int | None = None
    in_doubt: Literal["ask", "leave"] = "ask"
    retry_failed: bool = False
    give_up_after: int = 20

    def __post_init__(self) -> None:
        if self.prompt not in PROMPTS:
            raise ValueError(f"prompt: expected one of {', '.join(PROMPTS)}, got {self.prompt!r}")
        for name, least in (("concurrency", 1), ("retries", 0), ("give_up_after", 1)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)!r}")
        if self.in_doubt not in ("ask", "leave"):
            raise ValueError(f"in_doubt: expected 'ask' or 'leave', got {self.in_doubt!r}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit: expected at least 1, got {self.limit!r}")
        if self.max_cost is not None and self.prices is None:
            raise ValueError("max_cost: needs the prices of a million tokens")

    def asked(self) -> dict[str, Any]:
        """What an answer depends on. Not the endpoint: a server may move."""
        return {"model": self.model, "prompt": self.prompt, "options": dict(self.options), "frames": dict(self.frames)}


def side_files(out: str | os.PathLike) -> dict[str, Path]:
    """The journal and the report beside OUT: OUT without .jsonl, and .journal.jsonl, .report.json."""
    base = str(out).removesuffix(".jsonl")
    return {"journal": Path(f"{base}.journal.jsonl"), "report": Path(f"{base}.report.json")}


def annotate(
    samples: Sequence[Sample],
    out: str | os.PathLike,
    settings: Settings,
    frames: Frames,
    *,
    api_key: str | None = None,
    progress: Callable[[int, int, float | None], None] | None = None,
) -> dict[str, Any]:
    """Ask for every sample once and write those that were answered, in order, with the answer as `response`.

    Every answer is on the disk (see `journal`) before the next request of its worker is sent. Made again after a kill,
    the call asks only for what is not there. Requests that were in flight then may have been paid for: they are asked
    again with the same Idempotency-Key, or left (`in_doubt`). The first Ctrl-C lets what is in flight come home; the
    second does not.

    Args:
        samples: with unique ids.
        out: the sample file, written at the end of every run, however it ends. Beside it the journal and the report.
        settings: see `Settings`.
        frames: video file -> (seconds, JPEG) each; an exception with a `.reason` means that it cannot be read: the
            sample is skipped, counted and listed.
        api_key: sent as a bearer token, never written anywhere.
        progress: called with (samples answered, samples in all, cost so far).

    Returns:
        the report: samples, answered, failed (reason -> count), unreadable (reason -> count), left_in_doubt, left (not
        asked yet), requests (started, in_doubt_before, unknown: may have been paid without an answer, errors: reason ->
        count), finish (finish_reason -> count), tokens, cost (None without prices), stopped (why the run ended early,
        or None), settings, files, unreadable_videos.

    Raises:
        ValueError: wrong settings, or two samples with one id. JournalError: see `Journal`. ImportError without
        httpx2. AnnotateError: the endpoint refuses everything (key, URL, quota) or failed `give_up_after` samples in a
        row. OSError: cannot write.
    """
    if len({sample.id for sample in samples}) < len(samples):
        raise ValueError("samples: an id is used twice")
    sides = side_files(out)
    journal = Journal(sides["journal"], settings.asked())
    try:
        run = _Run(samples, settings, frames, journal, progress)
        try:
            asyncio.run(run.all(api_key))
        finally:
            answered = list(run.annotated())
            if answered:
                write_samples(out, answered)
            report = run.report() | {
                "files": {"samples": str(out) if answered else None, **{k: str(v) for k, v in sides.items()}}
            }
            atomic.write_json(sides["report"], report)
    finally:
        journal.close()
    if run.fatal is not None:
        raise AnnotateError(f"{settings.endpoint}: {run.fatal}; {len(answered)} answers are kept in {sides['journal']}")
    return report


class _Run:
    def __init__(self, samples: Sequence[Sample], settings: Settings, frames: Frames, journal: Journal, progress: Any):
        self.samples, self.settings, self.frames, self.journal = samples, settings, frames, journal
        self.progress = progress or (lambda answered, total, cost: None)
        asked = settings.asked()
        self.keys = {sample.id: request_key(sample, asked) for sample in samples}
        expected = float(settings.options.get("max_tokens") or 1000)
        self.limits = Limits(settings.requests_per_minute, settings.tokens_per_minute, expected)
        self.unreadable: dict[str, str] = {}  # video -> reason
        self.without_frames: set[str] = set()  # sample ids
        self.failures_in_a_row = 0
        self.stopped: str | None = None  # why the run ends early
        self.halted = False  # nothing more is sent, retries neither
        self.fatal: str | None = None
        self.started_at = time.monotonic()

    async def all(self, api_key: str | None) -> None:
        settings = self.settings
        async with Client(settings.endpoint, api_key, settings.timeout, settings.concurrency) as client:
            todo = self._todo()
            workers = [asyncio.create_task(self._work(client, todo)) for _ in range(settings.concurrency)]
            with _Interrupt(self.stop, workers):
                try:
                    await asyncio.gather(*workers)
                except asyncio.CancelledError:
                    self.stop("interrupted")
                except BaseException:
                    self.stop("error")
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
                    raise

    def stop(self, why: str) -> None:
        self.stopped, self.halted = self.stopped or why, True

    def annotated(self) -> Iterator[Sample]:
        for sample in self.samples:
            answer = self.journal.answers.get(self.keys[sample.id])
            if answer is not None:
                about = {"model": answer["model"] or self.settings.model, "finish": answer["finish"]}
                about["prompt"] = self.settings.prompt
                yield replace(sample, response=answer["text"], meta={**sample.meta, "annotator": about})

    def report(self) -> dict[str, Any]:
        journal, keys = self.journal, set(self.keys.values())
        answers = [record for key, record in journal.answers.items() if key in keys]
        failed = Counter(reason for key, reason in journal.failed.items() if key in keys)
        in_doubt = journal.open & keys
        done = len(answers) + sum(failed.values()) + len(self.without_frames) + len(in_doubt)
        return {
            "samples": len(self.samples),
            "answered": len(answers),
            "failed": dict(failed.most_common()),
            "unreadable": dict(Counter(self.unreadable.values())),
            "left_in_doubt": len(in_doubt),
            "left": len(self.samples) - done,
            "requests": {
                "started": journal.started,
                "in_doubt_before": len(journal.in_doubt),
                "unknown": journal.unknown + len(in_doubt),
                "errors": dict(journal.errors.most_common()),
            },
            "finish": dict(Counter(str(record["finish"]) for record in answers)),
            **spent(journal, self.settings.prices),
            "seconds": round(time.monotonic() - self.started_at, 3),
            "stopped": self.stopped,
            "settings": {**self.settings.asked(), "endpoint": self.settings.endpoint},
            "unreadable_videos": [{"path": path, "reason": reason} for path, reason in self.unreadable.items()],
        }

    def _todo(self) -> Iterator[Sample]:
        """What is to be asked; ends early when the run is stopped or the money is spent."""
        settings, journal, asked = self.settings, self.journal, 0
        for sample in self.samples:
            key = self.keys[sample.id]
            if key in journal.answers or (key in journal.failed and not settings.retry_failed):
                continue
            if key in journal.in_doubt and settings.in_doubt == "leave":
                continue
            if settings.limit is not None and asked >= settings.limit:
                self.stopped = self.stopped or f"limit of {settings.limit} samples"
                return
            if self._cost_reached():
                self.stop(f"max_cost of {settings.max_cost} reached")
            if self.halted:
                return
            asked += 1
            yield sample

    def _cost_reached(self) -> bool:
        if self.settings.max_cost is None:
            return False
        return spent(self.journal, self.settings.prices)["cost"]["total"] >= self.settings.max_cost

    async def _work(self, client: Client, todo: Iterator[Sample]) -> None:
        for sample in todo:
            try:
                frames = await asyncio.to_thread(self.frames, sample.video)
            except Exception as error:
                if not hasattr(error, "reason"):
                    raise
                self.unreadable[sample.video] = error.reason
                self.without_frames.add(sample.id)
                continue
            settings = self.settings
            body = request_body(sample, frames, model=settings.model, prompt=settings.prompt, options=settings.options)
            await self._ask(client, sample, body)
            self._say()

    async def _ask(self, client: Client, sample: Sample, body: dict[str, Any]) -> None:
        key = self.keys[sample.id]
        for attempt in range(self.settings.retries + 1):
            reserved = await self.limits.wait(lambda: self.halted)
            if self.halted:
                return
            about = {"key": key, "id": sample.id, "attempt": attempt, "time": round(time.time(), 3)}
            self.journal.add("start", **about)
            began = time.monotonic()
            result = await client.ask(body, key)
            about["seconds"] = round(time.monotonic() - began, 3)
            self.limits.used(reserved, _tokens(result))
            if isinstance(result, Answer):
                facts = {"finish": result.finish, "usage": result.usage, "model": result.model}
                self.journal.add("answer", **about, text=result.text, **facts)
                self.failures_in_a_row = 0
                return
            facts = {"reason": result.reason, "detail": result.detail, "paid": result.paid, "usage": result.usage}
            self.journal.add("error", **about, **facts)
            if result.fatal:
                self.fatal = f"{result.reason}: {result.detail[:300]}"
                self.stop(result.reason)
                return
            if not result.retry:
                break
            if attempt < self.settings.retries:
                await self._back_off(attempt, result)
        self.journal.add("failed", key=key, id=sample.id, reason=result.reason)
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= self.settings.give_up_after and not self.halted:
            self.fatal = f"{self.failures_in_a_row} samples in a row failed, last with {result.reason}: "
            self.fatal += result.detail[:300]
            self.stop("failures")

    async def _back_off(self, attempt: int, problem: Problem) -> None:
        """As long as the endpoint says, else twice as long each time, drawn evenly so that workers do not come back
        together. What the endpoint says of its rate holds for all of them."""
        first, longest = self.settings.backoff
        wait = problem.wait
        if wait is None:
            wait = random.uniform(0.5, 1.0) * min(longest, first * 2**attempt)
        elif problem.reason in ("http_429", "http_503"):
            self.limits.pause(wait)
        deadline = time.monotonic() + wait
        while not self.halted and (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.5))

    def _say(self) -> None:
        cost = spent(self.journal, self.settings.prices)["cost"]
        self.progress(len(self.journal.answers), len(self.samples), cost and cost["total"])


def _tokens(result: Answer | Problem) -> int | None:
    if isinstance(result, Problem) and result.paid is False:
        return 0
    return sum(result.usage.values()) if result.usage else None


class _Interrupt:
    """SIGINT and SIGTERM: the first stops new requests, the second cancels those in flight."""

    def __init__(self, stop: Callable[[str], None], workers: Sequence[asyncio.Task]):
        self.stop, self.workers, self.seen = stop, workers, 0

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ValueError, NotImplementedError, RuntimeError):  # not the main thread: nobody interrupts it
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._signal)

    def __exit__(self, *error: Any) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ValueError, NotImplementedError, RuntimeError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _signal(self) -> None:
        self.seen += 1
        self.stop("interrupted")
        if self.seen > 1:
            for worker in self.workers:
                worker.cancel()
