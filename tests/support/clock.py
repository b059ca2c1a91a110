"""A clock that moves only when a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class FakeClock:
    """The `Clock` port without time: ids count up, and `advance` moves both clocks."""

    def __init__(self, now: datetime = NOW) -> None:
        """Start at `now`."""
        self._now = now
        self._monotonic = 1_000.0
        self._ids = count(1)

    def now(self) -> datetime:
        """The time at which it stands."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that grow only by `advance`."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Move the clock without waiting, and give other tasks a turn."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def new_id(self, at: datetime) -> str:
        """A UUID of version 7's form, of the time; each greater than the one before of the same time."""
        milliseconds = f"{int(at.timestamp() * 1_000):012x}"
        return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{next(self._ids):012x}"

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, by: timedelta) -> None:
        """Put the clock forward or back; no time passes."""
        self._now += by
