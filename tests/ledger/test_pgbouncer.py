"""The ledger behind PgBouncer in transaction mode, where nothing of a session outlives its transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.model import Outcome
from gateway.domain.record import Selection
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.ledger import SqlLedger
from gateway.security.keys import issued
from tests.ledger.fixtures import CALLER, check_chain, done, new_record
from tests.support.clock import NOW, FakeClock
from tests.support.databases import PostgreSQL
from tests.support.pgbouncer import pgbouncer

GATEWAYS = 3
ROUNDS = 12
"""More than the number of executions after which psycopg prepares a statement."""


@pytest.fixture(scope="module")
def pooled(postgresql: PostgreSQL) -> Iterator[str]:
    """The address of an empty database through PgBouncer."""
    with pgbouncer(postgresql.new(migrated=False)) as address:
        yield address


@pytest.fixture(params=["", "?prepare_threshold=0", "?prepare_threshold=none"], ids=["plain", "zero", "none"])
def address(pooled: str, request: pytest.FixtureRequest) -> str:
    """The address as somebody may write it."""
    return f"{pooled}{request.param}"


def test_prepared_statements_collide_behind_it(pooled: str) -> None:
    """Behind PgBouncer, prepared statements fail, because the next transaction uses another server process."""
    with (
        psycopg.connect(pooled, prepare_threshold=0) as first,
        psycopg.connect(pooled, prepare_threshold=0) as second,
        pytest.raises(psycopg.errors.DuplicatePreparedStatement, match="already exists"),
    ):
        use_in_turn(first, second)


def use_in_turn(*connections: psycopg.Connection) -> None:
    """Execute the same statement through each of them, in transactions of its own."""
    for _ in range(ROUNDS):
        for each in connections:
            each.execute("SELECT 1")
            each.commit()


async def test_gateways_work_behind_it(address: str, clock: FakeClock) -> None:
    """Several gateways at once: tables made, actions claimed, concluded and read, keys held, old segments deleted."""
    databases = [Database.at(address) for _ in range(GATEWAYS)]
    ledgers = [SqlLedger(each, clock, timedelta(days=30)) for each in databases]
    await asyncio.gather(*(each.start() for each in ledgers))

    async def work(ledger: SqlLedger, name: str) -> None:
        for number in range(ROUNDS):
            record = new_record(clock, f"key-{name}-{number}" if number % 2 else None)
            outcome = Outcome.UNKNOWN if number == 3 else Outcome.APPLIED
            assert await done(ledger, clock, record, outcome) == await ledger.get(record.id, CALLER)
            assert (await ledger.page(Selection(caller=CALLER), 5, None)).items

    await asyncio.gather(*(work(each, f"{clock.new_id(NOW)}") for each in ledgers))
    due = clock.now() + timedelta(hours=1)
    assert len(await ledgers[0].take_due(due, due + timedelta(minutes=1), 100)) == GATEWAYS
    await asyncio.gather(*(each.tidy(clock.now()) for each in ledgers))
    check_chain(databases[0])
    assert audit.verify(databases[0]).finding is None
    assert len(list(audit.export(databases[0]))) >= GATEWAYS * ROUNDS * 2
    for each in ledgers:
        await each.close()
    with databases[0].writing.begin() as connection:
        connection.execute(text("TRUNCATE events, segments, job_actions, idempotency_keys"))
    databases[0].dispose()


async def test_keys_are_kept_behind_it(address: str, clock: FakeClock) -> None:
    """API keys are made, read, noted and revoked through it."""
    store = KeyStore(Database.at(address))
    store.database.migrate()
    ledger = SqlLedger(store.database, clock)
    for _ in range(ROUNDS):
        key = issued(Caller("desk", EVERYTHING), NOW, None, with_access_key=True).key
        store.add(key)
        await ledger.note_used({key.id: NOW})
        store.revoke(key.id, NOW)
        assert next(each for each in store.all() if each.id == key.id).revoked_at == NOW
    await ledger.close()


@pytest.mark.parametrize("kind", ["direct", "pooled"])
def test_statements_are_prepared_where_that_is_good(kind: str, pooled: str, postgresql: PostgreSQL) -> None:
    """A pooler is noticed by itself; without one, statements are prepared as ever, which is faster."""
    database = Database.at(pooled if kind == "pooled" else postgresql.emptied())
    with database.writing.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, psycopg.Connection)
        assert driver.prepare_threshold == (None if kind == "pooled" else 5)
    database.dispose()
