"""Filters for jobs of several connections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from gateway.domain.model import Job
from gateway.domain.times import parse_date_time
from gateway.domain.vocabulary import UNKNOWN_STATUS

AGE_SINCE = ("createdAt", "enqueuedAt")
"""The times of a job from which its age counts; the first that the vendor has."""


class JobFilter(Struct, frozen=True, omit_defaults=True):
    """The conditions that wanted jobs meet: they are jobs of these connections. Otherwise, empty or None is any value.

    `statuses` are words of the unified API; `vendor_statuses`, `queue` and `type` are the vendors' own.
    """

    connections: tuple[str, ...]
    statuses: tuple[str, ...] = ()
    vendor_statuses: tuple[str, ...] = ()
    older_than: timedelta | None = None
    queue: str | None = None
    type: str | None = None

    def fits(self, job: Job, now: datetime) -> bool | None:
        """True if the job meets every condition; None if it may, but does not show its status or age."""
        return every(
            (
                job.connection in self.connections,
                is_among(self.statuses, job.status.status),
                not self.vendor_statuses or job.status.vendor_status in self.vendor_statuses,
                self.older_than is None or is_older(job, self.older_than, now),
                self.queue is None or job.queue == self.queue,
                self.type is None or job.type == self.type,
            )
        )


def every(answers: Iterable[bool | None]) -> bool | None:
    """False if one of the answers is False, else None if one is None, else True."""
    known = set(answers)
    return False if False in known else None if None in known else True


def is_among(statuses: tuple[str, ...], status: str) -> bool | None:
    """True if the status is one of these, or these are none; None if it is unknown, so that it may be."""
    if not statuses or status in statuses:
        return True
    return None if status == UNKNOWN_STATUS else False


def is_older(job: Job, age: timedelta, now: datetime) -> bool | None:
    """True if the job has at least this age; None if it does not show its age."""
    since = next((job.timestamps[name] for name in AGE_SINCE if name in job.timestamps), None)
    return None if since is None else parse_date_time(since) <= now - age
