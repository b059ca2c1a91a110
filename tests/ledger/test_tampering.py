"""Any tampering with the database is shown by a checkpoint that is kept elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Table, delete, insert, select, text, update

from gateway.domain.access import Caller
from gateway.domain.model import Outcome
from gateway.domain.record import HeldKey
from gateway.ledger import audit
from gateway.ledger.audit import Proof, verify
from gateway.ledger.chain import genesis
from gateway.ledger.checkpointing import CheckpointLocation, Checkpoints
from gateway.ledger.checkpoints import CheckpointFile, History, SegmentState, deletion_of
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.notes import Signer
from gateway.ledger.tables import events, idempotency_keys, job_actions, metadata, segments
from gateway.security.keys import issued
from tests.ledger.fixtures import CALLER, LEASE, done, held, new_record
from tests.support.clock import FakeClock

START = datetime.fromtimestamp(0, UTC)
TABLES: tuple[Table, ...] = (events, segments, job_actions, idempotency_keys)


@dataclass
class Scene:
    """A ledger with checkpoints, and what an earlier backup of it holds."""

    database: Database
    clock: FakeClock
    checkpoints: Checkpoints
    ledger: SqlLedger
    backup: dict[Table, list[dict[str, Any]]]

    @property
    def proof(self) -> Proof:
        """What is known from outside."""
        file = CheckpointFile(self.checkpoints.place.path, self.checkpoints.place.signer())
        return Proof((file.signer.verifier,), file.history())

    def verdict(self, proof: Proof) -> audit.AuditResult:
        """What an audit finds."""
        return verify(self.database, proof=proof, now=self.clock.now())


def checkpoints_in(database: Database, clock: FakeClock, folder: Path) -> Checkpoints:
    """Checkpoints in a folder."""
    return Checkpoints(
        database, clock, CheckpointLocation(folder / "checkpoints.txt", lambda: Signer.in_file(folder / "key"))
    )


@pytest.fixture
async def scene(database: Database, clock: FakeClock, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Three segments of two gateways and of `jobgate keys`, one of them deleted by retention; then a checkpoint."""
    folder = tmp_path_factory.mktemp("outside")
    checkpoints = checkpoints_in(database, clock, folder)
    old = SqlLedger(database, clock, timedelta(days=30), checkpoints)
    await old.start()
    await done(old, clock, new_record(clock))
    clock.advance(40 * 86_400)
    KeyStore(database).add(issued(Caller("desk", frozenset({"*"})), clock.now(), None, with_access_key=False).key)
    await old.tidy(clock.now())
    for number in range(3):
        clock.advance(1)
        await done(old, clock, new_record(clock, f"key-{number}"))
    backup = kept(database)
    other = SqlLedger(database, clock)
    for number in range(3, 6):
        clock.advance(1)
        await done(other, clock, new_record(clock, f"key-{number}", job_id=f"job-{number}"))
    await done(other, clock, new_record(clock, "refused"), Outcome.REJECTED)
    assert checkpoints.write() is not None
    for number in range(6, 8):
        clock.advance(1)
        await done(old, clock, new_record(clock, f"key-{number}"))
    return Scene(database, clock, checkpoints, old, backup)


def kept(database: Database) -> dict[Table, list[dict[str, Any]]]:
    """All that is in the tables, as a backup has it."""
    with database.reading.connect() as connection:
        return {table: [dict(row) for row in connection.execute(select(table)).mappings()] for table in TABLES}


def put_back(connection: Connection, rows: dict[Table, list[dict[str, Any]]]) -> None:
    """Have in the tables what a backup holds, and nothing else."""
    for table in TABLES:
        connection.execute(delete(table))
        if rows[table]:
            connection.execute(insert(table), rows[table])


def statements(*lines: str) -> Callable[[Connection], None]:
    """Statements of somebody who holds the database."""

    def run(connection: Connection) -> None:
        for line in lines:
            connection.execute(text(line))

    return run


def of_segment(connection: Connection, number: int) -> list[Any]:
    """The events of a segment."""
    return list(connection.execute(select(events).where(events.c.segment == number).order_by(events.c.id)))


def recompute(connection: Connection) -> None:
    """Compute every hash, length and head anew, as anybody can: what is left looks whole."""
    for segment in connection.execute(select(segments).where(segments.c.deleted_at.is_(None))).all():
        head, rows = genesis(segment.number), of_segment(connection, segment.number)
        for row in rows:
            told = f"{row.job_action_id} {row.sequence} {row.kind} {row.content}".encode()
            head = hashlib.sha256(head + told).digest()
            connection.execute(update(events).where(events.c.id == row.id).values(hash=head))
        mine = update(segments).where(segments.c.number == segment.number)
        connection.execute(mine.values(length=len(rows), head=head))


def without(connection: Connection, job_action_id: str) -> None:
    """Remove every trace of a job action."""
    connection.execute(delete(events).where(events.c.job_action_id == job_action_id))
    connection.execute(delete(job_actions).where(job_actions.c.id == job_action_id))
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.job_action_id == job_action_id))


def newest(connection: Connection) -> int:
    """The number of the newest segment."""
    found: int = connection.execute(select(segments.c.number).order_by(segments.c.number.desc()).limit(1)).scalar_one()
    return found


def remove_segment(connection: Connection, number: int) -> None:
    """Remove a segment with all that began in it."""
    for each in {row.job_action_id for row in of_segment(connection, number)}:
        without(connection, each)
    connection.execute(delete(segments).where(segments.c.number == number))


def remove_newest(connection: Connection) -> None:
    """Remove the newest segment."""
    remove_segment(connection, newest(connection))


def remove_first(connection: Connection) -> None:
    """Remove the first segment, and give the others its numbers."""
    remove_segment(connection, 1)
    for row in connection.execute(select(segments).order_by(segments.c.number)).all():
        connection.execute(update(events).where(events.c.segment == row.number).values(segment=row.number - 1))
        connection.execute(update(segments).where(segments.c.number == row.number).values(number=row.number - 1))
    recompute(connection)


def truncate(connection: Connection) -> None:
    """Remove the last job action of the newest segment, and hide it."""
    without(connection, of_segment(connection, newest(connection))[-1].job_action_id)
    recompute(connection)


def edit(connection: Connection) -> None:
    """Change who asked, everywhere, and hide it."""
    connection.execute(text("UPDATE events SET content = replace(content, 'somebody', 'somebodx')"))
    connection.execute(text("UPDATE job_actions SET caller = 'somebodx'"))
    connection.execute(text("UPDATE idempotency_keys SET caller = 'somebodx'"))
    recompute(connection)


def insert_hidden(connection: Connection) -> None:
    """Add a reading that there was none of into the middle of the newest segment, and hide it."""
    rows = of_segment(connection, newest(connection))
    end = rows[2]
    connection.execute(update(events).where(events.c.id == end.id).values(sequence=3))
    shifted = [dict(row._mapping) for row in of_segment(connection, end.segment)]
    content = '{"at":"2026-01-05T10:00:00Z"}'
    new = {**shifted[0], "job_action_id": end.job_action_id, "sequence": 2, "kind": "read", "content": content}
    ordered = [*shifted[:2], new, *shifted[2:]]
    connection.execute(delete(events).where(events.c.segment == end.segment))
    connection.execute(insert(events), [{**row, "id": 10_000 + at} for at, row in enumerate(ordered)])
    recompute(connection)


def mark_as_deleted(connection: Connection, *, with_words: bool = False) -> None:
    """Delete a segment as retention does, with what is said of it."""
    number = newest(connection)
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    for each in {event.job_action_id for event in of_segment(connection, number)}:
        without(connection, each)
    said = deletion_of(SegmentState(number, row.length, bytes(row.head)), START) if with_words else None
    mine = update(segments).where(segments.c.number == number)
    connection.execute(mine.values(deleted_at=row.written_at, deletion=said))


def mark_with_a_statement(connection: Connection) -> None:
    """As before, with a statement that a key of one's own has signed."""
    mark_as_deleted(connection)
    number = newest(connection)
    row = connection.execute(select(segments).where(segments.c.number == number)).one()
    said = deletion_of(SegmentState(number, row.length, bytes(row.head)), START)
    forged = Signer(Ed25519PrivateKey.generate()).sign(said)
    connection.execute(update(segments).where(segments.c.number == number).values(deletion=forged))


def point_elsewhere(connection: Connection) -> None:
    """Have one key stand for the job action of another."""
    one, other = connection.execute(select(idempotency_keys).order_by(idempotency_keys.c.key).limit(2)).all()
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.key == other.key))
    mine = update(idempotency_keys).where(idempotency_keys.c.key == one.key)
    connection.execute(mine.values(job_action_id=other.job_action_id))


def exchange(connection: Connection) -> None:
    """Exchange the contents of two events."""
    rows = [row for row in of_segment(connection, newest(connection)) if row.kind == "claimed"][:2]
    for mine, other in (rows, reversed(rows)):
        connection.execute(update(events).where(events.c.id == mine.id).values(content=other.content))


def insert_row(connection: Connection) -> None:
    """Add an event, with a hash that was made up."""
    row = dict(of_segment(connection, newest(connection))[-1]._mapping)
    changes = {"id": 9_000, "sequence": row["sequence"] + 1, "hash": bytes(32)}
    connection.execute(insert(events), {**row, **changes})


def insert_search_row(connection: Connection) -> None:
    """Add a row by which a job action is found that there never was."""
    row = dict(connection.execute(select(job_actions).limit(1)).mappings().one())
    connection.execute(insert(job_actions), {**row, "id": "00000000-0000-7000-8000-000000000000"})


def delete_everything(connection: Connection) -> None:
    """Empty every table."""
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


class Way(NamedTuple):
    """A way to tamper, and what the audit says of it."""

    tamper: Callable[[Connection], object]
    told: str


LINK = "is not the one that was written"
CHECKPOINT = "as the checkpoint of"
BY_ITSELF = {
    "rows deleted at the end": Way(
        statements("DELETE FROM events WHERE id = (SELECT max(id) FROM events)"), "missing at its end"
    ),
    "rows deleted in the middle": Way(
        statements("DELETE FROM events WHERE id = (SELECT max(id) FROM events) - 4"), LINK
    ),
    "rows edited": Way(
        statements(
            "UPDATE events SET content = replace(content, 'somebody', 'nobody') "
            "WHERE id = (SELECT max(id) FROM events) - 2"
        ),
        LINK,
    ),
    "rows exchanged": Way(exchange, LINK),
    "rows inserted": Way(insert_row, LINK),
    "rows reordered": Way(
        statements("UPDATE events SET id = id + 1000 WHERE id = (SELECT max(id) FROM events) - 3"), LINK
    ),
    "segment marked as deleted by retention": Way(mark_as_deleted, "which has made no statement of it"),
    "search rows altered": Way(
        statements("UPDATE job_actions SET job_id = 'job-9' WHERE job_id = 'job-4'"), "another job_id than its events"
    ),
    "search rows put off": Way(
        statements("UPDATE job_actions SET due_at = 9 WHERE job_id = 'job-4'"), "another due_at than its events"
    ),
    "search rows deleted": Way(
        statements("DELETE FROM job_actions WHERE job_id = 'job-4'"), "its search row is missing"
    ),
    "search rows inserted": Way(insert_search_row, "it has no request"),
    "keys deleted": Way(
        statements("DELETE FROM idempotency_keys WHERE key = 'key-4'"), "its idempotency key is missing"
    ),
    "keys ended": Way(
        statements("UPDATE idempotency_keys SET expires_at = 1 WHERE key = 'key-4'"), "another fingerprint or expiry"
    ),
    "keys re-pointed": Way(point_elsewhere, "idempotency key"),
    "keys renamed": Way(
        statements("UPDATE idempotency_keys SET key = 'another' WHERE key = 'key-4'"), "that is not its own"
    ),
    "API keys given other scopes": Way(
        statements("UPDATE api_keys SET scopes = 'jobs:read'"), "not as `jobgate keys` stored it"
    ),
    "API keys deleted": Way(statements("DELETE FROM api_keys"), "it is missing"),
    "API keys made": Way(statements("UPDATE api_keys SET id = '0123456789ab'"), "`jobgate keys` did not create it"),
}
"""Ways to tamper that the audit finds without a checkpoint."""
BY_CHECKPOINT = {
    "truncated, hashes recomputed": Way(truncate, CHECKPOINT),
    "edited, hashes recomputed": Way(edit, CHECKPOINT),
    "inserted, hashes recomputed": Way(insert_hidden, CHECKPOINT),
    "first segment deleted": Way(remove_first, CHECKPOINT),
    "newest segment deleted": Way(remove_newest, CHECKPOINT),
    "segment marked as deleted, with words": Way(
        partial(mark_as_deleted, with_words=True), "not signed by a known key"
    ),
    "segment marked as deleted, with a signature": Way(mark_with_a_statement, "not signed by a known key"),
    "everything deleted": Way(delete_everything, CHECKPOINT),
}
"""Ways to tamper that only a checkpoint shows."""
WAYS = BY_ITSELF | BY_CHECKPOINT
"""All ways to tamper; an older backup has a test of its own."""


async def test_a_ledger_that_nobody_touched_is_as_its_checkpoints_say(scene: Scene) -> None:
    """An untouched ledger matches its checkpoints, also after later writes and after retention."""
    assert scene.proof.history.checkpoints
    for proof in (Proof(), scene.proof):
        assert scene.verdict(proof).finding is None
    assert scene.verdict(scene.proof).deleted == 1


async def test_signatures_belong_to_the_chain_too(scene: Scene) -> None:
    """A signed request is held by its signature, also one that came with an earlier key; a lost one is noticed."""

    def signed(name: str) -> HeldKey:
        return HeldKey(CALLER, f"signature\t{name}", b"1" * 32, scene.clock.now() + timedelta(minutes=5))

    alone = new_record(scene.clock, signature="signature\tone")
    keyed = new_record(scene.clock, "key-9", signature="signature\ttwo")
    assert await scene.ledger.claim(alone, scene.clock.now() + LEASE, None, signed("one")) is None
    assert await scene.ledger.claim(keyed, scene.clock.now() + LEASE, held(keyed), signed("two")) is None
    again = new_record(scene.clock, "key-9", signature="signature\tthree")
    assert await scene.ledger.claim(again, scene.clock.now() + LEASE, held(again), signed("three")) is not None
    assert scene.verdict(scene.proof).finding is None
    with scene.database.writing.begin() as connection:
        connection.execute(delete(idempotency_keys).where(idempotency_keys.c.key == "signature\tone"))
    assert "its signature is missing" in str(scene.verdict(Proof()).finding)


@pytest.mark.sampled(0.5, kind=lambda name: name)
@pytest.mark.parametrize("name", WAYS)
async def test_every_way_to_tamper_is_noticed(scene: Scene, name: str) -> None:
    """With a checkpoint the audit names every way to tamper, without one those that the chain itself shows."""
    assert scene.checkpoints.write() is not None
    with scene.database.writing.begin() as connection:
        WAYS[name].tamper(connection)
    broken = scene.verdict(scene.proof).finding
    assert broken is not None
    assert WAYS[name].told in str(broken)
    assert (scene.verdict(Proof()).finding is not None) is (name in BY_ITSELF)


async def test_an_older_backup_is_noticed(scene: Scene) -> None:
    """A ledger that was put back is whole in itself, and shorter than its newest checkpoint says."""
    with scene.database.writing.begin() as connection:
        put_back(connection, scene.backup)
    assert scene.verdict(Proof()).finding is None
    broken = scene.verdict(scene.proof).finding
    assert broken is not None
    assert "as the checkpoint of" in str(broken)


async def test_whoever_holds_the_database_cannot_sign(scene: Scene) -> None:
    """A file whose notes another key has signed, or that somebody has edited, proves nothing."""
    path = scene.checkpoints.place.path
    content = path.read_text("utf-8")
    key = scene.checkpoints.place.signer().verifier
    assert History.read(content, [key]).unsigned == 0
    changed = History.read(content.replace("\nat 20", "\nat 19"), [key])
    assert changed.checkpoints == ()
    assert changed.unsigned > 0
