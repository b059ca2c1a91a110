"""The database, SQLite in a file or PostgreSQL: opening, migrations, and the translation of its failures."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from gateway.domain.errors import Explanation, LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.ledger.addresses import PREPARE, Address, UnusableDatabase, shown
from gateway.ledger.diagnosis import diagnosis
from gateway.ledger.tables import metadata

FILE_NAME = "ledger.db"
_PLACES = "Name a folder that this user can write to as `state_folder`, or a database as `database_url`."
BUSY_SECONDS = 3.0
"""Longest wait for another process that writes to the same SQLite file, in seconds."""
MIGRATION_SECONDS = 60.0
"""Longest wait at the start for another process that brings the same SQLite file up to date, in seconds."""
RETRY_SECONDS = 1
"""Retry-After of the problem `ledger-unavailable`, in seconds."""
MIGRATIONS = Path(__file__).parent / "migrations"
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Every transaction ends before its connection is given back.
    "sqlite": {"pool_reset_on_return": None},
    # Positional parameters, as for SQLite. The ping detects a restarted server before a statement fails.
    "postgresql": {"paramstyle": "format", "pool_pre_ping": True},
}
_ADVISORY_LOCK = 0x6A6F62676174
"""An arbitrary number, the same in every Jobgate process: `jobgat` in ASCII."""


@dataclass(frozen=True)
class Database:
    """One database with two SQLAlchemy engines. In SQLite, transactions of `writing` exclude each other."""

    url: URL = field(repr=False)
    reading: Engine = field(repr=False)
    writing: Engine = field(repr=False)

    @classmethod
    def at(cls, address: str) -> Database:
        """The database at `sqlite:///path` or `postgresql://…`. Does not connect yet. Raises UnusableDatabase."""
        read = Address.parse(address)
        return cls(read.url, _engine(read, "BEGIN"), _engine(read, "BEGIN IMMEDIATE"))

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """The SQLite database in a folder."""
        return cls.at(f"sqlite:///{folder.resolve() / FILE_NAME}")

    @property
    def name(self) -> str:
        """The file, or the address without its password, for people."""
        return shown(self.url)

    @property
    def address(self) -> str:
        """The address, with its password."""
        return self.url.render_as_string(hide_password=False)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that reads the database's present state for the whole block. Raises LedgerUnavailable."""
        level = {"isolation_level": "REPEATABLE READ"} if self.url.get_backend_name() == "postgresql" else {}
        with storage_failures(Outcome.UNKNOWN), self.reading.connect() as connection:
            yield connection.execution_options(**level)

    def dispose(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.writing.dispose()

    def migrate(self) -> None:
        """Bring the tables up to date, if they are not. Raises UnusableDatabase and LedgerUnavailable."""
        if self.file is not None:
            make_file(self.file)
        if self.version() == head():
            return
        with storage_failures(Outcome.NOT_SENT), self.writing.connect() as connection:
            _set_busy_seconds(connection, MIGRATION_SECONDS)
            try:
                with connection.begin():
                    _upgrade(connection)
            finally:
                _set_busy_seconds(connection, BUSY_SECONDS)

    def version(self) -> str | None:
        """The version of the tables, None if there are none.

        Raises LedgerUnavailable, and UnusableDatabase if the tables are not Jobgate's.
        """
        with storage_failures(Outcome.NOT_SENT), self.reading.connect() as connection:
            found = version(connection)
            there = set(inspect(connection).get_table_names())
        known = there & metadata.tables.keys()
        if found is None and known:
            raise UnusableDatabase(
                f"{self.name} has tables that are not the ledger's ({', '.join(sorted(known))}). "
                "Give the ledger a database of its own."
            )
        if found is not None and found not in versions():
            raise UnusableDatabase(
                f"the ledger's tables in {self.name} are of version {found}, which this Jobgate does not know (it has "
                f"{head()}). Start the newer Jobgate that made them; or, if they are another program's, give the "
                "ledger a database of its own."
            )
        if found == head() and known != metadata.tables.keys():
            missing = ", ".join(sorted(metadata.tables.keys() - known))
            raise UnusableDatabase(f"{self.name} lacks tables of the ledger ({missing}). Restore it from a backup.")
        return found

    def require(self) -> None:
        """Check, without creating anything, that a ledger of this version exists.

        Raises UnusableDatabase if it does not, LedgerUnavailable if the database cannot be read.
        """
        if self.file is not None and not self.file.exists():
            raise UnusableDatabase(f"there is no ledger {self.name}. Name the settings of the gateway that keeps it.")
        found = self.version()
        if found is None:
            raise UnusableDatabase(f"{self.name} is empty. Name the settings of the gateway that keeps the ledger.")
        if found != head():
            raise UnusableDatabase(
                f"the ledger's tables in {self.name} are of version {found}, and this Jobgate works with {head()}. "
                "Start the gateway of this version, which brings them up to date."
            )

    @cached_property
    def file(self) -> Path | None:
        """The SQLite file, None for PostgreSQL."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    @property
    def exists(self) -> bool:
        """True if the database can be read: a SQLite file is created by the first write."""
        return self.file is None or self.file.exists()

    @property
    def place(self) -> tuple[int, int] | None:
        """Device and inode of the SQLite file, None for PostgreSQL. They change if the file is replaced.

        Raises OSError if the file does not exist.
        """
        if self.file is None:
            return None
        known = self.file.stat()
        return known.st_dev, known.st_ino


def make_file(file: Path) -> None:
    """Create a file and its folder, readable by their owner only, if they do not exist. Raises UnusableDatabase."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite creates its other files with the same mode.
        file.touch(mode=0o600)
    except PermissionError:
        if not os.access(file, os.R_OK | os.W_OK):
            raise UnusableDatabase(f"the ledger's file {file} cannot be used: permission denied. {_PLACES}") from None
    except OSError as error:
        raise UnusableDatabase(f"the ledger's file {file} cannot be made: {error.strerror}. {_PLACES}") from error


def versions() -> list[str]:
    """All versions of the tables, the present one last."""
    found = (re.match(r"\d{4}", path.name) for path in (MIGRATIONS / "versions").glob("*.py"))
    return sorted(match[0] for match in found if match)


def head() -> str:
    """The version of the tables that this code needs."""
    return versions()[-1]


def version(connection: Connection) -> str | None:
    """The version of the existing tables, None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _set_busy_seconds(connection: Connection, seconds: float) -> None:
    """Set the longest wait for other writers of a SQLite file, without beginning a transaction."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.execute(f"PRAGMA busy_timeout = {int(seconds * 1_000)}")


def _upgrade(connection: Connection) -> None:
    # Imported only when needed: loading it takes longer than the rest of the ledger.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def _engine(address: Address, begin: str) -> Engine:
    backend = address.url.get_backend_name()
    engine = create_engine(address.url, connect_args=dict(address.arguments), **_OPTIONS[backend])
    if backend == "postgresql" and PREPARE not in address.arguments:
        event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        # The driver would begin a transaction only at the first write, after the reads that it depends on.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_nothing_behind_a_pooler(connection: Any, _record: object) -> None:
    """Disable prepared statements behind a pooler such as PgBouncer, which can change the server process.

    A statement could otherwise be prepared in one server process and executed in another. A pooler is detected by the
    process id in its connection handshake, which differs from that of the server process.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if process != connection.info.backend_pid:
        connection.prepare_threshold = None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver does not begin transactions
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1_000)}")
    if cursor.execute("PRAGMA page_count").fetchone() == (0,):
        # A new file can give back the space of what was deleted.
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_write_ahead_log(cursor)
    # Commits survive a power failure, not only a crash of the process.
    cursor.execute("PRAGMA synchronous = FULL")
    # No commit moves the write-ahead log into the file: `write_ahead_log.py` does.
    cursor.execute("PRAGMA wal_autocheckpoint = 0")
    cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    """Enable the write-ahead log, with retries: SQLite does not wait for another process that does the same."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def storage_failures(outcome: Outcome) -> Iterator[None]:
    """Raises LedgerUnavailable for the block's SQLAlchemy errors. Its cause has the diagnosis, hidden from clients."""
    try:
        yield
    except SQLAlchemyError as error:
        raise unavailable(outcome) from UnusableDatabase(diagnosis(error))


def unavailable(outcome: Outcome, job_action: str | None = None) -> LedgerUnavailable:
    """The problem for a failure of the storage."""
    explanation = Explanation(outcome=outcome, retry_after=RETRY_SECONDS, job_action=job_action)
    return LedgerUnavailable("The ledger's database cannot be used at present.", explanation)


def is_storage_failure(error: Exception) -> bool:
    """True if the storage itself failed, and the data is not the reason."""
    if isinstance(error, IntegrityError | DataError):
        return False
    return isinstance(error, DBAPIError | exc.TimeoutError | OSError)


def is_passing(error: Exception) -> bool:
    """True for a serialization failure or a deadlock, after which the transaction only needs to be repeated."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}
