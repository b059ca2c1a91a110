"""The database: SQLite in a file, or PostgreSQL; how it is opened, brought up to date, and how its failures read."""

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
_PLACES = "Name a folder that this user may write as `state_folder`, or a database as `database_url`."
BUSY_SECONDS = 3.0
"""How long a writer waits for another process that writes to the same file."""
RETRY_SECONDS = 1
"""When to ask again, for clients that were turned away."""
MIGRATIONS = Path(__file__).parent / "migrations"
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Every transaction ends before its connection is given back.
    "sqlite": {"pool_reset_on_return": None},
    # Values go to the driver by position, as they do to that of SQLite. A server that was restarted is not noticed
    # otherwise until a statement has failed.
    "postgresql": {"paramstyle": "format", "pool_pre_ping": True},
}
_ADVISORY_LOCK = 0x6A6F62676174
"""Any number, the same for every Jobgate: `jobgat` in ASCII."""


@dataclass(frozen=True)
class Database:
    """One database, and two engines of SQLAlchemy. In SQLite, transactions of `writing` exclude each other."""

    url: URL = field(repr=False)
    reading: Engine = field(repr=False)
    writing: Engine = field(repr=False)

    @classmethod
    def at(cls, address: str) -> Database:
        """The database at `sqlite:///path` or `postgresql://…`. Connects to nothing yet. Raises UnusableDatabase."""
        read = Address.parse(address)
        return cls(read.url, _engine(read, "BEGIN"), _engine(read, "BEGIN IMMEDIATE"))

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """The SQLite database in a folder."""
        return cls.at(f"sqlite:///{folder.resolve() / FILE_NAME}")

    @property
    def name(self) -> str:
        """Where it is, for people to read: the file, or the address without its password."""
        return shown(self.url)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The database as it is now, however long it is read. Raises LedgerUnavailable."""
        level = {"isolation_level": "REPEATABLE READ"} if self.url.get_backend_name() == "postgresql" else {}
        with failures_named(Outcome.UNKNOWN), self.reading.connect() as connection:
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
        with failures_named(Outcome.NOT_SENT), self.writing.begin() as connection:
            _upgrade(connection)

    def version(self) -> str | None:
        """The version of the tables, None where there are none.

        Raises LedgerUnavailable, and UnusableDatabase where the tables are not ours.
        """
        with failures_named(Outcome.NOT_SENT), self.reading.connect() as connection:
            found = version(connection)
            there = set(inspect(connection).get_table_names())
        ours = there & metadata.tables.keys()
        if found is None and ours:
            raise UnusableDatabase(
                f"{self.name} has tables that are not the ledger's ({', '.join(sorted(ours))}). "
                "Give the ledger a database of its own."
            )
        if found is not None and found not in versions():
            raise UnusableDatabase(
                f"the ledger's tables in {self.name} are of version {found}, which this Jobgate does not know (it has "
                f"{head()}). Start the newer Jobgate that made them; or, if they are another program's, give the "
                "ledger a database of its own."
            )
        if found == head() and ours != metadata.tables.keys():
            missing = ", ".join(sorted(metadata.tables.keys() - ours))
            raise UnusableDatabase(f"{self.name} lacks tables of the ledger ({missing}). Restore it from a backup.")
        return found

    def require(self) -> None:
        """See that there is a ledger that this version can read, and make nothing. Raises what `migrate` does."""
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
        """The file that it is, where it is one."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    @property
    def exists(self) -> bool:
        """Whether there is anything to read: a file is made by the first who writes."""
        return self.file is None or self.file.exists()

    @property
    def place(self) -> tuple[int, int] | None:
        """What the system knows the file by: it is another one where somebody has moved the file away.

        Raises OSError where it is gone.
        """
        if self.file is None:
            return None
        known = self.file.stat()
        return known.st_dev, known.st_ino


def make_file(file: Path) -> None:
    """Make a file, and its folder, that nobody else may look into, if they are not there. Raises UnusableDatabase."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its other files the mode of this one.
        file.touch(mode=0o600)
    except PermissionError:
        if not os.access(file, os.R_OK | os.W_OK):
            raise UnusableDatabase(f"the ledger's file {file} cannot be used: permission denied. {_PLACES}") from None
    except OSError as error:
        raise UnusableDatabase(f"the ledger's file {file} cannot be made: {error.strerror}. {_PLACES}") from error


def versions() -> list[str]:
    """Every version of the tables that there was, the present one last."""
    found = (re.match(r"\d{4}", path.name) for path in (MIGRATIONS / "versions").glob("*.py"))
    return sorted(match[0] for match in found if match)


def head() -> str:
    """The version of the tables that this code works with."""
    return versions()[-1]


def version(connection: Connection) -> str | None:
    """The version of the tables that are there, None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection) -> None:
    # Only when it is needed: it takes longer to load than all the rest of the ledger.
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
        # The driver would begin a transaction only at the first write, after what was read for it.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_nothing_behind_a_pooler(connection: Any, _record: object) -> None:
    """Have no statement prepared where a pooler such as PgBouncer gives each transaction another server process.

    A statement would be prepared in one of them and executed in the next. A pooler gives itself away by the process
    that it names when a connection begins, which is none of the server's.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if process != connection.info.backend_pid:
        connection.prepare_threshold = None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions by itself
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1_000)}")
    _use_write_ahead_log(cursor)
    # What is committed survives a loss of power, not only a crash of the process.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    """Switch to it, if it is not in use; SQLite does not wait by itself for others that do the same."""
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
def failures_named(outcome: Outcome) -> Iterator[None]:
    """Failures of the storage leave the block as LedgerUnavailable, whose cause says why; a client never learns it."""
    try:
        yield
    except SQLAlchemyError as error:
        raise unavailable(outcome) from UnusableDatabase(diagnosis(error))


def unavailable(outcome: Outcome, job_action: str | None = None) -> LedgerUnavailable:
    """The problem that a failure of the storage is."""
    explanation = Explanation(outcome=outcome, retry_after=RETRY_SECONDS, job_action=job_action)
    return LedgerUnavailable("The ledger's database cannot be used at present.", explanation)


def is_storage_failure(error: Exception) -> bool:
    """Whether the storage itself failed, and not what was to be written."""
    if isinstance(error, IntegrityError | DataError):
        return False
    return isinstance(error, DBAPIError | exc.TimeoutError | OSError)


def is_passing(error: Exception) -> bool:
    """Whether two transactions were in each other's way, so that doing this one again is all that is needed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}
