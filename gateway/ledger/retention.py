"""What is forgotten in time: expired keys, and old segments as a whole. Nothing that is unsettled ever is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from gateway.domain.record import JobActionStatus
from gateway.domain.times import milliseconds
from gateway.ledger.checkpoints import SegmentState
from gateway.ledger.events import KEPT
from gateway.ledger.operations import Task
from gateway.ledger.tables import events, idempotency_keys, job_actions, segments

UNSETTLED = (JobActionStatus.IN_PROGRESS.value, JobActionStatus.UNSETTLED.value)


def forget_keys(now: datetime) -> Task:
    """Delete the keys that have expired."""
    expired = delete(idempotency_keys).where(idempotency_keys.c.expires_at <= milliseconds(now))
    return Task(lambda connection: connection.execute(expired).rowcount)


State = Callable[[SegmentState, datetime], str]
"""States that a segment is deleted, before it is; gives what was said."""


def old_segments(connection: Connection, before: datetime) -> list[int]:
    """The segments whose last event is older, and that hold nothing of an unsettled job action."""
    old = select(segments.c.number).where(segments.c.written_at < milliseconds(before), segments.c.deleted_at.is_(None))
    return [number for number in connection.execute(old).scalars().all() if not holds_what_stays(connection, number)]


def holds_what_stays(connection: Connection, number: int) -> bool:
    """Whether a segment has an event of a job action that is not settled, or one that is of none."""
    kept = select(events.c.id).where(events.c.segment == number, events.c.kind.in_(KEPT)).limit(1)
    unsettled = (
        select(events.c.id)
        .join(job_actions, job_actions.c.id == events.c.job_action_id)
        .where(events.c.segment == number, job_actions.c.status.in_(UNSETTLED))
        .limit(1)
    )
    return any(connection.execute(each).first() is not None for each in (kept, unsettled))


def delete_segment(number: int, now: datetime, state: State) -> Task:
    """Delete a segment's events, and the job actions that began in it.

    Its number, length and last hash stay, and what was stated of it.
    """

    def run(connection: Connection) -> None:
        if holds_what_stays(connection, number):
            return
        said = state(state_in(connection, number), now)
        began = select(events.c.job_action_id).where(events.c.segment == number, events.c.sequence == 0)
        connection.execute(delete(job_actions).where(job_actions.c.id.in_(began)))
        connection.execute(delete(events).where(events.c.segment == number))
        mark = update(segments).where(segments.c.number == number)
        connection.execute(mark.values(deleted_at=milliseconds(now), deletion=said))

    return Task(run)


def state_in(connection: Connection, number: int) -> SegmentState:
    """How a segment stands."""
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    return SegmentState(number, row.length, bytes(row.head))
