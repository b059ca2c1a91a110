"""A token bucket: what comes in steadily, is saved up to a point, and is taken out one by one."""

from __future__ import annotations

from gateway.domain.ports import Clock


class TokenBucket:
    """`rate` tokens come in each second, and `capacity` are kept at most. It begins full."""

    def __init__(self, clock: Clock, *, rate: float, capacity: float) -> None:
        """Fill it."""
        self._clock = clock
        self._rate = rate
        self._capacity = self._kept = capacity
        self._at = clock.monotonic()

    @property
    def left(self) -> float:
        """How many tokens there are. Below zero, so many more have been taken than were there."""
        now = self._clock.monotonic()
        self._kept = min(self._capacity, self._kept + (now - self._at) * self._rate)
        self._at = now
        return self._kept

    def add(self, tokens: float) -> None:
        """Put something in beside what comes in by itself."""
        self._kept = min(self._capacity, self.left + tokens)

    def wait(self, before: int = 0) -> float:
        """Seconds until there is a token, where so many are taken before."""
        missing = 1.0 + before - self.left
        if missing <= 0:
            return 0.0
        return missing / self._rate if self._rate else float("inf")

    def take(self) -> None:
        """Take a token, which need not be there yet: whoever comes next waits longer."""
        self._kept = self.left - 1.0
