"""The audit: is the chain whole, and what does it say? Reads the database from beginning to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.domain.record import Concluded, Requested
from gateway.ledger.chain import genesis, hash_after
from gateway.ledger.database import Database
from gateway.ledger.events import Dispatched, Stored, read
from gateway.ledger.tables import events, job_actions, segments

ROWS_AT_ONCE = 1_000

Advance = Callable[[int], object]
"""Is told how many more events were looked at."""


@dataclass(frozen=True)
class Broken:
    """The first place where the chain does not hold. `event` is None where it is a whole segment that does not."""

    segment: int
    what: str
    event: int | None = None
    job_action: str | None = None

    def __str__(self) -> str:
        """It as a sentence."""
        at = f"segment {self.segment}" if self.event is None else f"segment {self.segment}, event {self.event}"
        of = f" (job action {self.job_action})" if self.job_action else ""
        return f"{at}{of}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """What a verification found: how much it looked at, and the first place that is broken.

    `deleted` segments are accounted for by their numbers, lengths and last hashes alone.
    """

    segments: int
    events: int
    broken: Broken | None = None
    deleted: int = 0


@dataclass
class Progress:
    """How far a segment was followed."""

    head: bytes
    length: int = 0


@dataclass
class Following:
    """The segments that are followed, by number, in one pass over all events."""

    progress: dict[int, Progress] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> Broken | None:
        """Follow one event; gives what is wrong with it."""
        at = self.progress.setdefault(row.segment, Progress(genesis(row.segment)))
        expected = hash_after(at.head, row.job_action_id, row.sequence, row.kind, row.content)
        if bytes(row.hash) != expected:
            what = "the event, or the one before it, is not the one that was written"
            return Broken(row.segment, what, row.id, row.job_action_id)
        at.head, at.length = expected, at.length + 1
        return None


def count(database: Database) -> int:
    """How many events there are, for a bar that shows progress. Raises LedgerUnavailable."""
    with database.snapshot() as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def verify(database: Database, advance: Advance = lambda _: None) -> Verdict:
    """Follow the chain, and find the first link that is broken: changed, exchanged, missing or added.

    Raises LedgerUnavailable.
    """
    following = Following()
    seen = 0
    with database.snapshot() as connection, closing(_all_events(connection)) as batches:
        for rows in batches:
            for row in rows:
                broken = following.add(row)
                if broken is not None:
                    return Verdict(len(following.progress), seen, broken)
                seen += 1
            advance(len(rows))
        followed, gone = len(following.progress), deleted(connection)
        return Verdict(followed, seen, _missing(connection, following) or _incomplete(connection), gone)


def _all_events(connection: Connection) -> Generator[list[Row[Any]]]:
    """Every event in the order in which they were written, some at a time."""
    in_order = select(events).order_by(events.c.id).execution_options(yield_per=ROWS_AT_ONCE)
    with connection.execute(in_order) as result:
        yield from (list(rows) for rows in result.partitions())


def _missing(connection: Connection, following: Following) -> Broken | None:
    """What the list of segments says is there, and is not; or the other way round."""
    for number, row in enumerate(connection.execute(select(segments).order_by(segments.c.number)), start=1):
        if row.number != number:
            return Broken(number, "the segment is missing")
        at = following.progress.pop(row.number, Progress(genesis(row.number)))
        if row.deleted_at is None and at.length < row.length:
            return Broken(row.number, f"{row.length - at.length} events are missing at its end")
        if row.deleted_at is None and (at.length != row.length or at.head != bytes(row.head)):
            return Broken(row.number, "it has other events at its end than were written")
        if row.deleted_at is not None and at.length:
            return Broken(row.number, "it was deleted, and has events")
    for left in following.progress:
        return Broken(left, "no such segment was opened")
    return None


def _incomplete(connection: Connection) -> Broken | None:
    """A job action that no search finds, since its row is gone, or whose beginning is gone and was not deleted."""
    began = events.alias()
    lost = (
        select(events.c.segment, events.c.id, events.c.job_action_id)
        .outerjoin(job_actions, job_actions.c.id == events.c.job_action_id)
        .where(events.c.sequence == 0, job_actions.c.id.is_(None))
        .limit(1)
    )
    headless = (
        select(events.c.segment, events.c.id, events.c.job_action_id)
        .outerjoin(began, (began.c.job_action_id == events.c.job_action_id) & (began.c.sequence == 0))
        .where(events.c.sequence > 0, began.c.id.is_(None))
        .limit(1)
    )
    row = connection.execute(lost).first()
    if row is not None:
        return Broken(row.segment, "no search finds it", row.id, row.job_action_id)
    row = None if deleted(connection) else connection.execute(headless).first()
    return None if row is None else Broken(row.segment, "its beginning is missing", row.id, row.job_action_id)


def deleted(connection: Connection) -> int:
    """How many segments retention has deleted."""
    gone = select(func.count()).select_from(segments).where(segments.c.deleted_at.is_not(None))
    return connection.execute(gone).scalar_one()


def export(database: Database, advance: Advance = lambda _: None) -> Iterator[str]:
    """Every event as a line of JSON, in the order of the chain, with who asked for what. Raises LedgerUnavailable."""
    asked: dict[str, Requested] = {}
    with database.snapshot() as connection, closing(_all_events(connection)) as batches:
        for rows in batches:
            for row in rows:
                event = read(row.kind, row.content)
                if isinstance(event, Requested | Dispatched):
                    asked[row.job_action_id] = event if isinstance(event, Requested) else event.requested
                yield json.dumps(_line(row, event, asked.get(row.job_action_id)), ensure_ascii=False)
                if isinstance(event, Concluded) and event.settled_by is not None:
                    asked.pop(row.job_action_id, None)
            advance(len(rows))


def _line(row: Row[Any], event: Stored, asked: Requested | None) -> Mapping[str, Any]:
    return {
        "segment": row.segment,
        "event": row.id,
        "hash": bytes(row.hash).hex(),
        "jobAction": row.job_action_id,
        "sequence": row.sequence,
        "kind": row.kind,
        "at": event.at.isoformat(),
        **(_who(asked) if asked else {}),
        **({} if isinstance(event, Requested) else {"told": _told(row, event)}),
    }


def _told(row: Row[Any], event: Stored) -> Any:
    """What an event says beyond who asked for what."""
    content = json.loads(row.content)
    return content["sent"] if isinstance(event, Dispatched) else content


def _who(asked: Requested) -> Mapping[str, Any]:
    """Who asked for what, where, why and from where."""
    action = asked.job_action
    known = {
        "caller": asked.caller,
        "address": asked.origin.address,
        "requestId": asked.origin.request_id,
        "traceId": asked.origin.trace_id,
        "connection": asked.connection,
        "vendor": asked.vendor,
        "jobId": action.job_id,
        "action": action.action,
        "parameters": dict(action.parameters),
        "idempotencyKey": asked.idempotency_key,
    }
    return {name: value for name, value in known.items() if value is not None}
