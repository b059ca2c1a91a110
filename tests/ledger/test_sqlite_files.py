"""SQLite files as a whole: copies of files in use, and files for oneself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.ledger import sqlite_files
from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.sqlite_files import copy, exclusively

PAGES = 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of many pages with a write-ahead log."""
    return tmp_path / "one.db"


@pytest.fixture
def user(file: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who uses the file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE notes (content BLOB)")
        connection.execute("INSERT INTO notes VALUES (zeroblob(?))", (PAGES * 4_096,))
        yield connection


def notes(connection: sqlite3.Connection) -> int:
    """The number of notes."""
    return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])


def test_a_copy_is_of_one_moment(
    file: Path, user: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy has what was there when it began, and goes straight on though somebody writes at each step."""
    monkeypatch.setattr(sqlite_files, "PAGES_AT_ONCE", 1)
    steps: list[tuple[int, int]] = []

    def write(done: int, number: int) -> None:
        steps.append((done, number))
        assert len(steps) < 3 * PAGES, "the copy begins anew with each write"
        user.execute("INSERT INTO notes VALUES ('new')")

    copy(file, tmp_path / "copy.db", write)
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    assert len(steps) > PAGES
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copied:
        assert notes(copied) == 1
        assert copied.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert notes(user) == 1 + len(steps)


def test_nobody_else_can_use_it(file: Path, user: sqlite3.Connection) -> None:
    """A file in use is refused; one that nobody uses can be used by nobody else within the block, and then again."""
    with pytest.raises(UnusableDatabase, match="is in use"), exclusively(file):
        pass
    assert notes(user) == 1
    user.close()
    with exclusively(file) as connection:
        assert notes(connection) == 1
        with (
            closing(sqlite3.connect(file, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            notes(other)
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    with closing(sqlite3.connect(file)) as other:
        assert notes(other) == 1
