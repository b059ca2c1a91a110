"""Rows of batches and schedules that somebody has changed are found by the audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Table, delete, event, insert, select, update

from gateway.batches.changes import event_of
from gateway.domain.batches import (
    Batch,
    BatchPlan,
    BatchState,
    Item,
    ItemOutcome,
    JobReference,
    Manifest,
    Progress,
    Report,
    Why,
)
from gateway.domain.recurrence import Recurrence
from gateway.domain.schedules import Schedule, SchedulePlan, ScheduleState
from gateway.ledger import audit
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import SAVED, CreateBatch
from gateway.ledger.checkpoints import deletion_of
from gateway.ledger.database import Database
from gateway.ledger.events import read
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.proofs import DELETED_BY_RETENTION, deletion
from gateway.ledger.retention import DeleteSegment, segment_state
from gateway.ledger.schedule_store import ScheduleStore
from gateway.ledger.tables import batches, events, schedules, segments
from gateway.schedules.schedules import event_of as schedule_event_of
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL
from tests.support.patience import PATIENCE

PLAN = BatchPlan(action="cancel", reason="a test", expected_count=2)
ENDED, WAITING, COLLECTING, NIGHTLY, OTHER = (f"00000000-0000-7000-8000-00000000000{each}" for each in range(5))
JOBS = [JobReference("contoso-prod", f"job-{number}") for number in range(2)]


@pytest.fixture
async def ledger(database: Database, clock: FakeClock) -> SqlLedger:
    """A ledger with a batch that has ended, one that waits as ready, one that collects jobs, and a schedule."""
    made = SqlLedger(database, clock, timedelta(days=30))
    await made.start()
    await ended(made, clock)
    await waiting(made, clock)
    await collecting(made, clock)
    await scheduled(made, clock)
    return made


async def created(ledger: SqlLedger, clock: FakeClock, name: str, state: BatchState) -> tuple[BatchStore, Batch]:
    """A new batch of two jobs."""
    now = clock.now()
    batch = Batch(name, "alice", state, PLAN, now, now, progress=Progress({"pending": 2}))
    items = [Item(number, each.connection, each.job_id) for number, each in enumerate(JOBS, 1)]
    store = BatchStore(ledger, clock)
    assert await store.create(CreateBatch(batch, items, event_of(batch, "alice"), now, now)) is None
    return store, batch


async def saved(store: BatchStore, batch: Batch, *, has_event: bool = True) -> Batch:
    """A change of a batch, as it is stored."""
    event = event_of(batch, None) if has_event else None
    assert await store.save(batch, event, store.clock.now()) == SAVED
    stored = await store.get(batch.id)
    assert stored is not None
    return stored


async def ended(ledger: SqlLedger, clock: FakeClock) -> None:
    """A batch that has ended, with its report."""
    store, batch = await created(ledger, clock, ENDED, BatchState.PREPARING)
    batch = await saved(store, replace(batch, state=BatchState.READY, manifest=Manifest("d" * 64, 2, {"will_act": 2})))
    batch = await saved(store, replace(batch, state=BatchState.RUNNING))
    items = [
        Item(number, each.connection, each.job_id, outcome=ItemOutcome.APPLIED) for number, each in enumerate(JOBS, 1)
    ]
    await store.settle(batch.id, items)
    stored = await store.get(batch.id)
    assert stored is not None
    await saved(store, replace(stored, state=BatchState.COMPLETED, report=Report("a" * 64, "b" * 64, 2)))


async def waiting(ledger: SqlLedger, clock: FakeClock) -> None:
    """A batch that is ready, and whose reason to wait has changed without an event."""
    store, batch = await created(ledger, clock, WAITING, BatchState.PREPARING)
    batch = await saved(store, replace(batch, state=BatchState.READY))
    await saved(store, replace(batch, why=Why("It waits for a window.")), has_event=False)


async def collecting(ledger: SqlLedger, clock: FakeClock) -> None:
    """A batch that has got jobs of a new connection."""
    store, batch = await created(ledger, clock, COLLECTING, BatchState.COLLECTING)
    assert await store.add(batch.id, [Item(3, "contoso-test", "job-3")], 10) == SAVED


async def scheduled(ledger: SqlLedger, clock: FakeClock) -> None:
    """A schedule that was paused and resumed."""
    now = clock.now()
    recurrence = Recurrence("0 2 * * *", "Europe/Amsterdam")
    plan = SchedulePlan("nightly", PLAN, timedelta(minutes=5), tuple(JOBS), recurrence=recurrence)
    schedule = Schedule(NIGHTLY, "alice", ScheduleState.ACTIVE, plan, now, now, next_at=now + timedelta(hours=1))
    store = ScheduleStore(ledger, clock)
    await store.create(schedule, schedule_event_of(schedule, "alice"), None)
    for state in (ScheduleState.PAUSED, ScheduleState.ACTIVE):
        found = await store.get(NIGHTLY)
        assert found is not None
        changed = replace(found, state=state)
        assert await store.save(changed, [schedule_event_of(changed, "alice")]) == SAVED


async def over(ledger: SqlLedger, clock: FakeClock) -> None:
    """The schedule is deleted by its caller."""
    store = ScheduleStore(ledger, clock)
    found = await store.get(NIGHTLY)
    assert found is not None
    deleted = replace(found, state=ScheduleState.DELETED, changed_at=clock.now(), next_at=None)
    assert await store.save(deleted, [schedule_event_of(deleted, "alice")]) == SAVED


def content(table: Table, name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Connection], object]:
    """Change the content of a row."""

    def run(connection: Connection) -> None:
        its = table.c.id == name
        members = json.loads(connection.execute(select(table.c.content).where(its)).scalar_one())
        change(members)
        connection.execute(update(table).where(its).values(content=json.dumps(members, separators=(",", ":"))))

    return run


def state(table: Table, name: str, other: str) -> Callable[[Connection], object]:
    """Change the state of a row, in its column and in its content."""

    def run(connection: Connection) -> None:
        content(table, name, lambda members: members.update(state=other))(connection)
        connection.execute(update(table).where(table.c.id == name).values(state=other))

    return run


def column(table: Table, name: str, **values: Any) -> Callable[[Connection], object]:
    """Change columns of a row."""
    return lambda connection: connection.execute(update(table).where(table.c.id == name).values(**values))


def removed(table: Table, name: str) -> Callable[[Connection], object]:
    """Remove a row."""
    return lambda connection: connection.execute(delete(table).where(table.c.id == name))


def renamed(connection: Connection) -> None:
    """Add a batch that nobody created, by renaming one that has ended."""
    content(batches, ENDED, lambda members: members.update(id=OTHER))(connection)
    connection.execute(update(batches).where(batches.c.id == ENDED).values(id=OTHER))


AS_TOLD = "it is not as its last event says"
WAYS: dict[str, tuple[Callable[[Connection], object], str]] = {
    "state of a batch": (state(batches, WAITING, "paused"), f"batch {WAITING}: {AS_TOLD}"),
    "column of its state": (column(batches, WAITING, state="paused"), "another state than its content"),
    "caller of a batch": (column(batches, ENDED, caller="bob"), "another caller than its content"),
    "end of a batch": (column(batches, ENDED, ended_at=None), "another ended_at than its content"),
    "plan of a batch": (content(batches, WAITING, lambda each: each["plan"].update(action="close")), AS_TOLD),
    "plan of one that collects": (
        content(batches, COLLECTING, lambda each: each["plan"].update(reason="another")),
        AS_TOLD,
    ),
    "count of a manifest": (content(batches, ENDED, lambda each: each["manifest"].update(count=3)), AS_TOLD),
    "hash of a report": (content(batches, ENDED, lambda each: each["report"].update(csv="c" * 64)), AS_TOLD),
    "outcomes of a batch": (column(batches, ENDED, progress='{"outcomes":{"applied":1}}'), "other outcomes"),
    "content that is none": (column(batches, WAITING, content="{}"), "cannot be read"),
    "batch that is missing": (removed(batches, WAITING), f"batch {WAITING}: it is missing"),
    "batch that is missing after its end": (removed(batches, ENDED), f"batch {ENDED}: it is missing"),
    "batch that nobody made": (renamed, f"batch {OTHER}: no event tells of it"),
    "state of a schedule": (state(schedules, NIGHTLY, "paused"), f"schedule {NIGHTLY}: {AS_TOLD}"),
    "cadence of a schedule": (
        content(schedules, NIGHTLY, lambda each: each["plan"]["recurrence"].update(cron="0 3 * * *")),
        AS_TOLD,
    ),
    "next time of a schedule": (content(schedules, NIGHTLY, lambda each: each.pop("next_at")), AS_TOLD),
    "schedule that is missing": (removed(schedules, NIGHTLY), f"schedule {NIGHTLY}: it is missing"),
}
"""Ways to tamper with the rows of durable work, and what the audit says of them."""


@pytest.mark.usefixtures("ledger")
def test_untouched_work_is_as_its_events_say(database: Database) -> None:
    """Changes that need no event, such as a reason to wait and added connections, are no finding."""
    assert audit.verify(database).finding is None


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("name", WAYS)
def test_a_changed_row_is_found(database: Database, name: str) -> None:
    """The audit names the batch or the schedule, and what is wrong with it."""
    tamper, told = WAYS[name]
    with database.writing.begin() as connection:
        tamper(connection)
    finding = audit.verify(database).finding
    assert finding is not None
    assert told in str(finding)


async def test_work_whose_last_event_retention_deleted_is_no_finding(
    ledger: SqlLedger, database: Database, clock: FakeClock
) -> None:
    """A schedule that goes on for years outlives its events; whatever changes later is compared again."""
    clock.advance(40 * 86_400)
    await ledger.tidy(clock.now())
    with database.reading.connect() as connection:
        assert [read(*row) for row in connection.execute(select(events.c.kind, events.c.content))] == [
            deletion("batch", ENDED, 3, clock.now())
        ]
        assert connection.execute(select(segments.c.deleted_at)).scalars().all() != [None]
    assert audit.verify(database).finding is None
    with database.writing.begin() as connection:
        content(schedules, NIGHTLY, lambda each: each.update(changed_at=clock.now().isoformat()))(connection)
    assert "no event tells of it" in str(audit.verify(database).finding)


async def test_a_row_that_retention_deleted_does_not_come_back(
    ledger: SqlLedger, database: Database, clock: FakeClock
) -> None:
    """The chain says which rows retention has deleted, so that nobody can put one back."""
    with database.reading.connect() as connection:
        row = connection.execute(select(batches).where(batches.c.id == ENDED)).one()
    clock.advance(40 * 86_400)
    await ledger.tidy(clock.now())
    with database.writing.begin() as connection:
        connection.execute(insert(batches), row._asdict())
    assert f"batch {ENDED}: retention has deleted it" in str(audit.verify(database).finding)


async def test_what_retention_deleted_is_not_missing(ledger: SqlLedger, database: Database, clock: FakeClock) -> None:
    """An event tells of the deletion of each batch and schedule, while the event of its end is still there."""
    await over(ledger, clock)
    clock.advance(6 * 3_600)
    await created(ledger, clock, OTHER, BatchState.COLLECTING)  # in the same segment, which stays for its sake
    clock.advance(30 * 86_400 - 3_600)
    await ledger.tidy(clock.now())
    assert await ScheduleStore(ledger, clock).get(NIGHTLY) is None
    assert audit.verify(database).finding is None
    with database.reading.connect() as connection:
        told = connection.execute(select(events.c.content).where(events.c.kind == "state")).scalars().all()
    for name in (ENDED, NIGHTLY):
        assert sum(name in each for each in told) > 1


@contextmanager
def held_up(database: Database, beginning: str) -> Iterator[tuple[Event, Event]]:
    """Statements that begin so wait. Gives the event that one of them waits, and the one that lets it go on."""
    waits, may_go_on = Event(), Event()

    def wait(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(beginning):
            waits.set()
            assert may_go_on.wait(PATIENCE)

    event.listen(database.writing, "before_cursor_execute", wait)
    try:
        yield waits, may_go_on
    finally:
        may_go_on.set()
        event.remove(database.writing, "before_cursor_execute", wait)


@pytest.mark.parametrize("deletion_of_work", ["DELETE FROM batch_items ", "DELETE FROM occurrences "])
async def test_processes_that_tidy_at_once_delete_once(
    postgresql: PostgreSQL, clock: FakeClock, deletion_of_work: str
) -> None:
    """A process leaves alone, without waiting or failing, rows that another has begun to delete; one event tells.

    In SQLite, only one process writes at a time.
    """
    address = postgresql.emptied()
    databases = [Database.at(address) for _ in range(2)]
    first, second = (SqlLedger(each, clock, timedelta(days=30)) for each in databases)
    for each in (first, second):
        await each.start()
    for add in (ended, scheduled, over):
        await add(first, clock)
    clock.advance(40 * 86_400)
    with held_up(databases[0], deletion_of_work) as (waits, may_go_on):
        tidying = asyncio.create_task(first.tidy(clock.now()))
        assert await asyncio.to_thread(waits.wait, PATIENCE)
        await asyncio.wait_for(second.tidy(clock.now()), PATIENCE)
        may_go_on.set()
        await tidying
    with databases[0].reading.connect() as connection:
        told = [read(*row) for row in connection.execute(select(events.c.kind, events.c.content))]
    deletions = [deletion("batch", ENDED, 3, clock.now()), deletion("schedule", NIGHTLY, 3, clock.now())]
    assert sorted(told, key=str) == deletions
    assert audit.verify(databases[0]).finding is None
    for each in (first, second):
        await each.close()


async def test_work_whose_end_retention_deleted_is_not_missing(database: Database, clock: FakeClock) -> None:
    """A segment with the first events of a batch can outlive those with its end, for example another node's."""
    first, second = (SqlLedger(database, clock, timedelta(days=30)) for _ in range(2))
    for each in (first, second):
        await each.start()
    _, batch = await created(first, clock, ENDED, BatchState.PREPARING)
    await saved(BatchStore(second, clock), replace(batch, state=BatchState.ABORTED))
    clock.advance(6 * 3_600)
    await collecting(first, clock)  # in the same segment
    clock.advance(30 * 86_400 - 3_600)
    await second.tidy(clock.now())
    with database.reading.connect() as connection:
        assert ENDED not in connection.execute(select(batches.c.id)).scalars().all()
        told = events.c.content.contains(DELETED_BY_RETENTION)
        state = segment_state(connection, connection.execute(select(events.c.segment).where(told)).scalar_one())
    await second.write(DeleteSegment(state, clock.now(), deletion_of(state, clock.now())))
    with database.reading.connect() as connection:
        assert len(connection.execute(select(events)).all()) == 2
    assert audit.verify(database).finding is None


async def test_a_row_that_is_made_older_than_its_event_is_found(
    ledger: SqlLedger, database: Database, clock: FakeClock
) -> None:
    """Retention excuses no row whose last event is there, whatever time and version the row has."""
    clock.advance(40 * 86_400)
    await ledger.tidy(clock.now())
    store, batch = await created(ledger, clock, OTHER, BatchState.PREPARING)
    await saved(store, replace(batch, state=BatchState.READY))
    assert audit.verify(database).finding is None
    old = {"changed_at": (clock.now() - timedelta(days=50)).isoformat().replace("+00:00", "Z"), "version": 9}
    with database.writing.begin() as connection:
        content(batches, OTHER, lambda each: each.update(old, plan={**each["plan"], "action": "close"}))(connection)
        connection.execute(update(batches).where(batches.c.id == OTHER).values(version=9))
    assert AS_TOLD in str(audit.verify(database).finding)
