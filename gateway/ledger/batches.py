"""Batches in the ledger's database: their heads, their items, and which of them runs on which connection.

A change of a head names the version that it was made from, so that of two changes one is refused. Counters are not part
of that: they change with the items, in one transaction, by what has really changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, insert, select, update

from gateway.domain.batches import (
    ENDED,
    HOLDING,
    OPEN,
    Batch,
    BatchState,
    Item,
    ItemOutcome,
    JobReference,
    Progress,
    Verdict,
)
from gateway.domain.leases import Due, Lease, LeaseLost, TaskKind
from gateway.domain.model import Page, StatusPair
from gateway.domain.record import HeldKey
from gateway.domain.times import milliseconds
from gateway.ledger.events import StateChanged
from gateway.ledger.operations import BulkStatement, Chained, event_row, hold_key
from gateway.ledger.proofs import deletion, proven
from gateway.ledger.retention import locked_version
from gateway.ledger.tables import (
    batch_items,
    batch_terms,
    batches,
    changeable,
    idempotency_keys,
    insert_of,
    running_batches,
    stored_by,
)
from gateway.ledger.tasks import end_task, lost, moved, put_task

SAVED, CHANGED, BUSY, TOO_MANY = "saved", "changed", "busy", "too-many"
"""Results of a write: done; somebody has changed the batch; another batch runs on a connection; too many jobs."""
DENSE = 4
"""The share of a range of items that is read as a whole: one in so many is wanted."""
RECENT_SECONDS = 60.0
"""The time over which the rate of a batch is measured."""

_ENCODER = Encoder()
_BATCHES: Decoder[Batch] = Decoder(Batch)
_PROGRESS: Decoder[Progress] = Decoder(Progress)


class _Rest(Struct, frozen=True, omit_defaults=True):
    """The members of an item that are not searched."""

    status_seen: StatusPair | None = None
    problem: str | None = None
    detail: str | None = None


_RESTS: Decoder[_Rest] = Decoder(_Rest)
_VERDICTS: Mapping[str | None, Verdict | None] = {None: None, **{each.value: each for each in Verdict}}
_OUTCOMES: Mapping[str, ItemOutcome] = {each.value: each for each in ItemOutcome}
"""Looked up in a table: making a member of its value takes longer than reading a column."""


class CreateBatch(Struct, frozen=True, array_like=True, tag="create-batch"):
    """Store a new batch with its items, its task and its event, and hold its key.

    The result is None, or the id and the fingerprint of the batch that holds the key.
    """

    batch: Batch
    items: list[Item]
    event: StateChanged
    due: datetime
    now: datetime
    key: HeldKey | None = None

    def run(self, connection: Connection) -> Any:
        """Store it."""
        batch = self.batch
        if self.key is not None:
            held = hold_key(connection, batch.id, self.key, self.now)
            if held is not None:
                return None if held["job_action_id"] == batch.id else [held["job_action_id"], held["fingerprint"]]
        if is_stored(connection, batch.id):
            return None
        row = row_of(batch)
        connection.execute(insert(batches), {**row, "progress": _encoded(batch.progress)})
        add_terms(connection, batch)
        add_items(connection, batch.id, self.items)
        put_task(connection, Due(TaskKind.BATCH, batch.id, self.due))
        return Chained(None, [event_row(batch.id, batch.version, proven(self.event, row))])


class SaveBatch(Struct, frozen=True, array_like=True, tag="save-batch"):
    """Store a change of a batch's head, with its event. The result is SAVED, CHANGED or BUSY.

    `batch` has the version from which the change was made. Under a `lease`, the change is made only while it holds, and
    LeaseLost is the result if it does not; without one, the change takes the task from whoever holds it. `due` is when
    somebody should look after it next; None: never again. `takes` its connections, or `frees` them.
    """

    batch: Batch
    event: StateChanged | None
    due: datetime | None
    lease: Lease | None = None
    takes: bool = False
    frees: bool = False

    def run(self, connection: Connection) -> Any:
        """Store it."""
        batch = self.batch
        if self.lease is not None and not moved(connection, self.lease, self._due_at, 0):
            return SAVED if self._is_written(connection) else LeaseLost(batch.id)
        if self.takes and not take_connections(connection, batch):
            return BUSY
        longer = replace(batch, version=batch.version + 1)
        row = row_of(longer)
        statement = update(batches).where(batches.c.id == batch.id, batches.c.version == batch.version)
        if connection.execute(statement.values(changeable(row))).rowcount != 1:
            if self.takes:
                free_connections(connection, batch.id)
            return SAVED if self._is_written(connection) else CHANGED
        if self.frees:
            free_connections(connection, batch.id)
        if self.due is None:
            end_task(connection, TaskKind.BATCH, batch.id)
        elif self.lease is None:
            put_task(connection, Due(TaskKind.BATCH, batch.id, self.due))
        if self.event is None:
            return SAVED
        return Chained(SAVED, [event_row(batch.id, longer.version, proven(self.event, row))])

    @property
    def _due_at(self) -> int:
        return 0 if self.due is None else milliseconds(self.due)

    def _is_written(self, connection: Connection) -> bool:
        """True if exactly this change is stored: it was sent again, since its first reply was lost."""
        stored = head(connection, self.batch.id)
        expected = replace(self.batch, version=self.batch.version + 1, progress=Progress())
        return stored is not None and replace(stored, progress=Progress()) == expected


class AddItems(Struct, frozen=True, array_like=True, tag="add-items"):
    """Add a page of items to a batch that collects them. A page that is there is not added again.

    The result is SAVED, CHANGED if the batch collects no more, or TOO_MANY.
    """

    batch: str
    items: list[Item]
    most: int

    def run(self, connection: Connection) -> str:
        """Add them."""
        found = head(connection, self.batch, is_locked=True)
        if found is None or found.state != "collecting":
            return CHANGED
        places = select(batch_items.c.position).where(
            batch_items.c.batch == self.batch, batch_items.c.position.in_([each.position for each in self.items])
        )
        there = set(connection.execute(places).scalars())
        new = [each for each in self.items if each.position not in there]
        if found.progress.items + len(new) > self.most:
            return TOO_MANY
        add_items(connection, self.batch, new)
        names = tuple(dict.fromkeys((*found.connections, *(each.connection for each in new))))
        if names != found.connections:
            wider = replace(found, connections=names)
            connection.execute(update(batches).where(batches.c.id == wider.id).values(changeable(row_of(wider))))
            add_terms(connection, wider)
        store_progress(connection, self.batch, counted(found.progress, Counter({str(ItemOutcome.PENDING): len(new)})))
        return SAVED


class RenumberItems(Struct, frozen=True, array_like=True, tag="renumber-items"):
    """Give items of a batch the positions that they have in their order, from one of them on, under a lease.

    The result is the number of the items, None if there are none after `after`.
    """

    batch: str
    lease: Lease
    now: datetime
    after: int
    first: int
    limit: int

    def run(self, connection: Connection) -> Any:
        """Renumber them."""
        errors = lost(connection, [self.lease], self.now)
        if errors:
            return errors[self.lease]
        chosen = places_of(self.batch, self.after).limit(self.limit)
        places = list(connection.execute(chosen).scalars())
        # Ascending, and never to a higher place: no place is taken twice.
        moves = [(new, old) for new, old in enumerate(places, self.first) if new != old]
        for new, old in moves:
            place = (batch_items.c.batch == self.batch, batch_items.c.position == old)
            connection.execute(update(batch_items).where(*place).values(position=new))
        return [places[-1], len(places)] if places else None


class PutItems(Struct, frozen=True, array_like=True, tag="put-items"):
    """Store items as they were read, new or not, and the counters of the batch, under a lease.

    `clears` deletes all items before.
    """

    batch: str
    lease: Lease
    now: datetime
    items: list[Item]
    progress: Progress
    clears: bool = False

    def run(self, connection: Connection) -> Any:
        """Store them."""
        errors = lost(connection, [self.lease], self.now)
        if errors:
            return errors[self.lease]
        if self.clears:
            connection.execute(delete(batch_items).where(batch_items.c.batch == self.batch))
        if self.items:
            places = [each.position for each in self.items]
            its = (batch_items.c.batch == self.batch, batch_items.c.position.in_(places))
            connection.execute(delete(batch_items).where(*its))
            add_items(connection, self.batch, self.items)
        store_progress(connection, self.batch, self.progress)
        return None


class SettleItems(Struct, frozen=True, array_like=True, tag="settle-items"):
    """Store what has become of items, whoever holds the batch: it has happened.

    An outcome that is certain does not change. The result is the number of items by outcome.
    """

    batch: str
    items: list[Item]
    seconds: float
    now: datetime

    def run(self, connection: Connection) -> Mapping[str, int]:
        """Store it."""
        found = progress_of(connection, self.batch)
        if found is None:
            return {}
        before = outcomes_at(connection, self.batch, [each.position for each in self.items])
        changed = [each for each in self.items if before.get(each.position) in OPEN]
        if changed:
            stored = stored_by(connection.dialect)
            its = stored(self.batch)
            rows = [
                (each.outcome, each.job_action and stored(each.job_action), _rest_of(each), its, each.position)
                for each in changed
            ]
            _SETTLE.execute(connection, rows)
        change: Counter[str] = Counter(each.outcome for each in changed)
        change.subtract(before[each.position] for each in changed)
        progress = counted(found, change, self.seconds, self.now)
        store_progress(connection, self.batch, progress)
        return to_builtins(progress.outcomes)  # type: ignore[no-any-return]


class CloseItems(Struct, frozen=True, array_like=True, tag="close-items"):
    """Give the items of an ending batch that were not acted on their outcome: nothing was sent."""

    batch: str

    def run(self, connection: Connection) -> None:
        """Store it."""
        found = head(connection, self.batch, is_locked=True)
        if found is None:
            return
        left = (batch_items.c.batch == self.batch, batch_items.c.outcome == ItemOutcome.PENDING)
        closed = connection.execute(update(batch_items).where(*left).values(outcome=ItemOutcome.NOT_SENT)).rowcount
        change: Counter[str] = Counter({ItemOutcome.NOT_SENT: closed, ItemOutcome.PENDING: -closed})
        store_progress(connection, self.batch, counted(found.progress, change))


class DeleteOldBatches(Struct, frozen=True, array_like=True, tag="delete-old-batches"):
    """Delete a batch that ended before a time, or `limit` of its items: others wait for this commit.

    An event tells of the batch's end. The result is False if there is none left, or another process deletes it.
    """

    before: datetime
    now: datetime
    limit: int = 1_000

    def run(self, connection: Connection) -> bool | Chained:
        """Delete it."""
        old = select(batches.c.id).where(batches.c.ended_at < milliseconds(self.before)).limit(1)
        batch = connection.execute(old).scalar()
        version = None if batch is None else locked_version(connection, batches, batch)
        if batch is None or version is None:
            return False
        last = select(batch_items.c.position).where(batch_items.c.batch == batch).order_by(batch_items.c.position)
        place = connection.execute(last.offset(self.limit).limit(1)).scalar()
        its = delete(batch_items).where(batch_items.c.batch == batch)
        if place is not None:
            connection.execute(its.where(batch_items.c.position < place))
            return True
        connection.execute(its)
        connection.execute(delete(batch_terms).where(batch_terms.c.batch == batch))
        connection.execute(delete(batches).where(batches.c.id == batch))
        event = deletion(TaskKind.BATCH, batch, version, self.now)
        return Chained(result=True, events=[event_row(batch, event.version, event)])


def row_of(batch: Batch) -> dict[str, Any]:
    """The row of a batch without its progress."""
    return {
        "id": batch.id,
        "caller": batch.caller,
        "state": batch.state.value,
        "version": batch.version,
        "content": _encoded(replace(batch, progress=Progress())),
        "ended_at": milliseconds(batch.changed_at) if batch.state in ENDED else None,
    }


def add_terms(connection: Connection, batch: Batch) -> None:
    """Let a batch be found by its connections and labels."""
    rows = [{"term": term, "batch": batch.id} for term in terms_of(batch)]
    if rows:
        connection.execute(insert_of(connection, batch_terms).on_conflict_do_nothing(), rows)


def terms_of(batch: Batch) -> list[str]:
    """The terms by which a batch is found."""
    labels = [label_term(f"{name}={value}") for name, value in batch.plan.labels.items()]
    return [*map(connection_term, batch.connections), *labels]


def connection_term(name: str) -> str:
    """The term of the batches that have jobs of a connection."""
    return f"connection:{name}"


def label_term(label: str) -> str:
    """The term of the batches with a label, `name=value`."""
    return f"label:{label}"


def add_items(connection: Connection, batch: str, items: Iterable[Item]) -> None:
    """Add items."""
    rows = [
        {
            "batch": batch,
            "position": each.position,
            "connection": each.connection,
            "job_id": each.job_id,
            "verdict": each.verdict,
            "outcome": each.outcome,
            "job_action_id": each.job_action,
            "content": _rest_of(each),
        }
        for each in items
    ]
    if rows:
        connection.execute(insert(batch_items), rows)


_SETTLE = BulkStatement(
    update(batch_items)
    .where(batch_items.c.batch == bindparam("of"), batch_items.c.position == bindparam("at"))
    .values(outcome=bindparam("outcome_"), job_action_id=bindparam("by"), content=bindparam("content_")),
    ("outcome_", "by", "content_", "of", "at"),
)


_ITEM = tuple(each for each in batch_items.c if each is not batch_items.c.batch)
"""The columns of an item. Its batch is known, and would take as long to read as the others."""
_PROGRESS_OF = select(batches.c.progress).where(batches.c.id == bindparam("of")).with_for_update()
_STORE_PROGRESS = update(batches).where(batches.c.id == bindparam("of")).values(progress=bindparam("counters"))
_OUTCOMES_BETWEEN = select(batch_items.c.position, batch_items.c.outcome).where(
    batch_items.c.batch == bindparam("of"),
    batch_items.c.position.between(bindparam("first"), bindparam("last")),
)


def _rest_of(item: Item) -> str:
    return _encoded(_Rest(item.status_seen, item.problem, item.detail))


def _encoded(value: object) -> str:
    return _ENCODER.encode(value).decode()


def counted(progress: Progress, change: Counter[str], seconds: float = 0.0, now: datetime | None = None) -> Progress:
    """The counters after a change."""
    outcomes = Counter(progress.outcomes)
    outcomes.update(change)
    left = {str(name): number for name, number in outcomes.items() if number}
    recent = progress.recent
    if now is not None:
        done = sum(left.values()) - left.get(ItemOutcome.PENDING, 0)
        at = now.timestamp()
        kept = tuple(each for each in recent if at - each[0] <= RECENT_SECONDS)
        # A few points are enough for a rate.
        recent = (*kept, (at, done)) if not kept or at - kept[-1][0] >= 1 else kept
    return Progress(left, progress.active_seconds + seconds, recent)


def store_progress(connection: Connection, batch: str, progress: Progress) -> None:
    """Store the counters of a batch."""
    connection.execute(_STORE_PROGRESS, {"of": batch, "counters": _encoded(progress)})


def progress_of(connection: Connection, batch: str) -> Progress | None:
    """The counters of a batch, which nobody else changes in this transaction; None if there is no such batch."""
    stored = connection.execute(_PROGRESS_OF, {"of": batch}).scalar()
    return None if stored is None else _PROGRESS.decode(stored)


def outcomes_at(connection: Connection, batch: str, places: Sequence[int]) -> dict[int, str]:
    """The outcomes of a batch's items at these positions, and perhaps of some between them."""
    if not places:
        return {}
    first, last = min(places), max(places)
    # The items of a group are side by side: a range costs less than a list.
    if last - first < DENSE * len(places):
        found = connection.execute(_OUTCOMES_BETWEEN, {"of": batch, "first": first, "last": last})
    else:
        its = (batch_items.c.batch == batch, batch_items.c.position.in_(places))
        found = connection.execute(select(batch_items.c.position, batch_items.c.outcome).where(*its))
    return {each[0]: each[1] for each in found}


def take_connections(connection: Connection, batch: Batch) -> bool:
    """Let a batch run on its connections. False if another batch runs on one of them."""
    for name in sorted(batch.connections):
        statement = insert_of(connection, running_batches).values(connection=name, batch=batch.id)
        connection.execute(statement.on_conflict_do_nothing())
    its = running_batches.c.connection.in_(batch.connections)
    holders = set(connection.execute(select(running_batches.c.batch).where(its)).scalars())
    if holders <= {batch.id}:
        return True
    free_connections(connection, batch.id)
    return False


def free_connections(connection: Connection, batch: str) -> None:
    """Let other batches run on the connections of a batch."""
    connection.execute(delete(running_batches).where(running_batches.c.batch == batch))


def is_stored(connection: Connection, batch: str) -> bool:
    """True if there is a batch with this id."""
    return connection.execute(select(batches.c.id).where(batches.c.id == batch)).first() is not None


def head(connection: Connection, batch: str, *, is_locked: bool = False) -> Batch | None:
    """The batch with this id, None if there is none. `is_locked`: nobody else changes it in this transaction."""
    chosen = select(batches).where(batches.c.id == batch)
    row = connection.execute(chosen.with_for_update() if is_locked else chosen).first()
    return None if row is None else batch_of(row)


def batch_of(row: Row[Any]) -> Batch:
    """The batch in a row."""
    return replace(_BATCHES.decode(row.content), progress=_PROGRESS.decode(row.progress))


class BatchSelection(Struct, frozen=True):
    """The conditions that wanted batches meet; None: any value, and no states: any state."""

    caller: str | None = None
    states: tuple[str, ...] = ()
    connection: str | None = None
    label: str | None = None


def page(connection: Connection, selection: BatchSelection, limit: int, before: str | None) -> Page[Batch]:
    """At most `limit` selected batches with ids before `before`, newest first."""
    chosen = select(batches)
    if selection.caller is not None:
        chosen = chosen.where(batches.c.caller == selection.caller)
    if selection.states:
        chosen = chosen.where(batches.c.state.in_(selection.states))
    if before is not None:
        chosen = chosen.where(batches.c.id < before)
    for term in selected_terms(selection):
        chosen = chosen.where(batches.c.id.in_(select(batch_terms.c.batch).where(batch_terms.c.term == term)))
    rows = connection.execute(chosen.order_by(batches.c.id.desc()).limit(limit + 1)).all()
    items = tuple(map(batch_of, rows[:limit]))
    return Page(items, items[-1].id if len(rows) > limit else None)


def numbers(connection: Connection) -> dict[str, int]:
    """The number of batches that have not ended, by state."""
    states = [each.value for each in BatchState if each not in ENDED]
    chosen = select(batches.c.state, func.count()).where(batches.c.state.in_(states)).group_by(batches.c.state)
    return dict.fromkeys(states, 0) | {each[0]: each[1] for each in connection.execute(chosen)}


def selected_terms(selection: BatchSelection) -> list[str]:
    """The terms that wanted batches have."""
    wanted = [None if selection.connection is None else connection_term(selection.connection)]
    wanted.append(None if selection.label is None else label_term(selection.label))
    return [each for each in wanted if each is not None]


class ItemSelection(Struct, frozen=True):
    """The conditions that wanted items of a batch meet; None: any value. `prepared`: with a verdict or without."""

    batch: str
    verdict: str | None = None
    outcomes: tuple[str, ...] = ()
    prepared: bool | None = True
    connection: str | None = None


def items(connection: Connection, selection: ItemSelection, after: int, limit: int) -> list[Item]:
    """At most `limit` selected items with positions after `after`, in their order."""
    chosen = select(*_ITEM).where(batch_items.c.batch == selection.batch, batch_items.c.position > after)
    if selection.verdict is not None:
        chosen = chosen.where(batch_items.c.verdict == selection.verdict)
    if selection.outcomes:
        chosen = chosen.where(batch_items.c.outcome.in_(selection.outcomes))
    if selection.connection is not None:
        chosen = chosen.where(batch_items.c.connection == selection.connection)
    if selection.prepared is not None:
        has_verdict = batch_items.c.verdict.is_not(None)
        chosen = chosen.where(has_verdict if selection.prepared else ~has_verdict)
    return [item_of(row) for row in connection.execute(chosen.order_by(batch_items.c.position).limit(limit))]


def item_of(row: Row[Any]) -> Item:
    """The item in a row."""
    position, name, job_id, verdict, outcome, job_action, content = tuple(row)
    rest = _rest_in(content)
    return Item(
        position,
        name,
        job_id,
        _VERDICTS[verdict],
        _OUTCOMES[outcome],
        job_action,
        rest.status_seen,
        rest.problem,
        rest.detail,
    )


@lru_cache(maxsize=256)
def _rest_in(content: str) -> _Rest:
    """The other members of an item, from a cache: most items of a batch are alike."""
    return _RESTS.decode(content)


def places_of(batch: str, after: int) -> Select[Any]:
    """The positions of a batch's items after one of them, in their order."""
    place = batch_items.c.position
    return select(place).where(batch_items.c.batch == batch, place > after).order_by(place)


def first_places(connection: Connection, batch: str, jobs: Iterable[JobReference]) -> dict[JobReference, int]:
    """The first position of each of these jobs in a batch."""
    found: dict[JobReference, int] = {}
    for name, its in items_of(jobs):
        chosen = (
            select(batch_items.c.job_id, func.min(batch_items.c.position))
            .where(*its, batch_items.c.batch == batch)
            .group_by(batch_items.c.job_id)
        )
        found |= {JobReference(name, job_id): first for job_id, first in connection.execute(chosen)}
    return found


def held_jobs(connection: Connection, batch: str, jobs: Iterable[JobReference]) -> set[JobReference]:
    """Those of these jobs on which another batch, which is confirmed and has not ended, will still act."""
    found: set[JobReference] = set()
    for name, its in items_of(jobs):
        chosen = (
            select(batch_items.c.job_id)
            .join(batches, batches.c.id == batch_items.c.batch)
            .where(
                *its,
                batch_items.c.batch != batch,
                batch_items.c.outcome == ItemOutcome.PENDING,
                batch_items.c.verdict == Verdict.WILL_ACT,
                batches.c.state.in_([each.value for each in HOLDING]),
            )
        )
        found.update(JobReference(name, job_id) for job_id in connection.execute(chosen).scalars())
    return found


def items_of(jobs: Iterable[JobReference]) -> Iterator[tuple[str, tuple[ColumnElement[bool], ...]]]:
    """The connections of these jobs, each with the conditions for the items with its jobs.

    SQLite has no index for a list of pairs, and would read every item of the batch.
    """
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for each in jobs:
        ids[each.connection].append(each.job_id)
    for name, its in ids.items():
        yield name, (batch_items.c.connection == name, batch_items.c.job_id.in_(its))


def verdicts(connection: Connection, batch: str) -> dict[str, int]:
    """The number of items with each verdict."""
    chosen = (
        select(batch_items.c.verdict, func.count())
        .where(batch_items.c.batch == batch, batch_items.c.verdict.is_not(None))
        .group_by(batch_items.c.verdict)
    )
    return {each[0]: each[1] for each in connection.execute(chosen)}


def acting(connection: Connection, batch: str) -> dict[str, int]:
    """The number of jobs to be acted on, by connection."""
    chosen = (
        select(batch_items.c.connection, func.count())
        .where(batch_items.c.batch == batch, batch_items.c.verdict == Verdict.WILL_ACT)
        .group_by(batch_items.c.connection)
        .order_by(batch_items.c.connection)
    )
    return {each[0]: each[1] for each in connection.execute(chosen)}


def key_holders(connection: Connection, caller: str, keys: Sequence[str]) -> dict[str, str]:
    """The ids of the job actions that hold these keys of a caller, by key."""
    table = idempotency_keys.c
    chosen = select(table.key, table.job_action_id).where(table.caller == caller, table.key.in_(keys))
    return {each[0]: each[1] for each in connection.execute(chosen)}
