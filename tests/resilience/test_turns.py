"""Turns: a limit of concurrent requests, a short queue, and the vendor's quota."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.clock import SystemClock
from gateway.domain.errors import ConnectionBusy
from gateway.domain.model import Effect, HttpReply, HttpRequest, Quota
from gateway.resilience.pipeline import FinalReply, NoCredentials, OutboundRequest, Pipeline
from gateway.resilience.policy import Policy
from tests.resilience.fixtures import DONE, ScriptedPipeline


class Slow:
    """A vendor that answers when it is told to, in whatever order."""

    def __init__(self) -> None:
        """Nobody has asked."""
        self.under_way: list[asyncio.Future[HttpReply]] = []
        self.names: list[str] = []

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Wait."""
        self.names.append(request.url)
        self.under_way.append(asyncio.get_running_loop().create_future())
        return await self.under_way[-1]


class SmallPipeline:
    """A pipeline with little room."""

    def __init__(self, at_once: int, waiting: int) -> None:
        """Nobody is there."""
        self.clock, self.vendor = SystemClock(), Slow()
        self.pipeline = Pipeline(self.clock, self.vendor, Policy(attempts=1, at_once=at_once, waiting=waiting))

    def come(self, name: str = "", seconds: float = 5.0) -> asyncio.Task[FinalReply]:
        """Somebody comes."""
        request = HttpRequest("GET", name, {})
        outbound = OutboundRequest(request, Effect.READ, self.clock.monotonic() + seconds, NoCredentials())
        return asyncio.create_task(self.pipeline.send(outbound))


async def turns() -> None:
    """Everybody has some turns."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_so_many_at_once_and_so_many_wait() -> None:
    """Requests beyond the slots and the queue are refused immediately with Retry-After."""
    small = SmallPipeline(3, 2)
    tasks = [small.come(str(number)) for number in range(7)]
    await turns()
    slots = small.pipeline.slots
    assert (slots.in_use, slots.waiting, len(small.vendor.under_way)) == (3, 2, 3)
    for task in tasks[5:]:
        error = task.exception()
        assert isinstance(error, ConnectionBusy)
        assert error.explanation.retry_after == 1
    for _ in range(5):
        next(each for each in small.vendor.under_way if not each.done()).set_result(DONE)
        await turns()
    await asyncio.gather(*tasks[:5])
    assert small.vendor.names == list("01234"), "first come, first served"
    assert (slots.in_use, slots.waiting) == (0, 0)


async def test_nobody_waits_beyond_the_deadline() -> None:
    """A request whose turn does not come before its deadline is refused and leaves the queue."""
    small = SmallPipeline(1, 5)
    first = small.come()
    await turns()
    with pytest.raises(ConnectionBusy):
        await small.come(seconds=0.02)
    assert small.pipeline.slots.waiting == 0
    small.vendor.under_way[0].set_result(DONE)
    await first


async def test_who_goes_away_leaves_room() -> None:
    """Cancelled requests, waiting or under way, give their places back."""
    small = SmallPipeline(1, 5)
    first, second, third = small.come("1"), small.come("2"), small.come("3")
    await turns()
    second.cancel()
    first.cancel()
    await turns()
    assert small.vendor.names == ["1", "3"]
    small.vendor.under_way[1].set_result(DONE)
    await third
    assert (small.pipeline.slots.in_use, small.pipeline.slots.waiting) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.integers(1, 300),
    seconds=st.sampled_from([0.5, 1.0, 10.0]),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=20),
)
def test_no_window_has_more_than_the_quota(requests: int, seconds: float, pauses: list[float]) -> None:
    """No window of the quota's length has more requests than the quota, and none is delayed needlessly."""
    asyncio.run(check_quota(Quota(requests, seconds), pauses))


async def check_quota(quota: Quota, pauses: list[float]) -> None:
    """Send as fast as it goes, with pauses between, and count."""
    scripted = ScriptedPipeline(otherwise=DONE, quota=quota)
    times: list[float] = []
    paused = 0.0
    for number in range(3 * quota.requests):
        await scripted.send(seconds=1_000)
        times.append(scripted.clock.monotonic())
        if number % quota.requests == 0:
            pause = pauses[number // quota.requests % len(pauses)]
            scripted.clock.advance(pause)
            paused += pause
    for number, begin in enumerate(times):
        assert bisect_left(times, begin + quota.seconds - 1e-6) - number <= quota.requests
    busy = scripted.clock.monotonic() - times[0] - paused
    assert busy <= 3.6 * quota.seconds + 1


async def test_a_turn_after_the_deadline_is_refused_at_once() -> None:
    """A turn that would come after the deadline is refused immediately, with the time of the next turn."""
    scripted = ScriptedPipeline(otherwise=DONE, quota=Quota(10, 100.0))
    await scripted.send()
    begun = scripted.clock.monotonic()
    with pytest.raises(ConnectionBusy) as caught:
        await scripted.send(seconds=5)
    assert caught.value.explanation.retry_after == 10
    assert scripted.clock.monotonic() == begun
    assert (scripted.asked, scripted.pipeline.quota_left) == (1, 0)


def test_workers_share_a_quota() -> None:
    """Workers share a quota, so that together they never send more."""
    assert Quota(1_000, 10).shared_by(3) == Quota(333, 10)
    assert Quota(1, 10).shared_by(3) == Quota(1, 10)
