"""The agenda wakes the background work in time: at once for what its own process writes, by a look for the rest."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.leases import Due, TaskKind
from gateway.ledger import agenda
from gateway.ledger.agenda import KINDS, RECORD, Agenda, next_due
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tasks import PutTask
from tests.ledger.fixtures import LEASE, Ledgers, held, new_record
from tests.support.clock import FakeClock
from tests.support.databases import KINDS as DATABASES
from tests.support.databases import new_address
from tests.support.patience import FOR_EVER, PATIENCE

SECOND = timedelta(seconds=1)


class Looks:
    """A ledger that finds what it is told to at each look, and counts the looks."""

    def __init__(self) -> None:
        """Find nothing."""
        self.number = 0
        self.found: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self._changed = asyncio.Condition()

    async def are(self, number: int) -> None:
        """Wait until there have been so many."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: self.number >= number), PATIENCE)

    async def read(self, _: object) -> list[tuple[str, Any]]:
        """One look."""
        self.number += 1
        async with self._changed:
            self._changed.notify_all()
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def looks() -> Looks:
    """The looks of the agenda."""
    return Looks()


@pytest.fixture
def made(looks: Looks, clock: FakeClock) -> Agenda:
    """An agenda."""
    return Agenda(looks.read, clock)


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its first look, an agenda does not look again while a test lasts."""
    monkeypatch.setattr(agenda, "LOOK_SECONDS", FOR_EVER)
    monkeypatch.setattr(agenda, "LONGEST_REST", FOR_EVER)


async def woken(made: Agenda, kind: str) -> None:
    """Wait until a kind of work is woken."""
    await asyncio.wait_for(made.wait(kind), PATIENCE)


@pytest.mark.usefixtures("one_look")
async def test_one_look_is_for_all_who_wait(made: Agenda, looks: Looks, clock: FakeClock) -> None:
    """Each kind of work waits, and one query is made for them; whose work is due goes on, and the others wait."""
    looks.found = [(RECORD, clock.now()), (TaskKind.BATCH, clock.now() - SECOND)]
    waiting = {kind: asyncio.create_task(made.wait(kind)) for kind in KINDS}
    await asyncio.wait_for(asyncio.gather(waiting[RECORD], waiting[TaskKind.BATCH]), PATIENCE)
    assert looks.number == 1
    assert not waiting[TaskKind.SCHEDULE].done()
    waiting[TaskKind.SCHEDULE].cancel()


@pytest.mark.usefixtures("one_look")
@pytest.mark.parametrize("after", [timedelta(), -SECOND, timedelta(seconds=0.01)])
async def test_what_the_process_writes_wakes_without_a_look(
    made: Agenda, looks: Looks, clock: FakeClock, after: timedelta
) -> None:
    """Work that is noted wakes who waits for it, at its time, and nobody else."""
    waiting, other = asyncio.create_task(made.wait(TaskKind.BATCH)), asyncio.create_task(made.wait(RECORD))
    await looks.are(1)
    made.note(TaskKind.BATCH, clock.now() + after)
    await asyncio.wait_for(waiting, PATIENCE)
    assert looks.number == 1
    assert not other.done()
    other.cancel()


@pytest.mark.usefixtures("one_look")
async def test_what_was_noted_before_somebody_waits_is_not_lost(made: Agenda, looks: Looks, clock: FakeClock) -> None:
    """Work that becomes due while its runner is busy is looked after next, and only once."""
    made.note(TaskKind.BATCH, clock.now())
    await woken(made, TaskKind.BATCH)
    assert looks.number == 0
    again = asyncio.create_task(made.wait(TaskKind.BATCH))
    await looks.are(1)
    assert not again.done()
    again.cancel()


async def test_what_another_process_writes_is_found(
    made: Agenda, looks: Looks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agenda looks again and again, and finds what becomes due meanwhile."""
    monkeypatch.setattr(agenda, "LOOK_SECONDS", 0.001)
    waiting = asyncio.create_task(made.wait(TaskKind.SCHEDULE))
    await looks.are(3)
    assert not waiting.done()
    looks.found = [(TaskKind.SCHEDULE, clock.now())]
    await asyncio.wait_for(waiting, PATIENCE)


async def test_nobody_rests_for_ever(made: Agenda, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the longest rest, work is looked after although nothing seems to be due: a clock may have been wrong."""
    monkeypatch.setattr(agenda, "LONGEST_REST", 0.01)
    await woken(made, RECORD)


async def test_a_ledger_that_fails_is_told_to_who_waits(
    made: Agenda, looks: Looks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails raises; the next one can succeed."""
    monkeypatch.setattr(agenda, "LOOK_SECONDS", 0.001)
    looks.error = LedgerUnavailable("the disk is full")
    with pytest.raises(LedgerUnavailable):
        await woken(made, RECORD)
    looks.error, looks.found = None, [(RECORD, clock.now())]
    await woken(made, RECORD)


@pytest.mark.parametrize("kind", DATABASES)
async def test_a_look_finds_the_first_of_each_kind(kind: str, request: pytest.FixtureRequest, clock: FakeClock) -> None:
    """One query finds when the first record, batch, schedule and notice is due, and leaves out kinds without any."""
    ledgers = Ledgers(new_address(kind, request), clock)
    ledger = ledgers.open()
    assert isinstance(ledger, SqlLedger)
    await ledger.start()
    assert await ledger.read(next_due) == []
    for key, after in (("a", 5), ("b", 3), ("c", 4)):
        await ledger.write(PutTask(Due(TaskKind.BATCH, key, clock.now() + after * SECOND)))
    record = new_record(clock, "key")
    await ledger.claim(record, clock.now() + LEASE, held(record))
    assert dict(await ledger.read(next_due)) == {TaskKind.BATCH: clock.now() + 3 * SECOND, RECORD: clock.now() + LEASE}
    await ledgers.close()
