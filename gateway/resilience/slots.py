"""So many requests at once, and a short queue for those that come meanwhile, in which callers take turns."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from gateway.domain.errors import ConnectionBusy, Explanation
from gateway.domain.ports import Clock

SOON_SECONDS = 1
"""When to come again where nobody can know when there will be room."""

Place = asyncio.Future[bool]
"""A place in the queue. It comes to True when it is its turn, and to False when it must make room."""


class Slots:
    """Room for `at_once` requests, and a queue for `waiting` more.

    A slot that becomes free goes to the caller who uses the fewest, and of several to the one served longest ago. Each
    caller's requests are served in the order in which they came. In a full queue, whoever has the most requests makes
    room for those who have fewer: so nobody can keep the others out.
    """

    def __init__(self, clock: Clock, at_once: int, waiting: int) -> None:
        """All free."""
        self._clock = clock
        self._most_waiting = waiting
        self._used: Counter[str] = Counter()
        self._queues: dict[str, deque[Place]] = {}
        self.at_once = at_once
        self.in_use = 0
        self.waiting = 0

    def turns_before(self, caller: str) -> int:
        """How many requests have their turn before the next one of this caller, if nobody else comes."""
        own = len(self._queues.get(caller, ()))
        return own + sum(min(len(queue), own + 1) for name, queue in self._queues.items() if name != caller)

    async def acquire(self, caller: str, deadline: float) -> None:
        """Take a slot, if need be after some waiting. Raises ConnectionBusy."""
        if self.in_use < self.at_once:
            self._take(caller)
        else:
            await self._wait(caller, deadline)

    def release(self, caller: str) -> None:
        """Give it back: to whoever waits, where somebody does."""
        self._hand_on()
        self.in_use -= 1
        self._used[caller] -= 1
        if not self._used[caller]:
            del self._used[caller]

    def _hand_on(self) -> None:
        """Give a slot to the next. That it is still counted as its last user's lets the others go first."""
        while self._queues:
            following = min(self._queues, key=self._used.__getitem__)
            place = self._queues[following].popleft()
            self._left_queue(following)
            if following in self._queues:
                self._queues[following] = self._queues.pop(following)  # the others come before its next turn
            if not place.done():  # who waits there may have been cancelled a moment ago
                self._take(following)
                place.set_result(True)
                return

    def _take(self, caller: str) -> None:
        self.in_use += 1
        self._used[caller] += 1

    async def _wait(self, caller: str, deadline: float) -> None:
        """Wait for a turn. Raises ConnectionBusy where there is no room, or no turn in time."""
        if self.waiting >= self._most_waiting:
            self._make_room(caller)
        place: Place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(place)
        self.waiting += 1
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                is_served = await place
        except TimeoutError:
            self._give_up(caller, place)
            raise busy("Too many requests of this connection are under way; there was no turn in time.") from None
        except asyncio.CancelledError:
            self._give_up(caller, place)
            raise
        if not is_served:
            raise self._full()

    def _make_room(self, caller: str) -> None:
        """Have whoever has the most requests lose the last of those that wait. Raises ConnectionBusy."""
        most = max(self._queues, key=self._requests_of, default=caller)
        if self._requests_of(most) <= self._requests_of(caller) + 1:
            raise self._full()
        place = self._queues[most].pop()
        self._left_queue(most)
        if not place.done():
            place.set_result(False)

    def _requests_of(self, caller: str) -> int:
        return self._used[caller] + len(self._queues.get(caller, ()))

    def _give_up(self, caller: str, place: Place) -> None:
        """Leave the queue; or give back the slot that was given at the same moment."""
        if not place.cancelled():
            if place.result():
                self.release(caller)
        elif place in self._queues.get(caller, ()):
            self._queues[caller].remove(place)
            self._left_queue(caller)

    def _left_queue(self, caller: str) -> None:
        self.waiting -= 1
        if not self._queues[caller]:
            del self._queues[caller]

    def _full(self) -> ConnectionBusy:
        return busy(f"{self.at_once} requests of this connection are under way, and {self.waiting} wait.")


def busy(detail: str, seconds: int = SOON_SECONDS) -> ConnectionBusy:
    """The problem that too many requests are."""
    return ConnectionBusy(detail, Explanation(retry_after=seconds))
