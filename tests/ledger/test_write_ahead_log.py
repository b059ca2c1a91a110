"""SQLite's write-ahead log is moved into the file beside the commits, and does not grow for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import write_ahead_log
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.write_ahead_log import length, move
from tests.ledger.fixtures import check_chain, done, new_record
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.patience import wait_until

PAGE = 4_096
SQLITES_OWN = 1_000
"""Number of pages after which SQLite itself moves the log."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A SQLite ledger."""
    made = Database.at(sqlite_address(tmp_path))
    yield made
    made.dispose()


def moved_events(database: Database) -> int:
    """The number of events that are in the file itself, whatever is in its log."""
    with closing(sqlite3.connect(f"file:{database.file}?immutable=1", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def write(database: Database, pages: int) -> None:
    """Write into the log, as a ledger's writer is set up to."""
    with database.writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS filler (content BLOB)")
        connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(?))", (pages * PAGE,))


def test_no_commit_moves_the_log(database: Database) -> None:
    """A log longer than SQLite allows by itself is left alone by the commits of the ledger."""
    for _ in range(3):
        write(database, SQLITES_OWN)
    assert database.file is not None
    assert length(database.file) > 3 * SQLITES_OWN * PAGE


async def test_a_thread_moves_the_log(database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a ledger has written gets into the file while the ledger is open."""
    monkeypatch.setattr(write_ahead_log, "MOVE_AFTER", 4)
    ledger = SqlLedger(database, clock)
    for _ in range(2):
        await done(ledger, clock, new_record(clock))
    wait_until(lambda: moved_events(database) == 4)
    await ledger.close()
    check_chain(database)


async def test_the_thread_survives_a_failure(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the log cannot be moved, the gateway says so, goes on writing, and tries again."""
    failures = [sqlite3.OperationalError("disk I/O error")]

    def moving(file: Path) -> None:
        if failures:
            raise failures.pop()
        move(file)

    monkeypatch.setattr(write_ahead_log, "MOVE_AFTER", 2)
    monkeypatch.setattr(write_ahead_log, "move", moving)
    ledger = SqlLedger(database, clock)
    await done(ledger, clock, new_record(clock))
    wait_until(lambda: "could not be moved: disk I/O error" in caplog.text)
    await done(ledger, clock, new_record(clock))
    wait_until(lambda: moved_events(database) > 0)
    await ledger.close()


def test_a_long_log_is_cut(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that has become too long is cut; while somebody reads from it, everybody goes on, and it stays."""
    monkeypatch.setattr(write_ahead_log, "LONGEST", 10 * PAGE)
    assert database.file is not None
    with database.snapshot() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM events")
        write(database, 20)
        move(database.file)
        assert length(database.file) > 10 * PAGE
        write(database, 1)
    move(database.file)
    assert length(database.file) == 0


def test_a_long_log_begins_anew(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The space of a log that has become long is used again, although others read and write while it is moved."""

    class Overtaken(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if "PASSIVE" not in sql:
                return super().execute(sql, *parameters)
            with database.snapshot() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM events")
                cursor = super().execute(sql, *parameters)
                write(database, 1)
            return cursor

    monkeypatch.setattr(write_ahead_log, "LONG", 10 * PAGE)
    monkeypatch.setattr(write_ahead_log, "connect", lambda file, _: sqlite3.connect(file, factory=Overtaken))
    assert database.file is not None
    write(database, 20)
    before = length(database.file)
    for _ in range(5):
        move(database.file)
        write(database, 12)
    assert length(database.file) < before + 10 * PAGE


def test_a_short_log_is_kept(database: Database) -> None:
    """A log of usual length is moved, and its space is used again."""
    assert database.file is not None
    write(database, 20)
    before = length(database.file)
    move(database.file)
    write(database, 1)
    assert length(database.file) == before > 20 * PAGE


def test_nothing_is_made_where_the_file_is_gone(database: Database) -> None:
    """If the file was moved away, none is created in its place."""
    assert database.file is not None
    database.file.rename(database.file.with_name("elsewhere"))
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        move(database.file)
    assert not database.file.exists()
