"""The audit: is the chain whole, and what does it say? Reads the database from beginning to end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.domain.record import Concluded, Requested
from gateway.ledger.chain import genesis, hash_after
from gateway.ledger.checkpoints import History, seals_of, states_in
from gateway.ledger.database import Database
from gateway.ledger.events import KEPT, UNREADABLE, Claimed, Dispatched, KeyChanged, Stored, read
from gateway.ledger.findings import Broken
from gateway.ledger.index_audit import incomplete, wrong_deletion, wrong_key, wrong_record
from gateway.ledger.notes import Verifier
from gateway.ledger.tables import events, segments

ROWS_AT_ONCE = 1_000

Advance = Callable[[int], object]
"""Is told how many more events were looked at."""


@dataclass(frozen=True)
class Verdict:
    """What a verification found: how much it looked at, and the first place that is broken.

    `deleted` segments are accounted for by their numbers, lengths and last hashes alone, and by what retention has said
    of them. It was compared with so many `checkpoints`.
    """

    segments: int
    events: int
    broken: Broken | None = None
    deleted: int = 0
    checkpoints: int = 0


@dataclass
class Progress:
    """How far a segment was followed. `heads` has the hashes at the lengths that checkpoints know."""

    head: bytes
    length: int = 0
    heads: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Following:
    """The segments that are followed, by number, in one pass over all events; and how the API keys are by them."""

    wanted: Mapping[int, Collection[int]]
    progress: dict[int, Progress] = field(default_factory=dict)
    keys: dict[str, KeyChanged] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> Broken | None:
        """Follow one event; gives what is wrong with it."""
        at = self._progress(row.segment)
        expected = hash_after(at.head, row.job_action_id, row.sequence, row.kind, row.content)
        if bytes(row.hash) != expected:
            what = "the event, or the one before it, is not the one that was written"
            return Broken(row.segment, what, row.id, row.job_action_id)
        at.head, at.length = expected, at.length + 1
        if at.length in self.wanted.get(row.segment, ()):
            at.heads[at.length] = expected
        if row.kind in KEPT:
            return self._note(row)
        return None

    def hash_at(self, number: int, length: int) -> bytes | None:
        """The hash of a segment's event, None where there is none."""
        return genesis(number) if length == 0 else self._progress(number).heads.get(length)

    def _progress(self, number: int) -> Progress:
        return self.progress.setdefault(number, Progress(genesis(number)))

    def _note(self, row: Row[Any]) -> Broken | None:
        try:
            event = read(row.kind, row.content)
        except UNREADABLE:
            return Broken(row.segment, "the event cannot be read", row.id)
        if isinstance(event, KeyChanged):
            self.keys[event.id] = event
        return None


@dataclass(frozen=True)
class Proof:
    """What is known from outside the database: the keys that sign, and the checkpoints that they have signed."""

    keys: tuple[Verifier, ...] = ()
    history: History = field(default_factory=History)

    @property
    def wanted(self) -> Mapping[int, Collection[int]]:
        """The lengths of segments at which checkpoints know their hashes, by number."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        for checkpoint in self.history.checkpoints:
            for each in checkpoint.written:
                found[each.number].add(each.length)
        return found


NOTHING = Proof()


def count(database: Database) -> int:
    """How many events are looked at, for a bar that shows progress: each is twice. Raises LedgerUnavailable."""
    with database.snapshot() as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def verify(
    database: Database, advance: Advance = lambda _: None, proof: Proof = NOTHING, now: datetime | None = None
) -> Verdict:
    """Follow the chain, and find the first link that is broken: changed, exchanged, missing or added.

    Then compare it with the checkpoints, and with it everything that is looked up beside it: search rows, idempotency
    keys and API keys. Raises LedgerUnavailable.
    """
    following = Following(proof.wanted)
    seen = 0
    with database.snapshot() as connection, closing(_all_events(connection)) as batches:
        for rows in batches:
            for row in rows:
                broken = following.add(row)
                if broken is not None:
                    return Verdict(len(following.progress), seen, broken)
                seen += 1
            advance(len(rows))
        gone = deleted(connection)
        followed = sum(1 for each in following.progress.values() if each.length)
        at = now or datetime.now(UTC)
        return Verdict(
            followed, seen, _first_wrong(connection, following, proof, at), gone, len(proof.history.checkpoints)
        )


def _first_wrong(connection: Connection, following: Following, proof: Proof, now: datetime) -> Broken | None:
    """The first of everything that can be wrong where each event follows the one before it."""
    return (
        missing(connection, following)
        or _unlike_checkpoints(connection, following, proof.history)
        or wrong_deletion(connection, proof.keys)
        or incomplete(connection)
        or wrong_record(connection, now)
        or wrong_key(connection, following.keys)
    )


def _all_events(connection: Connection) -> Generator[list[Row[Any]]]:
    """Every event in the order in which they were written, some at a time."""
    in_order = select(events).order_by(events.c.id).execution_options(yield_per=ROWS_AT_ONCE)
    with connection.execute(in_order) as result:
        yield from (list(rows) for rows in result.partitions())


def missing(connection: Connection, following: Following) -> Broken | None:
    """What the list of segments says is there, and is not; or the other way round."""
    left = dict(following.progress)
    for number, row in enumerate(connection.execute(select(segments).order_by(segments.c.number)), start=1):
        if row.number != number:
            return Broken(number, "the segment is missing")
        at = left.pop(row.number, Progress(genesis(row.number)))
        if row.deleted_at is None and at.length < row.length:
            return Broken(row.number, f"{row.length - at.length} events are missing at its end")
        if row.deleted_at is None and (at.length != row.length or at.head != bytes(row.head)):
            return Broken(row.number, "it has other events at its end than were written")
        if row.deleted_at is not None and at.length:
            return Broken(row.number, "it was deleted, and has events")
    return next((Broken(number, "no such segment was opened") for number in left), None)


def _unlike_checkpoints(connection: Connection, following: Following, history: History) -> Broken | None:
    """The first checkpoint that says otherwise."""
    states = states_in(connection)
    seals = seals_of(states, (each.sealed for each in history.checkpoints))
    for checkpoint in history.checkpoints:
        different = checkpoint.difference(states, following.hash_at, seals)
        if different is not None:
            return Broken(None, f"not as the checkpoint of {checkpoint.at:%Y-%m-%d %H:%M:%S} UTC has it: {different}")
    return None


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
                if isinstance(event, Requested | Dispatched | Claimed):
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
        **({} if row.kind in KEPT else {"jobAction": row.job_action_id}),
        "sequence": row.sequence,
        "kind": row.kind,
        "at": event.at.isoformat(),
        **(_who(asked) if asked else {}),
        **({} if isinstance(event, Requested | Claimed) else {"told": _told(row, event)}),
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
