"""Checkpoints: when they are written, by several gateways at once, and what a gateway does that contradicts them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import stat
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.app import Catalogue, Gateway
from gateway.app.databases import checkpoints_of, database_of
from gateway.cli import application
from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerOutdated, LedgerUnavailable, VendorTimedOut
from gateway.domain.model import Outcome
from gateway.ledger import chain
from gateway.ledger.audit import Proof, verify
from gateway.ledger.checkpointing import CheckpointLocation, Checkpoints
from gateway.ledger.checkpoints import Checkpoint, NoCheckpoint, states_in
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.notes import Signer, UnusableKey, Verifier
from gateway.ledger.publishing import Publisher, Webhook
from gateway.ledger.tables import metadata
from gateway.security.keys import issued
from gateway.settings.settings import ConfigurationError, Settings
from gateway.startup.serve import accept_ledger, prepare_database
from tests.ledger.fixtures import CALLER, LEASE, begun, concluded, done, held, new_record
from tests.support.asgi import call
from tests.support.clock import NOW, FakeClock
from tests.support.keys import PEM
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import AZURE_JOB, settings

BODY = re.compile(
    r"jobgate/ledger\n\d+\n\S{44}\nat \S+\nsealed \d+ \S{44}\n(segment \d+ \d+ \S{44}\n)*\n— jobgate \S+\n"
)


@pytest.fixture
def place(tmp_path: Path) -> CheckpointLocation:
    """Where checkpoints are kept, apart from the database."""
    return CheckpointLocation(
        tmp_path / "outside" / "checkpoints.txt", lambda: Signer.in_file(tmp_path / "outside" / "key")
    )


@pytest.fixture
def checkpoints(database: Database, clock: FakeClock, place: CheckpointLocation) -> Checkpoints:
    """The checkpoints of one gateway."""
    return Checkpoints(database, clock, place)


def proof_of(place: CheckpointLocation) -> Proof:
    """What a file proves."""
    file = place.open()
    return Proof((file.signer.verifier,), file.history())


async def test_a_checkpoint_is_a_signed_note(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, place: CheckpointLocation
) -> None:
    """Its form is that of C2SP: text, blank line, and a signature of Ed25519 after the id of the key."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    await ledger.start()
    await done(ledger, clock, new_record(clock))
    note = checkpoints.write()
    assert note is not None
    assert BODY.fullmatch(note)
    body, _, signature = note.rpartition("\n— jobgate ")
    name, key_id, encoded = str(place.signer().verifier).split("+", 2)
    public = base64.b64decode(encoded)
    assert (name, public[:1]) == ("jobgate", b"\x01")
    assert key_id == hashlib.sha256(b"jobgate\n" + public).hexdigest()[:8]
    signed = base64.b64decode(signature)
    assert signed[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signed[4:], body.encode())
    following = body.split("\n", 3)[3]
    assert body.split("\n")[2] == base64.b64encode(hashlib.sha256(following.encode()).digest()).decode()
    with database.snapshot() as connection:
        assert Checkpoint.parse(body).written == tuple(states_in(connection).values())
    await ledger.close()


async def test_one_is_written_at_the_start_and_at_the_end_and_where_anything_changed(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, place: CheckpointLocation
) -> None:
    """Checkpoints are written at the start, at the end, after changes and once an interval; the file only grows."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    await ledger.start()
    assert len(place.open().history().checkpoints) == 1
    assert checkpoints.write() is None
    await done(ledger, clock, new_record(clock))
    before = place.path.read_bytes()
    await ledger.close()
    assert place.path.read_bytes().startswith(before)
    assert [each.size for each in place.open().history().checkpoints] == [0, 2]
    clock.advance(3_601)
    assert checkpoints.write() is not None


async def test_workers_take_turns(database: Database, clock: FakeClock, place: CheckpointLocation) -> None:
    """Of several processes with the same file, one writes the checkpoint of each interval."""
    workers = [Checkpoints(database, clock, place) for _ in range(4)]
    for each in workers:
        each.begin()
    ledger = SqlLedger(database, clock)
    for hour in range(1, 4):
        clock.advance(3_600)
        for each in workers:
            await done(ledger, clock, new_record(clock))
            each.write_in_turn()
        assert len(place.open().history().checkpoints) == 1 + hour
    await ledger.close()


def test_the_key_is_its_owners_alone(place: CheckpointLocation) -> None:
    """It is made when it is first needed, with mode 0600, and is the same ever after."""
    signer = place.signer()
    key = place.path.with_name("key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert place.signer().verifier == signer.verifier
    assert stat.S_IMODE(place.path.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in repr(signer)
    assert [each.name for each in place.path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("key", ["", "abc", "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    """The message says how to make one, without what was given."""
    with pytest.raises(UnusableKey, match="openssl genpkey -algorithm ed25519") as refused:
        Signer.parse(key)
    assert "MC4CAQ" not in str(refused.value)
    for verifier in (key, "jobgate+00000000+AQ==", "other+1+2"):
        with pytest.raises(UnusableKey):
            Verifier.parse(verifier)


async def test_gateways_on_one_database_write_at_the_same_time(
    database: Database, address: str, clock: FakeClock, place: CheckpointLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoints of gateways that write at the same time are correct and cover all segments."""
    monkeypatch.setattr(chain, "LONGEST_SEGMENT", 7)
    databases = [Database.at(address) for _ in range(3)]
    made = [Checkpoints(each, clock, place) for each in databases]
    ledgers = [SqlLedger(each, clock, None, one) for each, one in zip(databases, made, strict=True)]
    await asyncio.gather(*(each.start() for each in ledgers))

    async def work(number: int) -> None:
        for turn in range(10):
            await done(ledgers[number], clock, new_record(clock, f"key-{number}-{turn}"))
            await asyncio.to_thread(made[number].write)

    await asyncio.gather(*(work(number) for number in range(3)))
    for each in ledgers:
        await each.close()
    proof = proof_of(place)
    assert len(proof.history.checkpoints) >= 10
    assert proof.history.unsigned == 0
    verdict = verify(database, proof=proof, now=clock.now())
    assert (verdict.finding, verdict.events) == (None, 90)
    assert max(each.size for each in proof.history.checkpoints) == 90


async def test_old_segments_are_sealed(database: Database, clock: FakeClock, checkpoints: Checkpoints) -> None:
    """A day after it was opened a segment is part of one hash, so that checkpoints stay short; it is proven still."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    for _ in range(5):
        await done(ledger, clock, new_record(clock))
        clock.advance(86_400)
    await ledger.start()
    (checkpoint,) = checkpoints.place.open().history().checkpoints
    assert (checkpoint.sealed, len(checkpoint.written)) == (4, 1)
    proof = proof_of(checkpoints.place)
    assert verify(database, proof=proof, now=clock.now()).finding is None
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE segments SET length = length - 1 WHERE number = 2"))
        connection.execute(text("DELETE FROM events WHERE id = 4"))
        head = text("UPDATE segments SET head = (SELECT hash FROM events WHERE id = 3) WHERE number = 2")
        connection.execute(head)
        connection.execute(text("UPDATE job_actions SET status = 'in_progress', outcome = NULL, due_at = 1"))
    assert "segments 1 to 4" in str(verify(database, proof=proof, now=clock.now()).finding)
    await ledger.close()


async def test_a_note_that_was_cut_off_does_no_harm(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, place: CheckpointLocation
) -> None:
    """A process that ended while it wrote leaves half a note; those before and after it count."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    await ledger.start()
    whole = place.path.read_text("utf-8")
    for cut in range(1, len(whole) - 1, 7):
        place.path.write_text(whole + whole[:cut], "utf-8")
        assert len(place.open().history().checkpoints) == 1 + (whole[:cut].rstrip("\n") == whole.rstrip("\n"))
        clock.advance(3_601)
        assert checkpoints.write() is not None
        assert len(place.open().history().checkpoints) >= 2
    await ledger.close()


@pytest.mark.parametrize("content", ["", "jobgate/ledger\n", "jobgate/ledger\n1\n\nat x\nsealed a b\n"])
def test_what_is_no_checkpoint_is_none(content: str) -> None:
    """A text that is no checkpoint is refused."""
    with pytest.raises(NoCheckpoint):
        Checkpoint.parse(content)


def cut_back(database: Database) -> None:
    """What an older backup lacks: everything."""
    with database.writing.begin() as connection:
        for table in ("events", "segments", "job_actions", "idempotency_keys"):
            connection.execute(metadata.tables[table].delete())


async def test_a_gateway_does_not_act_on_an_older_ledger(
    database: Database, address: str, clock: FakeClock, place: CheckpointLocation, caplog: pytest.LogCaptureFixture
) -> None:
    """On an older ledger, a gateway only reads and is not ready until an operator accepts it, which is recorded."""
    before = SqlLedger(database, clock, None, Checkpoints(database, clock, place))
    await before.start()
    await done(before, clock, new_record(clock, "key-1"))
    await before.close()
    cut_back(database)
    opened = Database.at(address)
    made = Checkpoints(opened, clock, place)
    ledger = SqlLedger(opened, clock, None, made)
    await ledger.start()
    assert "does not match its newest checkpoint: segment 1: it is missing" in caplog.text
    record = new_record(clock, "key-1")
    for key in (held(record), None):
        with pytest.raises(LedgerOutdated):
            await ledger.claim(record, clock.now() + LEASE, key)
    with pytest.raises(LedgerOutdated):
        await ledger.check()
    assert await ledger.get(record.id, CALLER) is None
    assert made.write() is None
    assert verify(database, proof=proof_of(place), now=clock.now()).finding is not None
    note = made.accept()
    assert note is not None
    assert "\naccepted\n" in note
    await done(ledger, clock, record)
    await ledger.close()
    again = Checkpoints(opened, clock, place)
    again.begin()
    assert again.outdated is None
    assert again.accept() is None
    proof = proof_of(place)
    assert proof.history.accepted == 2
    assert verify(database, proof=proof, now=clock.now()).finding is None
    with database.reading.connect() as connection:
        kinds = connection.execute(text("SELECT kind FROM events")).scalars().all()
    assert kinds.count("restored") == 1
    opened.dispose()


async def test_a_gateway_that_cannot_compare_does_not_start(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger could be an older one, so it is no reason to go on that it cannot be read."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    checkpoints.begin()

    def fail(_connection: object) -> None:
        raise LedgerUnavailable("The disk is gone.")

    monkeypatch.setattr("gateway.ledger.checkpoints.states_in", fail)
    with pytest.raises(LedgerUnavailable):
        await ledger.start()
    await ledger.close()


async def test_a_running_gateway_notices_too(database: Database, clock: FakeClock, checkpoints: Checkpoints) -> None:
    """A ledger that is put back under it is noticed with the next checkpoint, and no such checkpoint is signed."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    await ledger.start()
    await done(ledger, clock, new_record(clock))
    assert checkpoints.write() is not None
    cut_back(database)
    assert checkpoints.write() is None
    record = new_record(clock)
    with pytest.raises(LedgerOutdated):
        await ledger.claim(record, clock.now() + LEASE, None)
    await ledger.close()


async def test_what_is_under_way_is_concluded_on_an_older_ledger(
    database: Database, clock: FakeClock, checkpoints: Checkpoints
) -> None:
    """On an older ledger, new actions are refused, but the outcome of an action under way is still written."""
    ledger = SqlLedger(database, clock, None, checkpoints)
    await ledger.start()
    sent = await begun(ledger, clock, new_record(clock))
    checkpoints.outdated = "segment 9: it is missing"
    ended = await ledger.append(sent, concluded(clock, Outcome.APPLIED), None)
    assert await ledger.get(sent.id, CALLER) == ended
    await ledger.close()


async def test_actions_are_answered_with_a_problem(database: Database, clock: FakeClock, catalogue: Catalogue) -> None:
    """503 `ledger-outdated` for actions, 200 for reads, and not ready; nothing is sent."""
    made = Checkpoints(
        database,
        clock,
        CheckpointLocation(Path("nowhere"), partial(Signer.in_file, Path("nowhere"))),
        outdated="it is missing",
    )
    ledger = SqlLedger(database, clock, None, made)
    vendor = FakeTransport()
    gateway = Gateway(settings(), catalogue, clock=clock, transport=vendor, ledger=ledger)
    answer = await call(gateway.application, "POST", f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/cancel")
    told = answer.json
    assert (answer.status, told["code"], told["outcome"], told["retryable"]) == (
        503,
        "ledger-outdated",
        "not_sent",
        False,
    )
    assert (
        "--accept-restored-ledger"
        in (await call(gateway.application, "GET", "/problems/ledger-outdated")).body.decode()
    )
    assert (await call(gateway.application, "GET", "/v1/job-actions")).status == 200
    ready = await call(gateway.application, "GET", "/readyz")
    assert (ready.status, ready.json) == (503, {"status": "ledger-outdated"})
    assert vendor.requests == []
    await gateway.close()


async def test_a_webhook_is_told_and_delays_nobody(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    """Each checkpoint is sent once; what the webhook does not take, or not in time, is logged without its address."""
    caplog.set_level("INFO")
    checkpoints.begin()
    transport = FakeTransport()
    transport.script.extend([reply(204), reply(500), VendorTimedOut("The vendor did not answer in time.")])
    webhook = Webhook(SecretStr("https://hooks.example/s3cret-part"), transport, clock)
    publisher = Publisher(checkpoints, 3_600, is_logged=True, webhook=webhook)
    for _ in range(3):
        await publisher.publish()
        await publisher.publish()
        checkpoints.write(is_forced=True)
    assert [each.url for each in transport.requests] == ["https://hooks.example/s3cret-part"] * 3
    assert all(BODY.fullmatch(each.content.decode()) for each in transport.requests)
    assert "checkpoint of the ledger: jobgate/ledger | 0 |" in caplog.text
    assert "did not accept a checkpoint: status 500" in caplog.text
    assert "did not accept a checkpoint: vendor-timed-out" in caplog.text
    assert "s3cret-part" not in caplog.text


async def test_a_webhook_is_told_what_others_have_written(
    database: Database, clock: FakeClock, checkpoints: Checkpoints, place: CheckpointLocation
) -> None:
    """The checkpoint of the start or of `--accept-restored-ledger`, which the process that serves has not written."""
    Checkpoints(database, clock, place).begin()
    checkpoints.begin()
    transport = FakeTransport()
    transport.script.append(reply(204))
    publisher = Publisher(checkpoints, 3_600, webhook=Webhook(SecretStr("https://hooks.example/a"), transport, clock))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(publisher.run(), 1)
    assert [each.content.decode() for each in transport.requests] == [place.path.read_text("utf-8").removesuffix("\n")]


def test_the_newest_checkpoint_is_the_last_good_one(
    checkpoints: Checkpoints, clock: FakeClock, place: CheckpointLocation
) -> None:
    """Notes after it that are another key's, forged, or no checkpoints do not count; the first are counted."""
    checkpoints.begin()
    file = place.open()
    known = file.newest()
    assert known is not None
    later = replace(known, at=clock.now() + timedelta(hours=1)).text
    good = file.signer.sign(later)
    foreign = Signer.parse(PEM).sign(later)
    with place.path.open("a", encoding="utf-8") as opened:
        opened.write(f"{foreign}\n{good.replace('sealed 0', 'sealed 1')}\n{file.signer.sign('hello' + chr(10))}\n")
    assert (file.newest(), file.notes_of_others()) == (known, 1)
    file.add(later)
    assert file.newest() == Checkpoint.parse(later)


@pytest.mark.parametrize("kept", ["written out", "file:", "env:"])
def test_the_key_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """As `openssl` writes it, in several lines, wherever it is kept; and none is made beside the ledger."""
    (tmp_path / "key.pem").write_text(f"{PEM}\n", "ascii")
    (tmp_path / "key.pem").chmod(0o600)
    monkeypatch.setenv("SIGNING_KEY", PEM.replace("\n", "\r\n"))
    written = {"written out": PEM, "file:": f"file:{tmp_path / 'key.pem'}", "env:": "env:SIGNING_KEY"}[kept]
    configured = settings(state_folder=tmp_path / "state", checkpoints={"key": written})
    prepare_database(configured)
    made = checkpoints_of(configured, database_of(configured), SystemClock())
    assert made is not None
    file = made.place.open()
    assert file.signer.verifier == Signer.parse(PEM).verifier
    assert file.newest() is not None
    assert not (tmp_path / "state" / "checkpoint.key").exists()


@pytest.mark.parametrize("address", ["http://hooks.example/a", "hooks.example", "https://u:p@hooks.example/a"])
def test_a_webhook_that_others_can_read_is_refused(address: str) -> None:
    """The webhook's address must be https or local, and contain no password."""
    with pytest.raises(ValueError, match="https"):
        Settings.model_validate({"checkpoints": {"webhook": address}})


def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    """A gateway that cannot write its checkpoints does not start."""
    (tmp_path / "file").touch()
    wanted = {"file": tmp_path / "file" / "checkpoints.txt"}
    configured = settings(state_folder=tmp_path)
    configured = configured.model_copy(update={"checkpoints": configured.checkpoints.model_copy(update=wanted)})
    with pytest.raises(
        ConfigurationError, match=r"checkpoints cannot be kept in .*checkpoints.txt: .*checkpoints.file"
    ):
        prepare_database(configured)


def test_the_start_accepts_where_it_is_asked_to(tmp_path: Path, clock: FakeClock) -> None:
    """`serve --accept-restored-ledger` writes the acceptance before anything is served, and nothing else does."""
    configured = settings(state_folder=tmp_path)
    prepare_database(configured)
    database = Database.in_folder(tmp_path)
    KeyStore(database).add(issued(Caller("desk", EVERYTHING), NOW, None, with_access_key=False).key)
    place = CheckpointLocation(tmp_path / "checkpoints.txt", partial(Signer.in_file, tmp_path / "checkpoint.key"))
    prepare_database(configured)
    cut_back(database)
    with database.writing.begin() as connection:
        connection.execute(text("DELETE FROM api_keys"))
    prepare_database(configured)
    accept_ledger(configured, is_asked=False)
    assert place.open().history().accepted == 0
    accept_ledger(configured, is_asked=True)
    assert place.open().history().accepted == 2
    assert Checkpoints(database, clock, place).accept() is None
    database.dispose()


def run(folder: Path, *command: str) -> Any:
    """`jobgate audit …` on the ledger in a folder."""
    return CliRunner().invoke(application, ["audit", *command], env={"JOBGATE_STATE_FOLDER": str(folder)})


async def test_the_command_line_writes_and_compares(tmp_path: Path, clock: FakeClock) -> None:
    """`audit checkpoint` prints what it adds; `verify` compares with a copy from elsewhere, by a key from elsewhere."""
    database = Database.in_folder(tmp_path)
    database.migrate()
    ledger = SqlLedger(database, clock)
    await done(ledger, clock, new_record(clock))
    await ledger.close()
    said = run(tmp_path, "verify")
    assert (said.exit_code, said.stdout) == (0, "whole: 2 events in 1 segment\n")
    assert "no checkpoint to compare with" in said.stderr
    said = run(tmp_path, "checkpoint")
    assert (said.exit_code, said.stdout) == (0, (tmp_path / "checkpoints.txt").read_text("utf-8").removesuffix("\n"))
    key = run(tmp_path, "key").stdout.strip()
    said = run(tmp_path, "verify")
    assert said.stdout.startswith("whole: 2 events in 1 segment\nmatches 1 checkpoint, the newest of ")
    copy = tmp_path / "copy.txt"
    (tmp_path / "checkpoints.txt").rename(copy)
    assert "matches 1 checkpoint" in run(tmp_path, "verify", "--checkpoint", str(copy), "--key", key).stdout
    assert "matches 1 checkpoint" in run(tmp_path, "verify", "--checkpoint", str(copy)).stdout
    other = str(Signer.in_file(tmp_path / "another").verifier)
    said = run(tmp_path, "verify", "--checkpoint", str(copy), "--key", other)
    assert said.exit_code == 1
    assert "contains no checkpoint signed by a known key" in said.stderr
    cut_back(database)
    said = run(tmp_path, "verify", "--checkpoint", str(copy))
    assert said.exit_code == 2
    assert said.stdout.startswith("broken: not as the checkpoint of ")
    database.dispose()


LATER_TABLES = (
    "labels",
    "tasks",
    "batches",
    "batch_terms",
    "batch_items",
    "running_batches",
    "approvals",
    "schedules",
    "occurrences",
)
"""The tables that came after version 0004."""


def test_keys_from_before_are_taken_over(address: str) -> None:
    """API keys, and segments that retention had deleted, of a ledger of version 0003 are whole after the upgrade."""
    database = Database.at(address)
    key = issued(Caller("desk", EVERYTHING), NOW, timedelta(days=3), with_access_key=True).key
    KeyStore(database).add(key)
    with database.writing.begin() as connection:
        for line in (
            "DELETE FROM events",
            "UPDATE segments SET deleted_at = 1",
            "ALTER TABLE segments DROP COLUMN deletion",
            "DROP TABLE probes",
            *(f"DROP TABLE {name}" for name in LATER_TABLES),
            "ALTER TABLE api_keys DROP COLUMN owner",
            "UPDATE alembic_version SET version_num = '0003'",
        ):
            connection.execute(text(line))
    database.migrate()
    assert verify(database).finding is None
    assert KeyStore(database).all() == (key,)
    with database.writing.begin() as connection:
        connection.execute(text("UPDATE api_keys SET scopes = 'jobs:read'"))
    assert "not as `jobgate keys` stored it" in str(verify(database).finding)
    database.dispose()
