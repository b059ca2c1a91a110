"""The audit of the other tables: each row must agree with the events, and no row may be missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from gateway.domain.record import STATUSES, JobActionRecord
from gateway.domain.times import milliseconds
from gateway.ledger.approvals import proof_of
from gateway.ledger.checkpointing import BEFORE_STATEMENTS
from gateway.ledger.checkpoints import DELETION, NoCheckpoint, SegmentState, deleted_segment
from gateway.ledger.events import (
    BEGINNINGS,
    OF_NO_JOB_ACTION,
    UNREADABLE,
    ApprovalChanged,
    Claimed,
    Dispatched,
    KeyChanged,
    KeyTerms,
    Stored,
    read,
    record_of,
)
from gateway.ledger.findings import ROWS_AT_ONCE, Finding
from gateway.ledger.keys import as_event
from gateway.ledger.notes import Note, Verifier, notes_in
from gateway.ledger.tables import api_keys, approvals, events, idempotency_keys, job_actions, labels, segments


def wrong_deletion(connection: Connection, keys: Collection[Verifier]) -> Finding | None:
    """The first segment that is marked as deleted without a valid statement of retention."""
    gone = select(segments).where(segments.c.deleted_at.is_not(None)).order_by(segments.c.number)
    for row in connection.execute(gone):
        what = _wrong_statement(row, keys)
        if what is not None:
            return Finding(row.number, f"it is marked as deleted by retention, {what}")
    return None


def _wrong_statement(row: Row[Any], keys: Collection[Verifier]) -> str | None:
    if not row.deletion:
        return "which has made no statement of it"
    if row.deletion == BEFORE_STATEMENTS and not keys:
        return None
    note = next(notes_in(f"{row.deletion}\n"), Note(row.deletion, ()))
    try:
        stated = deleted_segment(note)
    except NoCheckpoint:
        return f"and its statement is not a {DELETION}"
    if stated != SegmentState(row.number, row.length, bytes(row.head)):
        return "but its statement is about another one"
    return "and its statement is not signed by a known key" if keys and not note.is_signed_by(keys) else None


def incomplete(connection: Connection) -> Finding | None:
    """The first row without a job action, or job action without a row or without its first event."""
    began = events.alias()
    place = (events.c.segment, events.c.id, events.c.job_action_id)
    is_beginning = (began.c.job_action_id == job_actions.c.id) & (began.c.sequence == 0)
    unasked = (
        select(job_actions.c.id)
        .outerjoin(began, is_beginning)
        .where(began.c.id.is_(None))
        .order_by(job_actions.c.id)
        .limit(1)
    )
    lost = (
        select(*place)
        .outerjoin(job_actions, job_actions.c.id == events.c.job_action_id)
        .where(events.c.kind.in_(BEGINNINGS), job_actions.c.id.is_(None))
        .limit(1)
    )
    headless = (
        select(*place)
        .outerjoin(began, (began.c.job_action_id == events.c.job_action_id) & (began.c.sequence == 0))
        .where(events.c.sequence > 0, began.c.id.is_(None))
        .limit(1)
    )
    has_deleted = select(segments.c.number).where(segments.c.deleted_at.is_not(None)).limit(1)
    row = connection.execute(lost).first()
    if row is not None:
        return Finding(row.segment, "its search row is missing", row.id, row.job_action_id)
    row = None if connection.execute(has_deleted).first() else connection.execute(headless).first()
    if row is not None:
        return Finding(row.segment, "its beginning is missing", row.id, row.job_action_id)
    found = connection.execute(unasked).scalar()
    return None if found is None else Finding(None, f"search row of job action {found}: it has no request")


def wrong_record(connection: Connection, now: datetime) -> Finding | None:
    """The first job action whose row, labels or keys do not agree with its events."""
    finding = _key_of_nothing(connection) or _label_of_nothing(connection)
    if finding is not None:
        return finding
    with (
        connection.execute(_in_order(idempotency_keys)) as held,
        connection.execute(_in_order(labels)) as put,
        connection.execute(_rows_of_records()) as found,
    ):
        keys, its_labels = RowsOfJobActions(held), RowsOfJobActions(put)
        records = groupby(found, attrgetter("job_action_id"))
        wrong = (_finding_of(each, list(rows), keys.of(each), its_labels.of(each), now) for each, rows in records)
        return next((finding for finding in wrong if finding is not None), None)


def _in_order(table: Table) -> Select[Any]:
    """The query for all rows of a table, in the order of their job actions, read in batches."""
    return select(table).order_by(table.c.job_action_id).execution_options(yield_per=ROWS_AT_ONCE)


class RowsOfJobActions:
    """The rows of a table, in the order of their job actions."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        """Read them from rows in this order."""
        self._groups = ((each, list(group)) for each, group in groupby(rows, attrgetter("job_action_id")))
        self._next = next(self._groups, None)

    def of(self, job_action_id: str) -> list[Row[Any]]:
        """The rows of a job action. Calls must follow the order of the job actions."""
        while self._next is not None and self._next[0] < job_action_id:
            self._next = next(self._groups, None)
        return self._next[1] if self._next is not None and self._next[0] == job_action_id else []


def _key_of_nothing(connection: Connection) -> Finding | None:
    """The first key that is held for a missing job action."""
    keys = idempotency_keys.c
    nothing = (
        select(keys.caller, keys.job_action_id)
        .outerjoin(events, (events.c.job_action_id == keys.job_action_id) & (events.c.sequence == 0))
        .where(events.c.id.is_(None))
        .limit(1)
    )
    row = connection.execute(nothing).first()
    if row is None:
        return None
    return Finding(None, f"idempotency key of {row.caller}: it points to job action {row.job_action_id}, not its own")


def _label_of_nothing(connection: Connection) -> Finding | None:
    """The first label of a missing job action."""
    nothing = (
        select(labels.c.name, labels.c.job_action_id)
        .outerjoin(events, (events.c.job_action_id == labels.c.job_action_id) & (events.c.sequence == 0))
        .where(events.c.id.is_(None))
        .limit(1)
    )
    row = connection.execute(nothing).first()
    if row is None:
        return None
    return Finding(None, f"label {row.name}: it is one of job action {row.job_action_id}, which is missing")


def _rows_of_records() -> Select[Any]:
    """The query for the events of all job actions with their rows, read in batches."""
    searched = [column.label(f"row_{column.name}") for column in job_actions.c]
    return (
        select(events, *searched)
        .outerjoin(job_actions, job_actions.c.id == events.c.job_action_id)
        .where(events.c.kind.not_in(OF_NO_JOB_ACTION))
        .order_by(events.c.job_action_id, events.c.sequence)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )


def _finding_of(
    job_action_id: str, rows: list[Row[Any]], keys: list[Row[Any]], its_labels: list[Row[Any]], now: datetime
) -> Finding | None:
    """The finding for one job action. One that began in a deleted segment has neither row nor key."""
    first = rows[0]
    if first.kind not in BEGINNINGS:
        return None
    try:
        beginning = read(first.kind, first.content)
        record = record_of(job_action_id, ((row.kind, row.content) for row in rows))
    except (*UNREADABLE, TypeError):
        return Finding(first.segment, "its events cannot be read", first.id, job_action_id)
    different = ", ".join(_difference_of_row(first, record))
    if different:
        what = f"its search row has another {different} than its events"
        return Finding(first.segment, what, first.id, job_action_id)
    if {row.name: row.value for row in its_labels} != record.requested.labels:
        return Finding(first.segment, "its labels are not those of its request", first.id, job_action_id)
    wrong = _wrong_keys_of(record, beginning, keys, now)
    return None if wrong is None else Finding(first.segment, wrong, first.id, job_action_id)


def _difference_of_row(row: Row[Any], record: JobActionRecord) -> list[str]:
    asked, outcome = record.requested, record.outcome
    right = {
        "caller": asked.caller,
        "connection": asked.connection,
        "job_id": asked.job_action.job_id,
        "action": asked.job_action.action,
        "status": STATUSES[outcome].value,
        "outcome": outcome.value if outcome else None,
    }
    different = [name for name, value in right.items() if getattr(row, f"row_{name}") != value]
    if (outcome is None and row.row_due_at is None) or (record.is_settled and row.row_due_at is not None):
        different.append("due_at")
    return different


def _wrong_keys_of(record: JobActionRecord, beginning: Stored, keys: list[Row[Any]], now: datetime) -> str | None:
    """The error in the keys and signatures that are held for a job action, None if there is none."""
    asked = record.requested
    held = {(row.caller, row.key): row for row in keys}
    key = held.pop((asked.caller, asked.idempotency_key or ""), None)
    signature = held.pop((asked.caller, asked.signature or ""), None)
    # A later request with the same key has its own signature, which also points to this job action.
    if any(row.caller != asked.caller or not is_signature(row.key) for row in held.values()):
        return "an idempotency key that is not its own points to it"
    if not isinstance(beginning, Claimed | Dispatched):
        return None
    return _wrong_name("idempotency key", key, beginning.key, now, is_free=has_released_key(record)) or _wrong_name(
        "signature", signature, beginning.signature, now, is_free=False
    )


def _wrong_name(what: str, row: Row[Any] | None, terms: KeyTerms | None, now: datetime, *, is_free: bool) -> str | None:
    """The error in the key or signature of a job action, None if there is none. `is_free`: it need not be held."""
    if row is None:
        is_held = terms is not None and terms.expires_at > now and not is_free
        return f"its {what} is missing" if is_held else None
    if terms is None:
        return f"it has no {what}, but one points to it"
    is_right = (bytes(row.fingerprint), row.expires_at) == (terms.fingerprint, milliseconds(terms.expires_at))
    return None if is_right else f"its {what} has another fingerprint or expiry than its events"


def is_signature(key: str) -> bool:
    """True if the key is the name made from a signature: no client can choose a key with a tab."""
    return "\t" in key


def has_released_key(record: JobActionRecord) -> bool:
    """True if a record has released its key at any time."""
    lengths = range(1, len(record.later) + 1)
    return any(JobActionRecord(record.id, record.requested, record.later[:each]).releases_key for each in lengths)


def wrong_key(connection: Connection, known: Mapping[str, KeyChanged]) -> Finding | None:
    """The first API key that differs from what `jobgate keys` has stored."""
    left = dict(known)
    for row in connection.execute(select(api_keys).order_by(api_keys.c.id)):
        said = left.pop(row.id, None)
        if said is None:
            return Finding(None, f"API key {row.id}: `jobgate keys` did not create it")
        if said != as_event(row, said.at):
            return Finding(None, f"API key {row.id}: it is not as `jobgate keys` stored it")
    return next((Finding(None, f"API key {each}: it is missing") for each in left), None)


def wrong_approval(connection: Connection, known: Mapping[str, ApprovalChanged]) -> Finding | None:
    """The first approval that differs from what its last event says."""
    left = dict(known)
    for row in connection.execute(select(approvals).order_by(approvals.c.id)):
        said = left.pop(row.id, None)
        if said is None:
            return Finding(None, f"approval {row.id}: nobody asked for it")
        if said.proof != proof_of(row):
            return Finding(None, f"approval {row.id}: it is not as it was stored")
    return next((Finding(None, f"approval {each}: it is missing") for each in left), None)
