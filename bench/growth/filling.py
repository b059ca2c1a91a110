"""Filling of ledgers: a year of job actions, written in a few minutes.

The ledger writer's own `gateway.ledger.operations.write` is used, so rows, events and hash chain are those of the
product. Only the transactions are larger, nothing waits for the disk, and the indexes over job actions come last.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from gateway.domain.clock import SystemClock
from gateway.domain.errors import Explanation
from gateway.domain.model import JobAction, Outcome, StatusPair, VendorResponse
from gateway.domain.record import (
    Concluded,
    Event,
    JobActionRecord,
    Origin,
    ProblemNote,
    Read,
    Requested,
    Sent,
    SettledBy,
)
from gateway.ledger.chain import Segment
from gateway.ledger.database import Database
from gateway.ledger.ledger import combined
from gateway.ledger.operations import Append, Claim, Operation, stored_form, write
from gateway.ledger.tables import job_actions

Advance = Callable[[int], object]
"""Called with the number of job actions written so far."""

VENDOR = "azure-job-router"


def as_often(shares: Mapping[str, int]) -> tuple[str, ...]:
    """Each name repeated by its share, for random choice."""
    return tuple(name for name, share in shares.items() for _ in range(share))


CONNECTIONS = as_often({"emea": 40, "americas": 30, "asia": 20, "nordics": 8, "pilot": 2})
CALLERS = as_often({"desk": 2, "robot": 1})
PAUSING = "emea"
"""The only connection with paused jobs, so that a search for them on another one finds nothing."""
ACTIONS = as_often({"close": 6, "cancel": 3, "restart": 1})
ACTIONS_WHERE_PAUSED = (*ACTIONS, "pause")

REJECTED, NOT_SENT, READ_BACK = 0.024, 0.005, 0.001
"""Shares of job actions that were refused, not sent, and applied without a reply. The rest were applied."""
NEVER_KNOWN = 96
"""Number of job actions whose outcome stayed unknown. It does not depend on the size, so they become rarer."""
SAME_JOB = 0.1
"""Share of job actions on a job that had an action before."""
_REMEMBERED = 1_000

YEAR = timedelta(days=365)
SOON = timedelta(milliseconds=40)
AT_ONCE = 32
"""Number of job actions in one batch, like that of so many clients."""
BATCHES = 500
"""Number of batches in one transaction."""
_CACHE_KIBIBYTES = 256 * 1_024

_ACCEPTED = VendorResponse(VENDOR, 200, request_id="0HN8RKA7L2F4M:00000001")
_REFUSED = VendorResponse(VENDOR, 409, "InvalidState", "The job is not in a state that allows this.")
_CLOSED = StatusPair("closed", "closed")
_NOT_REACHED = ProblemNote("vendor-unreachable", "azure-job-router could not be reached.")
_LATE = ProblemNote("vendor-timed-out", "azure-job-router did not answer in time.")
_WRONG_STATE = ProblemNote(
    "wrong-state", "The job is closed, which does not allow close.", Explanation(vendor=_REFUSED)
)


@dataclass
class Year:
    """`size` job actions, evenly spread over the year until `end`."""

    size: int
    end: datetime
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        """Seed the random numbers with the size, so that they repeat."""
        self._random = Random(self.size)  # noqa: S311 - nothing is secret
        self._jobs: deque[str] = deque(maxlen=_REMEMBERED)

    def records(self) -> Iterator[JobActionRecord]:
        """All records, oldest first."""
        every = max(self.size // NEVER_KNOWN, 1)
        for number in range(self.size):
            at = self.end - YEAR * ((self.size - number) / self.size)
            later = never_known(at) if number % every == every // 2 else self._later(at)
            yield JobActionRecord(self.clock.new_id(at), self._requested(at), later)

    def _requested(self, at: datetime) -> Requested:
        draw = self._random.choice
        connection = draw(CONNECTIONS)
        action = draw(ACTIONS_WHERE_PAUSED if connection == PAUSING else ACTIONS)
        job_action = JobAction(action, self._job(), {"note": "Closing job", "dispositionCode": "JobCompleted."})
        origin = Origin("10.0.0.7", self._hexadecimal(), self._hexadecimal())
        return Requested(at, draw(CALLERS), connection, VENDOR, job_action, origin=origin)

    def _job(self) -> str:
        if self._jobs and self._random.random() < SAME_JOB:
            return self._random.choice(self._jobs)
        job = str(UUID(int=self._random.getrandbits(128), version=4))
        self._jobs.append(job)
        return job

    def _hexadecimal(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _later(self, at: datetime) -> tuple[Event, ...]:
        """The events after the request of a job action, drawn at random."""
        drawn = self._random.random()
        if drawn < REJECTED:
            return Sent(at), Concluded(at + SOON, Outcome.REJECTED, SettledBy.VENDOR_REPLY, problem=_WRONG_STATE)
        if drawn < REJECTED + NOT_SENT:
            return (Concluded(at + SOON, Outcome.NOT_SENT, SettledBy.NOTHING_SENT, problem=_NOT_REACHED),)
        if drawn < REJECTED + NOT_SENT + READ_BACK:
            return (
                *(Sent(at), Concluded(at + SOON, Outcome.UNKNOWN, problem=_LATE), Read(at + 2 * SOON, _CLOSED)),
                Concluded(at + 2 * SOON, Outcome.APPLIED, SettledBy.READING, _CLOSED),
            )
        return applied(at)


def applied(at: datetime) -> tuple[Sent, Concluded]:
    """The events of an applied job action."""
    return Sent(at), Concluded(at + SOON, Outcome.APPLIED, SettledBy.VENDOR_REPLY, _CLOSED, _ACCEPTED)


def never_known(at: datetime) -> tuple[Event, ...]:
    """The events of a job action whose job could not be read either."""
    unknown = Concluded(at + SOON, Outcome.UNKNOWN, problem=_LATE)
    readings = (Read(at + number * SOON, problem="vendor-timed-out") for number in range(2, 6))
    return Sent(at), unknown, *readings, Concluded(at + 6 * SOON, Outcome.UNKNOWN, SettledBy.GAVE_UP, problem=_LATE)


def fill(database: Database, year: Year, advance: Advance) -> None:
    """Create a SQLite ledger with the job actions of a year."""
    database.migrate()
    database.dispose()  # the next connection is then the only one to the file
    with database.writing.connect() as connection:
        set_for_speed(connection)
        for index in job_actions.indexes:
            index.drop(connection)
        write_all(connection, year, advance)
        for index in sorted(job_actions.indexes, key=lambda each: str(each.name)):
            index.create(connection)
        connection.commit()
    database.dispose()
    put_on_disk(database)


def set_for_speed(connection: Connection) -> None:
    """Disable the crash safety of a connection."""
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA journal_mode = OFF")
    driver.execute("PRAGMA synchronous = OFF")
    driver.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")


def put_on_disk(database: Database) -> None:
    """Flush the file to the disk, which would otherwise happen during the measurements."""
    with open(database.name, "rb+") as file:  # noqa: PTH123 - it is a file name
        os.fsync(file.fileno())


def write_all(connection: Connection, year: Year, advance: Advance) -> None:
    """Write a year, in the order of the ledger's writer."""
    records = year.records()
    segment: Segment | None = None
    done = 0
    while batch := list(islice(records, AT_ONCE)):
        now = batch[-1].requested.at
        for operations in commits(batch):
            segment, _ = write(connection, segment, [stored_form(each) for each in operations], now)
        done += len(batch)
        if done % (AT_ONCE * BATCHES) == 0:
            connection.commit()
            advance(done)
    connection.commit()
    advance(done)


def commits(records: Sequence[JobActionRecord]) -> Iterator[list[Operation]]:
    """The operations for these records, commit by commit: claims with their first event, then the later events."""
    for number in range(max(len(record.later) for record in records)):
        yield [each for record in records if number < len(record.later) for each in operations_of(record, number)]


def operations_of(record: JobActionRecord, number: int) -> Iterator[Operation]:
    """The operations that add a later event to a record, with the claim before the first one."""
    event = record.later[number]
    so_far = JobActionRecord(record.id, record.requested, record.later[: number + 1])
    append = Append(so_far, event, None if so_far.is_settled else event.at + SOON)
    if number > 0:
        yield append
    else:
        yield from combined(Claim(JobActionRecord(record.id, record.requested), event.at + SOON, None), append)
