"""The pace of background work: what it leaves to interactive requests."""

from __future__ import annotations

import asyncio

from gateway.domain.model import Quota
from gateway.resilience.bucket import TokenBucket
from gateway.resilience.pacing import Pace
from gateway.resilience.slots import Slots
from tests.support.clock import FakeClock

QUOTA = Quota(200, 10.0)


async def test_half_of_the_quota_is_left_to_interactive_requests() -> None:
    """However long a batch runs, as many interactive requests as its own items find a part of the quota at once."""
    clock = FakeClock()
    whole = TokenBucket(clock, rate=QUOTA.rate, capacity=QUOTA.burst)
    pace = Pace(clock, Slots(clock, 10, 10), QUOTA)
    begun = clock.monotonic()
    for _ in range(500):
        async with pace.turn():
            whole.take()
        assert whole.wait() < 1e-9, "an interactive request would have to wait"
        whole.take()
    assert (500 - QUOTA.burst / 2 - 1) / (QUOTA.rate / 2) <= clock.monotonic() - begun <= 500 / (QUOTA.rate / 2)


async def test_half_of_the_slots_are_left_to_interactive_requests() -> None:
    """No more items are under way than half of the slots."""
    clock = FakeClock()
    pace, under_way, most, may_end = Pace(clock, Slots(clock, 10, 10), None), 0, 0, asyncio.Event()

    async def item() -> None:
        nonlocal under_way, most
        async with pace.turn():
            under_way += 1
            most = max(most, under_way)
            await may_end.wait()
            under_way -= 1

    items = [asyncio.create_task(item()) for _ in range(20)]
    for _ in range(50):
        await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(*items)
    assert most == 5


async def test_no_turn_comes_while_an_interactive_request_waits() -> None:
    """An item waits until no other request waits for a slot."""
    clock = FakeClock()
    slots = Slots(clock, 1, 10)
    pace = Pace(clock, slots, None)
    await slots.acquire("a", clock.monotonic() + 60)
    waiting = asyncio.create_task(slots.acquire("b", clock.monotonic() + 60))
    await asyncio.sleep(0)
    turn = pace.turn()
    entering = asyncio.create_task(turn.__aenter__())
    for _ in range(20):
        await asyncio.sleep(0)
        assert not entering.done()
    slots.release("a")
    await waiting
    await entering
    await turn.__aexit__(None, None, None)


async def test_a_turn_that_is_not_wanted_any_more_comes_at_once() -> None:
    """Whoever does not want its turn any more waits no longer for it, however slow the pace is."""
    clock = FakeClock()
    pace = Pace(clock, Slots(clock, 10, 10), None, rate=0.01)
    async with pace.turn():
        begun = clock.monotonic()
    async with pace.turn(lambda: clock.monotonic() - begun < 5):
        assert 5 <= clock.monotonic() - begun < 7
