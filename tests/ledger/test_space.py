"""Space of what retention deleted is given back to the file system, in slices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import retention
from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.operations import Operation
from gateway.ledger.retention import GiveBackSpace
from gateway.ledger.stores import ProcessStore
from tests.ledger.fixtures import done, new_record
from tests.ledger.writers import writing
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL, sqlite_address

RETENTION = timedelta(days=30)
LONG = {"note": "x" * 8_000}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A SQLite ledger."""
    made = Database.at(sqlite_address(tmp_path))
    yield made
    made.dispose()


def pages(database: Database, name: str = "page_count") -> int:
    """The number of a file's pages, or of its free ones."""
    with database.reading.connect() as connection:
        return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


async def fill(ledger: SqlLedger, clock: FakeClock) -> None:
    """Write long job actions, and let them become old."""
    for _ in range(30):
        await done(ledger, clock, new_record(clock, parameters=LONG))
    clock.advance(RETENTION.total_seconds() * 2)


async def test_retention_gives_space_back(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After retention the file is shorter, by small transactions; some pages stay free, and the ledger is whole."""
    monkeypatch.setattr(retention, "SLICE_PAGES", 8)
    slices: list[Operation] = []
    ledger = SqlLedger(database, clock, RETENTION)
    submit = ledger._writer.submit

    def noted(*operations: Operation, **how: Any) -> object:
        slices.extend(each for each in operations if isinstance(each, GiveBackSpace))
        return submit(*operations, **how)

    monkeypatch.setattr(ledger._writer, "submit", noted)
    await fill(ledger, clock)
    full = pages(database)
    await ledger.tidy(clock.now())
    assert pages(database) < full / 2
    assert 0 <= pages(database, "freelist_count") <= pages(database) * retention.KEPT_FREE + 1
    assert len(slices) > 5
    assert verify(database).finding is None
    await ledger.close()


def test_a_slice_has_a_limit(database: Database) -> None:
    """One transaction gives back no more pages than it was asked to."""
    with database.writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE filler AS SELECT zeroblob(400000) AS content")
        connection.exec_driver_sql("DROP TABLE filler")
    before = pages(database)
    with database.writing.begin() as connection:
        assert GiveBackSpace(7, 0.0).run(connection) == 7
    assert pages(database) == before - 7


async def test_an_older_file_keeps_its_space(tmp_path: Path, clock: FakeClock) -> None:
    """A file of an earlier version, which cannot be made shorter in steps, is left as it is."""
    made = Database.at(sqlite_address(tmp_path))
    with made.reading.connect() as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum = NONE")
        connection.commit()
        cursor = connection.connection.driver_connection
        assert cursor is not None
        cursor.execute("VACUUM")
    ledger = SqlLedger(made, clock, RETENTION)
    await fill(ledger, clock)
    full = pages(made)
    await ledger.tidy(clock.now())
    assert pages(made) == full
    await ledger.close()


async def test_a_worker_has_it_done(database: Database, clock: FakeClock) -> None:
    """With a writer process, that process makes the file shorter."""
    with writing(database.address, clock) as writer:
        ledger = SqlLedger(Database.at(database.address), clock, RETENTION, store=ProcessStore(writer.path))
        await fill(ledger, clock)
        full = pages(database)
        await ledger.tidy(clock.now())
        assert pages(database) < full / 2
        await ledger.close()


def test_postgresql_needs_nothing(postgresql: PostgreSQL) -> None:
    """On PostgreSQL, which uses the space again, nothing is done."""
    made = Database.at(postgresql.emptied())
    with made.writing.begin() as connection:
        assert GiveBackSpace(8, 0.0).run(connection) == 0
    made.dispose()
