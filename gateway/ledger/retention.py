"""Retention: deletion of expired keys and of whole old segments. Unsettled job actions are never deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from gateway.domain.record import JobActionStatus
from gateway.domain.times import milliseconds
from gateway.ledger.checkpoints import SegmentState
from gateway.ledger.events import KEPT
from gateway.ledger.operations import CustomWrite
from gateway.ledger.tables import events, idempotency_keys, job_actions, segments

UNSETTLED = (JobActionStatus.IN_PROGRESS.value, JobActionStatus.UNSETTLED.value)


def delete_expired_keys(now: datetime) -> CustomWrite:
    """Delete the keys that have expired."""
    expired = delete(idempotency_keys).where(idempotency_keys.c.expires_at <= milliseconds(now))
    return CustomWrite(lambda connection: connection.execute(expired).rowcount)


StateDeletion = Callable[[SegmentState, datetime], str]
"""Make a statement that a segment is deleted, before it is, and return its text."""


def old_segments(connection: Connection, before: datetime) -> list[int]:
    """The numbers of the segments whose last event is older than `before` and that can be deleted."""
    old = select(segments.c.number).where(segments.c.written_at < milliseconds(before), segments.c.deleted_at.is_(None))
    return [number for number in connection.execute(old).scalars().all() if not holds_what_stays(connection, number)]


def holds_what_stays(connection: Connection, number: int) -> bool:
    """True if a segment has an event of an unsettled job action, or one that belongs to no job action."""
    kept = select(events.c.id).where(events.c.segment == number, events.c.kind.in_(KEPT)).limit(1)
    unsettled = (
        select(events.c.id)
        .join(job_actions, job_actions.c.id == events.c.job_action_id)
        .where(events.c.segment == number, job_actions.c.status.in_(UNSETTLED))
        .limit(1)
    )
    return any(connection.execute(each).first() is not None for each in (kept, unsettled))


def delete_segment(number: int, now: datetime, state: StateDeletion) -> CustomWrite:
    """Delete a segment's events, and the job actions that began in it.

    Its number, length, last hash and the statement of its deletion stay.
    """

    def run(connection: Connection) -> None:
        if holds_what_stays(connection, number):
            return
        said = state(segment_state(connection, number), now)
        began = select(events.c.job_action_id).where(events.c.segment == number, events.c.sequence == 0)
        connection.execute(delete(job_actions).where(job_actions.c.id.in_(began)))
        connection.execute(delete(events).where(events.c.segment == number))
        mark = update(segments).where(segments.c.number == number)
        connection.execute(mark.values(deleted_at=milliseconds(now), deletion=said))

    return CustomWrite(run)


def segment_state(connection: Connection, number: int) -> SegmentState:
    """The present state of a segment."""
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    return SegmentState(number, row.length, bytes(row.head))
