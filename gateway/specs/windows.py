"""Time ranges that some vendors' lists demand: `x-job-read.window`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.domain.model import Json
from gateway.domain.times import parse_date_time
from gateway.domain.vocabulary import Source

CREATED_AT = "createdAt"
"""The time of a job, in `job.timestamps`, that decides whether it is in a time range."""


@dataclass(frozen=True)
class Window:
    """A time range, its ends included."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, days: int, now: datetime) -> Window:
        """The last days before `now`."""
        return cls(now - timedelta(days=days), now)

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Window | None:
        """The time range among the values of a request; None if it has none.

        Raises ValueError with the reason if it is not one.
        """
        start, end = values.get(Source.WINDOW_START), values.get(Source.WINDOW_END)
        if Source.WINDOW_INTERVAL in values:
            start, _, end = str(values[Source.WINDOW_INTERVAL]).partition("/")
        if start is None or end is None:
            return None
        try:
            window = cls(parse_date_time(str(start)), parse_date_time(str(end)))
        except ValueError:
            raise ValueError("the time range has a time that is not one") from None
        if window.start > window.end:
            raise ValueError("the time range ends before it starts")
        return window

    @property
    def values(self) -> dict[str, Json]:
        """The time range as values that a lens carries: RFC 3339 in UTC with milliseconds, ISO 8601 as an interval."""
        start, end = map(_written, (self.start, self.end))
        return {Source.WINDOW_START: start, Source.WINDOW_END: end, Source.WINDOW_INTERVAL: f"{start}/{end}"}

    def may_have(self, time: Json) -> bool:
        """True unless the time, a `date-time` of RFC 3339, is outside. A job of unknown time may be inside."""
        try:
            return self.start <= parse_date_time(str(time)) <= self.end
        except (ValueError, OverflowError):
            return True


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
