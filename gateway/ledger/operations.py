"""The ledger's write operations. A batch becomes a small number of statements, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Insert, Table, Update, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.record import STATUSES, Event, HeldKey, JobActionRecord, JobActionStatus, Sent
from gateway.domain.times import milliseconds
from gateway.ledger.chain import Segment, hash_after
from gateway.ledger.events import Stored, beginning, written
from gateway.ledger.tables import StoredId, events, idempotency_keys, job_actions, probes, segments, stored_by


class Claim(NamedTuple):
    """Store a new record, which may have been sent already.

    The result is the row of its key or signature if another record holds it, otherwise None.
    """

    record: JobActionRecord
    due: datetime
    key: HeldKey | None
    signature: HeldKey | None = None


class Append(NamedTuple):
    """Add the last event of a record."""

    record: JobActionRecord
    event: Event
    due: datetime | None = None


class CustomWrite(NamedTuple):
    """Any other write. `run` is called within the transaction, and its return value is the result."""

    run: Callable[[Connection], Any]


Operation: TypeAlias = Claim | Append | CustomWrite
Row: TypeAlias = tuple[Any, ...]
"""The values of a row."""
KeyRow: TypeAlias = Mapping[str, Any]
"""The row of a key that is held."""


class BulkStatement:
    """A statement for many rows, compiled once for each kind of database.

    A row has the values of `columns`, in order, with ids in their stored form. SQLAlchemy itself would process each
    value of each row, which takes as long as writing them.
    """

    def __init__(self, statement: Insert | Update, columns: Sequence[str]) -> None:
        """Execute `statement`, whose parameters are `columns`."""
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, str] = {}

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Execute the statement for these rows, at least one."""
        connection.exec_driver_sql(self._compiled.get(connection.dialect.name) or self._compile(connection), rows)

    def _compile(self, connection: Connection) -> str:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(self._columns))
        if compiled.positiontup != list(self._columns):
            raise TypeError(f"the parameters of the statement come as {compiled.positiontup}")
        return self._compiled.setdefault(connection.dialect.name, str(compiled))


_INSERT_EVENTS = BulkStatement(insert(events), ("segment", "job_action_id", "sequence", "kind", "content", "hash"))
_INSERT_JOB_ACTIONS = BulkStatement(insert(job_actions), job_actions.c.keys())
_UPDATE_JOB_ACTIONS = BulkStatement(
    update(job_actions)
    .where(job_actions.c.id == bindparam("of"))
    .values(status=bindparam("status_"), outcome=bindparam("outcome_"), due_at=bindparam("due")),
    ("status_", "outcome_", "due", "of"),
)
_UPDATE_SEGMENT = BulkStatement(
    update(segments)
    .where(segments.c.number == bindparam("of"))
    .values(written_at=bindparam("now"), length=bindparam("length_"), head=bindparam("head_")),
    ("now", "length_", "head_", "of"),
)
_LAST_SEGMENT = select(func.coalesce(func.max(segments.c.number), 0))


def write(
    connection: Connection, segment: Segment | None, batch: Sequence[Operation], now: datetime
) -> tuple[Segment | None, list[Any]]:
    """Write a batch in the connection's transaction. Returns the segment after it, and the result of each operation."""
    claims = [operation for operation in batch if isinstance(operation, Claim)]
    held = hold_names(connection, claims, now)
    kept = [claim for claim in claims if claim.record.id not in held]
    appends = [operation for operation in batch if isinstance(operation, Append)]
    changed = [append for append in appends if not isinstance(append.event, Sent)]
    stored = stored_by(connection.dialect)
    if kept:
        _INSERT_JOB_ACTIONS.execute(connection, [job_action_row(stored, claim.record, claim.due) for claim in kept])
    if kept or appends:
        segment = add_events(connection, segment, [*map(first_event, kept), *map(last_event, appends)], now)
    if changed:
        _UPDATE_JOB_ACTIONS.execute(connection, [changed_row(stored, each.record, each.due) for each in changed])
    for append in changed:
        release_key(connection, append.record)
    return segment, [result_of(connection, operation, held) for operation in batch]


def result_of(connection: Connection, operation: Operation, held: Mapping[str, KeyRow]) -> Any:
    """The result of an operation. A custom write runs here, after all other operations of its batch."""
    if isinstance(operation, CustomWrite):
        return operation.run(connection)
    return held.get(operation.record.id) if isinstance(operation, Claim) else None


def hold_names(connection: Connection, claims: Sequence[Claim], now: datetime) -> Mapping[str, KeyRow]:
    """Hold the keys and signatures of claims. Returns the conflicting row for the id of each claim that fails.

    Signatures come first. If a signature is new but its claim's key is held, it identifies the record of that key.
    """
    repeated = hold_keys(connection, [(each.record.id, each.signature) for each in claims if each.signature], now)
    new = [claim for claim in claims if claim.record.id not in repeated]
    known = hold_keys(connection, [(each.record.id, each.key) for each in new if each.key], now)
    for claim in new:
        if claim.signature is not None and claim.record.id in known:
            point_to_record_of(connection, claim.signature, known[claim.record.id])
    return {record_id: known.get(row["job_action_id"], row) for record_id, row in repeated.items()} | known


def hold_keys(connection: Connection, wanted: Iterable[tuple[str, HeldKey]], now: datetime) -> dict[str, KeyRow]:
    """Hold each key for the record with the id beside it. Returns the conflicting row for the id of each that fails.

    They are held in the order of the keys, so that two processes never deadlock.
    """
    ordered = sorted(wanted, key=lambda each: (each[1].caller, each[1].key))
    held = {record_id: hold_key(connection, record_id, key, now) for record_id, key in ordered}
    return {record_id: row for record_id, row in held.items() if row is not None}


def point_to_record_of(connection: Connection, name: HeldKey, row: KeyRow) -> None:
    """Let a signature that was just held identify the record of another key's row."""
    table = idempotency_keys
    same = {"job_action_id": row["job_action_id"], "fingerprint": row["fingerprint"]}
    connection.execute(update(table).where(table.c.caller == name.caller, table.c.key == name.key).values(same))


def hold_key(connection: Connection, record_id: str, key: HeldKey, now: datetime) -> KeyRow | None:
    """Hold a key for a record. If another record holds it, return that row instead."""
    table = idempotency_keys
    mine = {
        "fingerprint": key.fingerprint,
        "job_action_id": record_id,
        "expires_at": milliseconds(key.expires_at),
    }
    statement = insert_of(connection, table).values(caller=key.caller, key=key.key, **mine)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.caller, table.c.key], set_=mine, where=table.c.expires_at <= milliseconds(now)
    ).returning(table.c.job_action_id)
    if connection.execute(statement).first() is not None:
        return None
    found = connection.execute(select(table).where(table.c.caller == key.caller, table.c.key == key.key)).mappings()
    return dict(found.one())


def release_key(connection: Connection, record: JobActionRecord) -> None:
    """Release the key of a record, if `releases_key` says so."""
    requested = record.requested
    if requested.idempotency_key is not None and record.releases_key:
        table = idempotency_keys
        its = (table.c.caller == requested.caller, table.c.key == requested.idempotency_key)
        connection.execute(delete(table).where(*its, table.c.job_action_id == record.id))


class NewEvent(NamedTuple):
    """An event to be added to the chain. An event that belongs to no job action has its own id as `job_action_id`."""

    job_action_id: str
    sequence: int
    event: Stored


def first_event(claim: Claim) -> NewEvent:
    """The first event of a new record."""
    return NewEvent(claim.record.id, 0, beginning(claim.record, claim.key, claim.signature))


def last_event(append: Append) -> NewEvent:
    """The event that is added to a record."""
    return NewEvent(append.record.id, len(append.record) - 1, append.event)


def add_events(
    connection: Connection, segment: Segment | None, new_events: Sequence[NewEvent], now: datetime
) -> Segment:
    """Add events to the chain. Returns the segment after them."""
    segment = segment if segment and not segment.is_complete(now) else open_segment(connection, now)
    stored = stored_by(connection.dialect)
    rows: list[Row] = []
    head = segment.head
    for new in new_events:
        kind, content = written(new.event)
        head = hash_after(head, new.job_action_id, new.sequence, kind, content)
        rows.append((segment.number, stored(new.job_action_id), new.sequence, kind, content, head))
    _INSERT_EVENTS.execute(connection, rows)
    longer = Segment(segment.number, segment.opened_at, segment.length + len(rows), head)
    _UPDATE_SEGMENT.execute(connection, [(milliseconds(now), longer.length, longer.head, longer.number)])
    return longer


def open_segment(connection: Connection, now: datetime) -> Segment:
    """Open a new segment of the chain, for this writer alone."""
    at = milliseconds(now)
    while True:
        segment = Segment.new(connection.execute(_LAST_SEGMENT).scalar_one() + 1, now)
        row = {"number": segment.number, "opened_at": at, "written_at": at, "length": 0, "head": segment.head}
        opened = insert_of(connection, segments).values(row).on_conflict_do_nothing().returning(segments.c.number)
        # Another process may have opened the same segment in the meantime.
        if connection.execute(opened).first() is not None:
            return segment


def insert_of(connection: Connection, table: Table) -> Any:
    """An INSERT that supports ON CONFLICT, which in SQLAlchemy is specific to the kind of database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def job_action_row(stored: StoredId, record: JobActionRecord, due: datetime) -> Row:
    """The row of a new record."""
    asked = record.requested
    return (
        stored(record.id),
        asked.caller,
        asked.connection,
        asked.job_action.job_id,
        asked.job_action.action,
        JobActionStatus.IN_PROGRESS.value,
        None,
        milliseconds(due),
    )


def changed_row(stored: StoredId, record: JobActionRecord, due: datetime | None) -> Row:
    """The parameters that update the row of a record after an event."""
    outcome = record.outcome
    return (
        STATUSES[outcome].value,
        outcome.value if outcome else None,
        None if due is None else milliseconds(due),
        stored(record.id),
    )


def probe(now: datetime) -> CustomWrite:
    """A test write, which shows whether the database can be written."""

    def run(connection: Connection) -> None:
        row = {"at": milliseconds(now)}
        statement = insert_of(connection, probes).values(id=1, **row)
        connection.execute(statement.on_conflict_do_update(index_elements=[probes.c.id], set_=row))

    return CustomWrite(run)


def take_due(now: datetime, until: datetime, limit: int) -> CustomWrite:
    """Postpone at most `limit` due records until `until`. The result is their ids."""
    due = (
        select(job_actions.c.id)
        .where(job_actions.c.due_at <= milliseconds(now))
        .order_by(job_actions.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(job_actions)
        .where(job_actions.c.id.in_(due))
        .values(due_at=milliseconds(until))
        .returning(job_actions.c.id)
    )
    return CustomWrite(lambda connection: list(connection.execute(statement).scalars()))
