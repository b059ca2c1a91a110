"""Compacting: the space of what was deleted goes back to the file system, or to the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from gateway.domain.model import Outcome
from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.database import Database, storage_failures
from gateway.ledger.diagnosis import diagnosis
from gateway.ledger.retention import INCREMENTAL, SLICE_PAGES, GiveBackSpace
from gateway.ledger.sqlite_files import rebuild
from gateway.ledger.tables import metadata
from gateway.ledger.write_ahead_log import move


def gives_back(database: Database) -> bool:
    """True if a SQLite file can give back space while it is in use. Files of earlier versions cannot."""
    with storage_failures(Outcome.UNKNOWN), database.reading.connect() as connection:
        return bool(connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() == INCREMENTAL)


def give_back(database: Database, file: Path, advance: Callable[[int], object]) -> None:
    """Give back the free space of a SQLite file, slice by slice. Others can use it meanwhile.

    Raises LedgerUnavailable and UnusableDatabase.
    """
    slice_of_space = GiveBackSpace(SLICE_PAGES, 0.0)
    given = SLICE_PAGES
    while given:
        with storage_failures(Outcome.UNKNOWN), database.writing.begin() as connection:
            given = slice_of_space.run(connection)
        advance(given)
    try:
        move(file)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{file} cannot be made shorter: {diagnosis(error)}") from error


def write_anew(database: Database, file: Path) -> None:
    """Write a SQLite file anew, without free space. Raises UnusableDatabase, also if somebody uses it."""
    database.dispose()
    try:
        rebuild(file)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{file} cannot be written anew: {diagnosis(error)}") from error


def vacuum(database: Database) -> None:
    """Let PostgreSQL use the space of deleted rows again, while others use the ledger. Raises LedgerUnavailable."""
    with storage_failures(Outcome.UNKNOWN), database.reading.connect() as connection:
        outside = connection.execution_options(isolation_level="AUTOCOMMIT")
        for name in metadata.tables:
            outside.execute(text(f"VACUUM (ANALYZE) {name}"))
