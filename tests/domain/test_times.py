"""Times of RFC 3339: those that it has, and no others that Python or a library would take for them."""

from __future__ import annotations

import pytest

from gateway.domain.times import is_date_time, parse_date_time

GOOD = {
    "2026-01-05T08:00:00Z": "2026-01-05T08:00:00+00:00",
    "2026-01-05t08:00:00z": "2026-01-05T08:00:00+00:00",
    "2026-01-05T08:00:00.123456789012345678901234567890Z": "2026-01-05T08:00:00.123456+00:00",
    "2026-01-05T08:00:00-00:00": "2026-01-05T08:00:00+00:00",
    "2026-01-05T08:00:00+23:59": "2026-01-05T08:00:00+23:59",
    "2024-02-29T23:59:59Z": "2024-02-29T23:59:59+00:00",
    "0001-01-01T00:00:00+14:00": "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z": "9999-12-31T23:59:59+00:00",
    "2016-12-31T23:59:60Z": "2016-12-31T23:59:59+00:00",
    "2017-01-01T00:59:60.5+01:00": "2017-01-01T00:59:59.500000+01:00",
}
"""Times, and each as Python writes what was read. Python has no second 60, and microseconds only."""
BAD = [
    "",
    "2026-01-05",
    "2026-01-05 08:00:00Z",
    "2026-01-05T08:00Z",
    "2026-01-05T08:00:00",
    "2026-01-05T08:00:00.Z",
    "2026-01-05T08:00:00,5Z",
    "2026-01-05T08:00:00+0100",
    "2026-01-05T08:00:00+24:00",
    "2026-01-05T24:00:00Z",
    "2026-01-05T08:60:00Z",
    "2026-01-05T08:00:61Z",
    "2026-01-05T08:00:60Z",
    "2026-02-29T08:00:00Z",
    "2026-13-05T08:00:00Z",
    "0000-01-01T00:00:00Z",
    "203.-01-01T00:00:00Z",
    "2030-1/-01T00:00:00Z",
    "20260105T080000Z",
    "2026-W02-1T08:00:00Z",
    "2026-01-05T08:00:00Z\n",
    "\N{ARABIC-INDIC DIGIT TWO}026-01-05T08:00:00Z",
]


@pytest.mark.parametrize(("text", "read"), GOOD.items())
def test_times(text: str, read: str) -> None:
    """A time of RFC 3339 is read, with its offset."""
    assert is_date_time(text)
    assert parse_date_time(text).isoformat() == read


@pytest.mark.parametrize("text", BAD)
def test_what_is_none(text: str) -> None:
    """A text that RFC 3339 does not allow, or that names no existing time, is refused."""
    assert not is_date_time(text)


def test_a_leap_second_counts_as_the_one_before() -> None:
    """Python has no second 60."""
    assert parse_date_time("2016-12-31T23:59:60Z") == parse_date_time("2016-12-31T23:59:59Z")
