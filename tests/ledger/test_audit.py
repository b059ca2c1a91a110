"""The audit: a chain in which nothing can be changed unnoticed, and what is exported of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, text
from typer.testing import CliRunner

from gateway.cli import application
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionRecord, Origin
from gateway.ledger import audit, chain
from gateway.ledger.database import Database
from gateway.ledger.tables import labels
from tests.ledger.fixtures import Ledgers, begun, done, new_record
from tests.support.clock import FakeClock

Tamper = Callable[[Connection], object]
SECRET_NOTE = "why it was done"


async def lived(stored: Ledgers, clock: FakeClock, actions: int = 4) -> list[JobActionRecord]:
    """A ledger of two processes with some job actions in it: two events each, three where one has a key."""
    first, second = stored.open(), stored.open()
    records = []
    for number in range(actions):
        clock.advance(1)
        key = f"key-{number}" if number % 2 else None
        origin = Origin("192.0.2.7", "request-1", f"00-{'a' * 32}-{'b' * 16}-01")
        record = new_record(clock, key, parameters={"note": SECRET_NOTE}, origin=origin, labels={"incident": "INC-43"})
        records.append(await done(first if number % 2 else second, clock, record))
    return records


def statement(sql: str) -> Tamper:
    """Somebody who may write to the database does this to it."""
    return lambda connection: connection.execute(text(sql))


TAMPERED = {
    "a changed event": statement("UPDATE events SET content = replace(content, 'why', 'what') WHERE id = 3"),
    "a changed sending": statement("UPDATE events SET content = replace(content, 'why', '') WHERE id = 6"),
    "an exchanged kind": statement("UPDATE events SET kind = 'read' WHERE id = 5"),
    "an event of another job action": statement(
        "UPDATE events SET job_action_id = (SELECT job_action_id FROM events WHERE id = 1), sequence = 9 WHERE id = 5"
    ),
    "a removed event": statement("DELETE FROM events WHERE id = 4"),
    "a removed last event": statement("DELETE FROM events WHERE id = (SELECT max(id) FROM events)"),
    "a hash of its own": statement("UPDATE events SET hash = (SELECT hash FROM events WHERE id = 1) WHERE id = 5"),
    "a removed segment": statement("DELETE FROM segments WHERE number = 1"),
    "a removed segment with its events": lambda connection: [
        statement(sql)(connection)
        for sql in ("DELETE FROM events WHERE segment = 1", "DELETE FROM segments WHERE number = 1")
    ],
    "an event in a segment that nobody opened": statement("UPDATE events SET segment = 9 WHERE id = 1"),
    "a job action without its beginning": lambda connection: [
        connection.execute(text(sql))
        for sql in (
            "DELETE FROM job_actions WHERE id = (SELECT job_action_id FROM events WHERE id = 8)",
            "DELETE FROM events WHERE id = 8",
        )
    ],
    "a label that no search finds": statement(
        "DELETE FROM labels WHERE job_action_id = (SELECT id FROM job_actions ORDER BY id DESC LIMIT 1)"
    ),
    "another label": statement(
        "UPDATE labels SET value = 'INC-44' WHERE job_action_id = (SELECT id FROM job_actions ORDER BY id DESC LIMIT 1)"
    ),
    "a label that nobody gave": statement(
        "INSERT INTO labels SELECT 'team', 'night', id FROM job_actions ORDER BY id LIMIT 1"
    ),
    "a label of nothing": lambda connection: connection.execute(
        insert(labels), {"name": "team", "value": "night", "job_action_id": str(UUID(int=1))}
    ),
    "a job action that no search finds": statement(
        "DELETE FROM job_actions WHERE id = (SELECT job_action_id FROM events WHERE id = 4)"
    ),
}


async def test_a_chain_that_nobody_touched_is_whole(stored: Ledgers, database: Database, clock: FakeClock) -> None:
    """The audit accounts for every event of two processes, each with its own segment."""
    await lived(stored, clock)
    assert audit.verify(database) == audit.AuditResult(segments=2, events=10)


@pytest.mark.parametrize("tamper", list(TAMPERED.values()), ids=list(TAMPERED))
async def test_what_somebody_did_to_it_is_found(
    stored: Ledgers, database: Database, clock: FakeClock, tamper: Tamper
) -> None:
    """Verification fails after any change, exchange, addition or removal of events."""
    await lived(stored, clock)
    with database.writing.begin() as connection:
        tamper(connection)
    assert audit.verify(database).finding is not None


async def test_the_first_broken_link_is_named(stored: Ledgers, database: Database, clock: FakeClock) -> None:
    """The audit names segment, event and job action of the first broken link."""
    await lived(stored, clock)
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE events SET content = replace(content, '2026', '2025') WHERE id IN (4, 8)"))
        (expected,) = connection.execute(text("SELECT segment FROM events WHERE id = 4")).one()
    broken = audit.verify(database).finding
    assert broken is not None
    assert (broken.segment, broken.event) == (expected, 4)
    assert str(broken).startswith(f"segment {expected}, event 4 (job action ")


async def test_the_index_of_an_intact_chain_may_be_rebuilt_but_not_forged(
    stored: Ledgers, database: Database, clock: FakeClock
) -> None:
    """Records are read from the chain, so a changed row of the index changes no record."""
    (record, *_) = await lived(stored, clock, actions=1)
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE job_actions SET status = 'failed', outcome = 'rejected'"))
    kept = await stored.open().get(record.id, record.requested.caller)
    assert kept == record


async def test_a_full_segment_is_followed_by_another(
    stored: Ledgers, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many events, or half a day, a writer opens a new segment, and the chain stays whole."""
    monkeypatch.setattr(chain, "LONGEST_SEGMENT", 3)
    ledger = stored.open()
    for _ in range(4):
        await done(ledger, clock, new_record(clock))
    assert audit.verify(database) == audit.AuditResult(segments=3, events=8)
    clock.advance(13 * 3_600)
    await done(ledger, clock, new_record(clock))
    assert audit.verify(database).segments == 4


async def test_every_event_is_exported_with_who_asked_for_what(
    stored: Ledgers, database: Database, clock: FakeClock
) -> None:
    """One line of JSON for each event, in order: who, what, when, why, to which job, from where, with which result."""
    records = await lived(stored, clock)
    lines = [json.loads(line) for line in audit.export(database)]
    told = [[each for each in lines if each["jobAction"] == record.id] for record in records]
    assert lines == [each for events in told for each in events]
    for record, events in zip(records, told, strict=True):
        beginning = ["claimed", "sent"] if record.requested.idempotency_key else ["dispatched"]
        assert [each["kind"] for each in events] == [*beginning, "concluded"]
        assert ["told" in each for each in events] == [each["kind"] != "claimed" for each in events]
        for each in events:
            assert (each["jobAction"], each["caller"], each["jobId"]) == (record.id, record.requested.caller, "job-1")
            assert (each["connection"], each["action"]) == ("contoso-prod", "cancel")
            assert each["parameters"] == {"note": SECRET_NOTE}
            assert each["labels"] == {"incident": "INC-43"}
            assert (each["address"], each["requestId"], each["traceId"]) == ("192.0.2.7", "request-1", "a" * 32)
        assert set(events[-2]["told"]) == {"at"}
        assert events[-1]["told"]["outcome"] == "applied"
    assert len({each["hash"] for each in lines}) == 10


async def test_retention_deletes_what_is_old_and_settled(stored: Ledgers, database: Database, clock: FakeClock) -> None:
    """Retention deletes whole old segments; the chain stays intact and accounts for them."""
    ledger = stored.open(timedelta(days=30))
    old = await done(ledger, clock, new_record(clock, labels={"incident": "INC-43"}))
    clock.advance(31 * 86_400)
    new = await done(ledger, clock, new_record(clock))
    await ledger.tidy(clock.now())
    assert await ledger.get(old.id, old.requested.caller) is None
    assert await ledger.get(new.id, new.requested.caller) == new
    assert audit.verify(database) == audit.AuditResult(segments=1, events=2, deleted=1)


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, None])
async def test_retention_never_deletes_what_is_unsettled(
    stored: Ledgers, clock: FakeClock, outcome: Outcome | None
) -> None:
    """Retention never deletes an unsettled record, however old it is."""
    ledger = stored.open(timedelta(days=30))
    settled = await done(ledger, clock, new_record(clock))
    record = await done(ledger, clock, new_record(clock), outcome)
    clock.advance(400 * 86_400)
    await ledger.tidy(clock.now())
    assert await ledger.get(record.id, record.requested.caller) == record
    assert await ledger.get(settled.id, settled.requested.caller) == settled


async def test_retention_spares_what_is_younger(stored: Ledgers, clock: FakeClock) -> None:
    """A segment with one event that is young enough stays as a whole; without a setting everything stays."""
    ledger, forever = stored.open(timedelta(days=30)), stored.open()
    young = await done(ledger, clock, new_record(clock))
    clock.advance(29 * 86_400)
    await ledger.tidy(clock.now())
    clock.advance(300 * 86_400)
    await forever.tidy(clock.now())
    assert await ledger.get(young.id, young.requested.caller) == young


async def test_a_deleted_segment_that_comes_back_is_found(
    stored: Ledgers, database: Database, clock: FakeClock
) -> None:
    """The audit finds events in a segment that retention had deleted."""
    ledger = stored.open(timedelta(days=30))
    await done(ledger, clock, new_record(clock))
    clock.advance(31 * 86_400)
    await done(ledger, clock, new_record(clock))
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE segments SET deleted_at = 1 WHERE number = 1"))
    broken = audit.verify(database).finding
    assert broken is not None
    assert broken.segment == 1


async def cli_ledger(folder: Path, clock: FakeClock, note: str = SECRET_NOTE) -> None:
    """A ledger in a folder, as a gateway leaves it."""
    database = Database.in_folder(folder)
    database.migrate()
    database.dispose()
    ledgers = Ledgers(f"sqlite:///{folder / 'ledger.db'}", clock)
    await done(ledgers.open(), clock, new_record(clock, parameters={"note": note}))
    await begun(ledgers.open(), clock, new_record(clock))
    await ledgers.close()


def run(folder: Path, *command: str) -> Any:
    """`jobgate audit …` on the ledger in a folder."""
    environment = {"JOBGATE_STATE_FOLDER": str(folder)}
    return CliRunner().invoke(application, ["audit", *command], env=environment)


async def test_the_command_line_verifies(tmp_path: Path, clock: FakeClock) -> None:
    """`jobgate audit verify` says that the chain is whole, or names the first broken link and fails."""
    await cli_ledger(tmp_path, clock)
    said = run(tmp_path, "verify")
    assert (said.exit_code, said.stdout) == (0, "whole: 3 events in 2 segments\n")
    database = Database.in_folder(tmp_path)
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE events SET content = replace(content, '2026', '2025') WHERE id = 2"))
    database.dispose()
    said = run(tmp_path, "verify")
    assert said.exit_code == 2
    assert said.stdout.startswith("broken: segment 1, event 2 (job action ")


async def test_the_command_line_exports(tmp_path: Path, clock: FakeClock) -> None:
    """`jobgate audit export` writes to the terminal, or to a file."""
    await cli_ledger(tmp_path, clock)
    shown = run(tmp_path, "export").stdout
    assert [json.loads(line)["kind"] for line in shown.splitlines()].count("dispatched") == 2
    file = tmp_path / "audit.jsonl"
    assert run(tmp_path, "export", "--file", str(file)).exit_code == 0
    assert file.read_text("utf-8") == shown


def test_a_ledger_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Without a database there is nothing to verify: a clear message, no traceback, no new file."""
    said = run(tmp_path / "nothing", "verify")
    assert said.exit_code == 6
    assert "there is no ledger" in said.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_file_is_not_replaced_unasked(tmp_path: Path, clock: FakeClock) -> None:
    """`--file` with a file that is there asks for `--force`, and leaves it as it is."""
    asyncio.run(cli_ledger(tmp_path, clock))
    file = tmp_path / "audit.jsonl"
    file.write_text("an earlier export", encoding="utf-8")
    said = run(tmp_path, "export", "--file", str(file))
    assert said.exit_code == 1
    assert f"{file} already exists" in said.stderr
    assert "--force" in said.stderr
    assert file.read_text("utf-8") == "an earlier export"
    assert run(tmp_path, "export", "--file", str(file), "--force").exit_code == 0
    assert file.read_text("utf-8") == run(tmp_path, "export").stdout


def test_a_file_that_cannot_be_written_is_said_so(tmp_path: Path, clock: FakeClock) -> None:
    """A folder that is not there is named, without a traceback."""
    asyncio.run(cli_ledger(tmp_path, clock))
    said = run(tmp_path, "export", "--file", str(tmp_path / "no" / "audit.jsonl"))
    assert said.exit_code == 1
    assert "cannot be written: No such file or directory" in said.stderr


@pytest.mark.parametrize("command", [("audit", "export"), ("keys", "list"), ("config", "show")], ids=" ".join)
def test_the_terminal_is_given_utf_8(command: tuple[str, ...], tmp_path: Path, clock: FakeClock) -> None:
    """What is not ASCII is written as UTF-8 to an output that would take ASCII only."""
    asyncio.run(cli_ledger(tmp_path, clock, "Grund: Übertragung ✓"))
    settings = tmp_path / "jobgate.toml"
    settings.write_text(
        "state_folder = '.'\n[openid]\nissuer = 'https://uber.example'\naudience = 'Übergröße'\n", "utf-8"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "JOBGATE_STATE_FOLDER": str(tmp_path)}
    jobgate = str(Path(sys.executable).with_name("jobgate"))
    done = subprocess.run(
        [jobgate, *command, "--config", str(settings)], capture_output=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if command != ("keys", "list"):
        assert "Ü" in done.stdout.decode("utf-8").upper()
