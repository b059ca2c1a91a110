"""The ledger's write operations. A batch becomes a small number of statements, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from gateway.domain.leases import Lease, LeaseLost
from gateway.domain.model import Outcome
from gateway.domain.record import STATUSES, Event, HeldKey, JobActionRecord, JobActionStatus, Sent
from gateway.domain.times import milliseconds
from gateway.ledger.chain import Segment, hash_after
from gateway.ledger.events import Stored as StoredEvent
from gateway.ledger.events import beginning, written
from gateway.ledger.queries import due_times
from gateway.ledger.tables import events, idempotency_keys, insert_of, job_actions, labels, probes, segments, stored_by
from gateway.ledger.tasks import lost


class Claim(NamedTuple):
    """Store a new record, which may have been sent already.

    The result is the row of its key or signature if another record holds it, otherwise None; or LeaseLost.
    """

    record: JobActionRecord
    due: datetime
    key: HeldKey | None
    signature: HeldKey | None = None
    lease: Lease | None = None


class Append(NamedTuple):
    """Add the last event of a record. The result is that of the record's claim if it is written with it."""

    record: JobActionRecord
    event: Event
    due: datetime | None = None
    lease: Lease | None = None


class OtherWrite(Protocol):
    """Any other write, made after all claims and appends of its batch."""

    def run(self, connection: Connection) -> Any:
        """Write within the connection's transaction, and return the result.

        It can be `Chained`, and LeaseLost if nothing was written, since a lease is lost.
        """


class Chained(NamedTuple):
    """The result of a write that also adds events to the chain."""

    result: Any
    events: Sequence[EventRow]


class CustomWrite(NamedTuple):
    """A write by a function, which cannot be sent to another process."""

    run: Callable[[Connection], Any]


class Probe(Struct, frozen=True, array_like=True, tag="probe"):
    """A test write, which shows whether the database can be written."""

    now: datetime

    def run(self, connection: Connection) -> None:
        """Write the time."""
        row = {"at": milliseconds(self.now)}
        statement = insert_of(connection, probes).values(id=1, **row)
        connection.execute(statement.on_conflict_do_update(index_elements=[probes.c.id], set_=row))


class TakeDue(Struct, frozen=True, array_like=True, tag="take-due"):
    """Postpone at most `limit` due records until `until`. The result is their ids.

    What is due after `beyond` was written by a clock that was ahead, and is due as well.
    """

    now: datetime
    until: datetime
    limit: int
    beyond: datetime | None = None

    def run(self, connection: Connection) -> list[str]:
        """Postpone them."""
        taken: list[str] = []
        for is_due in due_times(self.now, self.beyond):
            taken += self._taken(connection, is_due, self.limit - len(taken))
        return taken

    def _taken(self, connection: Connection, is_due: ColumnElement[bool], limit: int) -> list[str]:
        due = (
            select(job_actions.c.id)
            .where(is_due)
            .order_by(job_actions.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(job_actions)
            .where(job_actions.c.id.in_(due))
            .values(due_at=milliseconds(self.until))
            .returning(job_actions.c.id)
        )
        return list(connection.execute(statement).scalars())


Operation: TypeAlias = Claim | Append | OtherWrite
Row: TypeAlias = tuple[Any, ...]
"""The values of a row."""
KeyRow: TypeAlias = Mapping[str, Any]
"""The row of a key that is held."""
Refusal: TypeAlias = KeyRow | LeaseLost
"""The reason why nothing of a job action was written: another record holds its key, or its lease is lost."""


class EventRow(NamedTuple):
    """An event in its stored form. One that belongs to no job action has its own id as `job_action_id`."""

    job_action_id: str
    sequence: int
    kind: str
    content: str


class Searched(NamedTuple):
    """The searched values of a new record."""

    caller: str
    connection: str
    job_id: str
    action: str
    status: str
    outcome: str | None
    due_at: int


class Change(NamedTuple):
    """The searched values of a record that an event changes."""

    status: str
    outcome: str | None
    due_at: int | None


class StoredClaim(Struct, frozen=True, array_like=True, tag="claim"):
    """A claim in its stored form. `labels` are the names and values of its labels."""

    event: EventRow
    searched: Searched
    key: HeldKey | None
    signature: HeldKey | None
    lease: Lease | None = None
    labels: tuple[tuple[str, str], ...] = ()


class StoredAppend(Struct, frozen=True, array_like=True, tag="append"):
    """A later event in its stored form. `released` is the caller and the key that it releases."""

    event: EventRow
    change: Change | None
    released: tuple[str, str] | None
    lease: Lease | None = None


Stored: TypeAlias = StoredClaim | StoredAppend | OtherWrite
"""An operation in its stored form, which needs little more work and can be sent to another process."""


def stored_form(operation: Operation) -> Stored:
    """The stored form of an operation."""
    match operation:
        case Claim(record, due, key, signature, lease):
            event = event_row(record.id, 0, beginning(record, key, signature))
            marks = tuple(record.requested.labels.items())
            return StoredClaim(event, searched(record, due), key, signature, lease, marks)
        case Append(record, event, due, lease):
            row = event_row(record.id, len(record) - 1, event)
            if isinstance(event, Sent):
                return StoredAppend(row, None, None, lease)
            return StoredAppend(row, change(record, due), released_key(record), lease)
    return operation


def event_row(job_action_id: str, sequence: int, event: StoredEvent) -> EventRow:
    """The row of an event."""
    return EventRow(job_action_id, sequence, *written(event))


def searched(record: JobActionRecord, due: datetime) -> Searched:
    """The searched values of a new record."""
    asked = record.requested
    status = JobActionStatus.IN_PROGRESS.value
    job_action = asked.job_action
    return Searched(
        asked.caller, asked.connection, job_action.job_id, job_action.action, status, None, milliseconds(due)
    )


def change(record: JobActionRecord, due: datetime | None) -> Change:
    """The searched values of a record after an event."""
    status, outcome = _CHANGED[record.outcome]
    return Change(status, outcome, None if due is None else milliseconds(due))


_CHANGED: Mapping[Outcome | None, tuple[str, str | None]] = {
    outcome: (status.value, None if outcome is None else outcome.value) for outcome, status in STATUSES.items()
}
"""Status and outcome as they are stored, by outcome. To ask a member for its value is a call."""


def released_key(record: JobActionRecord) -> tuple[str, str] | None:
    """The caller and the key of a record, if `releases_key` says that it is released."""
    asked = record.requested
    if asked.idempotency_key is None or not record.releases_key:
        return None
    return asked.caller, asked.idempotency_key


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

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Execute the statement for these rows, at least one. Returns the number of rows that it has changed.

        In a block that is `pipelined`, the number is not known.
        """
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection)
        return connection.exec_driver_sql(compiled, rows).rowcount

    def _compile(self, connection: Connection) -> str:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(self._columns))
        if compiled.positiontup != list(self._columns):
            raise TypeError(f"the parameters of the statement come as {compiled.positiontup}")
        return self._compiled.setdefault(connection.dialect.name, str(compiled))


_INSERT_EVENTS = BulkStatement(
    insert(events).inline(), ("segment", "job_action_id", "sequence", "kind", "content", "hash")
)
_INSERT_JOB_ACTIONS = BulkStatement(insert(job_actions), job_actions.c.keys())
_INSERT_LABELS = BulkStatement(insert(labels), labels.c.keys())
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
MANY_KEYS = 3
"""Number of keys from which they are held together."""


def _holding(statement: Any) -> Any:
    """The statement that holds a key, unless another record holds it."""
    columns = ("fingerprint", "job_action_id", "expires_at")
    return statement.on_conflict_do_update(
        index_elements=[idempotency_keys.c.caller, idempotency_keys.c.key],
        set_={name: getattr(statement.excluded, name) for name in columns},
        where=idempotency_keys.c.expires_at <= bindparam("now", type_=idempotency_keys.c.expires_at.type),
    )


_HOLD_KEYS = {
    name: BulkStatement(_holding(kind.insert(idempotency_keys)), (*idempotency_keys.c.keys(), "now"))
    for name, kind in (("sqlite", sqlite), ("postgresql", postgresql))
}
_LAST_SEGMENT = select(func.coalesce(func.max(segments.c.number), 0))


def write(
    connection: Connection, segment: Segment | None, batch: Sequence[Stored], now: datetime
) -> tuple[Segment | None, list[Any]]:
    """Write a batch in the connection's transaction. Returns the segment after it, and the result of each operation."""
    refused: dict[str, Refusal] = without_lease(connection, batch, now)
    claims = [each for each in batch if isinstance(each, StoredClaim) and each.event.job_action_id not in refused]
    refused |= hold_names(connection, claims, now)
    kept = [claim for claim in claims if claim.event.job_action_id not in refused]
    appends = [each for each in batch if isinstance(each, StoredAppend) and each.event.job_action_id not in refused]
    if kept or appends:
        segment = write_rows(connection, open_segment(connection, segment, now), kept, appends, now)
    for append in appends:
        if append.released:
            release_key(connection, append.event.job_action_id, *append.released)
    results = [result_of(connection, operation, refused) for operation in batch]
    chained = [event for each in results if isinstance(each, Chained) for event in each.events]
    if chained:
        segment = add_to_segment(connection, open_segment(connection, segment, now), chained, now)
    return segment, [each.result if isinstance(each, Chained) else each for each in results]


_OF_JOB_ACTIONS = (StoredClaim, StoredAppend)
"""Made once: `StoredClaim | StoredAppend` would be a new union for each operation of a batch."""


def without_lease(connection: Connection, batch: Sequence[Stored], now: datetime) -> dict[str, Refusal]:
    """Renew the leases of a batch, each once. Returns the error for each job action under a lost one, by its id."""
    leased = [each for each in batch if isinstance(each, _OF_JOB_ACTIONS) and each.lease is not None]
    if not leased:
        return {}
    errors = lost(connection, {each.lease for each in leased if each.lease is not None}, now)
    if not errors:
        return {}
    return {each.event.job_action_id: errors[each.lease] for each in leased if each.lease in errors}


def write_rows(
    connection: Connection,
    segment: Segment,
    claims: Sequence[StoredClaim],
    appends: Sequence[StoredAppend],
    now: datetime,
) -> Segment:
    """Write the rows of claims and later events, by statements that have no result. Returns the segment after them."""
    stored = stored_by(connection.dialect)
    new_events = [*(claim.event for claim in claims), *(append.event for append in appends)]
    changed = [(*each.change, stored(each.event.job_action_id)) for each in appends if each.change]
    labelled = [(*label, stored(claim.event.job_action_id)) for claim in claims for label in claim.labels]
    with pipelined(connection):
        if claims:
            rows = [(stored(claim.event.job_action_id), *claim.searched) for claim in claims]
            _INSERT_JOB_ACTIONS.execute(connection, rows)
        if labelled:
            _INSERT_LABELS.execute(connection, labelled)
        segment = add_to_segment(connection, segment, new_events, now)
        if changed:
            _UPDATE_JOB_ACTIONS.execute(connection, changed)
    return segment


def result_of(connection: Connection, operation: Stored, refused: Mapping[str, Refusal]) -> Any:
    """The result of an operation. Other writes run here, after the claims and appends of their batch."""
    if isinstance(operation, _OF_JOB_ACTIONS):
        return refused.get(operation.event.job_action_id)
    return operation.run(connection)


def hold_names(connection: Connection, claims: Sequence[StoredClaim], now: datetime) -> Mapping[str, KeyRow]:
    """Hold the keys and signatures of claims. Returns the conflicting row for the id of each claim that fails.

    Signatures come first. If a signature is new but its claim's key is held, it identifies the record of that key.
    """
    ids = [claim.event.job_action_id for claim in claims]
    named = list(zip(ids, claims, strict=True))
    repeated = hold_keys(connection, [(each, claim.signature) for each, claim in named if claim.signature], now)
    new = [(each, claim) for each, claim in named if each not in repeated]
    known = hold_keys(connection, [(each, claim.key) for each, claim in new if claim.key], now)
    for each, claim in new:
        if claim.signature is not None and each in known:
            point_to_record_of(connection, claim.signature, known[each])
    return {each: known.get(row["job_action_id"], row) for each, row in repeated.items()} | known


def hold_keys(connection: Connection, wanted: Iterable[tuple[str, HeldKey]], now: datetime) -> dict[str, KeyRow]:
    """Hold each key for the record with the id beside it. Returns the conflicting row for the id of each that fails.

    They are held in the order of the keys, so that two processes never deadlock. Several are held by one statement.
    """
    ordered = sorted(wanted, key=lambda each: (each[1].caller, each[1].key))
    if len(ordered) != len({(key.caller, key.key) for _, key in ordered}) or len(ordered) < MANY_KEYS:
        held = {record_id: hold_key(connection, record_id, key, now) for record_id, key in ordered}
        return {record_id: row for record_id, row in held.items() if row is not None}
    stored, at = stored_by(connection.dialect), milliseconds(now)
    rows = [
        (key.caller, key.key, key.fingerprint, stored(record_id), milliseconds(key.expires_at), at)
        for record_id, key in ordered
    ]
    if _HOLD_KEYS[connection.dialect.name].execute(connection, rows) == len(rows):
        return {}
    # A claim that was written before holds its key already. The same record cannot be stored again, so that each
    # operation is then written alone, and finds that.
    holders = holders_of(connection, ordered, now)
    return {each: row for each, row in holders.items() if row["job_action_id"] != each}


def holders_of(connection: Connection, wanted: Sequence[tuple[str, HeldKey]], now: datetime) -> dict[str, KeyRow]:
    """The rows that hold these keys, by the ids beside the keys."""
    table = idempotency_keys
    is_wanted = tuple_(table.c.caller, table.c.key).in_([(key.caller, key.key) for _, key in wanted])
    found = connection.execute(select(table).where(is_wanted, table.c.expires_at > milliseconds(now))).mappings()
    rows = {(row["caller"], row["key"]): dict(row) for row in found}
    named = ((record_id, rows.get((key.caller, key.key))) for record_id, key in wanted)
    return {record_id: row for record_id, row in named if row is not None}


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


def release_key(connection: Connection, job_action_id: str, caller: str, key: str) -> None:
    """Release a key, if this job action holds it."""
    table = idempotency_keys
    its = (table.c.caller == caller, table.c.key == key, table.c.job_action_id == job_action_id)
    connection.execute(delete(table).where(*its))


def add_events(connection: Connection, new_events: Sequence[EventRow], now: datetime) -> Segment:
    """Add events to the chain, in a new segment. Returns the segment after them."""
    return add_to_segment(connection, open_segment(connection, None, now), new_events, now)


def add_to_segment(connection: Connection, segment: Segment, new_events: Sequence[EventRow], now: datetime) -> Segment:
    """Add events to a segment. Returns the segment after them."""
    stored = stored_by(connection.dialect)
    rows: list[Row] = []
    head = segment.head
    for new in new_events:
        head = hash_after(head, *new)
        rows.append((segment.number, stored(new.job_action_id), *new[1:], head))
    _INSERT_EVENTS.execute(connection, rows)
    longer = Segment(segment.number, segment.opened_at, segment.length + len(rows), head)
    _UPDATE_SEGMENT.execute(connection, [(milliseconds(now), longer.length, longer.head, longer.number)])
    return longer


def open_segment(connection: Connection, segment: Segment | None, now: datetime) -> Segment:
    """The segment for the next events: `segment`, or a new one, for this writer alone, if that is complete."""
    if segment and not segment.is_complete(now):
        return segment
    at = milliseconds(now)
    while True:
        segment = Segment.new(connection.execute(_LAST_SEGMENT).scalar_one() + 1, now)
        row = {"number": segment.number, "opened_at": at, "written_at": at, "length": 0, "head": segment.head}
        opened = insert_of(connection, segments).values(row).on_conflict_do_nothing().returning(segments.c.number)
        # Another process may have opened the same segment in the meantime.
        if connection.execute(opened).first() is not None:
            return segment


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL take the block's statements without waiting for the reply to each. They must have no result.

    An error of any of them is raised at the end of the block, as SQLAlchemy raises it.
    """
    driver = connection.connection.driver_connection
    if connection.dialect.name != "postgresql" or driver is None:
        yield
        return
    from psycopg import Error  # noqa: PLC0415 - it is loaded only if PostgreSQL is used

    try:
        with driver.pipeline():
            yield
    except Error as error:
        raise DBAPIError.instance(None, None, error, Error, dialect=connection.dialect) from error
