"""What the tests of the ledger share: databases of both kinds, and ledgers in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from gateway.domain.ports import Ledger
from gateway.ledger.database import Database
from tests.ledger.fixtures import Ledgers
from tests.ledger.writers import writing
from tests.support.clock import FakeClock
from tests.support.databases import KINDS, new_address

WRITER = "sqlite by a writer process"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that is moved by hand."""
    return FakeClock()


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest) -> str:
    """The address of a new database of each kind, with the ledger's tables in it."""
    return new_address(request.param, request)


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """A new database of each kind, with the ledger's tables in it."""
    opened = Database.at(address)
    yield opened
    opened.dispose()


@pytest.fixture(params=["memory", *KINDS, WRITER])
async def ledgers(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Ledgers]:
    """Ledgers on one storage, over each storage that there is, and in SQLite by a process that writes for all."""
    kind = request.param
    address = None if kind == "memory" else new_address("sqlite" if kind == WRITER else kind, request)
    with ExitStack() as stack:
        writer = stack.enter_context(writing(str(address), clock)).path if kind == WRITER else None
        made = Ledgers(address, clock, writer)
        yield made
        await made.close()


@pytest.fixture
async def stored(address: str, clock: FakeClock) -> AsyncIterator[Ledgers]:
    """Ledgers on one database, over each kind of database."""
    made = Ledgers(address, clock)
    yield made
    await made.close()


@pytest.fixture
def ledger(ledgers: Ledgers) -> Ledger:
    """A ledger, over each storage that there is."""
    return ledgers.open()
