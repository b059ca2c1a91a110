"""Durable work: tasks in the ledger's database, each taken by one process at a time.

Nothing depends on who is alive. A task is taken when it is due, by raising its fence; whoever held it before finds the
fence changed at the next write, and stops. Statements use SKIP LOCKED where there is one, and compare the fence too,
since some databases have no locks to skip.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, bindparam, delete, or_, select, update

from gateway.domain.leases import LEASE_TIME, Due, Lease, LeaseLost
from gateway.domain.times import milliseconds
from gateway.ledger.tables import insert_of, tasks

_MOVE = (
    update(tasks)
    .where(tasks.c.kind == bindparam("of"), tasks.c.key == bindparam("its"), tasks.c.fence == bindparam("held"))
    .values(due_at=bindparam("until"), fence=bindparam("after"))
)
"""Built once: it renews the lease in every write under one."""


class PutTask(Struct, frozen=True, array_like=True, tag="put-task"):
    """Create a task, or set the time at which somebody should look after it."""

    due: Due

    def run(self, connection: Connection) -> None:
        """Put it."""
        put_task(connection, self.due)


class TakeTasks(Struct, frozen=True, array_like=True, tag="take-tasks"):
    """Take at most `limit` tasks of a kind that are due. The result is a list of keys and fences.

    A task that is due after `beyond` was put by somebody whose clock was ahead, and is taken as well.
    """

    kind: str
    now: datetime
    limit: int
    beyond: datetime | None = None

    def run(self, connection: Connection) -> list[tuple[str, int]]:
        """Take them."""
        chosen = (
            select(tasks.c.key, tasks.c.fence)
            .where(*is_due(self.kind, self.now, self.beyond))
            .order_by(tasks.c.due_at)
            .limit(self.limit)
            .with_for_update(skip_locked=True)
        )
        until = milliseconds(self.now + LEASE_TIME)
        found = [(row.key, row.fence) for row in connection.execute(chosen)]
        taken = [(key, fence) for key, fence in found if moved(connection, Lease(self.kind, key, fence), until, 1)]
        return [(key, fence + 1) for key, fence in taken]


class PostponeTask(Struct, frozen=True, array_like=True, tag="postpone-task"):
    """Give a task back until a time, under a lease. The result is False if the lease is lost."""

    lease: Lease
    until: datetime

    def run(self, connection: Connection) -> bool:
        """Postpone it."""
        return moved(connection, self.lease, milliseconds(self.until), 0)


class EndTask(Struct, frozen=True, array_like=True, tag="end-task"):
    """Delete a task, under a lease. The result is False if the lease is lost."""

    lease: Lease

    def run(self, connection: Connection) -> bool:
        """Delete it."""
        return connection.execute(delete(tasks).where(*held_by(self.lease))).rowcount == 1


def is_due(kind: str, now: datetime, beyond: datetime | None) -> tuple[ColumnElement[bool], ...]:
    """The conditions for a task of a kind that is due."""
    due = tasks.c.due_at <= milliseconds(now)
    if beyond is not None:
        due = or_(due, tasks.c.due_at > milliseconds(beyond))
    return tasks.c.kind == kind, due


def is_any_due(connection: Connection, kind: str, now: datetime, beyond: datetime | None = None) -> bool:
    """True if a task of a kind is due: a look that writes nothing."""
    return connection.execute(select(tasks.c.key).where(*is_due(kind, now, beyond)).limit(1)).first() is not None


def put_task(connection: Connection, due: Due) -> None:
    """Create a task, or set its time and raise its fence: whoever holds it loses it."""
    row = {"due_at": milliseconds(due.at)}
    statement = insert_of(connection, tasks).values(kind=due.kind, key=due.key, fence=0, **row)
    index = [tasks.c.kind, tasks.c.key]
    connection.execute(statement.on_conflict_do_update(index_elements=index, set_={**row, "fence": tasks.c.fence + 1}))


def wake_task(connection: Connection, due: Due) -> None:
    """Make a task due earlier, if there is one, and raise its fence: whoever looks at it now begins anew."""
    its = (tasks.c.kind == due.kind, tasks.c.key == due.key)
    values = {"due_at": milliseconds(due.at), "fence": tasks.c.fence + 1}
    connection.execute(update(tasks).where(*its).values(values))


def end_task(connection: Connection, kind: str, key: str) -> None:
    """Delete a task, whoever holds it."""
    connection.execute(delete(tasks).where(tasks.c.kind == kind, tasks.c.key == key))


def lost(connection: Connection, leases: Iterable[Lease], now: datetime) -> dict[Lease, LeaseLost]:
    """Renew each of these leases. Returns those that are lost."""
    until = milliseconds(now + LEASE_TIME)
    # In the order of their tasks, so that two processes never deadlock.
    return {each: LeaseLost(each.key) for each in sorted(leases, key=place) if not moved(connection, each, until, 0)}


def moved(connection: Connection, lease: Lease, until: int, by: int) -> bool:
    """Set the time of a leased task and raise its fence by so much. False if the lease is lost."""
    held = {"of": lease.kind, "its": lease.key, "held": lease.fence}
    return connection.execute(_MOVE, {**held, "until": until, "after": lease.fence + by}).rowcount == 1


def held_by(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """The conditions for a task that is held by this lease."""
    return tasks.c.kind == lease.kind, tasks.c.key == lease.key, tasks.c.fence == lease.fence


def place(lease: Lease) -> tuple[str, str, int]:
    """The place of a lease in the order of tasks."""
    return lease.kind, lease.key, lease.fence
