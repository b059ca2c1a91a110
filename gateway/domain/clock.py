"""The system's clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial

import uuid_utils

from gateway.domain.times import milliseconds

_FRACTION = slice(15, 18)
"""The 12 bits of a UUID, version 7, that can hold a fraction of a millisecond (RFC 9562, 6.2, method 3)."""


class SystemClock:
    """The port `Clock` over the system's clock and random numbers."""

    now = staticmethod(partial(datetime.now, UTC))
    """The current time, in UTC."""

    monotonic = staticmethod(time.monotonic)
    """Seconds of a clock that never goes backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(seconds)

    def new_id(self, at: datetime) -> str:
        """A new UUID, version 7 (RFC 9562), for this time; such UUIDs sort by time, to the microsecond."""
        random = str(uuid_utils.uuid7(nanoseconds=milliseconds(at) * 1_000_000))
        fraction = (at.microsecond % 1_000 << 12) // 1_000
        return f"{random[: _FRACTION.start]}{fraction:03x}{random[_FRACTION.stop :]}"
