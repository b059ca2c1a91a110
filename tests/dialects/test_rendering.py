"""How values are shown to clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.dialects.rendering import timestamp

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
TIMES = [
    (NOON, "2026-11-01T12:00:00.000Z"),
    (NOON.replace(microsecond=999), "2026-11-01T12:00:00.000Z"),
    (NOON.replace(microsecond=1_000), "2026-11-01T12:00:00.001Z"),
    (NOON.replace(microsecond=999_999), "2026-11-01T12:00:00.999Z"),
    (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-11-01T12:00:00.000Z"),
    (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
]


@pytest.mark.parametrize(("at", "text"), TIMES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_time_is_shown_in_utc_to_the_millisecond(at: datetime, text: str) -> None:
    """Every time has three digits after the second and the letter Z, and none is rounded up into the next second."""
    assert timestamp(at) == text
