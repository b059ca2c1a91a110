"""`jobgate ledger`: size, backup, restore and compacting."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.cli import application
from gateway.domain.model import Outcome
from gateway.ledger.audit import verify
from gateway.ledger.database import FILE_NAME, Database, head
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tables import metadata
from tests.ledger.fixtures import begun, done, held, new_record
from tests.support.clock import NOW, FakeClock
from tests.support.databases import PostgreSQL

OF_VERSION_3 = {"job_actions", "events", "segments", "idempotency_keys", "api_keys"}
"""The tables that an earlier version had."""
VACUUM_DIFFERENTLY = ("PRAGMA auto_vacuum = NONE", "VACUUM")


def run(folder: Path, *command: str, address: str | None = None) -> Any:
    """`jobgate ledger …` with the state in a folder."""
    environment = {"JOBGATE_STATE_FOLDER": str(folder)} | ({"JOBGATE_DATABASE_URL": address} if address else {})
    return CliRunner().invoke(application, ["ledger", *command], env=environment)


def audit(folder: Path, *command: str) -> Any:
    """`jobgate audit …` with the state in a folder."""
    return CliRunner().invoke(application, ["audit", *command], env={"JOBGATE_STATE_FOLDER": str(folder)})


def write(folder: Path, number: int, days: int = 0) -> None:
    """Write so many job actions into the ledger in a folder, two events each, some days later, and close it."""
    clock = FakeClock(NOW + timedelta(days=days))

    async def work() -> None:
        database = Database.in_folder(folder)
        database.migrate()
        ledger = SqlLedger(database, clock)
        for _ in range(number):
            await done(ledger, clock, new_record(clock))
        await ledger.close()

    asyncio.run(work())


def names(folder: Path) -> list[str]:
    """The names of the files in a folder."""
    return [each.name for each in folder.iterdir()]


def cell(database: Database, statement: str) -> Any:
    """The value that a statement finds."""
    with database.reading.connect() as connection:
        return connection.execute(text(statement)).scalar()


def execute(file: Path, *statements: str) -> None:
    """Change a ledger as somebody else would."""
    database = Database.at(f"sqlite:///{file}")
    with database.reading.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for each in statements:
            driver.execute(each)
    database.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that is moved by hand."""
    return FakeClock()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a ledger with three job actions."""
    write(tmp_path / "state", 3)
    return tmp_path / "state"


@pytest.fixture
def gateway(state: Path) -> Iterator[Database]:
    """Another process that has the ledger open."""
    database = Database.in_folder(state)
    assert cell(database, "SELECT count(*) FROM events") == 6
    yield database
    database.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_stats(kind: str, tmp_path: Path, clock: FakeClock, postgresql: PostgreSQL) -> None:
    """The statistics count job actions, events, segments, keys and bytes, as JSON or for people."""
    address = f"sqlite:///{tmp_path / FILE_NAME}" if kind == "sqlite" else postgresql.emptied()
    database = Database.at(address)
    ledger = SqlLedger(database, clock)
    await ledger.start()
    for key in ("a", None, None):
        await done(ledger, clock, new_record(clock, key), Outcome.APPLIED)
    await ledger.close()
    found = json.loads(run(tmp_path, "stats", "--output", "json", address=address).stdout)
    counts = {"job_actions": 3, "events": 7, "segments": 1, "deleted_segments": 0, "idempotency_keys": 1}
    assert counts.items() <= found.items()
    assert (found["version"], found["oldest"], found["newest"]) == (head(), *2 * [clock.now().isoformat()])
    assert found["bytes"] > 20_000
    assert ("free_bytes" in found, "log_bytes" in found) == 2 * (kind == "sqlite",)
    shown = run(tmp_path, "stats", address=address).stdout
    assert "job actions       3\n" in shown
    assert f"newest            {clock.now():%Y-%m-%d %H:%M}\n" in shown


def test_stats_of_no_ledger(tmp_path: Path) -> None:
    """Where no ledger is, the command says so and makes none."""
    said = run(tmp_path, "stats")
    assert (said.exit_code, "there is no ledger" in said.stderr) == (6, True)
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_of_a_ledger_in_use(tmp_path: Path, clock: FakeClock) -> None:
    """While a gateway writes, a backup is made that is whole and has what was written before it began."""
    database = Database.in_folder(tmp_path)
    database.migrate()
    ledger = SqlLedger(database, clock)
    for _ in range(50):
        await done(ledger, clock, new_record(clock))

    async def go_on() -> None:
        while True:
            await done(ledger, clock, new_record(clock))

    writing = asyncio.create_task(go_on())
    file = tmp_path / "backups" / "copy.db"
    file.parent.mkdir()
    said = await asyncio.to_thread(run, tmp_path, "backup", str(file))
    written = await asyncio.to_thread(cell, database, "SELECT count(*) FROM events")
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    await ledger.close()
    assert said.exit_code == 0, said.output
    copy = Database.at(f"sqlite:///{file}")
    result = verify(copy)
    copy.dispose()
    assert (result.finding, 100 <= result.events <= written) == (None, True)
    assert said.stdout.startswith(f"backed up {result.events} events in 1 segment to {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(file.parent) == ["copy.db"]


def test_a_backup_matches_the_checkpoints(state: Path, tmp_path: Path) -> None:
    """A backup is compared with the gateway's checkpoints, and `audit verify` accepts the file."""
    assert audit(state, "checkpoint").exit_code == 0
    said = run(state, "backup", str(tmp_path / "copy.db"))
    assert (said.exit_code, "matches 1 checkpoint" in said.stdout) == (0, True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "copy.db").rename(elsewhere / FILE_NAME)
    checkpoints, key = state / "checkpoints.txt", audit(state, "key").stdout.strip()
    said = audit(elsewhere, "verify", "--checkpoint", str(checkpoints), "--key", key)
    assert said.stdout.startswith("whole: 6 events in 1 segment\nmatches 1 checkpoint")


def test_a_backup_replaces_nothing_unasked(state: Path, tmp_path: Path) -> None:
    """An existing file is replaced only with --force, and the ledger itself never."""
    file = tmp_path / "copy.db"
    file.write_text("precious", "utf-8")
    said = run(state, "backup", str(file))
    assert (said.exit_code, f"{file} already exists" in said.stderr) == (1, True)
    assert file.read_text("utf-8") == "precious"
    assert run(state, "backup", str(file), "--force").exit_code == 0
    assert file.read_bytes().startswith(b"SQLite format 3")
    said = run(state, "backup", str(state / FILE_NAME), "--force")
    assert (said.exit_code, "is the ledger itself" in said.stderr) == (1, True)


def test_no_backup_of_a_broken_ledger(state: Path, tmp_path: Path) -> None:
    """If the copy is not whole, the command says where, and leaves no file behind."""
    execute(state / FILE_NAME, "UPDATE events SET content = '{}' WHERE id = 2")
    said = run(state, "backup", str(tmp_path / "copy.db"))
    assert said.exit_code == 1
    assert "the ledger is broken: segment 1, event 2" in said.stderr
    assert "No backup was written" in said.stderr
    assert names(tmp_path) == ["state"]


def test_a_folder_that_is_not_there(state: Path, tmp_path: Path) -> None:
    """A backup into a missing folder is refused with the reason."""
    said = run(state, "backup", str(tmp_path / "nowhere" / "copy.db"))
    assert (said.exit_code, "cannot be written: No such file" in said.stderr) == (1, True)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_postgresql_has_its_own_tools(command: str, tmp_path: Path, postgresql: PostgreSQL) -> None:
    """For PostgreSQL, the message names the tools that back up and restore."""
    (tmp_path / "copy.db").touch()
    said = run(tmp_path, command, str(tmp_path / "copy.db"), "--force", address=postgresql.emptied())
    assert said.exit_code == 6
    assert "pg_dump --format=custom" in said.stderr
    assert "pg_restore" in said.stderr


def backed_up(state: Path, tmp_path: Path) -> Path:
    """A backup of a ledger."""
    file = tmp_path / "copy.db"
    assert run(state, "backup", str(file)).exit_code == 0
    return file


def test_a_restored_ledger(state: Path, tmp_path: Path) -> None:
    """A backup is restored into a new state folder, and stays where it is."""
    file = backed_up(state, tmp_path)
    said = run(tmp_path / "new", "restore", str(file))
    assert said.exit_code == 0, said.output
    assert said.stdout == f"restored 6 events in 1 segment to {tmp_path / 'new' / FILE_NAME}\n"
    assert names(tmp_path / "new") == [FILE_NAME]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / FILE_NAME).stat().st_mode) == 0o600
    assert audit(tmp_path / "new", "verify").stdout == "whole: 6 events in 1 segment\n"
    assert file.exists()


def test_events_are_replaced_only_if_told(state: Path, tmp_path: Path) -> None:
    """A ledger with events is replaced only with --force, and kept beside the restored one."""
    file = backed_up(state, tmp_path)
    write(state, 2, days=1)
    said = run(state, "restore", str(file))
    assert (said.exit_code, "has events" in said.stderr) == (1, True)
    said = run(state, "restore", str(file), "--force")
    assert said.exit_code == 0, said.output
    assert audit(state, "verify").stdout == "whole: 6 events in 1 segment\n"
    (kept,) = state.glob(f"{FILE_NAME}.replaced-*")
    assert str(kept) in said.stderr
    old = Database.at(f"sqlite:///{kept}")
    assert (verify(old).finding, verify(old).events) == (None, 10)
    old.dispose()


def test_a_gateway_that_runs_keeps_its_ledger(state: Path, tmp_path: Path, gateway: Database) -> None:
    """While any process has the ledger open, nothing is restored, whatever is told."""
    file = backed_up(state, tmp_path)
    before = (state / FILE_NAME).stat().st_ino
    said = run(state, "restore", str(file), "--force")
    assert (said.exit_code, "is in use. Stop every gateway" in said.stderr) == (6, True)
    assert (state / FILE_NAME).stat().st_ino == before
    assert list(state.glob("*.replaced-*")) == []
    assert cell(gateway, "SELECT count(*) FROM events") == 6


def test_an_outdated_ledger_is_named(state: Path, tmp_path: Path) -> None:
    """A backup that lacks what a checkpoint has is restored, and the message says what that means and what to do."""
    file = backed_up(state, tmp_path)
    assert audit(state, "checkpoint").exit_code == 0
    said = run(state, "restore", str(file), "--force")
    assert "matches the newest checkpoint" in said.stdout
    write(state, 1, days=1)
    assert audit(state, "checkpoint").exit_code == 0
    said = run(state, "restore", str(file), "--force")
    assert said.exit_code == 0
    assert "older than its newest checkpoint" in said.stderr
    assert "segments 1 to 2: they are not those" in said.stderr, said.stderr
    assert "`jobgate serve --accept-restored-ledger" in said.stderr


@pytest.mark.parametrize("options", [(), ("--offline",)])
def test_checking_the_settings_tells_of_an_outdated_ledger(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """`config check` warns that a gateway would start and refuse actions, unless it is not to look at the ledger."""
    monkeypatch.setenv("JOBGATE_API_KEY", "a-key-to-check-the-settings-with")
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", str(state))
    file = backed_up(state, tmp_path)
    write(state, 1, days=1)
    assert audit(state, "checkpoint").exit_code == 0
    good = CliRunner().invoke(application, ["config", "check", *options])
    assert (good.exit_code, "warning" in good.stderr) == (0, False), good.output
    assert run(state, "restore", str(file), "--force").exit_code == 0
    said = CliRunner().invoke(application, ["config", "check", *options])
    assert (said.exit_code, "does not match its newest checkpoint" in said.stderr) == (0, not options)
    assert ("--accept-restored-ledger" in said.stderr) == (not options)


BAD = {
    "changed": ("UPDATE events SET content = '{}' WHERE id = 3", 1, "is broken: segment 1, event 3"),
    "newer": ("UPDATE alembic_version SET version_num = '9999'", 6, "which this Jobgate does not know"),
    "no ledger": (None, 6, "is not a database"),
}


@pytest.mark.parametrize(("statement", "code", "message"), list(BAD.values()), ids=list(BAD))
def test_a_bad_backup_is_not_restored(
    statement: str | None, code: int, message: str, state: Path, tmp_path: Path
) -> None:
    """A backup that is broken, too new or no ledger at all leaves everything as it is."""
    file = backed_up(state, tmp_path)
    if statement:
        execute(file, statement)
    else:
        file.write_bytes(b"a letter to somebody, and surely no database\n" * 100)
    said = run(state, "restore", str(file), "--force")
    assert (said.exit_code, message in said.stderr) == (code, True), said.stderr
    assert names(state) == [FILE_NAME]
    assert audit(state, "verify").exit_code == 0


def test_an_empty_database_is_no_backup(state: Path, tmp_path: Path) -> None:
    """A database without tables is refused."""
    (tmp_path / "empty.db").touch()
    said = run(state, "restore", str(tmp_path / "empty.db"), "--force")
    assert (said.exit_code, "contains no ledger" in said.stderr) == (6, True)


def test_an_older_backup_is_brought_up_to_date(state: Path, tmp_path: Path) -> None:
    """A backup of an earlier version is restored in the present one; the backup stays as it was."""
    file = backed_up(state, tmp_path)
    execute(
        file,
        "ALTER TABLE segments DROP COLUMN deletion",
        "ALTER TABLE api_keys DROP COLUMN owner",
        *(f"DROP TABLE {name}" for name in metadata.tables.keys() - OF_VERSION_3),
        "UPDATE alembic_version SET version_num = '0003'",
    )
    assert run(tmp_path / "new", "restore", str(file)).exit_code == 0
    assert json.loads(run(tmp_path / "new", "stats", "--output", "json").stdout)["version"] == head()
    copy = Database.at(f"sqlite:///{file}")
    assert copy.version() == "0003"
    copy.dispose()


def test_what_is_left_of_another_ledger(state: Path, tmp_path: Path) -> None:
    """A write-ahead log without its file would be taken for that of the restored one, so it is named."""
    file = backed_up(state, tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f"{FILE_NAME}-wal").write_bytes(b"left over")
    said = run(tmp_path / "new", "restore", str(file))
    assert (said.exit_code, "Move it away first" in said.stderr) == (6, True)


def make_space(state: Path) -> None:
    """Make two megabytes of free space in a ledger."""
    filler = "CREATE TABLE filler AS SELECT zeroblob(2000000) AS content"
    execute(state / FILE_NAME, filler, "DROP TABLE filler")
    assert json.loads(run(state, "stats", "--output", "json").stdout)["free_bytes"] > 1_900_000


def test_compacting_a_ledger_in_use(state: Path, gateway: Database) -> None:
    """Free space is given back while a gateway has the ledger open."""
    make_space(state)
    said = run(state, "compact")
    after = (state / FILE_NAME).stat().st_size
    assert (said.exit_code, after < 300_000) == (0, True), said.output
    assert f"{after:,} now" in said.stdout
    assert cell(gateway, "SELECT count(*) FROM events") == 6
    assert verify(gateway).finding is None


def test_an_older_file_is_converted_once(state: Path) -> None:
    """A file of an earlier version is converted by --full while nobody uses it, and then gives back space."""
    execute(state / FILE_NAME, *VACUUM_DIFFERENTLY)
    make_space(state)
    said = run(state, "compact")
    assert (said.exit_code, "`jobgate ledger compact --full" in said.stderr) == (1, True)
    used = Database.in_folder(state)
    assert cell(used, "SELECT count(*) FROM events") == 6
    said = run(state, "compact", "--full")
    assert (said.exit_code, "is in use" in said.stderr) == (6, True)
    used.dispose()
    assert run(state, "compact", "--full").exit_code == 0
    assert (state / FILE_NAME).stat().st_size < 300_000
    make_space(state)
    assert run(state, "compact").exit_code == 0
    assert (state / FILE_NAME).stat().st_size < 300_000
    assert audit(state, "verify").stdout == "whole: 6 events in 1 segment\n"


async def test_compacting_postgresql(tmp_path: Path, clock: FakeClock, postgresql: PostgreSQL) -> None:
    """On PostgreSQL, the space of deleted rows can be used again, and the ledger is whole."""
    database = Database.at(postgresql.emptied())
    ledger = SqlLedger(database, clock)
    record = await begun(ledger, clock, new_record(clock, "key"))
    assert held(record).key == "key"
    said = run(tmp_path, "compact", address=database.address)
    assert (said.exit_code, "VACUUM FULL" in said.stdout) == (0, True), said.output
    assert await asyncio.to_thread(cell, database, "SELECT count(*) FROM pg_stat_user_tables WHERE vacuum_count > 0")
    assert verify(database).finding is None
    await ledger.close()
