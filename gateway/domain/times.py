"""Parsing and formatting of times: RFC 3339, and the HTTP dates of RFC 9110."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MILLISECOND = 2**48 - 1
"""The last millisecond since 1970 that a UUID, version 7, can hold; it is in the year 10889."""
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE_TIME = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt]{_HOUR_AND_MINUTE}:(?P<second>[0-9]{{2}})(?P<fraction>\.[0-9]+)?"
    rf"(?:[Zz]|[+-]{_HOUR_AND_MINUTE})"
)


def parse_date_time(text: str) -> datetime:
    """Parse a `date-time` of RFC 3339, 5.6. Raises ValueError if the text is not one, or if that time does not exist.

    Python has no leap seconds, so a leap second counts as the second before it. Python's years begin with 1.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a date-time of RFC 3339")
    if match["second"] != "60":
        return datetime.fromisoformat(text.upper())
    start, end = match.span("second")
    time = datetime.fromisoformat(f"{text[:start]}59{text[end:]}".upper())
    utc = time - (time.utcoffset() or timedelta())
    # Leap seconds are added only at the end of a UTC day.
    if (utc.hour, utc.minute) != (23, 59):
        raise ValueError("no leap second is added at this time")
    return time


def is_date_time(text: str) -> bool:
    """True if the text is a `date-time` of RFC 3339."""
    try:
        parse_date_time(text)
    except (ValueError, OverflowError):
        return False
    return True


def canonical_date_time(text: str) -> str:
    """A `date-time` of RFC 3339 in UTC, without trailing zeros in its fraction. Any other text stays unchanged."""
    match = _DATE_TIME.fullmatch(text)
    try:
        time = parse_date_time(text).replace(microsecond=0)
        utc = (time - (time.utcoffset() or timedelta())).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return text
    if match is None:
        return text
    written = utc.isoformat(timespec="seconds")
    seconds = f"{written[:-2]}{match['second']}"
    fraction = (match["fraction"] or "").rstrip("0").rstrip(".")
    return f"{seconds}{fraction}Z"


def epoch_of(text: str, unit: int) -> float | None:
    """A `date-time` of RFC 3339 as a number since 1970, in units of so many microseconds; None for any other text.

    A whole number is an integer. More than microseconds is cut off, since Python has no more.
    """
    try:
        since = (parse_date_time(text) - _EPOCH) // timedelta(microseconds=1)
    except ValueError:
        return None
    whole, rest = divmod(since, unit)
    return since / unit if rest else whole


def time_of_epoch(number: object, unit: int) -> str | None:
    """The canonical `date-time` for a number since 1970, in units of so many microseconds; None for any other value."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        time = _EPOCH + timedelta(microseconds=round(number * unit))
    except (ValueError, OverflowError):  # not finite, or not in the years 1 to 9999
        return None
    return canonical_date_time(time.isoformat())


def http_date(text: str) -> datetime | None:
    """Parse an HTTP date in any of its three forms (RFC 9110, 5.6.7); the time is in UTC. None for any other text.

    None too for a time outside Python's range, such as in the year 10000.
    """
    try:
        time = parsedate_to_datetime(text)
        return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_later(time: object, now: datetime) -> bool:
    """True if `time` is a `date-time` of RFC 3339 later than `now`. Raises ValueError if it is any other text."""
    return isinstance(time, str) and parse_date_time(time) > now


def milliseconds(time: datetime) -> int:
    """A time in whole milliseconds since 1970, the unit of ids and tables."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def first_id_at(millisecond: int) -> str:
    """The lowest UUID of version 7 (RFC 9562, 5.7) of a millisecond since 1970."""
    return str(UUID(int=min(max(millisecond, 0), LAST_MILLISECOND) << 80))


def millisecond_of(version_7: str) -> int:
    """The millisecond since 1970 in a UUID of version 7."""
    return UUID(version_7).int >> 80


def iso_duration(length: timedelta) -> str:
    """A duration of ISO 8601 in days, hours, minutes and whole seconds."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{length.days}D" if length.days else ""
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    time = "".join(f"{number}{unit}" for number, unit in parts if number)
    return f"P{days}T{time}" if time else f"P{days or 'T0S'}"
