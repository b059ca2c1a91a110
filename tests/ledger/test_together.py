"""Job actions that go on together share commits, and wait for no one in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.leases import Due, Lease, LeaseLost
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionRecord, Sent
from gateway.ledger import together
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tasks import PutTask, TakeTasks
from tests.ledger.fixtures import LEASE, concluded, held, new_record
from tests.ledger.test_writer import Commits
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.patience import FOR_EVER, PATIENCE

TURNS = 50
"""Turns of the event loop, many more than what waits for nobody needs to reach the thread that writes."""


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A new database."""
    return Database.at(sqlite_address(tmp_path))


@pytest.fixture
async def ledger(database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlLedger]:
    """A ledger in which waiting is not given up."""
    monkeypatch.setattr(together, "TICK_SECONDS", FOR_EVER)
    made = SqlLedger(database, clock)
    await made.start()
    await made.write(PutTask(Due("batch", "a", clock.now())))
    yield made
    await made.close()


async def taken(ledger: SqlLedger, clock: FakeClock) -> Lease:
    """The lease of the one task."""
    ((key, fence),) = await ledger.write(TakeTasks("batch", clock.now(), 1))
    return Lease("batch", key, fence)


async def claimed(ledger: SqlLedger, clock: FakeClock, lease: Lease, *numbers: int) -> list[JobActionRecord]:
    """New records under a lease."""
    records = [new_record(clock, f"batch:1:{number}") for number in numbers]
    for record in records:
        assert await ledger.claim(record, clock.now() + LEASE, held(record), lease=lease) is None
    return records


def sending(
    ledger: SqlLedger, clock: FakeClock, records: list[JobActionRecord], lease: Lease
) -> asyncio.Future[list[JobActionRecord]]:
    """The records once their sending is recorded."""
    return asyncio.gather(*(ledger.sent(each, Sent(clock.now()), lease) for each in records))


async def turns() -> None:
    """Let many turns of the event loop pass."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_outcomes_share_the_commit_of_the_next_claims(
    ledger: SqlLedger, database: Database, clock: FakeClock
) -> None:
    """The claims of one group wait for the outcomes of the group under way, and one commit writes both."""
    lease = await taken(ledger, clock)
    first = await sending(ledger, clock, await claimed(ledger, clock, lease, 1, 2), lease)
    commits = Commits(database)
    following = sending(ledger, clock, await claimed(ledger, clock, lease, 3, 4), lease)
    early = asyncio.ensure_future(ledger.append(first[0], concluded(clock, Outcome.APPLIED), None))
    await turns()
    assert len(ledger._writer._gathered[asyncio.get_running_loop()]) == 3, "not all of them still wait"
    late = asyncio.ensure_future(ledger.append(first[1], concluded(clock, Outcome.APPLIED), None))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(early, late, following)
    assert commits.number == 1


async def test_what_others_write_takes_along_what_waits(ledger: SqlLedger, clock: FakeClock) -> None:
    """A write that belongs to no group does not wait, and what waits is written with it."""
    lease = await taken(ledger, clock)
    await sending(ledger, clock, await claimed(ledger, clock, lease, 1), lease)
    following = sending(ledger, clock, await claimed(ledger, clock, lease, 2), lease)
    await turns()
    other = new_record(clock)
    await ledger.claim(other, clock.now() + LEASE, None)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(ledger.sent(other, Sent(clock.now())), following)


async def test_a_slow_vendor_holds_up_one_write_only(
    ledger: SqlLedger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an action is at its vendor, the next one waits a moment for it; those after that wait for nobody."""
    lease = await taken(ledger, clock)
    await sending(ledger, clock, await claimed(ledger, clock, lease, 1), lease)
    monkeypatch.setattr(together, "IMPATIENCE_SECONDS", FOR_EVER)
    with monkeypatch.context() as patch:
        patch.setattr(together, "TICK_SECONDS", 0.001)
        async with asyncio.timeout(PATIENCE):
            await sending(ledger, clock, await claimed(ledger, clock, lease, 2), lease)
    for number in (3, 4):  # while 4 is sent, 3 is at its vendor, and nobody has waited in vain for 3
        async with asyncio.timeout(PATIENCE):
            await sending(ledger, clock, await claimed(ledger, clock, lease, number), lease)


async def test_what_was_handed_over_is_not_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that others have taken along has not waited in vain: the next one waits as before."""
    loop = asyncio.get_running_loop()
    handed_over: list[asyncio.AbstractEventLoop] = []
    group = together.Together(handed_over.append)
    group.join("at its vendor")
    group.join("next")
    with monkeypatch.context() as patch:
        patch.setattr(together, "TICK_SECONDS", 0.0)
        group.wait("next", loop, is_last=False)
        group.handed_over()
        await turns()
    monkeypatch.setattr(together, "TICK_SECONDS", FOR_EVER)
    group.wait("next", loop, is_last=False)
    await turns()
    group.handed_over()
    assert not handed_over


async def test_nobody_waits_for_what_is_not_sent(ledger: SqlLedger, clock: FakeClock) -> None:
    """An action whose lease is lost holds up no other one."""
    lost = await taken(ledger, clock)
    await ledger.write(PutTask(Due("batch", "a", clock.now())))
    lease = await taken(ledger, clock)
    with pytest.raises(LeaseLost):
        await sending(ledger, clock, await claimed(ledger, clock, lost, 1), lost)
    async with asyncio.timeout(PATIENCE):
        await sending(ledger, clock, await claimed(ledger, clock, lease, 2), lease)


async def test_who_does_not_come_back_is_forgotten(
    ledger: SqlLedger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that has no more to write, since its task was cancelled, is waited for once."""
    lease = await taken(ledger, clock)
    await sending(ledger, clock, await claimed(ledger, clock, lease, 1), lease)
    monkeypatch.setattr(together, "IMPATIENCE_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(together, "TICK_SECONDS", 0.001)
        async with asyncio.timeout(PATIENCE):
            await sending(ledger, clock, await claimed(ledger, clock, lease, 2), lease)
    async with asyncio.timeout(PATIENCE):
        await sending(ledger, clock, await claimed(ledger, clock, lease, 3), lease)
