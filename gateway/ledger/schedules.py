"""Schedules in the ledger's database, and their occurrences: a row for each time at which one was to run.

An occurrence is a schedule and a time, which is the primary key: whatever happens, it makes at most one batch. The
batch is created in the transaction that moves the schedule on to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace
from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.domain.leases import Due, Lease, LeaseLost, TaskKind
from gateway.domain.model import Page
from gateway.domain.record import HeldKey
from gateway.domain.schedules import Schedule, ScheduleState
from gateway.domain.times import milliseconds
from gateway.ledger.batches import CHANGED, SAVED, CreateBatch
from gateway.ledger.events import StateChanged
from gateway.ledger.operations import Chained, event_row, hold_key
from gateway.ledger.proofs import deletion, proven
from gateway.ledger.retention import locked_version
from gateway.ledger.tables import changeable, occurrences, schedules
from gateway.ledger.tasks import end_task, moved, put_task

_ENCODER = Encoder()
_SCHEDULES: Decoder[Schedule] = Decoder(Schedule)
OVER = (ScheduleState.ENDED.value, ScheduleState.DELETED.value)
"""The states of schedules that will make no more batches."""


class NewEvent(Struct, frozen=True, array_like=True):
    """An event with an id of its own."""

    id: str
    event: StateChanged


class Occurrence(Struct, frozen=True, array_like=True):
    """A time at which a schedule was to run, and what came of it: a batch, or a reason why not."""

    at: datetime
    batch: str | None = None
    skipped: str | None = None


class CreateSchedule(Struct, frozen=True, array_like=True, tag="create-schedule"):
    """Store a new schedule with its task and its event, and hold its key.

    The result is None, or the id and the fingerprint of the schedule that holds the key.
    """

    schedule: Schedule
    event: StateChanged
    now: datetime
    key: HeldKey | None = None

    def run(self, connection: Connection) -> Any:
        """Store it."""
        schedule = self.schedule
        if self.key is not None:
            held = hold_key(connection, schedule.id, self.key, self.now)
            if held is not None and held["job_action_id"] != schedule.id:
                return [held["job_action_id"], held["fingerprint"]]
        if head(connection, schedule.id) is not None:
            return None
        row = row_of(schedule)
        connection.execute(insert(schedules), row)
        put_next(connection, schedule)
        return Chained(None, [event_row(schedule.id, 0, proven(self.event, row))])


class SaveSchedule(Struct, frozen=True, array_like=True, tag="save-schedule"):
    """Store a change of a schedule, with its events, occurrences and the batch that it makes. The result is SAVED.

    It is CHANGED if somebody has changed the schedule since its version was read, or if an occurrence was there. Under
    a `lease`, LeaseLost is the result if it does not hold any more. Without one, the task is taken from its holder.
    """

    schedule: Schedule
    events: list[NewEvent]
    lease: Lease | None = None
    occurrences: list[Occurrence] = []
    batch: CreateBatch | None = None

    def run(self, connection: Connection) -> Any:
        """Store it."""
        longer = replace(self.schedule, version=self.schedule.version + 1)
        if self.lease is not None and not moved(connection, self.lease, next_due(longer), 0):
            return SAVED if head(connection, longer.id) == longer else LeaseLost(longer.id)
        its = (schedules.c.id == longer.id, schedules.c.version == self.schedule.version)
        if any(is_stored(connection, longer.id, each.at) for each in self.occurrences):
            return SAVED if head(connection, longer.id) == longer else CHANGED
        row = row_of(longer)
        if connection.execute(update(schedules).where(*its).values(changeable(row))).rowcount != 1:
            return SAVED if head(connection, longer.id) == longer else CHANGED
        if self.occurrences:
            rows = [occurrence_row(longer.id, each) for each in self.occurrences]
            connection.execute(insert(occurrences), rows)
        created = None if self.batch is None else self.batch.run(connection)
        if self.lease is None or longer.next_at is None:
            put_next(connection, longer)
        events = [event_row(each.id, 0, proven(each.event, row)) for each in self.events]
        return Chained(SAVED, [*(created.events if isinstance(created, Chained) else ()), *events])


class DeleteOldSchedules(Struct, frozen=True, array_like=True, tag="delete-old-schedules"):
    """Delete occurrences before a time, and schedules that ended before it, with an event for each of these.

    An occurrence of a schedule that goes on is not needed any more: its version and its next time forbid another one.
    A schedule that another process deletes at the same time is left to it.
    """

    before: datetime
    now: datetime

    def run(self, connection: Connection) -> Chained:
        """Delete them."""
        over = connection.execute(select(schedules).where(schedules.c.state.in_(OVER))).all()
        old = [row.id for row in over if schedule_of(row).changed_at < self.before]
        locked = ((each, locked_version(connection, schedules, each)) for each in old)
        versions = {each: version for each, version in locked if version is not None}
        for each in versions:
            connection.execute(delete(occurrences).where(occurrences.c.schedule == each))
            connection.execute(delete(schedules).where(schedules.c.id == each))
        connection.execute(delete(occurrences).where(occurrences.c.at < milliseconds(self.before)))
        deletions = (deletion(TaskKind.SCHEDULE, each, version, self.now) for each, version in versions.items())
        return Chained(None, [event_row(each.id, 1, each) for each in deletions])


def row_of(schedule: Schedule) -> dict[str, Any]:
    """The row of a schedule."""
    return {
        "id": schedule.id,
        "caller": schedule.caller,
        "state": schedule.state.value,
        "version": schedule.version,
        "content": _ENCODER.encode(schedule).decode(),
    }


def occurrence_row(schedule: str, occurrence: Occurrence) -> dict[str, Any]:
    """The row of an occurrence."""
    return {
        "schedule": schedule,
        "at": milliseconds(occurrence.at),
        "batch": occurrence.batch,
        "skipped": occurrence.skipped,
    }


def put_next(connection: Connection, schedule: Schedule) -> None:
    """Set the time at which somebody should look after a schedule, or end its task if there is none."""
    if schedule.state is ScheduleState.ACTIVE and schedule.next_at is not None:
        put_task(connection, Due(TaskKind.SCHEDULE, schedule.id, schedule.next_at))
    else:
        end_task(connection, TaskKind.SCHEDULE, schedule.id)


def next_due(schedule: Schedule) -> int:
    """The time of the task of a schedule, in milliseconds."""
    return 0 if schedule.next_at is None else milliseconds(schedule.next_at)


def is_stored(connection: Connection, schedule: str, at: datetime) -> bool:
    """True if an occurrence was there before."""
    its = (occurrences.c.schedule == schedule, occurrences.c.at == milliseconds(at))
    return connection.execute(select(occurrences.c.at).where(*its)).first() is not None


def schedule_of(row: Row[Any]) -> Schedule:
    """The schedule in a row."""
    return _SCHEDULES.decode(row.content)


def head(connection: Connection, schedule: str) -> Schedule | None:
    """The schedule with this id."""
    found = connection.execute(select(schedules.c.content).where(schedules.c.id == schedule)).scalar()
    return None if found is None else _SCHEDULES.decode(found)


def page(connection: Connection, caller: str | None, limit: int, before: str | None) -> Page[Schedule]:
    """At most `limit` schedules with ids before `before`, newest first: of a caller, or of everybody."""
    chosen = select(schedules.c.content).where(schedules.c.state != ScheduleState.DELETED.value)
    if caller is not None:
        chosen = chosen.where(schedules.c.caller == caller)
    if before is not None:
        chosen = chosen.where(schedules.c.id < before)
    found = connection.execute(chosen.order_by(schedules.c.id.desc()).limit(limit + 1)).scalars().all()
    items = tuple(_SCHEDULES.decode(each) for each in found[:limit])
    return Page(items, items[-1].id if len(found) > limit else None)


def lines(connection: Connection, schedule: str, limit: int) -> Sequence[tuple[int, str | None, str | None]]:
    """The newest occurrences of a schedule: the time in milliseconds, the batch, and the reason without one."""
    table = occurrences.c
    chosen = select(table.at, table.batch, table.skipped).where(table.schedule == schedule)
    return [(row[0], row[1], row[2]) for row in connection.execute(chosen.order_by(table.at.desc()).limit(limit))]
