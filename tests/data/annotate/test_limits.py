import asyncio

import pytest

from videostr.data.annotate.limits import Limits, Pace


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


def test_pace_is_even_and_does_not_save_up():
    clock = Clock()
    pace = Pace(120, clock)
    assert [pace.reserve(1) for _ in range(3)] == [0.0, 0.5, 1.0]
    clock.now += 100
    assert [pace.reserve(2), pace.reserve(1)] == [0.0, 1.0]
    pace.correct(-2)
    assert pace.reserve(1) == pytest.approx(0.5)
    assert Pace(None, clock).reserve(1e9) == 0
    with pytest.raises(ValueError, match="above 0"):
        Pace(0)


@pytest.mark.parametrize(("requests", "tokens"), [(60, None), (None, 60_000), (90, 60_000)])
def test_no_minute_gets_more_than_its_share(requests, tokens):
    clock, sent = Clock(), []
    limits = Limits(requests, tokens, expected=200, clock=clock, sleep=clock.sleep)

    async def all():
        for _ in range(300):
            reserved = await limits.wait()
            sent.append(clock.now)
            limits.used(reserved, 1000)  # five times what was expected of the first

    asyncio.run(all())
    assert limits.expected == 1000
    for start in range(0, 230):
        inside = sum(sent[start] <= time < sent[start] + 60 for time in sent)
        assert inside <= 61  # 60 requests of 1,000 tokens, and the one at the edge
    assert sent[-1] - sent[0] < 305  # and none is wasted


def test_a_pause_holds_for_everybody_and_a_stop_ends_it():
    clock = Clock()
    limits = Limits(clock=clock, sleep=clock.sleep)
    limits.pause(30)
    asyncio.run(limits.wait())
    assert clock.now >= 130
    limits.pause(30)
    asyncio.run(limits.wait(lambda: True))
    assert clock.now < 131
