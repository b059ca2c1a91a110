"""Retention: deletion of expired keys and of whole old segments. Unsettled job actions are never deleted.

PostgreSQL uses the space of what was deleted again. SQLite gives it back, slice by slice.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, delete, select, update

from gateway.domain.record import JobActionStatus
from gateway.domain.times import milliseconds
from gateway.ledger.checkpoints import SegmentState
from gateway.ledger.events import KEPT
from gateway.ledger.tables import events, idempotency_keys, job_actions, labels, segments

INCREMENTAL = 2
"""SQLite's number for files that can be made shorter in steps."""
UNSETTLED = (JobActionStatus.IN_PROGRESS.value, JobActionStatus.UNSETTLED.value)

SLICE_PAGES = 256
"""Number of a file's pages that are given back with one commit, which takes some milliseconds."""
KEPT_FREE = 0.1
"""Share of a file's pages that stay free, for what is written next."""


class DeleteExpiredKeys(Struct, frozen=True, array_like=True, tag="delete-expired-keys"):
    """Delete the keys that have expired. The result is their number."""

    now: datetime

    def run(self, connection: Connection) -> int:
        """Delete them."""
        expired = idempotency_keys.c.expires_at <= milliseconds(self.now)
        return connection.execute(delete(idempotency_keys).where(expired)).rowcount


class DeleteSegment(Struct, frozen=True, array_like=True, tag="delete-segment"):
    """Delete a segment's events, and the job actions that began in it, unless the segment is not in `state` any more.

    Its number, length, last hash and `said`, the statement of its deletion, stay.
    """

    state: SegmentState
    now: datetime
    said: str

    def run(self, connection: Connection) -> None:
        """Delete it."""
        number = self.state.number
        if holds_what_stays(connection, number) or segment_state(connection, number) != self.state:
            return
        began = select(events.c.job_action_id).where(events.c.segment == number, events.c.sequence == 0)
        connection.execute(delete(labels).where(labels.c.job_action_id.in_(began)))
        connection.execute(delete(job_actions).where(job_actions.c.id.in_(began)))
        connection.execute(delete(events).where(events.c.segment == number))
        mark = update(segments).where(segments.c.number == number)
        connection.execute(mark.values(deleted_at=milliseconds(self.now), deletion=self.said))


class GiveBackSpace(Struct, frozen=True, array_like=True, tag="give-back-space"):
    """Make a SQLite file at most `pages` shorter, but leave `kept_free` of it free. The result: how many it was."""

    pages: int
    kept_free: float

    def run(self, connection: Connection) -> int:
        """Make it shorter."""
        if connection.dialect.name != "sqlite":
            return 0
        free, all_pages = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "page_count")
        )
        surplus = min(self.pages, int((free - all_pages * self.kept_free) / (1 - self.kept_free)))
        if surplus <= 0 or connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() != INCREMENTAL:
            return 0
        for _ in range(surplus):
            # The driver takes only the first of its steps, each of which frees a page.
            connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        return surplus


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


def segment_state(connection: Connection, number: int) -> SegmentState:
    """The present state of a segment."""
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    return SegmentState(number, row.length, bytes(row.head))
