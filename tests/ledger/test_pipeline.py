"""PostgreSQL gets the statements of a batch without a wait between them; their errors are those of any statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError, IntegrityError

from gateway.ledger.database import Database, is_passing
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.operations import pipelined
from tests.ledger.fixtures import check_chain, done, new_record
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL


@pytest.fixture
def database(postgresql: PostgreSQL) -> Iterator[Database]:
    """A ledger in PostgreSQL."""
    made = Database.at(postgresql.emptied())
    yield made
    made.dispose()


async def test_rows_are_pipelined(database: Database, clock: FakeClock) -> None:
    """All statements that write rows are in a pipeline; those with results are not."""
    seen: set[tuple[str, bool]] = set()

    def note(connection: Any, _: Any, statement: str, *__: Any) -> None:
        is_on = connection.connection.driver_connection.info.pipeline_status is not psycopg.pq.PipelineStatus.OFF
        seen.add((" ".join(statement.split()[:3]), is_on))

    event.listen(database.writing, "before_cursor_execute", note)
    ledger = SqlLedger(database, clock)
    await done(ledger, clock, new_record(clock, "key"))
    await ledger.close()
    rows = {"INSERT INTO job_actions", "INSERT INTO events", "UPDATE segments SET", "UPDATE job_actions SET"}
    assert {each for each, is_on in seen if is_on} == rows
    assert {each for each, is_on in seen if not is_on} >= {"INSERT INTO segments", "INSERT INTO idempotency_keys"}
    check_chain(database)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO probes (id, at) VALUES (1, 1)", IntegrityError),
        ("INSERT INTO probes (id, at) VALUES (99999999999999, 1)", DataError),
    ],
)
def test_errors_in_it(database: Database, statement: str, kind: type[Exception]) -> None:
    """An error of one statement is raised as its kind, though others followed, and nothing is written."""
    with database.writing.begin() as connection:
        connection.execute(text("INSERT INTO probes (id, at) VALUES (1, 1)"))

    def write() -> None:
        with database.writing.begin() as connection, pipelined(connection):
            connection.exec_driver_sql(statement)
            connection.exec_driver_sql("UPDATE probes SET at = 2")

    with pytest.raises(kind) as raised:
        write()
    assert not is_passing(raised.value)
    with database.reading.connect() as connection:
        assert connection.execute(text("SELECT id, at FROM probes")).all() == [(1, 1)]


def test_what_passes_is_known(database: Database) -> None:
    """A deadlock or serialization failure in it is known as one that only needs a repetition."""
    failing = "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"
    with (
        pytest.raises(Exception, match="again") as raised,
        database.writing.begin() as connection,
        pipelined(connection),
    ):
        connection.exec_driver_sql(failing)
    assert is_passing(raised.value)
