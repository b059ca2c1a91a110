"""The clock of the real world."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import uuid_utils

from gateway.domain.times import milliseconds

_FRACTION = slice(15, 18)
"""Where a UUID of version 7 has the 12 bits that may hold a part of the millisecond (RFC 9562, 6.2, method 3)."""


class SystemClock:
    """Time and identity as this machine has them."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        await asyncio.sleep(seconds)

    def new_id(self, at: datetime) -> str:
        """A new UUID, version 7 (RFC 9562), of this time, by which it sorts to the microsecond."""
        random = str(uuid_utils.uuid7(nanoseconds=milliseconds(at) * 1_000_000))
        fraction = (at.microsecond % 1_000 << 12) // 1_000
        return f"{random[: _FRACTION.start]}{fraction:03x}{random[_FRACTION.stop :]}"
