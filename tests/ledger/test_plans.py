"""However many records there are, the database finds those of a page by an index, and looks at few others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, insert

from gateway.domain.batches import JobReference
from gateway.domain.leases import TaskKind
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionRecord, JobActionStatus, Selection
from gateway.domain.times import first_id_at, milliseconds
from gateway.ledger.agenda import KINDS as KINDS_OF_WORK
from gateway.ledger.agenda import RECORD, next_due
from gateway.ledger.batches import first_places, held_jobs
from gateway.ledger.database import Database
from gateway.ledger.events import written
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.queries import MOST_LOOKED_AT
from gateway.ledger.tables import events, job_actions, labels, tasks
from tests.ledger.fixtures import CALLER, new_record
from tests.support.clock import NOW, FakeClock
from tests.support.databases import KINDS, PostgreSQL, Spy, Statement, sqlite_address

MANY = 10_000
FORMER = MANY // 5
"""So many of the oldest records are of what there is no more: statistics do not show that they are old."""
DUE = 40
TASKS = 1_000
"""Of each kind."""
SECOND = timedelta(seconds=1)
FILLED = ("job_actions", "events", "labels", "tasks")
"""The tables with rows."""
EARLY, LATE = NOW + MANY // 4 * SECOND, NOW + MANY // 2 * SECOND


def rows() -> Iterator[dict[str, Any]]:
    """Rows of job actions, a second after each other."""
    for number in range(MANY):
        failed = number < FORMER or number % 100 == 0
        yield {
            "id": first_id_at(milliseconds(NOW + number * SECOND)),
            "caller": "former" if number < FORMER else "rare" if number % 2_500 == 1 else CALLER,
            "connection": "former" if number < FORMER else f"connection-{number % 3}",
            "job_id": "former" if number < FORMER else "hot" if number % 50 == 0 else f"job-{number // 2}",
            "action": "close" if number < FORMER else "cancel",
            "status": "failed" if failed else "succeeded",
            "outcome": "rejected" if failed else "applied",
            "due_at": milliseconds(NOW) + number if number % (MANY // DUE) == 0 else None,
        }


def labels_of(number: int, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The labels of a row: one that nearly all have, and a rare one."""
    if number >= FORMER:
        yield {"name": "team", "value": "night", "job_action_id": row["id"]}
    if number % 500 == 1:
        yield {"name": "incident", "value": "INC-43", "job_action_id": row["id"]}


def tasks_of(kind: TaskKind) -> Iterator[dict[str, Any]]:
    """Tasks of a kind, a second after each other."""
    for number in range(TASKS):
        yield {"kind": kind, "key": f"{kind}-{number}", "due_at": milliseconds(NOW + number * SECOND), "fence": 0}


def fill(database: Database) -> None:
    """Put records and tasks into a database, and let it take its statistics."""
    kind, content = written(new_record(FakeClock()).requested)
    same = {"segment": 1, "sequence": 0, "kind": kind, "content": content, "hash": bytes(32)}
    with database.writing.begin() as connection:
        made = [*rows()]
        connection.execute(insert(job_actions), made)
        connection.execute(
            insert(labels), [label for number, row in enumerate(made) for label in labels_of(number, row)]
        )
        connection.execute(insert(events), [{"job_action_id": row["id"], **same} for row in made])
        connection.execute(insert(tasks), [*chain.from_iterable(map(tasks_of, TaskKind))])
    with database.writing.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


@pytest.fixture(scope="module", params=KINDS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind with many records."""
    if request.param == "sqlite":
        address = sqlite_address(tmp_path_factory.mktemp("filled"))
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        address = server.new()
    database = Database.at(address)
    fill(database)
    yield database
    database.dispose()


def check_plan(database: Database, statement: Statement) -> str:
    """A statement is carried out by indexes alone, and without looking at more records than a page may.

    Returns its plan.
    """
    check = check_sqlite if database.url.get_backend_name() == "sqlite" else check_postgresql
    with database.writing.connect() as connection:
        plan = check(connection, statement)
        connection.rollback()
    return plan


def check_sqlite(connection: Connection, statement: Statement) -> str:
    """No table is read from end to end, and nothing is sorted but what a limit has left over."""
    text, parameters = statement
    steps = [row[1:] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
    shown = "\n".join(detail for *_, detail in steps)
    tables = [detail for *_, detail in steps if any(name in detail for name in FILLED)]
    assert tables, shown
    assert all("SEARCH" in detail and ("INDEX" in detail or "PRIMARY KEY" in detail) for detail in tables), shown
    sorts = [parent for parent, _, detail in steps if "TEMP B-TREE" in detail]
    assert all(parent == 0 for parent in sorts), shown
    assert not sorts or any("CO-ROUTINE" in detail or "MATERIALIZE" in detail for *_, detail in steps), shown
    return shown


def check_postgresql(connection: Connection, statement: Statement) -> str:
    """No table is read from end to end, and no more records are looked at, or sorted, than about a page may look at.

    Where an index has a few more than that, the planner may rather take them all and sort them.
    """
    text, parameters = statement
    explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", parameters).scalar_one()
    plan = explained[0]["Plan"]
    nodes = list(nodes_of(plan))
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}, explained
    scans = [node for node in nodes if "Scan" in node["Node Type"] and "Relation Name" in node]
    assert scans, explained
    for node in scans:
        looked_at = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert looked_at <= 2 * MOST_LOOKED_AT, explained
    return str(explained)


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step of a plan, and all below it."""
    yield plan
    yield from chain.from_iterable(map(nodes_of, plan.get("Plans", ())))


SELECTIONS = {
    "caller": Selection(CALLER),
    "another caller": Selection("rare"),
    "former caller": Selection("former"),
    "job": Selection(CALLER, job_id="job-3500"),
    "hot job": Selection(CALLER, job_id="hot"),
    "former job": Selection("former", job_id="former"),
    "no job": Selection(CALLER, job_id="nothing"),
    "connection": Selection(CALLER, connection="connection-1"),
    "former connection": Selection(CALLER, connection="former"),
    "no connection": Selection(CALLER, connection="nowhere"),
    "action": Selection(CALLER, action="cancel"),
    "former action": Selection(CALLER, action="close"),
    "status": Selection(CALLER, status=JobActionStatus.SUCCEEDED),
    "rare status": Selection(CALLER, status=JobActionStatus.FAILED),
    "no status": Selection(CALLER, status=JobActionStatus.UNSETTLED),
    "outcome": Selection(CALLER, outcome=Outcome.APPLIED),
    "rare outcome": Selection(CALLER, outcome=Outcome.REJECTED),
    "no outcome": Selection(CALLER, outcome=Outcome.UNKNOWN),
    "label": Selection(label=("team", "night")),
    "rare label": Selection(CALLER, label=("incident", "INC-43")),
    "no label": Selection(CALLER, label=("incident", "INC-44")),
    "label and others": Selection(CALLER, "connection-1", action="cancel", label=("team", "night")),
    "everything": Selection(
        CALLER, "connection-1", "hot", "cancel", JobActionStatus.SUCCEEDED, Outcome.APPLIED, EARLY, LATE
    ),
}


PLACES = {
    "the newest": (None, None, None),
    "a later page": (None, None, first_id_at(milliseconds(LATE))),
    "since": (EARLY, None, None),
    "until": (None, LATE, None),
    "between": (EARLY, LATE, first_id_at(milliseconds(LATE - SECOND))),
}
"""Where a page lies: `since`, `until`, and the id before which it begins."""


@pytest.mark.sampled(0.3, kind=lambda name: name)
@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("name", list(SELECTIONS))
async def test_each_filter_uses_an_index(name: str, place: str, filled: Database) -> None:
    """Every page, whatever it asks for and wherever it begins, is found without reading or sorting a whole table."""
    since, until, before = PLACES[place]
    ledger = SqlLedger(filled, FakeClock())
    with Spy(filled) as statements:
        await ledger.page(replace(SELECTIONS[name], since=since, until=until), 50, before)
    assert statements
    for statement in statements:
        check_plan(filled, statement)


async def test_a_record_is_found_by_its_id(filled: Database) -> None:
    """One record is read by an index."""
    with Spy(filled) as statements:
        found = await SqlLedger(filled, FakeClock()).get(first_id_at(milliseconds(LATE)), CALLER)
    assert isinstance(found, JobActionRecord)
    for statement in statements:
        check_plan(filled, statement)


async def test_what_is_due_is_found_by_its_time(filled: Database) -> None:
    """What is due is found by an index, whether anything is or not."""
    ledger = SqlLedger(filled, FakeClock())
    with Spy(filled) as statements:
        assert await ledger.take_due(NOW - SECOND, NOW, 10) == ()
        assert await ledger.take_due(NOW, NOW + timedelta(days=1), 1) != ()
    await ledger._writer.close()
    for statement in statements:
        check_plan(filled, statement)


async def test_what_is_due_next_is_found_by_its_time(filled: Database) -> None:
    """The look of an idle gateway reads the first entry of an index for each kind of work."""
    with Spy(filled) as statements:
        found = dict(await SqlLedger(filled, FakeClock()).read(next_due))
    assert found.keys() == set(KINDS_OF_WORK)
    ((text, parameters),) = statements
    values = iter(parameters)
    parts = text.split(" UNION ALL ")
    assert len(parts) == len(KINDS_OF_WORK)
    for kind, part in zip(KINDS_OF_WORK, parts, strict=True):
        statement = (part, tuple(islice(values, len(re.findall(r"\?|%s", part)))))
        assert ("job_actions_due" if kind == RECORD else "tasks_due") in check_plan(filled, statement)


@pytest.mark.parametrize("find", [first_places, held_jobs])
def test_jobs_of_a_batch_are_found_by_an_index(find: Callable[..., object], tmp_path: Path) -> None:
    """A page of jobs is looked up by their index in SQLite, so that its cost does not grow with the batch."""
    database = Database.at(sqlite_address(tmp_path))
    database.migrate()
    jobs = [JobReference(f"connection-{each % 2}", f"job-{each}") for each in range(500)]
    with Spy(database) as statements, database.reading.connect() as connection:
        find(connection, first_id_at(0), jobs)
    assert len(statements) == 2
    with database.reading.connect() as connection:
        for text, parameters in statements:
            steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
            assert any("batch_items_job (connection=? AND job_id=?" in each for each in steps), steps
    database.dispose()


def test_a_bad_plan_would_be_found(filled: Database) -> None:
    """The check of the tests above sees a table that is read from end to end, and a sort."""
    for bad in (
        "SELECT id FROM job_actions WHERE due_at IS NULL",
        "SELECT id FROM job_actions ORDER BY due_at, job_id",
    ):
        with pytest.raises(AssertionError):
            check_plan(filled, (bad, {}))
