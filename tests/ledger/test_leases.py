"""Tasks and leases: one holder at a time, and nothing is sent by anybody else, over both kinds of database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.leases import LEASE_TIME, Due, Lease, LeaseLost
from gateway.domain.model import Outcome
from gateway.domain.record import Overtaken, Sent
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tasks import EndTask, PostponeTask, PutTask, TakeTasks
from tests.ledger.fixtures import LEASE, Ledgers, concluded, held, new_record
from tests.ledger.writers import writing
from tests.support.clock import FakeClock
from tests.support.databases import new_address

KIND = "batch"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgresql", "process"])
async def ledgers(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> AsyncIterator[list[SqlLedger]]:
    """Two ledgers on one database, which write themselves or by the writer process."""
    kind = "sqlite" if request.param == "process" else request.param
    address = new_address(kind, request)
    if request.param == "process":
        with writing(address, clock) as writer:
            made = Ledgers(address, clock, writer.path)
            yield await opened(made)
            await made.close()
        return
    made = Ledgers(address, clock)
    yield await opened(made)
    await made.close()


async def opened(made: Ledgers) -> list[SqlLedger]:
    """Two ledgers, started."""
    found = [each for each in (made.open(), made.open()) if isinstance(each, SqlLedger)]
    for each in found:
        await each.start()
    return found


async def taken(ledger: SqlLedger, clock: FakeClock) -> Lease:
    """The lease of the one task that is due."""
    ((key, fence),) = await ledger.write(TakeTasks(KIND, clock.now(), 10))
    return Lease(KIND, key, fence)


async def test_a_task_is_taken_by_one(ledgers: list[SqlLedger], clock: FakeClock) -> None:
    """Of several that look for work at once, one gets a task; when its lease has ended, another one can."""
    one, two = ledgers
    await one.write(PutTask(Due(KIND, "a", clock.now())))
    found = await asyncio.gather(*(each.write(TakeTasks(KIND, clock.now(), 10)) for each in (one, two, one, two)))
    assert sum(map(len, found)) == 1
    clock.advance(LEASE_TIME.total_seconds() - 1)
    assert await two.write(TakeTasks(KIND, clock.now(), 10)) == []
    clock.advance(2)
    assert len(await two.write(TakeTasks(KIND, clock.now(), 10))) == 1


async def test_a_lost_lease_changes_nothing(ledgers: list[SqlLedger], clock: FakeClock) -> None:
    """Whoever does not hold the task any more can neither postpone nor end it."""
    one, two = ledgers
    await one.write(PutTask(Due(KIND, "a", clock.now())))
    old = await taken(one, clock)
    clock.advance(LEASE_TIME.total_seconds() + 1)
    new = await taken(two, clock)
    assert not await one.write(PostponeTask(old, clock.now() + timedelta(days=1)))
    assert not await one.write(EndTask(old))
    assert await two.write(PostponeTask(new, clock.now()))
    assert await two.write(EndTask(new))
    assert await two.write(TakeTasks(KIND, clock.now(), 10)) == []


async def test_nothing_is_sent_under_a_lost_lease(ledgers: list[SqlLedger], clock: FakeClock) -> None:
    """The commit that would record the sending fails if the lease is revoked, and leaves no trace of the action."""
    one, two = ledgers
    await one.write(PutTask(Due(KIND, "a", clock.now())))
    lease = await taken(one, clock)
    await two.write(PutTask(Due(KIND, "a", clock.now())))
    record = new_record(clock, "batch:1:1")
    assert await one.claim(record, clock.now() + LEASE, held(record), lease=lease) is None
    other = new_record(clock)
    await one.claim(other, clock.now() + LEASE, None)
    kept, lost = await asyncio.gather(
        one.sent(other, Sent(clock.now())), one.sent(record, Sent(clock.now()), lease), return_exceptions=True
    )
    assert isinstance(lost, LeaseLost)
    assert not isinstance(kept, BaseException), "what others write at the same time goes on"
    assert await two.get(record.id, None) is None


async def test_the_sending_renews_the_lease(ledgers: list[SqlLedger], clock: FakeClock) -> None:
    """A holder that sends keeps its task."""
    one, two = ledgers
    await one.write(PutTask(Due(KIND, "a", clock.now())))
    lease = await taken(one, clock)
    for number in range(3):
        clock.advance(LEASE_TIME.total_seconds() - 5)
        record = new_record(clock, f"batch:1:{number}")
        await one.claim(record, clock.now() + LEASE, held(record), lease=lease)
        await one.sent(record, Sent(clock.now()), lease)
    assert await two.write(TakeTasks(KIND, clock.now(), 10)) == []


async def test_an_item_that_was_sent_before_is_found_by_its_key(ledgers: list[SqlLedger], clock: FakeClock) -> None:
    """The next holder that wants to send the same items gets the records of the first run, and sends nothing."""
    one, two = ledgers
    await one.write(PutTask(Due(KIND, "a", clock.now())))
    lease = await taken(one, clock)
    records = [new_record(clock, f"batch:1:{number}") for number in range(5)]
    for record in records:
        await one.claim(record, clock.now() + LEASE, held(record), lease=lease)
    sent = await asyncio.gather(*(one.sent(record, Sent(clock.now()), lease) for record in records))
    await one.append(sent[0], concluded(clock, Outcome.APPLIED), None)
    clock.advance(LEASE_TIME.total_seconds() + 1)
    lease = await taken(two, clock)
    again = [new_record(clock, f"batch:1:{number}") for number in range(6)]
    for record in again:
        await two.claim(record, clock.now() + LEASE, held(record), lease=lease)
    tried = await asyncio.gather(
        *(two.sent(record, Sent(clock.now()), lease) for record in again), return_exceptions=True
    )
    assert [each.record.id for each in tried if isinstance(each, Overtaken)] == [each.id for each in records]
    assert not isinstance(tried[5], BaseException)
