"""The log of refused credentials, limited so that guessing does not fill it."""

from __future__ import annotations

import logging

from gateway.domain.ports import Clock
from gateway.telemetry.metrics import CREDENTIALS_REFUSED

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
"""Seconds in which the same refusal is logged only once."""
MOST_KINDS = 1_000
"""Most kinds of refusals that are counted separately. If there are more, all counts start again."""


class RefusalLog:
    """Logs each kind of refusal immediately, then at most every `QUIET_SECONDS` with the number of those left out."""

    def __init__(self, clock: Clock) -> None:
        """Start with an empty log."""
        self._clock = clock
        self._quiet: dict[str, tuple[float, int]] = {}
        """By refusal: the time on the monotonic clock until which it is not logged, and the number left out."""

    def note(self, refusal: str) -> None:
        """Count a refusal, and log it unless the same one was logged recently.

        Its text must contain nothing of the credential.
        """
        CREDENTIALS_REFUSED.add()
        now = self._clock.monotonic()
        until, left_out = self._quiet.get(refusal, (now, 0))
        if now < until:
            self._quiet[refusal] = until, left_out + 1
            return
        if len(self._quiet) >= MOST_KINDS:
            self._quiet.clear()
        self._quiet[refusal] = now + QUIET_SECONDS, 0
        more = f" (and {left_out} times more since this was logged)" if left_out else ""
        log.warning("%s%s", refusal, more)
