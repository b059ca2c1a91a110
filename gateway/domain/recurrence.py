"""Times that come again and again: a cron expression in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Struct

FIELDS = 5
"""Number of fields of an expression: minute, hour, day of the month, month, day of the week."""
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class Recurrence(Struct, frozen=True):
    """The times of a cron expression in a time zone of the IANA database.

    When clocks go forward, a time that does not exist is the first minute that does. When they go back, a time that
    exists twice is the first of the two. An expression whose minutes or hours begin with `*` goes on in real time.
    """

    cron: str
    time_zone: str

    def after(self, at: datetime) -> Iterator[datetime]:
        """The times after `at`, in UTC and in their order. They end if there are none for 50 years."""
        for local in CronSim(self.cron, at.astimezone(ZoneInfo(self.time_zone))):
            found = local.astimezone(UTC)
            # In the repeated hour, the clock's time can lie before.
            if found > at:
                yield found


def checked_cron(expression: str) -> str:
    """A cron expression that has times. Raises ValueError with what is wrong."""
    if len(expression.split()) != FIELDS:
        raise ValueError("write five fields: minute, hour, day of the month, month, day of the week, as in 0 2 * * *")
    try:
        next(CronSim(expression, _ANY_TIME))
    except CronSimError as error:
        raise ValueError(f"{str(error).lower()}: write a number, a range, a list or *, as in 0 2 * * MON-FRI") from None
    except StopIteration:
        raise ValueError("has no time that exists; correct the day or the month") from None
    return expression


def checked_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError if the IANA database has no such zone."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA database; write one such as Europe/Amsterdam or UTC") from None
