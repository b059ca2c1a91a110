"""Work in the background that goes on for ever, whatever fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.domain.errors import JobgateError

log = logging.getLogger(__name__)

RECOVERY_SECONDS = 2.0
"""Seconds to wait after a failure, such as that of a ledger that cannot be used."""


async def repeat(subject: str, work: Callable[[], Awaitable[object]], pause: Callable[[], Awaitable[object]]) -> None:
    """Repeat some work with a pause until cancelled. A failure is logged with the subject of the work."""
    while True:
        try:
            await work()
            await pause()
        except JobgateError as error:
            log.warning("the background work on %s failed: %s", subject, error.code)
            await asyncio.sleep(RECOVERY_SECONDS)
        except Exception:
            log.exception("the background work on %s failed", subject)
            await asyncio.sleep(RECOVERY_SECONDS)
