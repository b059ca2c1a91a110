"""Retention: deletion of expired keys and of whole old segments. Unsettled job actions are never deleted.

Each event of an approval has a segment of its own. They are deleted once the approval is closed and its batch is gone,
and with the last of them the approval.

PostgreSQL uses the space of what was deleted again. SQLite gives it back, slice by slice.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Table, delete, select, update

from gateway.domain.approvals import ApprovalState
from gateway.domain.record import JobActionStatus
from gateway.domain.times import milliseconds
from gateway.ledger.checkpoints import SegmentState
from gateway.ledger.events import APPROVAL, KEPT, ApprovalChanged, read
from gateway.ledger.tables import approvals, batches, events, idempotency_keys, job_actions, labels, segments

INCREMENTAL = 2
"""SQLite's number for files that can be made shorter in steps."""
UNSETTLED = (JobActionStatus.IN_PROGRESS.value, JobActionStatus.UNSETTLED.value)
WAITING = (ApprovalState.PENDING.value, ApprovalState.APPROVED.value, ApprovalState.REVIEW_DUE.value)
"""The states of approvals that somebody, or their batch, still needs."""

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


class OldApproval(Struct, frozen=True, array_like=True):
    """An approval with its version, and the segments of its events in their order."""

    id: str
    version: int
    segments: list[int]


class DeleteSegment(Struct, frozen=True, array_like=True, tag="delete-segment"):
    """Delete a segment's events, and the job actions that began in it, unless the segment is not in `state` any more.

    Its number, length, last hash and `said`, the statement of its deletion, stay. With the last segment of an
    `approval`, the approval is deleted.
    """

    state: SegmentState
    now: datetime
    said: str
    approval: OldApproval | None = None

    def run(self, connection: Connection) -> None:
        """Delete it."""
        number = self.state.number
        if segment_state(connection, number) != self.state:
            return
        if self.approval is None and holds_what_stays(connection, number):
            return
        if self.approval is not None:
            if not is_over(connection, self.approval):
                return
            if number == self.approval.segments[-1]:
                connection.execute(delete(approvals).where(approvals.c.id == self.approval.id))
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


def old_approvals(connection: Connection, before: datetime) -> list[OldApproval]:
    """The approvals that are over, and whose last event is older than `before`."""
    old = (
        select(events.c.segment, events.c.kind, events.c.content)
        .join(segments, segments.c.number == events.c.segment)
        .where(segments.c.written_at < milliseconds(before), segments.c.deleted_at.is_(None))
        .where(events.c.kind == APPROVAL)
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(old):
        event = read(row.kind, row.content)
        if isinstance(event, ApprovalChanged):
            found.setdefault(event.id, []).append((event.version, row.segment))
    each = (OldApproval(name, max(its)[0], [segment for _, segment in sorted(its)]) for name, its in found.items())
    return [approval for approval in each if is_over(connection, approval)]


def is_over(connection: Connection, approval: OldApproval) -> bool:
    """True if an approval has this version, waits for nobody, and its batch is gone."""
    over = select(approvals.c.id).where(
        approvals.c.id == approval.id,
        approvals.c.version == approval.version,
        approvals.c.state.not_in(WAITING),
        approvals.c.batch.not_in(select(batches.c.id)),
    )
    return connection.execute(over).first() is not None


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


def locked_version(connection: Connection, table: Table, key: str) -> int | None:
    """The version of a batch or a schedule, locked until the commit. None if it is gone or somebody else holds it."""
    # By its id: where the table is distributed, as with Citus, a search cannot lock the rows that it finds.
    chosen = select(table.c.version).where(table.c.id == key).with_for_update(skip_locked=True)
    return connection.execute(chosen).scalar()


def segment_state(connection: Connection, number: int) -> SegmentState:
    """The present state of a segment."""
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    return SegmentState(number, row.length, bytes(row.head))
