"""Ledgers that grow: what they are filled with, what is asked of them, and what is measured."""

from __future__ import annotations

import gc
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import pytest

from bench.growth.filling import AT_ONCE, YEAR, Year, fill
from bench.growth.measuring import CLIENTS, Extent, measure, settled_in
from bench.growth.page import found_by
from bench.growth.questions import LIMIT, QUESTIONS, question_maker
from bench.growth.results import Growth, read, write
from bench.machine import file_system
from gateway.domain.clock import SystemClock
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionRecord, Selection
from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger

END = datetime(2026, 6, 1, tzinfo=UTC)
SIZE = 2_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A ledger with two thousand job actions."""
    database = Database.in_folder(tmp_path_factory.mktemp("filled"))
    fill(database, Year(SIZE, END), lambda _: None)
    yield database
    database.dispose()


def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    """What a statement finds."""
    with closing(sqlite3.connect(database.name)) as connection:
        return connection.execute(statement).fetchall()


def test_the_chain_is_whole(filled: Database) -> None:
    """The audit finds every event and nothing broken; a segment is closed once it is half a day old."""
    result = verify(filled)
    assert result.finding is None
    assert SIZE * 1.9 < result.events < SIZE * 2.5
    assert result.segments == ceil(SIZE / AT_ONCE)


async def everything(database: Database) -> list[JobActionRecord]:
    """All records of a ledger, the newest first, as the ledger reads them."""
    ledger, records, before = SqlLedger(database, SystemClock()), list[JobActionRecord](), None
    while True:
        page = await ledger.page(Selection(), 500, before)
        records += page.items
        if (before := page.next_cursor) is None:
            return records


async def test_they_are_job_actions(filled: Database) -> None:
    """The ledger reads the filled records: spread over a year, most of them applied, and all of them settled."""
    records = await everything(filled)
    times = [record.requested.at for record in records]
    assert (len(times), times) == (SIZE, sorted(times, reverse=True))
    assert END - times[-1] == YEAR
    assert END - times[0] < YEAR / SIZE * 1.01
    assert all(record.is_settled for record in records)
    outcomes = Counter(record.outcome for record in records)
    assert outcomes[Outcome.APPLIED] > 0.88 * SIZE
    # Only a termination can be carried out in part, and none is filled in.
    assert all(outcomes[outcome] > 2 for outcome in Outcome if outcome is not Outcome.PARTIAL)
    assert len({record.requested.job_action.job_id for record in records}) > 0.85 * SIZE


async def test_rows_say_what_the_events_say(filled: Database) -> None:
    """The row of each job action is as the writer would have left it, and nothing is due."""
    found = {
        (record.id.replace("-", ""), asked.caller, asked.connection, asked.job_action.job_id, record.status.value)
        for record in await everything(filled)
        for asked in [record.requested]
    }
    statement = "SELECT lower(hex(id)), caller, connection, job_id, status FROM job_actions WHERE due_at IS NULL"
    assert found == set(rows(filled, statement))


def test_it_is_like_any_ledger(filled: Database, tmp_path: Path) -> None:
    """Tables and indexes are those of a ledger that was not filled."""
    empty = Database.in_folder(tmp_path)
    empty.migrate()
    empty.dispose()
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert rows(filled, schema) == rows(empty, schema)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_questions(filled: Database, name: str) -> None:
    """Each query finds records: a whole page in a ledger of any size, or the count that it promises."""
    asked = QUESTIONS[name](question_maker(filled, Year(SIZE, END)))
    found = (await SqlLedger(filled, SystemClock()).page(asked.selection, LIMIT, asked.before)).items
    least = {"`jobId`": 1, "the same, and nothing is found": 0, "`since` and `until`": 15, "a rare `connection`": 15}
    least |= {"`outcome`": 15}
    assert least.get(name, LIMIT) <= len(found) <= (0 if least.get(name) == 0 else LIMIT)


@pytest.fixture(scope="module")
def measured() -> tuple[Growth, list[tuple[str, int, int]]]:
    """Two small ledgers, measured; and what was said meanwhile."""
    said: list[tuple[str, int, int]] = []
    extent = Extent((400, 800), rounds=2, pages=3, job_actions=CLIENTS)
    made = measure(extent, "python -m bench", {"SQLite": "3"}, lambda *what: said.append(what))
    return made, said


def test_measured(measured: tuple[Growth, list[tuple[str, int, int]]]) -> None:
    """Every question and the writing are measured at each size in each round; and each size itself."""
    growth, _ = measured
    assert growth.sizes == (400, 800)
    assert Counter((each.question, each.size) for each in growth.readings) == {
        (name, size): 2 for name in QUESTIONS for size in growth.sizes
    }
    assert Counter(each.size for each in growth.writings) == {400: 2, 800: 2}
    assert all(0 < each.p50 <= each.p99 < 5_000 for each in growth.readings)
    assert all(each.per_second > 1 and 0 < each.cpu < 100 for each in growth.writings)
    assert all(0 < each.p50 <= each.p99 < 5_000 for each in growth.writings)
    assert growth.others is not None
    assert 0 <= growth.others < 1_000
    assert all(800 < each.bytes / each.size < 3_000 and 500 < each.added < 3_000 for each in growth.filled)


def test_each_page_is_found_by_an_index(measured: tuple[Growth, list[tuple[str, int, int]]]) -> None:
    """No question is answered by going through all job actions: each has the index of one of its filters."""
    growth, _ = measured
    for name in QUESTIONS:
        assert len(found_by(growth, "job_actions", [name])) == 1
        assert found_by(growth, "job_actions", [name])[0].startswith("job_actions_")
    assert found_by(growth, "job_actions", ["`jobId`"])[0].startswith("job_actions_job_id ")


def test_progress(measured: tuple[Growth, list[tuple[str, int, int]]]) -> None:
    """Progress messages name the current step and never count beyond the total."""
    _, said = measured
    assert ("growth: filling a ledger of 800", 800, 800) in said
    assert ("growth, round 2: 64 clients that write", 1, 2) in said
    assert all(0 <= done <= total for _, done, total in said)


def test_garbage_is_collected_as_in_a_gateway() -> None:
    """Garbage collection is set as in a gateway during the measurement, and restored after it."""
    before = gc.get_threshold(), gc.get_freeze_count()
    with settled_in():
        assert gc.get_threshold()[0] > before[0][0]
        assert gc.get_freeze_count() > 1_000
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_results_are_kept(growth: Growth, tmp_path: Path) -> None:
    """What is written is read again unchanged, and where nothing was written there is nothing."""
    file = tmp_path / "deep" / "ledger.json"
    assert read(file) is None
    write(file, growth)
    assert read(file) == growth


def test_ratios_are_made_within_a_round(growth: Growth) -> None:
    """A round in which the machine was slow for all sizes changes no ratio."""
    pages = growth.pages_of("`jobId`")
    assert [growth.median(pages, size, lambda each: each.p50) for size in growth.sizes] == [1.0, 2.0]
    more = [replace(each, p50=3.0) if (each.size, each.round) == (growth.sizes[1], 1) else each for each in pages]
    assert growth.ratio(more, growth.sizes[1], lambda each: each.p50) == 2.0
    assert growth.ratio(growth.writings, growth.sizes[1], lambda each: each.per_second) == 0.5


def test_file_system() -> None:
    """The kind of file system is that of the nearest folder in the list."""
    mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /srv tmpfs rw 0 0\n/dev/vdb /srv/deep xfs rw 0 0\n"
    kinds = [file_system(Path(folder), mounts) for folder in ("/home/somebody", "/srv/a/b", "/srv/deep/er")]
    assert kinds == ["ext4", "tmpfs", "xfs"]
