"""Jobs: one, those of a connection, and those of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from .exchange import Exchange, path_of
from .values import camel, member


@dataclass(frozen=True)
class BlockedAction:
    """An action that a job does not allow now, with the reason, for people."""

    action: str
    reason: str


@dataclass(frozen=True)
class Job:
    """A job. `vendor_object` is the vendor's own JSON, if it was requested.

    `version` differs after each change of the job. None: the vendor's jobs have no version. `queue` and `type` are the
    vendor's id of its queue, and the vendor's word for its type or channel.
    """

    id: str
    connection: str
    vendor: str
    status: str
    vendor_status: str
    final: bool
    allowed_actions: tuple[str, ...]
    blocked_actions: tuple[BlockedAction, ...]
    timestamps: Mapping[str, datetime]
    version: str | None = None
    vendor_object: Mapping[str, Any] | None = None
    queue: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class UnreadConnection:
    """A connection that could not be read, or not to the end: the code of the problem, and its detail."""

    connection: str
    problem: str
    detail: str


@dataclass(frozen=True)
class FoundJobs:
    """A page of the jobs of several connections; `incomplete` names those that could not be read.

    `next_cursor` leads to the next page; None on the last. `left_out` jobs may be wanted, but do not show it.
    """

    items: tuple[Job, ...]
    incomplete: tuple[UnreadConnection, ...] = ()
    next_cursor: str | None = None
    left_out: int = 0


@dataclass(frozen=True)
class ConnectionCount:
    """The number of jobs of a connection, in all and by status. `left_out` jobs may be wanted, but do not show it."""

    connection: str
    count: int
    statuses: Mapping[str, int]
    left_out: int


@dataclass(frozen=True)
class JobCount:
    """The number of jobs of several connections. `is_complete`: every list was read, and no job was left out."""

    count: int
    is_complete: bool
    left_out: int
    connections: tuple[ConnectionCount, ...]
    incomplete: tuple[UnreadConnection, ...] = ()


class JobConditions(TypedDict, total=False):
    """Conditions for jobs of several connections; all must be met, and of several words one. None counts as left out.

    `connections` default to all that the key may use. `statuses` are words of the unified API; `vendor_statuses`,
    `queue` and `type` are the vendors' own. Jobs are `older_than` a time if they have at least this age.
    """

    connections: Sequence[str] | None
    statuses: Sequence[str] | None
    vendor_statuses: Sequence[str] | None
    older_than: timedelta | None
    queue: str | None
    type: str | None


JOB_CONDITIONS = {"connections": "connection", "statuses": "status", "vendor_statuses": "vendorStatus"}
"""The API's names of conditions that can have several values."""


class Jobs(Exchange):
    """The calls that read jobs."""

    def jobs(self, connection: str, *, status: str | None = None, limit: int | None = None) -> Iterator[Job]:
        """The jobs of a connection, or those in one status; at most `limit`. Pages are requested while you iterate."""
        return self._list(Job, path_of("connections", connection, "jobs"), limit, status=status)

    def find_jobs(self, *, limit: int | None = None, **conditions: Unpack[JobConditions]) -> Iterator[FoundJobs]:
        """The pages of jobs of several connections that meet all `conditions`, with at most `limit` jobs each.

        Pages are requested while you iterate. Look at `incomplete` of each: a connection that fails does not raise.
        """
        query = {**_conditions(conditions), "limit": limit}
        more = True
        while more:
            page = self._get(FoundJobs, path_of("jobs"), **query)
            yield page
            more = page.next_cursor is not None
            query["cursor"] = page.next_cursor

    def count_jobs(self, **conditions: Unpack[JobConditions]) -> JobCount:
        """The number of jobs of several connections that meet all `conditions`, by connection and status."""
        return self._get(JobCount, path_of("jobs", "count"), **_conditions(conditions))

    def job(self, connection: str, job_id: str, *, include_vendor: bool = False) -> Job:
        """One job; with `include_vendor`, the vendor's own object too."""
        path = path_of("connections", connection, "jobs", job_id)
        return self._get(Job, path, include="vendor" if include_vendor else None)


def _conditions(given: JobConditions) -> dict[str, Any]:
    """The conditions for jobs as a query."""
    return {JOB_CONDITIONS.get(name, camel(name)): member(value) for name, value in given.items() if value is not None}
