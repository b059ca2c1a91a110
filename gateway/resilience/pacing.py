"""The pace of background work on a connection: it takes what interactive requests leave.

It uses at most half of the connection's slots and of its quota, and none while an interactive request waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.domain.model import Quota
from gateway.domain.ports import Clock
from gateway.resilience.bucket import TokenBucket
from gateway.resilience.slots import Slots

SHARE = 0.5
"""The largest share of a connection's slots and quota that background work uses."""
YIELD_SECONDS = 0.02
"""Seconds between two looks whether interactive requests still wait."""
LOOK_SECONDS = 1.0
"""Seconds between two looks whether a turn is still wanted."""


class Pace:
    """The turns of background work on one connection, at most `rate` each second."""

    def __init__(self, clock: Clock, slots: Slots, quota: Quota | None, rate: float | None = None) -> None:
        """Take turns beside the requests that use `slots` and `quota`."""
        self._clock = clock
        self._slots = slots
        self._room = asyncio.Semaphore(max(1, int(slots.at_once * SHARE)))
        self._buckets: list[TokenBucket] = []
        if quota is not None:
            half = TokenBucket(clock, rate=quota.rate * SHARE, capacity=max(1.0, quota.burst * SHARE))
            self._buckets.append(half)
        if rate is not None:
            self._buckets.append(TokenBucket(clock, rate=rate, capacity=1.0))

    def turn(self, is_wanted: Callable[[], bool] = lambda: True) -> Turn:
        """A turn, for a block that waits for it. One that is not wanted any more comes at once."""
        return Turn(self, is_wanted)

    async def begin(self, is_wanted: Callable[[], bool]) -> None:
        """Wait for a turn."""
        await self._room.acquire()
        if not self._slots.waiting and not self._buckets:
            return
        try:
            await self._wait(is_wanted)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Give a turn back."""
        self._room.release()

    async def _wait(self, is_wanted: Callable[[], bool]) -> None:
        """Wait until no interactive request waits, and the buckets have room."""
        while self._slots.waiting and is_wanted():
            await self._clock.sleep(YIELD_SECONDS)
        wait = max((bucket.wait() for bucket in self._buckets), default=0.0)
        for bucket in self._buckets:
            bucket.take()
        end = self._clock.monotonic() + wait
        while (left := end - self._clock.monotonic()) > 0 and is_wanted():
            await self._clock.sleep(min(left, LOOK_SECONDS))


class Turn:
    """A turn for an `async with` block. A generator would take three times as long, which each item would pay."""

    __slots__ = ("_is_wanted", "_pace")

    def __init__(self, pace: Pace, is_wanted: Callable[[], bool]) -> None:
        """Have a turn of this pace."""
        self._pace = pace
        self._is_wanted = is_wanted

    async def __aenter__(self) -> None:
        """Wait for it."""
        await self._pace.begin(self._is_wanted)

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self._pace.end()
