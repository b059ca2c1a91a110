"""Migrations make the tables once, whichever process starts first, and exactly as the code expects."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from gateway.domain.model import Outcome
from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.database import FILE_NAME, Database, head, make_file, versions
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tables import metadata
from gateway.settings.settings import ConfigurationError
from gateway.startup.serve import prepare_database
from tests.ledger.fixtures import CALLER, done, new_record
from tests.support.clock import FakeClock
from tests.support.databases import KINDS, PostgreSQL
from tests.support.vendors import settings

AT_ONCE = 4
ROUNDS = 3

MIGRATE = """
import sys
from gateway.ledger.database import Database
database = Database.at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
database.migrate()
database.migrate()
"""
"""A program that brings a database up to date as soon as it is told to."""

MAKE_FOLDER = """
import os, sys
from pathlib import Path
from gateway.ledger.database import Database
os.umask(int(sys.argv[1]))
Database.in_folder(Path(sys.argv[2])).migrate()
"""
"""A program that makes a ledger in a folder, under a mask."""


@pytest.fixture(params=KINDS)
def new_empty_address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes addresses of databases in which nothing is yet."""
    if request.param == "sqlite":
        paths = (tmp_path / f"folder-{number}" / FILE_NAME for number in range(1_000))
        return lambda: f"sqlite:///{next(paths)}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return lambda: server.new(migrated=False)


@pytest.fixture
def empty(new_empty_address: Callable[[], str]) -> Iterator[Database]:
    """A database of each kind, in which nothing is yet."""
    database = Database.at(new_empty_address())
    yield database
    database.dispose()


def differences(database: Database) -> list[object]:
    """Where the tables of a database differ from those of the code."""
    with database.reading.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_the_migrations_make_the_tables(empty: Database) -> None:
    """What the migrations make is exactly what the code describes, to the last index, on both databases."""
    empty.migrate()
    assert differences(empty) == []
    with empty.reading.connect() as connection:
        made = inspect(connection)
        assert set(made.get_table_names()) == {*metadata.tables, "alembic_version"}
        for table in metadata.tables.values():
            expected = {str(index.name): [column.name for column in index.columns] for index in table.indexes}
            indexes = {each["name"]: each["column_names"] for each in made.get_indexes(table.name)}
            assert expected.items() <= indexes.items()
            assert [c["name"] for c in made.get_columns(table.name)] == [c.name for c in table.columns]


def test_a_difference_would_be_found(empty: Database) -> None:
    """The comparison of the test above sees a column too many, an index too few and another type."""
    empty.migrate()
    with empty.writing.begin() as connection:
        connection.execute(text("ALTER TABLE events ADD COLUMN another INTEGER"))
        connection.execute(text("DROP INDEX job_actions_due"))
    assert len(differences(empty)) == 2


def test_migrating_again_changes_nothing(empty: Database, clock: FakeClock) -> None:
    """A database that is up to date is left alone, with all that is in it."""
    empty.migrate()
    ledger = SqlLedger(empty, clock)

    async def work() -> None:
        record = await done(ledger, clock, new_record(clock), Outcome.REJECTED)
        await ledger.start()
        empty.migrate()
        assert await ledger.get(record.id, CALLER) == record
        await ledger.close()

    asyncio.run(work())
    assert differences(empty) == []


def test_processes_that_start_at_once(new_empty_address: Callable[[], str]) -> None:
    """Of processes that start at the same moment with a new database, one makes the tables, and none fails."""
    addresses = [new_empty_address()]
    command = [sys.executable, "-c", MIGRATE]
    processes = [
        subprocess.Popen([*command, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for address in addresses
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert [(b"", 0)] * len(processes) == ended
    for address in addresses:
        database = Database.at(address)
        assert differences(database) == []
        database.dispose()


def test_threads_that_start_at_once(new_empty_address: Callable[[], str]) -> None:
    """The same is true of ledgers that several threads of one process open at the same moment."""
    for _ in range(ROUNDS):
        address, start = new_empty_address(), threading.Barrier(AT_ONCE)

        def migrate(address: str, start: threading.Barrier) -> None:
            database = Database.at(address)
            start.wait(20)
            try:
                database.migrate()
            finally:
                database.dispose()

        with ThreadPoolExecutor(AT_ONCE) as threads:
            for future in [threads.submit(migrate, address, start) for _ in range(AT_ONCE)]:
                future.result()
        database = Database.at(address)
        assert differences(database) == []
        database.dispose()


def test_a_newer_database_is_refused(empty: Database) -> None:
    """Tables that a newer version has made are left alone, and the message says what to do."""
    empty.migrate()
    with empty.writing.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        UnusableDatabase, match=rf"version 9999, which .* does not know \(it has {head()}\)\. Start the"
    ):
        empty.migrate()
    configured = settings(database_url=empty.url.render_as_string(hide_password=False))
    with pytest.raises(ConfigurationError, match="version 9999"):
        prepare_database(configured)
    with empty.reading.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["9999"]


def of_another_program(database: Database) -> None:
    """Tables of another program, one of which has a name of ours."""
    with database.writing.begin() as connection:
        connection.execute(text("CREATE TABLE job_actions (id INTEGER)"))
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))


def halved(database: Database) -> None:
    """A ledger of which a table is lost."""
    database.migrate()
    with database.writing.begin() as connection:
        connection.execute(text("DROP TABLE segments"))


NOT_OURS: dict[str, tuple[Callable[[Database], None], str]] = {
    "another program's": (of_another_program, r"tables that are not the ledger's \(job_actions\)\. Give the ledger"),
    "half a ledger": (halved, r"lacks tables of the ledger \(segments\)\. Restore it from a backup"),
}


@pytest.mark.parametrize(("make", "message"), list(NOT_OURS.values()), ids=list(NOT_OURS))
def test_tables_that_are_not_ours_are_left_alone(
    empty: Database, make: Callable[[Database], None], message: str
) -> None:
    """Tables of another program are left alone, and the message names them and a remedy."""
    if empty.file is not None:
        make_file(empty.file)
    make(empty)
    with pytest.raises(ConfigurationError, match=message) as refused:
        prepare_database(settings(database_url=empty.url.render_as_string(hide_password=False)))
    assert empty.name in str(refused.value)
    for look in (empty.migrate, empty.require):
        with pytest.raises(UnusableDatabase, match=message):
            look()


def test_a_ledger_is_required_where_it_is_only_read(empty: Database) -> None:
    """A command that only reads makes neither file nor tables, and says that the ledger is missing."""
    with pytest.raises(UnusableDatabase, match="no ledger" if empty.file else "is empty"):
        empty.require()
    assert empty.file is None or not empty.file.exists()
    empty.migrate()
    empty.require()
    with empty.writing.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(UnusableDatabase, match="are of version 0001, and this Jobgate works with"):
        empty.require()


def test_versions_count_up() -> None:
    """The versions are numbered one after the other, and each names the one before it."""
    known = versions()
    assert known == [f"{number:04}" for number in range(1, len(known) + 1)]
    assert head() == known[-1]


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_the_folder_is_the_owners_alone(mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a new SQLite ledger is made, and nobody else may look into it, whatever the mask."""
    folder = tmp_path / "state" / "jobgate"
    subprocess.run([sys.executable, "-c", MAKE_FOLDER, str(mask), str(folder)], check=True, timeout=60)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / FILE_NAME).is_file()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """A folder that somebody has made before keeps the access that they gave it."""
    tmp_path.chmod(0o750)
    Database.in_folder(tmp_path).migrate()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Where the folder cannot be made, the message says which, and why."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(UnusableDatabase, match=r"/ledger.db cannot be made: Not a directory\. Name a folder"):
        Database.in_folder(tmp_path / "file" / "state").migrate()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:///{folder}", "unable to open database file. Check that it is a file, and that this user can read"),
        (
            "postgresql://nobody:s3cret@127.0.0.1:1/jobgate?connect_timeout=2",
            "refused.* Check that the server is",
        ),
    ],
    ids=["a folder", "no server"],
)
def test_a_database_that_cannot_be_used_is_told_at_the_start(address: str, reason: str, tmp_path: Path) -> None:
    """A gateway whose database cannot be used does not start; the message names it and the reason, not the password."""
    configured = settings(database_url=address.format(folder=tmp_path))
    with pytest.raises(ConfigurationError, match=f"the ledger's database .* cannot be used: .*{reason}") as refused:
        prepare_database(configured)
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    """A gateway refuses a file that is no database and leaves it unchanged."""
    (tmp_path / FILE_NAME).write_bytes(b"a letter to somebody, and surely no database\n" * 100)
    with pytest.raises(ConfigurationError, match=r"file is not a database\. It is not a SQLite database: move"):
        prepare_database(settings(state_folder=tmp_path))
    assert (tmp_path / FILE_NAME).read_bytes().startswith(b"a letter")
