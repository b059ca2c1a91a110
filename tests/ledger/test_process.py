"""The process that writes for all workers: one commit for everybody, typed refusals, and its end."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.record import Overtaken, Sent
from gateway.ledger import stores
from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.operations import Probe
from gateway.ledger.stores import ENCODER, LENGTH, ProcessStore, UnfitForWriter
from gateway.security.keys import issued
from tests.ledger.fixtures import CALLER, LEASE, begun, check_chain, concluded, done, eventually, held, new_record
from tests.ledger.writers import Writing, writing
from tests.support.clock import NOW, FakeClock
from tests.support.databases import sqlite_address
from tests.support.patience import PATIENCE, wait_until


@pytest.fixture
def writer(tmp_path: Any, clock: FakeClock) -> Iterator[Writing]:
    """A writer to a new ledger."""
    with writing(sqlite_address(tmp_path), clock) as made:
        yield made


@asynccontextmanager
async def connected(writer: Writing) -> AsyncIterator[SqlLedger]:
    """The ledger of one more worker."""
    ledger = SqlLedger(Database.at(writer.database.address), writer.clock, store=ProcessStore(writer.path))
    try:
        yield ledger
    finally:
        await ledger.close()


@pytest.fixture
async def ledger(writer: Writing) -> AsyncIterator[SqlLedger]:
    """The ledger of a worker."""
    async with connected(writer) as made:
        yield made


async def test_workers_share_a_commit(writer: Writing, ledger: SqlLedger, clock: FakeClock) -> None:
    """All that several workers send during a commit is written with the next one."""
    begins, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        begins.set()
        assert goes_on.wait(PATIENCE)

    async with connected(writer) as one, connected(writer) as other:
        await one.start()
        await other.start()
        await ledger.start()
        wait_until(lambda: len(writer.process._peers) == 3)
        writer.store.befall = hold
        first = asyncio.create_task(done(ledger, clock, new_record(clock), None))
        await asyncio.to_thread(begins.wait, PATIENCE)
        later = [asyncio.create_task(done(each, clock, new_record(clock), None)) for each in (one, other)]
        await writer.has_waiting(2)
        goes_on.set()
        await asyncio.gather(first, *later)
    assert writer.store.batches == [1, 2]
    check_chain(writer.database)


async def test_a_bad_batch_fails_alone(writer: Writing, ledger: SqlLedger, clock: FakeClock) -> None:
    """If a worker's batch cannot be written, those of others that came with it are."""
    begins, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        begins.set()
        assert goes_on.wait(PATIENCE)

    async with connected(writer) as one, connected(writer) as other:
        record = await begun(one, clock, new_record(clock))
        await other.append(record, concluded(clock, Outcome.REJECTED), None)
        writer.store.befall = hold
        held_up = asyncio.create_task(ledger.check())
        await asyncio.to_thread(begins.wait, PATIENCE)
        late = asyncio.create_task(one.append(record, concluded(clock, Outcome.APPLIED), None))
        good = asyncio.create_task(done(other, clock, new_record(clock), None))
        await writer.has_waiting(2)
        goes_on.set()
        with pytest.raises(Overtaken):
            await late
        assert await ledger.get((await good).id, CALLER) == await good
        await held_up
    check_chain(writer.database)


async def test_refusals_are_typed(writer: Writing, ledger: SqlLedger, clock: FakeClock) -> None:
    """A held key gives its holder, a conflict Overtaken, a failure of the storage LedgerUnavailable."""
    record = new_record(clock, "key-1")
    assert await ledger.claim(record, clock.now() + LEASE, held(record)) is None
    again = new_record(clock, "key-1")
    holder = await ledger.claim(again, clock.now() + LEASE, held(again, b"2" * 32))
    assert holder is not None
    assert (holder.record, holder.fingerprint) == (record, b"1" * 32)
    async with connected(writer) as other:
        sent = await other.sent(record, Sent(clock.now()))
        with pytest.raises(Overtaken) as overtaken:
            await ledger.append(record, concluded(clock, Outcome.NOT_SENT), None)
    assert overtaken.value.record == sent

    def fail() -> None:
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    writer.store.befall = fail
    third = new_record(clock, "key-3")
    with pytest.raises(LedgerUnavailable) as refused:
        await ledger.claim(third, clock.now() + LEASE, held(third))
    assert refused.value.explanation.outcome is Outcome.NOT_SENT
    with pytest.raises(LedgerUnavailable) as failed:
        await ledger.append(sent, concluded(clock, Outcome.APPLIED), None)
    assert failed.value.explanation.outcome is Outcome.UNKNOWN
    writer.store.befall = lambda: None
    kept = await eventually(lambda: ledger.get(record.id, CALLER), lambda found: found and found.outcome == "applied")
    assert kept is not None
    assert kept.outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("error", "seen"),
    [(IntegrityError("INSERT", {}, Exception("UNIQUE")), IntegrityError), (ValueError("no"), UnfitForWriter)],
    ids=["conflict", "unfit"],
)
def test_errors_travel_without_statements(writer: Writing, error: Exception, seen: type[Exception]) -> None:
    """An error keeps its kind on the way, and leaves statement and parameters, which are callers' data, behind."""

    def fail() -> None:
        raise error

    writer.store.befall = fail
    store = ProcessStore(writer.path)
    with pytest.raises(seen) as told:
        store.commit([Probe(writer.clock.now())])
    store.close()
    assert "INSERT" not in str(told.value)


@pytest.mark.parametrize("when", ["befall", "then"], ids=["before its commit", "after its commit"])
@pytest.mark.parametrize("step", ["claim", "sent", "append", "new"])
async def test_an_end_of_the_writer_is_not_noticed(
    step: str, when: str, writer: Writing, ledger: SqlLedger, clock: FakeClock
) -> None:
    """If the writer is killed before or after a commit, the batch goes to the next one, and is written once."""
    record = new_record(clock, None if step == "new" else "key-1")
    key = None if step == "new" else held(record)
    steps: Any = {
        "claim": lambda: ledger.claim(record, clock.now() + LEASE, key),
        "sent": lambda: ledger.sent(record, Sent(clock.now())),
        "append": lambda: ledger.append(record, concluded(clock, Outcome.APPLIED), None),
    }
    for name in ("claim", "sent", "append"):
        starting = None
        if name == ("sent" if step == "new" else step):
            setattr(writer.store, when, writer.kill)
            starting = writer.start_when_it_has_ended()
        record = await steps[name]() or record
        if starting is not None:
            starting.join(PATIENCE)
    assert await ledger.get(record.id, CALLER) == record
    assert len(record) == 3
    check_chain(writer.database)


async def test_without_a_writer_an_outcome_is_kept(
    writer: Writing, ledger: SqlLedger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no writer comes, actions are refused; known outcomes stay in the worker and are written by the next one."""
    monkeypatch.setattr(stores, "REPLY_SECONDS", 0.2)
    record = await begun(ledger, clock, new_record(clock))
    writer.store.befall = writer.kill
    with pytest.raises(LedgerUnavailable):
        await ledger.append(record, concluded(clock, Outcome.APPLIED), None)
    new = new_record(clock)
    await ledger.claim(new, clock.now() + LEASE, None)
    with pytest.raises(LedgerUnavailable) as refused:
        await ledger.sent(new, Sent(clock.now()))
    assert refused.value.explanation.outcome is Outcome.NOT_SENT
    monkeypatch.undo()
    writer.start()
    kept = await eventually(lambda: ledger.get(record.id, CALLER), lambda found: found and found.outcome == "applied")
    assert kept is not None
    assert kept.outcome is Outcome.APPLIED
    check_chain(writer.database)


async def test_it_ends_after_the_workers(writer: Writing, clock: FakeClock) -> None:
    """When its supervisor is gone, it writes on until no worker is connected."""
    async with connected(writer) as ledger:
        await ledger.start()
        writer.line.close()
        record = await done(ledger, clock, new_record(clock))
        await asyncio.sleep(0.2)
        assert writer.thread.is_alive()
        assert await ledger.get(record.id, CALLER) == record
    writer.thread.join(PATIENCE)
    assert not writer.thread.is_alive()


def test_it_gives_signs_of_life(writer: Writing) -> None:
    """It says that it lives, again and again, without any work."""
    for _ in range(2):
        assert os.read(writer.line.fileno(), 1) == b"."


@pytest.mark.parametrize(
    "content",
    [b"nonsense", ENCODER.encode([["claim", 1]]), ENCODER.encode([["unknown"]])],
    ids=["no message", "wrong", "unknown"],
)
async def test_what_cannot_be_read_ends_its_connection(
    content: bytes, writer: Writing, ledger: SqlLedger, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that is none ends the connection on which it came; the log says so, and others are served."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(str(writer.path))
        line.sendall(LENGTH.pack(len(content)) + content)
        assert line.recv(1) == b""
    await done(ledger, clock, new_record(clock))
    assert "cannot read what a worker sent" in caplog.text


async def test_a_message_in_parts(writer: Writing) -> None:
    """A message may come byte by byte."""
    store = ProcessStore(writer.path)
    message = stores.framed([Probe(writer.clock.now())])
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(str(writer.path))
        for position in range(len(message)):
            line.sendall(message[position : position + 1])
        assert line.recv(100)[LENGTH.size :] == ENCODER.encode(stores.Written([None]))
    store.close()


async def test_the_use_of_keys_is_noted_by_it(writer: Writing, ledger: SqlLedger) -> None:
    """When API keys were last used is written by the process, with the commits of everybody."""
    store = KeyStore(writer.database)
    key = issued(Caller("desk", EVERYTHING), NOW, None, with_access_key=False).key
    store.add(key)
    before = len(writer.store.batches)
    await ledger.note_used({key.id: NOW})
    assert (store.all()[0].last_used_at, len(writer.store.batches)) == (NOW, before + 1)
    assert verify(writer.database).finding is None
