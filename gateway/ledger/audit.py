"""The audit: verification and export of the whole chain."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.domain.record import Concluded, Requested
from gateway.ledger.chain import genesis, hash_after
from gateway.ledger.checkpoints import History, seals_of, states_in
from gateway.ledger.database import Database
from gateway.ledger.events import (
    OF_NO_JOB_ACTION,
    UNREADABLE,
    ApprovalChanged,
    Claimed,
    Dispatched,
    KeyChanged,
    StateChanged,
    Stored,
    read,
)
from gateway.ledger.findings import ROWS_AT_ONCE, Finding
from gateway.ledger.index_audit import incomplete, wrong_approval, wrong_deletion, wrong_key, wrong_record
from gateway.ledger.notes import Verifier
from gateway.ledger.tables import events, segments
from gateway.ledger.work_audit import Work, wrong_work

Advance = Callable[[int], object]
"""Called with the number of events read since the last call."""


@dataclass(frozen=True)
class AuditResult:
    """The result of a verification: the numbers of segments and events read, and the first inconsistency.

    `deleted` is the number of segments that retention deleted; of those, only number, length, last hash and the
    statement of their deletion are verified. `checkpoints` is the number of checkpoints compared.
    """

    segments: int
    events: int
    finding: Finding | None = None
    deleted: int = 0
    checkpoints: int = 0


@dataclass
class SegmentProgress:
    """The recomputed state of a segment so far. `heads` has the hashes at the lengths that checkpoints contain."""

    head: bytes
    length: int = 0
    heads: dict[int, bytes] = field(default_factory=dict)


@dataclass
class ChainState:
    """The chain as recomputed from the events in one pass: segments by number, and the last events of the rest by id.

    `wanted` holds, by segment, the lengths at which hashes are kept.
    """

    wanted: Mapping[int, Collection[int]]
    progress: dict[int, SegmentProgress] = field(default_factory=dict)
    keys: dict[str, KeyChanged] = field(default_factory=dict)
    approvals: dict[str, ApprovalChanged] = field(default_factory=dict)
    work: dict[Work, StateChanged] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> Finding | None:
        """Add the next event. Returns the finding if it does not fit, otherwise None."""
        at = self._progress(row.segment)
        expected = hash_after(at.head, row.job_action_id, row.sequence, row.kind, row.content)
        if bytes(row.hash) != expected:
            what = "the event, or the one before it, is not the one that was written"
            return Finding(row.segment, what, row.id, row.job_action_id)
        at.head, at.length = expected, at.length + 1
        if at.length in self.wanted.get(row.segment, ()):
            at.heads[at.length] = expected
        if row.kind in OF_NO_JOB_ACTION:
            return self._note(row)
        return None

    def hash_at(self, number: int, length: int) -> bytes | None:
        """The hash of a segment after `length` events, None if it was not kept."""
        return genesis(number) if length == 0 else self._progress(number).heads.get(length)

    def _progress(self, number: int) -> SegmentProgress:
        return self.progress.setdefault(number, SegmentProgress(genesis(number)))

    def _note(self, row: Row[Any]) -> Finding | None:
        try:
            event = read(row.kind, row.content)
        except UNREADABLE:
            return Finding(row.segment, "the event cannot be read", row.id)
        if isinstance(event, KeyChanged):
            self.keys[event.id] = event
        if isinstance(event, ApprovalChanged):
            self.approvals[event.id] = max(event, self.approvals.get(event.id, event), key=attrgetter("version"))
        if isinstance(event, StateChanged):
            work = (event.of, event.id)
            self.work[work] = max(event, self.work.get(work, event), key=attrgetter("version"))
        return None


@dataclass(frozen=True)
class Proof:
    """Trusted data from outside the database: the keys that sign checkpoints, and the checkpoints that they signed."""

    keys: tuple[Verifier, ...] = ()
    history: History = field(default_factory=History)

    @property
    def wanted(self) -> Mapping[int, Collection[int]]:
        """The segment lengths that checkpoints contain, by number of the segment."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        for checkpoint in self.history.checkpoints:
            for each in checkpoint.written:
                found[each.number].add(each.length)
        return found


NOTHING = Proof()


def count(database: Database) -> int:
    """The number of events, for a progress bar. Raises LedgerUnavailable."""
    with database.snapshot() as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def verify(
    database: Database, advance: Advance = lambda _: None, proof: Proof = NOTHING, now: datetime | None = None
) -> AuditResult:
    """Verify the chain, and return the first event that was changed, exchanged, removed or added.

    Then compare the chain with the checkpoints, and with it the search rows, idempotency keys, API keys, approvals,
    batches and schedules. Raises LedgerUnavailable.
    """
    chain = ChainState(proof.wanted)
    seen = 0
    with database.snapshot() as connection, closing(_all_events(connection)) as batches:
        for rows in batches:
            for row in rows:
                finding = chain.add(row)
                if finding is not None:
                    return AuditResult(len(chain.progress), seen, finding)
                seen += 1
            advance(len(rows))
        gone = deleted(connection)
        followed = sum(1 for each in chain.progress.values() if each.length)
        at = now or datetime.now(UTC)
        return AuditResult(
            followed, seen, _first_wrong(connection, chain, proof, at), gone, len(proof.history.checkpoints)
        )


def _first_wrong(connection: Connection, chain: ChainState, proof: Proof, now: datetime) -> Finding | None:
    """The first inconsistency of a ledger in which each event follows the previous one."""
    return (
        missing(connection, chain)
        or _unlike_checkpoints(connection, chain, proof.history)
        or wrong_deletion(connection, proof.keys)
        or incomplete(connection)
        or wrong_record(connection, now)
        or wrong_key(connection, chain.keys)
        or wrong_approval(connection, chain.approvals)
        or wrong_work(connection, chain.work)
    )


def _all_events(connection: Connection) -> Generator[list[Row[Any]]]:
    """All events in the order of writing, in batches."""
    in_order = select(events).order_by(events.c.id).execution_options(yield_per=ROWS_AT_ONCE)
    with connection.execute(in_order) as result:
        yield from (list(rows) for rows in result.partitions())


def _missing_events(number: int) -> str:
    return "1 event is" if number == 1 else f"{number} events are"


def missing(connection: Connection, chain: ChainState) -> Finding | None:
    """The first difference between the table of segments and the events."""
    left = dict(chain.progress)
    for number, row in enumerate(connection.execute(select(segments).order_by(segments.c.number)), start=1):
        if row.number != number:
            return Finding(number, "the segment is missing")
        at = left.pop(row.number, SegmentProgress(genesis(row.number)))
        if row.deleted_at is None and at.length < row.length:
            return Finding(row.number, f"{_missing_events(row.length - at.length)} missing at its end")
        if row.deleted_at is None and (at.length != row.length or at.head != bytes(row.head)):
            return Finding(row.number, "it has other events at its end than were written")
        if row.deleted_at is not None and at.length:
            return Finding(row.number, "it was deleted, and has events")
    return next((Finding(number, "no such segment was opened") for number in left), None)


def _unlike_checkpoints(connection: Connection, chain: ChainState, history: History) -> Finding | None:
    """The first difference from a checkpoint."""
    states = states_in(connection)
    seals = seals_of(states, (each.sealed for each in history.checkpoints))
    for checkpoint in history.checkpoints:
        different = checkpoint.difference(states, chain.hash_at, seals)
        if different is not None:
            return Finding(None, f"not as the checkpoint of {checkpoint.at:%Y-%m-%d %H:%M:%S} UTC has it: {different}")
    return None


def deleted(connection: Connection) -> int:
    """The number of segments that retention deleted."""
    gone = select(func.count()).select_from(segments).where(segments.c.deleted_at.is_not(None))
    return connection.execute(gone).scalar_one()


def export(database: Database, advance: Advance = lambda _: None) -> Iterator[str]:
    """Every event as a line of JSON, in the order of the chain, with its request. Raises LedgerUnavailable."""
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
        **({} if row.kind in OF_NO_JOB_ACTION else {"jobAction": row.job_action_id}),
        "sequence": row.sequence,
        "kind": row.kind,
        "at": event.at.isoformat(),
        **(_who(asked) if asked else {}),
        **({} if isinstance(event, Requested | Claimed) else {"told": _told(row, event)}),
    }


def _told(row: Row[Any], event: Stored) -> Any:
    """The content of an event besides the request."""
    content = json.loads(row.content)
    return content["sent"] if isinstance(event, Dispatched) else content


def _who(asked: Requested) -> Mapping[str, Any]:
    """The members that describe the request of a job action."""
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
        "labels": dict(asked.labels) or None,
    }
    return {name: value for name, value in known.items() if value is not None}
