"""The audit of durable work: the rows of batches and schedules must be as their last events in the chain say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import DecodeError
from sqlalchemy import Connection, Row, Table, func, select

from gateway.domain.batches import Batch
from gateway.domain.schedules import Schedule
from gateway.domain.times import milliseconds
from gateway.ledger import batches as batch_rows
from gateway.ledger import schedules as schedule_rows
from gateway.ledger.events import StateChanged
from gateway.ledger.findings import ROWS_AT_ONCE, Finding
from gateway.ledger.proofs import DELETED_BY_RETENTION, proof_of
from gateway.ledger.tables import batches, schedules, segments

Work = tuple[str, str]
"""The kind and the id of durable work."""


class Kind(NamedTuple):
    """A kind of durable work: its table, and how rows are read and made."""

    name: str
    table: Table
    decoded: Callable[[Row[Any]], Batch | Schedule]
    columns: Callable[[Any], Mapping[str, Any]]


KINDS = (
    Kind("batch", batches, batch_rows.batch_of, batch_rows.row_of),
    Kind("schedule", schedules, schedule_rows.schedule_of, schedule_rows.row_of),
)
CONTENT = "content"


def wrong_work(connection: Connection, known: Mapping[Work, StateChanged]) -> Finding | None:
    """The first batch or schedule that differs from what its last event says."""
    deleted_until = connection.execute(
        select(func.max(segments.c.written_at)).where(segments.c.deleted_at.is_not(None))
    ).scalar()
    return next((found for kind in KINDS for found in _findings(connection, kind, known, deleted_until)), None)


def _findings(
    connection: Connection, kind: Kind, known: Mapping[Work, StateChanged], deleted_until: int | None
) -> Iterator[Finding]:
    left = {key: event for (name, key), event in known.items() if name == kind.name}
    rows = select(kind.table).order_by(kind.table.c.id).execution_options(yield_per=ROWS_AT_ONCE)
    with connection.execute(rows) as found:
        for row in found:
            wrong = _wrong_row(kind, row, left.pop(row.id, None), deleted_until)
            if wrong is not None:
                yield Finding(None, f"{kind.name} {row.id}: {wrong}")
    missing = (
        key
        for key, last in left.items()
        if last.state != DELETED_BY_RETENTION and not _may_be_deleted(last.at, deleted_until)
    )
    yield from (Finding(None, f"{kind.name} {key}: it is missing") for key in missing)


def _wrong_row(kind: Kind, row: Row[Any], said: StateChanged | None, deleted_until: int | None) -> str | None:
    """The error in a row, None if there is none. Retention may have deleted its last event until some time."""
    if said is not None and said.state == DELETED_BY_RETENTION:
        return "retention has deleted it, and it is there"
    try:
        work = kind.decoded(row)
    except DecodeError:
        return "its row cannot be read"
    different = [name for name, value in kind.columns(work).items() if name != CONTENT and getattr(row, name) != value]
    if different:
        return f"its row has another {', '.join(different)} than its content"
    is_newer = said is None or said.version < work.version
    newest = work.changed_at if said is None else max(said.at, work.changed_at)
    if is_newer and _may_be_deleted(newest, deleted_until):
        return None
    return "no event tells of it" if said is None else _difference(row, work, said)


def _may_be_deleted(at: datetime, deleted_until: int | None) -> bool:
    """True if retention may have deleted an event of this time, or a later one.

    Not every older segment is deleted before it: one with an action that is not settled, or another node's, stays.
    """
    return deleted_until is not None and milliseconds(at) <= deleted_until


def _difference(row: Row[Any], work: Batch | Schedule, said: StateChanged) -> str | None:
    """The difference between a row and its last event. Events of earlier versions of Jobgate have no proof."""
    if said.proof and (said.version > work.version or said.proof != proof_of(row.state, row.content)):
        return "it is not as its last event says"
    if isinstance(work, Batch) and work.is_ended:
        outcomes = said.facts.get("outcomes", {})
        if _counts(outcomes) != _counts(work.progress.outcomes):
            return "its items have other outcomes than its last event says"
    return None


def _counts(outcomes: Mapping[str, int]) -> dict[str, int]:
    """The numbers of items by outcome, without those of which there are none."""
    return {name: count for name, count in outcomes.items() if count}
