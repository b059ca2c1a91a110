"""A token bucket: tokens are added at a steady rate, saved up to a limit, and taken one by one."""

from __future__ import annotations

from gateway.domain.ports import Clock


class TokenBucket:
    """Adds `rate` tokens each second, and keeps at most `capacity`. It starts full."""

    def __init__(self, clock: Clock, *, rate: float, capacity: float) -> None:
        """Start full."""
        self._clock = clock
        self._rate = rate
        self._capacity = self._kept = capacity
        self._at = clock.monotonic()

    @property
    def left(self) -> float:
        """Number of tokens. A negative number counts those that were taken in advance. May be read in any thread."""
        return self._left_at(self._clock.monotonic())

    def add(self, tokens: float) -> None:
        """Add tokens beside those that are added each second. A full bucket stays full."""
        if self._kept == self._capacity:
            return
        now = self._clock.monotonic()
        self._kept, self._at = min(self._capacity, self._left_at(now) + tokens), now

    def wait(self, before: int = 0) -> float:
        """Seconds until a token is available after `before` others were taken."""
        missing = 1.0 + before - self.left
        if missing <= 0:
            return 0.0
        return missing / self._rate if self._rate else float("inf")

    def take(self) -> None:
        """Take a token. If there is none, take it in advance: the next wait is longer."""
        now = self._clock.monotonic()
        self._kept, self._at = self._left_at(now) - 1.0, now

    def _left_at(self, now: float) -> float:
        return min(self._capacity, self._kept + (now - self._at) * self._rate)
