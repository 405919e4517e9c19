"""How fast an endpoint may be asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """So many units a minute, evenly: each reservation says how long to wait. None: no limit.

    Evenly, because an endpoint that counts by the minute also counts by the second. Raises ValueError for a number that
    is not above 0.
    """

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic):
        if per_minute is not None and not per_minute > 0:
            raise ValueError(f"per_minute: expected a number above 0 or None, got {per_minute!r}")
        self.seconds_each = 0.0 if per_minute is None else 60.0 / per_minute
        self.clock, self.free_at = clock, clock()

    def reserve(self, units: float) -> float:
        """Seconds until the units may be used."""
        now = self.clock()
        begin = max(now, self.free_at)
        self.free_at = begin + units * self.seconds_each
        return begin - now

    def correct(self, units: float) -> None:
        """More (or, below 0, fewer) units were used than reserved."""
        self.free_at += units * self.seconds_each


class Limits:
    """Requests and tokens a minute, and a pause for everybody when the endpoint asks for one.

    expected: tokens of a request before the first answer; then the mean of what the answers used.
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        expected: float = 1000.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        self.requests, self.tokens = Pace(requests, clock), Pace(tokens, clock)
        self.expected, self.seen = expected, 0
        self.clock, self.sleep = clock, sleep
        self.paused_until = clock()

    async def wait(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """Until the next request may be sent, or the run is stopped. Returns the tokens reserved for it."""
        reserved = self.expected
        until = self.clock() + max(self.requests.reserve(1), self.tokens.reserve(reserved))
        while (left := max(until, self.paused_until) - self.clock()) > 0 and not stopped():
            await self.sleep(min(left, 0.5))
        return reserved

    def used(self, reserved: float, tokens: float | None) -> None:
        """A request came back; tokens: what it used; 0 for nothing, None if it did not say."""
        if tokens is None:
            return
        self.tokens.correct(tokens - reserved)
        if tokens == 0:
            return
        self.seen += 1
        self.expected += (tokens - self.expected) / self.seen

    def pause(self, seconds: float) -> None:
        """Nobody sends anything for so long."""
        self.paused_until = max(self.paused_until, self.clock() + seconds)
