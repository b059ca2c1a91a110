"""Queries of the ledger. The number of records that a page examines is limited, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, Subquery, func, literal, select, tuple_

from gateway.domain.approvals import UNDECIDED
from gateway.domain.batches import ENDED, BatchState
from gateway.domain.model import Outcome, Page
from gateway.domain.record import JobActionRecord, Selection, Tally
from gateway.domain.times import LAST_MILLISECOND, first_id_at, millisecond_of, milliseconds
from gateway.ledger.events import BEGINNINGS, record_of
from gateway.ledger.tables import SEARCHED, approvals, batches, events, job_actions, labels

MOST_COUNTED = 10_000
"""Most unknown outcomes that are counted for the metrics."""
MOST_LOOKED_AT = 2_000
"""Largest number of records that one page examines, by the index of its most selective condition."""

LASTING = tuple(state for state in BatchState if state not in ENDED)
"""The states of batches that have not ended."""


class Index(NamedTuple):
    """An index by which records are found: the columns before the id, their values, and the column of the id."""

    columns: tuple[Column[Any], ...]
    values: tuple[Any, ...]
    id: Column[Any]


def get(connection: Connection, record_id: str, caller: str | None = None) -> JobActionRecord | None:
    """The record with this id, None if there is none or if `caller` is given and did not request it."""
    known = records(connection, [record_id])
    return next((record for record in known if caller in {None, record.requested.caller}), None)


def records(connection: Connection, ids: Sequence[str]) -> tuple[JobActionRecord, ...]:
    """The records with these ids, in the same order. Missing ones are left out."""
    if not ids:
        return ()
    stored: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    found = select(events.c.job_action_id, events.c.kind, events.c.content).where(events.c.job_action_id.in_(ids))
    for job_action_id, kind, content in connection.execute(found.order_by(events.c.job_action_id, events.c.sequence)):
        stored[job_action_id].append((kind, content))
    return tuple(record_of(record_id, stored[record_id]) for record_id in ids if is_whole(stored[record_id]))


def is_whole(stored: Sequence[tuple[str, str]]) -> bool:
    """True if a record's first event is there. Retention may have deleted the segment in which it began."""
    return bool(stored) and stored[0][0] in BEGINNINGS


def page(connection: Connection, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
    """A page of records, newest first. It ends when enough are found, or enough have been examined."""
    index, others = index_of(selection)
    within = bounds(selection, before)
    chosen = filtered(index, others, within) if others else candidates(index, within)
    ids = connection.execute(chosen.limit(limit + 1)).scalars().all()
    items = records(connection, ids[:limit])
    if len(ids) > limit:
        return Page(items, ids[limit - 1])
    return Page(items, connection.execute(last_looked_at(index, within)).scalar() if others else None)


def index_of(selection: Selection) -> tuple[Index, Sequence[tuple[str, Any]]]:
    """The index for the most selective condition of a selection, and the columns and values of the other conditions."""
    asked = conditions(selection)
    if selection.label is not None:
        return Index((labels.c.name, labels.c.value), selection.label, labels.c.job_action_id), asked
    names, values = [name for name, _ in asked[:1]], [value for _, value in asked[:1]]
    return Index(tuple(job_actions.c[name] for name in names), tuple(values), job_actions.c.id), asked[1:]


def filtered(index: Index, others: Sequence[tuple[str, Any]], within: tuple[str, str]) -> Select[Any]:
    """The candidates that meet the other conditions too, in their order.

    Both databases keep the order of a subquery's rows. With an ORDER BY, SQLite would read all of them before it
    returns the first.
    """
    looked_at = candidates(index, within).limit(MOST_LOOKED_AT).subquery()
    return select(looked_at.c.id).where(*(searched_value(looked_at, name) == value for name, value in others))


def searched_value(looked_at: Subquery, name: str) -> ColumnElement[Any]:
    """A searched value of a candidate. One of another table is looked up, since a join can change the order."""
    if name in looked_at.c:
        return looked_at.c[name]
    return select(job_actions.c[name]).where(job_actions.c.id == looked_at.c.id).scalar_subquery()


def last_looked_at(index: Index, within: tuple[str, str]) -> Select[Any]:
    """The id of the last examined candidate, if the limit was reached."""
    return candidates(index, within).offset(MOST_LOOKED_AT - 1).limit(1)


def candidates(index: Index, within: tuple[str, str]) -> Select[Any]:
    """The newest records that may belong on a page, found by one index alone.

    Conditions and order use all columns of the index. Otherwise a planner can choose to read all newer records
    (PostgreSQL 18 does).
    """
    columns = [*index.columns, index.id]
    lowest, beyond = (
        tuple_(*(literal(value, column.type) for value, column in zip([*index.values, at], columns, strict=True)))
        for at in within
    )
    place = tuple_(*columns)
    searched = [each for each in index.id.table.c if each.name in SEARCHED]
    statement = select(index.id.label("id"), *searched).where(place >= lowest, place < beyond)
    return statement.order_by(*(column.desc() for column in columns))


def conditions(selection: Selection) -> list[tuple[str, Any]]:
    """The requested columns and values, the most selective column first."""
    return [(name, getattr(selection, name)) for name in SEARCHED if getattr(selection, name) is not None]


def bounds(selection: Selection, before: str | None) -> tuple[str, str]:
    """The range of ids, which sort by time: the lowest one, and the first one beyond the range."""
    since = 0 if selection.since is None else milliseconds(selection.since)
    until = LAST_MILLISECOND if selection.until is None else milliseconds(selection.until) + 1
    beyond = first_id_at(until)
    return first_id_at(since), beyond if before is None else min(beyond, before)


def unknown_outcomes(connection: Connection, now: datetime) -> dict[str, tuple[int, float]]:
    """The newest unknown outcomes, at most `MOST_COUNTED`, by connection: their number, and the age of the oldest.

    The age is in seconds, of those that are still to be read; 0 without one.
    """
    columns = job_actions.c
    unknown = select(columns.connection, columns.id, columns.due_at).where(columns.outcome == Outcome.UNKNOWN)
    newest = unknown.order_by(columns.outcome.desc(), columns.id.desc()).limit(MOST_COUNTED)
    found: dict[str, tuple[int, float]] = {}
    for name, record_id, due_at in connection.execute(newest):
        number, age = found.get(name, (0, 0.0))
        found[name] = number + 1, age if due_at is None else (milliseconds(now) - millisecond_of(record_id)) / 1_000
    return found


def due_times(now: datetime, beyond: datetime | None) -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a record is due. Each is for a statement of its own, which the index answers."""
    due = job_actions.c.due_at
    usual = due <= milliseconds(now)
    return (usual,) if beyond is None else (usual, due > milliseconds(beyond))


def is_any_due(connection: Connection, now: datetime, beyond: datetime | None = None) -> bool:
    """True if a record is due to be read again, or after `beyond`."""
    chosen = (select(job_actions.c.id).where(is_due).limit(1) for is_due in due_times(now, beyond))
    return any(connection.execute(each).first() is not None for each in chosen)


def tally(connection: Connection, caller: str | None) -> Tally:
    """The numbers of what has not ended, of one caller or of all, by one query."""
    of_actions, of_batches = ([] if caller is None else [each.c.caller == caller] for each in (job_actions, batches))
    is_unknown = [job_actions.c.outcome == Outcome.UNKNOWN, *of_actions]
    # PostgreSQL has no smallest UUID before version 18.
    oldest = select(job_actions.c.id).where(*is_unknown).order_by(job_actions.c.id).limit(1).scalar_subquery()
    number = func.count().label("number")
    unknown = select(literal("").label("state"), number, oldest.label("oldest")).select_from(job_actions)
    lasting = select(batches.c.state, number, literal(None, job_actions.c.id.type))
    lasting = lasting.where(batches.c.state.in_(LASTING), *of_batches).group_by(batches.c.state)
    undecided = select(literal("approvals"), number, literal(None, job_actions.c.id.type)).select_from(approvals)
    undecided = undecided.where(approvals.c.state.in_(UNDECIDED))
    rows = {row.state: row for row in connection.execute(unknown.where(*is_unknown).union_all(lasting, undecided))}
    first, decisions = rows.pop(""), rows.pop("approvals").number
    return Tally(first.number, first.oldest, {state: row.number for state, row in rows.items()}, decisions)
