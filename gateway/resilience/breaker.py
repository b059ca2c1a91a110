"""A circuit breaker: a vendor that fails and fails is left alone, and tried with one request before all the others."""

from __future__ import annotations

import math
from enum import StrEnum
from random import Random

from gateway.domain.errors import ConnectionSuspended, Explanation
from gateway.domain.ports import Clock
from gateway.resilience.policy import Policy

JITTER = 0.1
"""The largest share that is added to the time for which the breaker is open."""


class BreakerState(StrEnum):
    """`closed`: requests are sent. `open`: none is. `half-open`: one may, to see whether the vendor is well again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts failures in a row. Whoever is admitted tells what came of it, with what `admit` gave."""

    def __init__(self, clock: Clock, policy: Policy) -> None:
        """Closed."""
        self._clock = clock
        self._policy = policy
        self._random = Random()  # noqa: S311 - nothing is secret
        self._failures = 0
        self._openings = 0
        self._opens_again_at = 0.0
        self._is_trying = False

    @property
    def state(self) -> BreakerState:
        """How it stands."""
        if not self._openings:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.seconds_left else BreakerState.HALF_OPEN

    @property
    def failures(self) -> int:
        """How many requests have failed in a row."""
        return self._failures

    @property
    def seconds_left(self) -> float:
        """How long until a request may try; 0 where one may, or all."""
        return max(0.0, self._opens_again_at - self._clock.monotonic()) if self._openings else 0.0

    def admit(self) -> bool:
        """Let a request through; True where it is the one that tries. Raises ConnectionSuspended."""
        if not self._openings:
            return False
        if self._is_trying or self.seconds_left:
            raise ConnectionSuspended(
                f"The last {self._failures} requests of this connection failed, so the vendor is left alone for now.",
                Explanation(retry_after=max(1, math.ceil(self.seconds_left))),
            )
        self._is_trying = True
        return True

    def succeeded(self, *, tries: bool) -> None:
        """The vendor answered. Of requests from before it opened, nothing follows."""
        if tries or not self._openings:
            self._failures = self._openings = 0
            self._is_trying = False

    def failed(self, *, tries: bool) -> None:
        """The vendor did not answer, or with an error of its own."""
        self._failures += 1
        if tries or (not self._openings and self._failures >= self._policy.breaker_failures):
            self._open()

    def nothing_learned(self, *, tries: bool) -> None:
        """The request was given up before the vendor could have answered: the next one may try."""
        if tries:
            self._is_trying = False

    def _open(self) -> None:
        self._openings += 1
        self._is_trying = False
        seconds = min(self._policy.breaker_seconds * self._openings, self._policy.breaker_longest_seconds)
        self._opens_again_at = self._clock.monotonic() + seconds * (1 + JITTER * self._random.random())
