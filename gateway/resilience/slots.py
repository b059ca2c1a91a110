"""A limit on concurrent requests, with a short queue in which callers take turns."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque

from gateway.domain.errors import ConnectionBusy, Explanation
from gateway.domain.ports import Clock

SOON_SECONDS = 1
"""Seconds in Retry-After, if it cannot be known when there will be room."""

Waiter = asyncio.Future[bool]
"""A request in the queue. It resolves to True when it is its turn, and to False when it has to make room."""


class Slots:
    """Room for `at_once` requests, and a queue for `waiting` more.

    A free slot goes to the waiting caller that uses the fewest slots; among equals, to the one served longest ago. Each
    caller's requests are served in the order of their arrival. If the queue is full, the caller with the most requests
    makes room for callers with fewer, so that no caller can keep the others out.
    """

    def __init__(self, clock: Clock, at_once: int, waiting: int) -> None:
        """Start with all slots free."""
        self._clock = clock
        self._most_waiting = waiting
        self._used: defaultdict[str, int] = defaultdict(int)
        self._queues: dict[str, deque[Waiter]] = {}
        self.at_once = at_once
        self.in_use = 0
        self.waiting = 0

    def turns_before(self, caller: str) -> int:
        """Number of requests that are served before the next one of this caller, if no more arrive."""
        own = len(self._queues.get(caller, ()))
        return own + sum(min(len(queue), own + 1) for name, queue in self._queues.items() if name != caller)

    async def acquire(self, caller: str, deadline: float) -> None:
        """Take a slot, and wait for one if necessary. Raises ConnectionBusy if there is no room, or no turn in time."""
        if self.in_use < self.at_once:
            self.in_use += 1
            self._used[caller] += 1
        else:
            await self._wait(caller, deadline)

    def release(self, caller: str) -> None:
        """Give a slot back. It goes to the next waiting request, if there is one."""
        if self._queues:
            self._hand_on()
        self.in_use -= 1
        self._used[caller] -= 1
        if not self._used[caller]:
            del self._used[caller]

    def _hand_on(self) -> None:
        """Give a slot to the next request. It still counts for its last caller, so that other callers go first."""
        while self._queues:
            following = min(self._queues, key=self._used_by)
            waiter = self._queues[following].popleft()
            self._left_queue(following)
            if following in self._queues:
                self._queues[following] = self._queues.pop(following)  # the others come before its next turn
            if not waiter.done():  # the request may have been cancelled a moment ago
                self.in_use += 1
                self._used[following] += 1
                waiter.set_result(True)
                return

    async def _wait(self, caller: str, deadline: float) -> None:
        """Wait for a turn. Raises ConnectionBusy if there is no room, or no turn in time."""
        if self.waiting >= self._most_waiting:
            self._make_room(caller)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(waiter)
        self.waiting += 1
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                is_served = await waiter
        except TimeoutError:
            self._give_up(caller, waiter)
            raise busy("Too many requests of this connection are under way; no slot became free in time.") from None
        except asyncio.CancelledError:
            self._give_up(caller, waiter)
            raise
        if not is_served:
            raise self._full()

    def _make_room(self, caller: str) -> None:
        """Remove the newest waiting request of the caller with the most requests.

        Raises ConnectionBusy if this caller has as many itself, the new request included.
        """
        most = max(self._queues, key=self._requests_of, default=caller)
        if self._requests_of(most) <= self._requests_of(caller) + 1:
            raise self._full()
        waiter = self._queues[most].pop()
        self._left_queue(most)
        if not waiter.done():
            waiter.set_result(False)

    def _requests_of(self, caller: str) -> int:
        return self._used_by(caller) + len(self._queues.get(caller, ()))

    def _used_by(self, caller: str) -> int:
        return self._used.get(caller, 0)

    def _give_up(self, caller: str, waiter: Waiter) -> None:
        """Leave the queue, or give back the slot that was assigned at the same moment."""
        if not waiter.cancelled():
            if waiter.result():
                self.release(caller)
        elif waiter in self._queues.get(caller, ()):
            self._queues[caller].remove(waiter)
            self._left_queue(caller)

    def _left_queue(self, caller: str) -> None:
        self.waiting -= 1
        if not self._queues[caller]:
            del self._queues[caller]

    def _full(self) -> ConnectionBusy:
        return busy(f"{self.at_once} requests of this connection are under way, and {self.waiting} wait.")


def busy(detail: str, seconds: int = SOON_SECONDS) -> ConnectionBusy:
    """Problem for a request that finds no slot or no quota; `seconds` is its Retry-After."""
    return ConnectionBusy(detail, Explanation(retry_after=seconds))
