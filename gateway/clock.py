"""The clock of the real world."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import uuid_utils


class SystemClock:
    """Time and identity as this machine has them."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    def new_id(self) -> str:
        """A new UUID, version 7 (RFC 9562), which sorts by time."""
        return str(uuid_utils.uuid7())
