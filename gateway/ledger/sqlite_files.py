"""SQLite files as a whole: a copy of one that is in use, one for oneself, and a shorter one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from gateway.ledger.addresses import UnusableDatabase

PAGES_AT_ONCE = 1_024
Progress = Callable[[int, int], object]
"""Called with the number of pages done, and of all."""


def connect(file: Path, seconds: float) -> sqlite3.Connection:
    """Connect to an existing file, without beginning transactions. Waits so long for others. Raises sqlite3.Error."""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=rw", seconds, isolation_level=None, uri=True)


def copy(source: Path, target: Path, progress: Progress) -> None:
    """Copy a file as it is now, with its write-ahead log, into a new one. Others can write to it in the meantime.

    Raises sqlite3.Error.
    """
    with closing(connect(source, 1.0)) as original, closing(sqlite3.connect(target)) as copied:
        # Without a transaction that reads, the copy would begin anew with each write of others.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copied, pages=PAGES_AT_ONCE, progress=lambda _, left, number: progress(number - left, number))
        copied.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def exclusively(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that nobody else can use within the block, with its write-ahead log moved into it.

    Raises UnusableDatabase if somebody uses it.
    """
    with closing(connect(file, 0.0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")  # the lock stays
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise UnusableDatabase(f"{file} is in use. Stop every gateway and command that uses it.") from None
        yield connection


def rebuild(file: Path) -> None:
    """Write a file anew without free space, so that it can give back space from now on.

    Raises sqlite3.Error, and UnusableDatabase if somebody uses it.
    """
    with exclusively(file) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
