"""The log of refused credentials, which whoever guesses at them cannot fill."""

from __future__ import annotations

import logging

from gateway.domain.ports import Clock

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
"""Seconds in which the same refusal is logged once."""
MOST_KINDS = 1_000
"""Refusals that are told apart. With more, all begin anew."""


class RefusalLog:
    """Logs each kind of refusal at once, and then at most every `QUIET_SECONDS`, with the number left out meanwhile."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is logged yet."""
        self._clock = clock
        self._quiet: dict[str, tuple[float, int]] = {}
        """Until when each refusal is not logged again, and how often it was left out."""

    def note(self, refusal: str) -> None:
        """Log a refusal. Its text holds nothing of the credential."""
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
