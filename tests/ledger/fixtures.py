"""Records and events for the tests of the ledger, and a ledger that several may have open at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import select

from gateway.domain.errors import Explanation
from gateway.domain.model import JobAction, Outcome, StatusPair, VendorResponse
from gateway.domain.ports import Clock, Ledger
from gateway.domain.record import (
    Concluded,
    HeldKey,
    JobActionRecord,
    ProblemNote,
    Requested,
    Sent,
    SettledBy,
)
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.stores import ProcessStore
from gateway.ledger.tables import events, segments
from tests.support.patience import PATIENCE

CALLER = "somebody"
KEY_TIME = timedelta(hours=72)
LEASE = timedelta(seconds=15)
SECONDS = PATIENCE

Value = TypeVar("Value")

SETTLED_BY = {
    Outcome.APPLIED: SettledBy.VENDOR_REPLY,
    Outcome.PARTIAL: SettledBy.VENDOR_REPLY,
    Outcome.REJECTED: SettledBy.VENDOR_REPLY,
    Outcome.NOT_SENT: SettledBy.NOTHING_SENT,
    Outcome.UNKNOWN: None,
}


class Ledgers:
    """Ledgers that share one storage, as those of several gateways do. `address` None: the memory.

    `writer`: the socket of the process that writes for all of them.
    """

    def __init__(self, address: str | None, clock: Clock, writer: Path | None = None) -> None:
        """Keep everything at `address`."""
        self._address = address
        self._writer = writer
        self._clock = clock
        self._memory = MemoryLedger()
        self._opened: list[Ledger] = []

    def open(self, retention_time: timedelta | None = None) -> Ledger:
        """One more ledger on the storage. The memory is always the same one."""
        if self._address is None:
            return self._memory
        store = None if self._writer is None else ProcessStore(self._writer)
        opened = SqlLedger(Database.at(self._address), self._clock, retention_time, store=store)
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        """Close them all."""
        for each in self._opened:
            await each.close()


def new_record(clock: Clock, key: str | None = None, **given: Any) -> JobActionRecord:
    """The record of a new request; what is given takes the place of what requests usually say."""
    at = given.pop("at", clock.now())
    job_action = JobAction(given.pop("action", "cancel"), given.pop("job_id", "job-1"), given.pop("parameters", {}))
    usual = Requested(at, CALLER, "contoso-prod", "azure-job-router", job_action, idempotency_key=key)
    return JobActionRecord(clock.new_id(at), replace(usual, **given))


def held(record: JobActionRecord, fingerprint: bytes = b"1" * 32) -> HeldKey:
    """The key that a record was asked for with."""
    asked = record.requested
    return HeldKey(asked.caller, asked.idempotency_key or "", fingerprint, asked.at + KEY_TIME)


def concluded(clock: Clock, outcome: Outcome, code: str | None = None, detail: str = "No.") -> Concluded:
    """A conclusion as the engine draws it; with the code of a problem where it failed."""
    response = VendorResponse("azure-job-router", 200, request_id="trace-1")
    if outcome is Outcome.APPLIED:
        return Concluded(clock.now(), outcome, SETTLED_BY[outcome], StatusPair("cancelled", "cancelled"), response)
    usual = "vendor-timed-out" if outcome is Outcome.UNKNOWN else "wrong-state"
    note = ProblemNote(code or usual, detail, Explanation(vendor=replace(response, status=409)))
    return Concluded(clock.now(), outcome, SETTLED_BY[outcome], problem=note)


async def begun(ledger: Ledger, clock: Clock, record: JobActionRecord) -> JobActionRecord:
    """A record after it was claimed, with its key where it has one, and sent."""
    key = held(record) if record.requested.idempotency_key else None
    assert await ledger.claim(record, clock.now() + LEASE, key) is None
    return await ledger.sent(record, Sent(clock.now()))


async def done(
    ledger: Ledger, clock: Clock, record: JobActionRecord, outcome: Outcome | None = Outcome.APPLIED
) -> JobActionRecord:
    """A record after it was claimed, sent and concluded; None: it is still under way."""
    sent = await begun(ledger, clock, record)
    if outcome is None:
        return sent
    due = clock.now() + LEASE if outcome is Outcome.UNKNOWN else None
    return await ledger.append(sent, concluded(clock, outcome), due)


def check_chain(database: Database) -> None:
    """Every event's hash is that of the event and the hash before it, and each segment knows its length and its end."""
    with database.reading.connect() as connection:
        stored = connection.execute(select(events).order_by(events.c.id)).all()
        known = connection.execute(select(segments)).all()
    for segment in known:
        head = sha256(f"jobgate segment {segment.number}".encode()).digest()
        links = [event for event in stored if event.segment == segment.number]
        for event in links:
            told = f"{event.job_action_id} {event.sequence} {event.kind} {event.content}"
            head = sha256(head + told.encode()).digest()
            assert event.hash == head, told
        assert (segment.length, segment.head) == (len(links), head)
    assert {event.segment for event in stored} <= {segment.number for segment in known}


async def eventually(
    look: Callable[[], Awaitable[Value]], wanted: Callable[[Value], object], seconds: float = SECONDS
) -> Value:
    """What is seen as soon as it is as wanted, or at the end of so many seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    seen = await look()
    while not wanted(seen) and loop.time() < end:
        await asyncio.sleep(0.02)
        seen = await look()
    return seen
