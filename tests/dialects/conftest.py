"""The unified API in this process, over each kind of ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import Catalogue
from gateway.domain.ports import Ledger
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.memory import MemoryLedger
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ledger]:
    """A ledger of each kind that needs no server."""
    kept = MemoryLedger() if request.param == "memory" else SqlLedger(Database.at(sqlite_address(tmp_path)), clock)
    await kept.start()
    yield kept
    await kept.close()


@pytest.fixture
def scripted(catalogue: Catalogue, ledger: Ledger, clock: FakeClock) -> ScriptedGateway:
    """The unified API, wired."""
    return ScriptedGateway(catalogue, ledger, clock)
