"""Recurrences: cron expressions in time zones, where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from gateway.domain.recurrence import Recurrence, checked_cron, checked_zone

AMSTERDAM, LORD_HOWE, TOKYO = "Europe/Amsterdam", "Australia/Lord_Howe", "Asia/Tokyo"


def utc(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # 29 March 2026: 02:00 to 03:00 does not exist. 25 October: 02:00 to 03:00 exists twice.
        ("30 2 * * *", AMSTERDAM, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0,30 2 * * *", AMSTERDAM, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("0 2,3 * * *", AMSTERDAM, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("30 2 * * *", AMSTERDAM, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 2 * * *", AMSTERDAM, "2026-10-25T00:40", ["2026-10-26T01:30"]),
        ("30 2 * * *", AMSTERDAM, "2026-10-25T01:10", ["2026-10-26T01:30"]),
        ("0 * * * *", AMSTERDAM, "2026-10-24T23:30", ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
        ("0 * * * *", AMSTERDAM, "2026-03-28T23:30", ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"]),
        # Half an hour: 4 October 2026, 02:00 to 02:30 does not exist; 5 April, 01:30 to 02:00 exists twice.
        ("15 2 * * *", LORD_HOWE, "2026-10-02T18:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-03T18:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        ("30 2 * * *", TOKYO, "2026-03-28T12:00", ["2026-03-28T17:30", "2026-03-29T17:30"]),
        ("30 2 * * MON-FRI", "UTC", "2026-10-23T02:30", ["2026-10-26T02:30", "2026-10-27T02:30"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_times(cron: str, zone: str, after: str, expected: list[str]) -> None:
    """A missing time is the first that exists, a doubled one the first of the two; no time comes twice."""
    found = list(islice(Recurrence(cron, zone).after(utc(after)), len(expected)))
    assert found == [utc(each) for each in expected]


@pytest.mark.parametrize("cron", ["* * * *", "0 0 0 2 * *", "61 2 * * *", "0 0 30 2 *", "", "every day now or never"])
def test_an_impossible_expression_is_refused(cron: str) -> None:
    """With the way to write it."""
    with pytest.raises(ValueError, match=r"write .* as in 0 2|correct the day"):
        checked_cron(cron)


@pytest.mark.parametrize("zone", ["CET+1", "Mars/Olympus", "../etc/passwd", ""])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """With the way to write it."""
    with pytest.raises(ValueError, match="Europe/Amsterdam"):
        checked_zone(zone)
