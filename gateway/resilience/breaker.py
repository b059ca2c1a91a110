"""A circuit breaker: after repeated failures a vendor gets no requests, and later a single trial request first."""

from __future__ import annotations

import math
from enum import StrEnum
from random import Random

from gateway.domain.errors import ConnectionSuspended, Explanation
from gateway.domain.ports import Clock
from gateway.resilience.policy import Policy

JITTER = 0.1
"""Largest share that is added to the time for which the breaker stays open."""


class BreakerState(StrEnum):
    """`closed`: all requests are sent. `open`: none is. `half-open`: one is, to see whether the vendor works again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts failures in a row. Each admitted request must report its result, with the value that `admit` returned."""

    def __init__(self, clock: Clock, policy: Policy) -> None:
        """Start closed."""
        self._clock = clock
        self._policy = policy
        self._random = Random()  # noqa: S311 - nothing is secret
        self._failures = 0
        self._openings = 0
        self._opens_again_at = 0.0
        self._trial_is_sent = False

    @property
    def state(self) -> BreakerState:
        """The current state."""
        if not self._openings:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.seconds_left else BreakerState.HALF_OPEN

    @property
    def failures(self) -> int:
        """Number of requests that failed in a row."""
        return self._failures

    @property
    def seconds_left(self) -> float:
        """Seconds until a trial request can be sent; 0 if one can be sent now, or if the breaker is closed."""
        return max(0.0, self._opens_again_at - self._clock.monotonic()) if self._openings else 0.0

    def admit(self) -> bool:
        """Let a request through, and return True if it is the trial. Raises ConnectionSuspended if none can pass."""
        if not self._openings:
            return False
        if self._trial_is_sent or self.seconds_left:
            raise ConnectionSuspended(
                f"The last {self._failures} requests of this connection failed, so no more are sent for now.",
                Explanation(retry_after=max(1, math.ceil(self.seconds_left))),
            )
        self._trial_is_sent = True
        return True

    def succeeded(self, *, is_trial: bool) -> None:
        """Record that the vendor answered. A request from before the breaker opened does not close it."""
        if is_trial or not self._openings:
            self._failures = self._openings = 0
            self._trial_is_sent = False

    def failed(self, *, is_trial: bool) -> None:
        """Record that the vendor did not answer, or answered with an error of its own."""
        self._failures += 1
        if is_trial or (not self._openings and self._failures >= self._policy.breaker_failures):
            self._open()

    def nothing_learned(self, *, is_trial: bool) -> None:
        """Record that the request ended before the vendor could answer: the next one can be the trial."""
        if is_trial:
            self._trial_is_sent = False

    def _open(self) -> None:
        self._openings += 1
        self._trial_is_sent = False
        seconds = min(self._policy.breaker_seconds * self._openings, self._policy.breaker_longest_seconds)
        self._opens_again_at = self._clock.monotonic() + seconds * (1 + JITTER * self._random.random())
