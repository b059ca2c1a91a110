"""So many requests at once, and a short queue for those that come meanwhile."""

from __future__ import annotations

import asyncio

from gateway.domain.errors import ConnectionBusy, Explanation
from gateway.domain.ports import Clock

SOON_SECONDS = 1
"""When to come again where nobody can know when there will be room."""


class Slots:
    """Room for `at_once` requests. `waiting` more may wait for some, first come, first served."""

    def __init__(self, clock: Clock, at_once: int, waiting: int) -> None:
        """All free."""
        self._clock = clock
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self.at_once = at_once
        self.in_use = 0
        self.waiting = 0

    async def acquire(self, deadline: float) -> None:
        """Take a slot, if need be after some waiting. Raises ConnectionBusy."""
        if self._free.locked():
            await self._wait(deadline)
        else:
            await self._free.acquire()
        self.in_use += 1

    def release(self) -> None:
        """Give it back."""
        self.in_use -= 1
        self._free.release()

    async def _wait(self, deadline: float) -> None:
        if self.waiting >= self._most_waiting:
            raise busy(f"{self.at_once} requests of this connection are under way, and {self.waiting} wait.")
        self.waiting += 1
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                await self._free.acquire()
        except TimeoutError:
            raise busy("Too many requests of this connection are under way; there was no turn in time.") from None
        finally:
            self.waiting -= 1


def busy(detail: str, seconds: int = SOON_SECONDS) -> ConnectionBusy:
    """The problem that too many requests are."""
    return ConnectionBusy(detail, Explanation(retry_after=seconds))
