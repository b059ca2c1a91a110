"""The writer: many requests share one commit, and a failure of one affects no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.record import Holder, JobActionRecord, Sent
from gateway.domain.times import milliseconds
from gateway.ledger import queries
from gateway.ledger.chain import Segment
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.operations import Append, Claim, CustomWrite
from gateway.ledger.tables import events, idempotency_keys, segments
from gateway.ledger.writer import LARGEST_BATCH, Submitted, Writer
from tests.ledger.fixtures import (
    CALLER,
    LEASE,
    SECONDS,
    Ledgers,
    begun,
    check_chain,
    concluded,
    done,
    eventually,
    held,
    new_record,
)
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL
from tests.support.patience import given_time, wait_until

MANY = 200


@pytest.fixture
async def writer(database: Database, clock: FakeClock) -> AsyncIterator[Writer]:
    """A writer over each kind of database."""
    made = Writer(database, clock)
    yield made
    await made.close()


class Commits:
    """Counts the commits of a database's writing engine."""

    def __init__(self, database: Database) -> None:
        """Count from now on."""
        self.number = 0
        event.listen(database.writing, "commit", self._count)

    def _count(self, _connection: Connection) -> None:
        self.number += 1


@contextmanager
def busy(writer: Writer) -> Iterator[None]:
    """The writer is held up until the end of the block, so that what is submitted in it is one batch."""
    begun, ended = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        assert ended.wait(SECONDS)

    held_up = writer.submit(CustomWrite(hold))
    writer.hand_over(asyncio.get_running_loop())
    try:
        assert begun.wait(SECONDS)
        yield
    finally:
        ended.set()
    held_up.add_done_callback(lambda future: future.exception())


def stored_events(database: Database) -> int:
    """How many events are on the storage."""
    with database.reading.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


def fail_with_integrity(connection: Connection) -> None:
    """What happens when something of the same identity is there already."""
    row = {"number": 0, "opened_at": 0, "written_at": 0, "length": 0, "head": b""}
    connection.execute(insert(segments), [row, row])


def fail_with_nonsense(_connection: Connection) -> None:
    """What happens when the program has a mistake."""
    raise ValueError("nonsense")


async def test_many_requests_share_a_commit(database: Database, clock: FakeClock) -> None:
    """What comes while a commit is under way is written with the next one: far fewer commits than operations."""
    commits = Commits(database)
    ledger = SqlLedger(database, clock)
    records = await asyncio.gather(*(done(ledger, clock, new_record(clock)) for _ in range(MANY)))
    await ledger.close()
    assert stored_events(database) == 2 * MANY
    assert {len(record) for record in records} == {3}
    assert commits.number < 3 * MANY / 10
    check_chain(database)


async def test_what_waits_is_one_commit(writer: Writer, database: Database) -> None:
    """Whatever waits for the writer is written with one commit, up to the largest batch."""
    commits = Commits(database)
    with busy(writer):
        futures = [writer.submit(CustomWrite(lambda _: None)) for _ in range(LARGEST_BATCH + 1)]
    await asyncio.gather(*futures)
    assert commits.number == 3


async def test_what_one_turn_brings_is_one_commit(writer: Writer, database: Database) -> None:
    """What is submitted in a turn of the event loop and the next is one commit, also of a writer that is idle."""
    commits = Commits(database)
    futures = [writer.submit(CustomWrite(lambda _: None)) for _ in range(MANY)]
    await asyncio.sleep(0)
    futures += [writer.submit(CustomWrite(lambda _: None)) for _ in range(MANY)]
    await asyncio.gather(*futures)
    assert commits.number == 1


async def test_what_is_patient_shares_the_next_commit(writer: Writer, database: Database) -> None:
    """A patient operation waits for others, however many turns later they come, and costs no commit of its own."""
    commits = Commits(database)
    patient = writer.submit(CustomWrite(lambda _: "patient"), is_patient=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert writer._thread is None
    other = writer.submit(CustomWrite(lambda _: "other"))
    assert [await patient, await other] == ["patient", "other"]
    assert commits.number == 1


async def test_what_is_patient_is_written_without_others(writer: Writer) -> None:
    """A patient operation is written soon, also if no other one comes."""
    async with asyncio.timeout(SECONDS):
        assert await writer.submit(CustomWrite(lambda _: "written"), is_patient=True) == "written"


async def test_results_of_one_commit_come_in_slices(writer: Writer) -> None:
    """Of those who share a commit, some are answered before others, so that they fall out of step."""
    with busy(writer):
        futures = [writer.submit(CustomWrite(lambda _: None)) for _ in range(MANY)]
        writer.hand_over(asyncio.get_running_loop())
    _, waiting = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    assert len(waiting) > MANY / 2
    await asyncio.gather(*futures)


async def test_a_lone_request_does_not_wait(writer: Writer, database: Database) -> None:
    """Nothing waits for others to come: one operation after the other has a commit of its own."""
    commits = Commits(database)
    for _ in range(10):
        await writer.submit(CustomWrite(lambda _: None))
    assert commits.number == 10


async def test_operations_keep_their_order(writer: Writer) -> None:
    """Operations are written in the order in which they are submitted, from batch to batch."""
    written: list[int] = []
    numbers = range(2 * LARGEST_BATCH + 10)
    with busy(writer):
        futures = [writer.submit(CustomWrite(lambda _, number=number: written.append(number))) for number in numbers]  # type: ignore[misc]
    await asyncio.gather(*futures)
    assert written == [*numbers]


async def test_a_record_and_its_events_in_one_batch(writer: Writer, database: Database, clock: FakeClock) -> None:
    """A request, its sending and its conclusion may be written together, and are then in their order."""
    records = [new_record(clock) for _ in range(20)]
    with busy(writer):
        futures = []
        for record in records:
            sent = record.with_event(Sent(clock.now()))
            end = concluded(clock, Outcome.APPLIED)
            futures.append(writer.submit(Claim(record, clock.now() + LEASE, None)))
            futures.append(writer.submit(Append(sent, sent.later[-1])))
            futures.append(writer.submit(Append(sent.with_event(end), end)))
    await asyncio.gather(*futures)
    ledger = SqlLedger(database, clock)
    for record in records:
        found = await ledger.get(record.id, CALLER)
        assert found is not None
        assert [type(each).__name__ for each in found.later] == ["Sent", "Concluded"]


async def test_results_reach_those_who_wait_for_them(writer: Writer, clock: FakeClock) -> None:
    """Each future has the result of its own operation, whatever else was in the batch."""
    first = new_record(clock, "key-1")
    await writer.submit(Claim(first, clock.now() + LEASE, held(first)))
    with busy(writer):
        results: list[asyncio.Future[Any]] = []
        for number in range(MANY):
            record = new_record(clock, f"key-{number % 2 + 1}")
            results.append(writer.submit(Claim(record, clock.now() + LEASE, held(record))))
            results.append(writer.submit(CustomWrite(lambda _, number=number: number)))  # type: ignore[misc]
    claims, tasks = (await asyncio.gather(*results))[::2], [future.result() for future in results[1::2]]
    assert tasks == [*range(MANY)]
    assert {row["job_action_id"] for row in claims[::2]} == {first.id}
    assert claims[1] is None
    assert all(row is not None for row in claims[3::2])


@pytest.mark.parametrize(
    ("fail", "error"), [(fail_with_integrity, IntegrityError), (fail_with_nonsense, ValueError)], ids=["same", "wrong"]
)
async def test_a_bad_operation_fails_alone(
    fail: Any, error: type[Exception], writer: Writer, database: Database, clock: FakeClock
) -> None:
    """An operation that cannot be written fails with what is wrong; all others of its batch are written, once."""
    records = [new_record(clock, f"key-{number}") for number in range(20)]
    with busy(writer):
        good = [writer.submit(Claim(record, clock.now() + LEASE, held(record))) for record in records[:10]]
        bad = writer.submit(CustomWrite(fail))
        good += [writer.submit(Claim(record, clock.now() + LEASE, held(record))) for record in records[10:]]
    assert await asyncio.gather(*good) == [None] * len(good)
    with pytest.raises(error):
        await bad
    assert stored_events(database) == len(records)
    check_chain(database)


async def test_a_conflict_fails_alone(writer: Writer, database: Database, clock: FakeClock) -> None:
    """A conflicting event fails alone, and the rest of its batch is written."""
    ledger = SqlLedger(database, clock)
    records = [await begun(ledger, clock, new_record(clock)) for _ in range(10)]
    end = concluded(clock, Outcome.APPLIED)
    await ledger.append(records[4], concluded(clock, Outcome.REJECTED), None)
    with busy(writer):
        futures = [writer.submit(Append(record.with_event(end), end)) for record in records]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(result, IntegrityError) for result in results] == [number == 4 for number in range(10)]
    await ledger._writer.close()


@pytest.mark.parametrize("job_id", ["job\0", "j" * 1_025], ids=["nul", "long"])
async def test_what_a_database_cannot_take_fails_alone(
    job_id: str, writer: Writer, database: Database, clock: FakeClock
) -> None:
    """A request that a database cannot keep is no failure of the storage: the rest of its batch is written."""
    bad = new_record(clock, "bad", job_id=job_id)
    records = [new_record(clock, f"key-{number}") for number in range(4)]
    with busy(writer):
        futures = [writer.submit(Claim(each, clock.now() + LEASE, held(each))) for each in [*records[:2], bad]]
        futures += [writer.submit(Claim(each, clock.now() + LEASE, held(each))) for each in records[2:]]
    results = await asyncio.gather(*futures, return_exceptions=True)
    refused = results.pop(2)
    assert results == [None] * 4
    assert not isinstance(refused, LedgerUnavailable)


async def test_who_left_does_not_stop_others(writer: Writer, clock: FakeClock, database: Database) -> None:
    """An operation whose client has gone is written all the same, and nobody else notices."""
    records = [new_record(clock, f"key-{number}") for number in range(10)]
    with busy(writer):
        futures = [writer.submit(Claim(record, clock.now() + LEASE, held(record))) for record in records]
        for future in futures[::2]:
            future.cancel()
    assert await asyncio.gather(*futures[1::2]) == [None] * 5
    assert stored_events(database) == len(records)


async def test_closing_writes_what_is_left(database: Database, clock: FakeClock) -> None:
    """What was submitted before the end is written before it ends, and whoever waits for it is told."""
    writer = Writer(database, clock)
    records = [new_record(clock) for _ in range(LARGEST_BATCH + 100)]
    with busy(writer):
        futures = [writer.submit(Claim(record, clock.now() + LEASE, None)) for record in records]
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await closing
    assert stored_events(database) == len(records)
    assert await asyncio.gather(*futures) == [None] * len(records)
    await writer.close()


async def test_a_closed_ledger_can_be_used_again(stored: Ledgers, clock: FakeClock) -> None:
    """Closing an idle or a used ledger does no harm, not even twice; the next use opens it again."""
    ledger = stored.open()
    await ledger.close()
    record = await done(ledger, clock, new_record(clock))
    await ledger.close()
    await ledger.close()
    assert await ledger.get(record.id, CALLER) == record


async def test_several_event_loops_share_a_writer(database: Database, clock: FakeClock) -> None:
    """Event loops of several threads may use one ledger; each hears of its own operations."""
    ledger = SqlLedger(database, clock)
    assert await ledger.claim(first := new_record(clock, "first"), clock.now() + LEASE, held(first)) is None

    async def work(loop: int) -> list[str]:
        records = [new_record(clock, f"key-{loop}-{number}") for number in range(50)]
        ended = await asyncio.gather(*(done(ledger, clock, record) for record in records))
        assert [record.id for record in ended] == [record.id for record in records]
        return [record.id for record in ended]

    with ThreadPoolExecutor(4) as threads:
        ids = [threads.submit(asyncio.run, work(loop)) for loop in range(4)]
        found = {record_id for future in ids for record_id in await asyncio.wrap_future(future)}
    assert len(found) == 200
    assert stored_events(database) == 3 * 200 + 1
    check_chain(database)
    await ledger.close()


async def test_a_loop_that_has_ended_is_no_hindrance(writer: Writer, database: Database, clock: FakeClock) -> None:
    """Where an event loop ends before its operation is written, it is written, and others are answered."""

    async def leave() -> None:
        record = new_record(clock)
        writer.submit(Claim(record, clock.now() + LEASE, None))

    with busy(writer):
        await asyncio.to_thread(asyncio.run, leave())
        after = writer.submit(CustomWrite(lambda _: "done"))
    assert await after == "done"
    assert stored_events(database) == 1


@pytest.mark.parametrize("first", ["claim", "sent", "append"])
async def test_two_processes_that_begin_at_once(
    first: str, database: Database, stored: Ledgers, clock: FakeClock
) -> None:
    """Where two processes begin to write at the same moment, and want the same segment, neither request fails."""
    starter = stored.open()
    known = await begun(starter, clock, new_record(clock, "known"))
    waiting = new_record(clock, "waiting")
    assert await starter.claim(waiting, clock.now() + LEASE, held(waiting)) is None
    ledger = stored.open()
    record = new_record(clock, "key-1")
    with database.writing.begin() as other:
        number = other.execute(select(func.max(segments.c.number))).scalar_one() + 1
        segment, at = Segment.new(number, clock.now()), milliseconds(clock.now())
        row = {"number": number, "opened_at": at, "written_at": at, "length": 0, "head": segment.head}
        other.execute(insert(segments), row)
        work: Any = {
            "claim": lambda: ledger.claim(record, clock.now() + LEASE, held(record)),
            "sent": lambda: ledger.sent(waiting, Sent(clock.now())),
            "append": lambda: ledger.append(known, concluded(clock, Outcome.APPLIED), None),
        }
        running = asyncio.create_task(work[first]())
        await asyncio.sleep(0.3)
    await running
    kept = {"claim": record, "sent": waiting, "append": known}[first]
    assert await stored.open().get(kept.id, CALLER) == (running.result() or record)


@given_time(2.0, 10.0, 60.0)
async def test_two_processes_that_wait_for_each_other(postgresql: PostgreSQL, clock: FakeClock, seconds: float) -> None:
    """Where two processes want keys of each other, and the database has to turn one down, no request fails."""
    address = make_url(postgresql.emptied()).update_query_dict({"options": f"-c deadlock_timeout={seconds}s"})
    database = Database.at(address.render_as_string(hide_password=False))
    ledger = SqlLedger(database, clock)
    key_1, key_2 = new_record(clock, "key-1"), new_record(clock, "key-2")
    assert await ledger.claim(key_1, clock.now() + LEASE, held(key_1)) is None
    asked = await begun(ledger, clock, key_2)
    again = replace(new_record(clock), requested=key_1.requested)
    lock = select(idempotency_keys.c.key).where(idempotency_keys.c.key == text(":key")).with_for_update()

    def want(connection: Connection, key: str) -> None:
        connection.execute(lock, {"key": key}).scalar_one()

    with database.writing.begin() as other:
        # Who looks for a deadlock first is turned down: it is to be the ledger, and by then there is to be one.
        other.execute(text(f"SET LOCAL deadlock_timeout = '{10 * seconds}s'"))
        await asyncio.to_thread(want, other, "key-2")
        with busy(ledger._writer):
            claim = asyncio.create_task(ledger.claim(again, clock.now() + LEASE, held(key_1)))
            end = concluded(clock, Outcome.NOT_SENT, "vendor-unreachable")
            append = asyncio.create_task(ledger.append(asked, end, None))
            await asyncio.sleep(0.1)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        await asyncio.to_thread(wait_until, lambda: other.execute(waiting).scalar_one())
        await asyncio.to_thread(want, other, "key-1")
    holder, longer = await asyncio.gather(claim, append, return_exceptions=True)
    assert longer == asked.with_event(end)
    assert isinstance(holder, Holder)
    assert holder.record == key_1
    await ledger.close()


async def test_a_late_conclusion_outlives_a_reading_that_fails(
    stored: Ledgers, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what others wrote cannot be read at first, the writer lives, and puts the conclusion on top later."""
    ledger, other = stored.open(), stored.open()
    assert isinstance(ledger, SqlLedger)
    record = await begun(ledger, clock, new_record(clock))
    await other.append(record, concluded(clock, Outcome.UNKNOWN), None)
    loop, failing = asyncio.get_running_loop(), iter([True])
    real = queries.get

    def get(connection: Connection, record_id: str) -> JobActionRecord | None:
        if next(failing, False):
            raise OSError("the disk is gone")
        return real(connection, record_id)

    monkeypatch.setattr("gateway.ledger.writer.get", get)
    end = concluded(clock, Outcome.APPLIED)
    answered: asyncio.Future[Any] = loop.create_future()
    answered.set_result(None)
    ledger._writer._queue.put([Submitted((Append(record.with_event(end), end),), loop, answered)])
    kept = await eventually(lambda: other.get(record.id, CALLER), lambda found: found and found.outcome == "applied")
    assert kept is not None
    assert kept.outcome is Outcome.APPLIED
