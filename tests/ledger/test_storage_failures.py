"""Storage failures: they are reported, nothing is lost, and the ledger recovers when the storage does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from gateway.app import Catalogue, Gateway
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import HttpReply, HttpRequest, Outcome
from gateway.domain.record import JobActionRecord, Overtaken, Read, Selection, Sent, SettledBy
from gateway.ledger import audit
from gateway.ledger import database as database_module
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from tests.ledger.fixtures import CALLER, LEASE, begun, check_chain, concluded, done, eventually, held, new_record
from tests.ledger.outages import Outage, outage_of
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL, migrate, sqlite_address
from tests.support.patience import wait_until
from tests.support.problems import Problems
from tests.support.transport import FakeTransport, Line, reply
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, azure_error, settings, token

BUSY_SECONDS = 0.2
LONG = "x" * 20_000
"""What does not fit into the pages that a database has already."""

TOTAL = ["locked", "read-only", "disk full", "cut off", "stopped"]
"""Ways in which nothing can be written any more."""
WAYS = [*TOTAL, "full"]

CANCEL = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/cancel"
ABORT = f"/v1/connections/vonage-emea/jobs/{VONAGE_JOB}/cancel"


@pytest.fixture
def outage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    """A database that can fail, in the way that the test's parameter names."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", BUSY_SECONDS)
    with outage_of(request.param, request) as made:
        yield made
        made.end()
        made.database.dispose()


@pytest.fixture
async def ledger(outage: Outage, clock: FakeClock) -> AsyncIterator[SqlLedger]:
    """A ledger in the database that can fail."""
    made = SqlLedger(outage.database, clock)
    yield made
    outage.end()
    await made.close()


def check_not_sent(error: LedgerUnavailable) -> None:
    """The problem of something that could not be recorded, so that nothing was sent."""
    told = error.explanation
    assert (error.status, told.outcome, told.job_action) == (503, Outcome.NOT_SENT, None)
    assert told.retry_after == 1
    assert error.may_be_retried


@pytest.mark.parametrize("outage", WAYS, indirect=True)
async def test_a_claim_that_cannot_be_kept(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """A claim that cannot be written is refused at once, nothing of it is kept, and it works as soon as it can."""
    before = await done(ledger, clock, new_record(clock, "before"))
    outage.begin()
    record = new_record(clock, "key-1", parameters={"note": LONG})
    for _ in range(2):
        with pytest.raises(LedgerUnavailable) as refused:
            await ledger.claim(record, clock.now() + LEASE, held(record))
        check_not_sent(refused.value)
    outage.end()
    assert await ledger.get(record.id, CALLER) is None
    assert await ledger.claim(record, clock.now() + LEASE, held(record)) is None
    assert await ledger.get(record.id, CALLER) == record
    assert await ledger.get(before.id, CALLER) == before


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_the_probe_says_whether_actions_can_be_recorded(
    outage: Outage, clock: FakeClock, catalogue: Catalogue
) -> None:
    """`/readyz` is 503 as long as nothing can be written, though all can be read; then 200 again by itself."""
    ledger = SqlLedger(outage.database, clock)
    gateway = Gateway(settings(), catalogue, clock=clock, transport=FakeTransport(), ledger=ledger)

    async def is_ready() -> tuple[int, str]:
        clock.advance(1)
        answer = await call(gateway.application, "GET", "/readyz")
        return answer.status, answer.json["status"]

    assert await is_ready() == (200, "ok")
    outage.begin()
    assert await is_ready() == (503, "ledger-unavailable")
    assert await is_ready() == (503, "ledger-unavailable")
    assert (await call(gateway.application, "GET", "/livez")).status == 200
    outage.end()
    assert await eventually(is_ready, lambda told: told[0] == 200) == (200, "ok")
    await gateway.close()


async def test_probes_cost_a_write_a_second_at_most(address: str, clock: FakeClock) -> None:
    """Probes cause at most one write a second, and none while actions are recorded."""
    database = Database.at(address)
    ledger = SqlLedger(database, clock)
    await done(ledger, clock, new_record(clock))
    written: list[str] = []
    event.listen(database.writing, "before_cursor_execute", lambda *given: written.append(given[2]))
    for _ in range(20):
        await ledger.check()
    assert written == []
    clock.advance(2)
    for _ in range(20):
        await ledger.check()
    assert ["probes" in each for each in written if "INSERT" in each] == [True]
    await ledger.close()


@pytest.mark.parametrize("outage", WAYS, indirect=True)
async def test_a_claim_without_a_key_fails_before_sending(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """Without a key it is the sending that is refused, and nothing is kept of either."""
    outage.begin()
    record = new_record(clock, parameters={"note": LONG})
    await ledger.claim(record, clock.now() + LEASE, None)
    with pytest.raises(LedgerUnavailable) as refused:
        await ledger.sent(record, Sent(clock.now()))
    check_not_sent(refused.value)
    outage.end()
    again = await done(ledger, clock, new_record(clock))
    assert (await ledger.page(Selection(), 10, None)).items == (again,)


@pytest.mark.parametrize("outage", WAYS, indirect=True)
async def test_a_sending_that_cannot_be_kept(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """If the sending cannot be recorded, nothing is sent, and the record stays unchanged."""
    record = new_record(clock, "key-1")
    assert await ledger.claim(record, clock.now() + LEASE, held(record)) is None
    outage.begin()
    with pytest.raises(LedgerUnavailable) as refused:
        await ledger.sent(record, Sent(clock.now(), {"assignmentId": LONG}))
    check_not_sent(refused.value)
    outage.end()
    await asyncio.sleep(0.5)
    assert await ledger.get(record.id, CALLER) == record


@pytest.mark.parametrize("outage", WAYS, indirect=True)
async def test_a_conclusion_is_kept_until_it_can_be_written(
    outage: Outage, ledger: SqlLedger, clock: FakeClock
) -> None:
    """What is known of outcomes and could not be written is written as soon as that is possible, without a restart."""
    records = [await begun(ledger, clock, new_record(clock, f"key-{number}")) for number in range(5)]
    end = concluded(clock, Outcome.REJECTED, detail=LONG)
    outage.begin()
    for record in records:
        with pytest.raises(LedgerUnavailable) as failed:
            await ledger.append(record, end, None)
        told = failed.value.explanation
        assert (told.outcome, told.job_action) == (Outcome.UNKNOWN, record.id)
        assert not failed.value.may_be_retried
    outage.end()
    for record in records:
        assert await kept(ledger, record) == record.with_event(end)
    check_chain(outage.database)
    assert await ledger.take_due(clock.now() + 2 * LEASE, clock.now() + 3 * LEASE, 10) == ()


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_conclusions_of_what_was_never_sent_are_kept(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """The end of an action of which nothing was sent leaves nothing half written, with a key and without."""
    keyed, bare = new_record(clock, "key-1"), new_record(clock)
    assert await ledger.claim(keyed, clock.now() + LEASE, held(keyed)) is None
    await ledger.claim(bare, clock.now() + LEASE, None)
    end = concluded(clock, Outcome.NOT_SENT)
    outage.begin()
    for record in (keyed, bare):
        with pytest.raises(LedgerUnavailable) as failed:
            await ledger.append(record, end, None)
        assert failed.value.explanation.outcome is Outcome.NOT_SENT
    outage.end()
    assert await kept(ledger, keyed) == keyed.with_event(end)
    assert await ledger.get(bare.id, CALLER) in (None, bare.with_event(end))
    page = await ledger.page(Selection(), 10, None)
    assert {record.id for record in page.items} <= {keyed.id, bare.id}


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_what_could_not_be_written_is_written_at_the_end(
    outage: Outage, ledger: SqlLedger, clock: FakeClock
) -> None:
    """A ledger that is closed right after the storage has come back writes first what it has kept."""
    record = await begun(ledger, clock, new_record(clock, "key-1"))
    end = concluded(clock, Outcome.APPLIED)
    outage.begin()
    with pytest.raises(LedgerUnavailable):
        await ledger.append(record, end, None)
    outage.end()
    await ledger.close()
    assert await ledger.get(record.id, CALLER) == record.with_event(end)


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_a_conclusion_comes_late(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """A late conclusion from the vendor is added after what others read meanwhile."""
    record = await begun(ledger, clock, new_record(clock, "key-1"))
    outage.begin()
    with pytest.raises(LedgerUnavailable):
        await ledger.append(record, concluded(clock, Outcome.APPLIED), None)
    ended = asyncio.create_task(asyncio.to_thread(outage.end))
    other = SqlLedger(Database.at(outage.database.url.render_as_string(hide_password=False)), clock)
    written = False
    while not written:
        try:
            await other.append(record, Read(clock.now(), problem="vendor-timed-out"), None)
            written = True
        except LedgerUnavailable:
            await asyncio.sleep(0)
        except Overtaken:
            written = True
    await ended
    kept = await eventually(
        lambda: other.get(record.id, CALLER), lambda found: found is not None and found.outcome is Outcome.APPLIED
    )
    assert kept is not None
    assert kept.outcome is Outcome.APPLIED
    following = await done(ledger, clock, new_record(clock, "key-2"))
    assert await other.get(following.id, CALLER) == following
    await other.close()


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_reading_while_it_fails(outage: Outage, ledger: SqlLedger, clock: FakeClock) -> None:
    """During an outage, reads work or fail with a clear error, and afterwards all records are there."""
    record = await done(ledger, clock, new_record(clock, "key-1"))
    outage.begin()
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.get(record.id, CALLER),
        lambda: ledger.page(Selection(), 10, None),
        lambda: ledger.take_due(clock.now(), clock.now() + LEASE, 10),
    ]
    for read in reads:
        if outage.reads:
            await read()
        else:
            with pytest.raises(LedgerUnavailable):
                await read()
    outage.end()
    assert await ledger.get(record.id, CALLER) == record


async def kept(ledger: SqlLedger, record: JobActionRecord) -> JobActionRecord | None:
    """The record as it is once it has one more event."""
    return await eventually(
        lambda: ledger.get(record.id, CALLER), lambda found: found is not None and len(found) > len(record)
    )


def lose_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit takes effect, and yet nobody hears that it did."""
    dialect = database.writing.dialect
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        monkeypatch.undo()
        commit(connection)
        raise OperationalError("COMMIT", None, psycopg.OperationalError("the connection was lost"))

    monkeypatch.setattr(dialect, "do_commit", do_commit)


@pytest.fixture
async def sql_ledger(database: Database, clock: FakeClock) -> AsyncIterator[SqlLedger]:
    """A ledger over each kind of database."""
    made = SqlLedger(database, clock)
    yield made
    await made.close()


async def test_a_conclusion_of_whose_commit_nobody_hears(
    sql_ledger: SqlLedger, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conclusion whose commit took effect unheard is there once, and what comes after it is written as ever."""
    record = await begun(sql_ledger, clock, new_record(clock, "key-1"))
    lose_commit(database, monkeypatch)
    end = concluded(clock, Outcome.APPLIED)
    with pytest.raises(LedgerUnavailable) as failed:
        await sql_ledger.append(record, end, None)
    assert failed.value.explanation.outcome is Outcome.UNKNOWN
    await asyncio.sleep(0.4)
    assert await sql_ledger.get(record.id, CALLER) == record.with_event(end)
    assert await sql_ledger.append(record, end, None) == record.with_event(end)
    following = await done(sql_ledger, clock, new_record(clock, "key-2"))
    assert await sql_ledger.get(following.id, CALLER) == following
    check_chain(database)


async def test_a_claim_of_whose_commit_nobody_hears(
    sql_ledger: SqlLedger, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim whose commit took effect unheard is looked after once its lease has ended, and its key is held."""
    record = new_record(clock, "key-1")
    lose_commit(database, monkeypatch)
    with pytest.raises(LedgerUnavailable) as failed:
        await sql_ledger.claim(record, clock.now() + LEASE, held(record))
    check_not_sent(failed.value)
    again = new_record(clock, "key-1")
    holder = await sql_ledger.claim(again, clock.now() + LEASE, held(again))
    assert holder is not None
    assert holder.record == record
    assert await sql_ledger.take_due(clock.now() + LEASE, clock.now() + 2 * LEASE, 10) == (record,)


async def test_a_sending_of_whose_commit_nobody_hears(
    sql_ledger: SqlLedger, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sending whose commit took effect unheard must not be sent, and is looked after once its lease has ended."""
    record = new_record(clock)
    await sql_ledger.claim(record, clock.now() + LEASE, None)
    lose_commit(database, monkeypatch)
    with pytest.raises(LedgerUnavailable) as failed:
        await sql_ledger.sent(record, Sent(clock.now()))
    check_not_sent(failed.value)
    sent = record.with_event(Sent(clock.now()))
    assert await sql_ledger.take_due(clock.now() + LEASE, clock.now() + 2 * LEASE, 10) == (sent,)


async def test_idle_connections_may_be_ended(postgresql: PostgreSQL, clock: FakeClock) -> None:
    """Connections that a server has ended while nothing was under way are made anew, and no request notices."""
    address = postgresql.emptied()
    ledger = SqlLedger(Database.at(address), clock)
    for _ in range(3):
        record = await done(ledger, clock, new_record(clock))
        postgresql.cut_off(address)
        postgresql.let_in(address)
        assert await ledger.get(record.id, CALLER) == record
        postgresql.cut_off(address)
        postgresql.let_in(address)
    await ledger.close()


async def test_a_connection_that_dies_under_way(postgresql: PostgreSQL, clock: FakeClock) -> None:
    """Where the connection ends in the middle of a transaction, conclusions are written with the next one."""
    address = postgresql.emptied()
    ledger = SqlLedger(Database.at(address), clock)
    record = await begun(ledger, clock, new_record(clock, "key-1"))
    end = concluded(clock, Outcome.APPLIED)
    with closing(psycopg.connect(address)) as other:
        other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(ledger.append(record, end, None))
        await asyncio.sleep(0.3)
        assert not running.done()
        await asyncio.to_thread(postgresql.cut_off, address)
        with pytest.raises(LedgerUnavailable):
            await running
    postgresql.let_in(address)
    assert await kept(ledger, record) == record.with_event(end)
    await ledger.close()


async def test_closing_leaves_no_connection(postgresql: PostgreSQL, clock: FakeClock) -> None:
    """A ledger that is closed while somebody who has gone still reads leaves no connection open."""
    address = postgresql.emptied()
    ledger = SqlLedger(Database.at(address), clock)
    record = await done(ledger, clock, new_record(clock))
    with closing(psycopg.connect(address)) as other:
        other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(ledger.get(record.id, CALLER))
        await asyncio.sleep(0.2)
        reading.cancel()
        ended = asyncio.create_task(ledger.close())
        await asyncio.sleep(0.2)
        other.rollback()
        await ended
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        other.autocommit = True  # the statistics of a transaction stay as they were when it began
        await asyncio.to_thread(wait_until, lambda: other.execute(others).fetchone() == (0,))


def starting(outage: Outage, answer: HttpReply) -> Callable[[HttpRequest], HttpReply]:
    """A vendor whose answer comes when the ledger's storage has just failed."""

    def answers(_request: HttpRequest) -> HttpReply:
        outage.begin()
        return answer

    return answers


@asynccontextmanager
async def gateway_on(
    outage: Outage, catalogue: Catalogue, *script: Line, otherwise: Line | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that works as if it was served, with its ledger in a database that can fail."""
    clock = SystemClock()
    ledger = SqlLedger(outage.database, clock)
    transport = FakeTransport(script, otherwise)
    made = Gateway(settings(), catalogue, clock=clock, transport=transport, ledger=ledger)
    async with made.lifespan():
        yield made
        outage.end()


def requests_of(gateway: Gateway) -> list[HttpRequest]:
    """What the vendors were asked."""
    assert isinstance(gateway.transport, FakeTransport)
    return gateway.transport.requests


async def post(gateway: Gateway, path: str = CANCEL, key: str | None = None, note: str = "why") -> Answer:
    """Ask for an action."""
    headers = [] if key is None else [("idempotency-key", key)]
    return await call(gateway.application, "POST", path, {"note": note} if path == CANCEL else None, headers)


async def settled(gateway: Gateway, record_id: str) -> Any:
    """A job action's record as soon as it is settled."""

    async def look() -> Answer:
        return await call(gateway.application, "GET", f"/v1/job-actions/{record_id}")

    answer = await eventually(look, lambda seen: seen.status == 200 and "completedAt" in seen.json)
    assert answer.status == 200, answer.body
    return answer.json


@pytest.fixture(scope="module")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.mark.parametrize("key", [None, "key-1"])
@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_nothing_is_sent_without_a_record(
    key: str | None, outage: Outage, catalogue: Catalogue, problems: Problems
) -> None:
    """While the ledger cannot be written an action is answered 503, not sent; and it is carried out afterwards."""
    async with gateway_on(outage, catalogue, otherwise=reply(200, {})) as gateway:
        outage.begin()
        for _ in range(2):
            refused = await post(gateway, key=key)
            problem = problems.check(refused, refused.headers)
            assert (problem["code"], problem["outcome"]) == ("ledger-unavailable", "not_sent")
            assert problem["retryable"] is True
            assert refused.headers["retry-after"] == "1"
            assert "jobAction" not in problem
        assert requests_of(gateway) == []
        outage.end()
        answer = await post(gateway, key=key)
        assert (answer.status, answer.json["outcome"]) == (200, "applied")
        assert len(requests_of(gateway)) == 1
        listed = await call(gateway.application, "GET", "/v1/job-actions")
        assert [item["id"] for item in listed.json["items"]] == [answer.json["id"]]
        assert audit.verify(outage.database).finding is None, "half a record was kept"


@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_nothing_is_sent_where_the_sending_cannot_be_recorded(
    outage: Outage, catalogue: Catalogue, problems: Problems
) -> None:
    """Where the ledger fails between the claim and the sending, the action is not sent, and the answer says so."""
    async with gateway_on(outage, catalogue, starting(outage, token())) as gateway:
        refused = await post(gateway, ABORT, "key-1")
        problem = problems.check(refused, refused.headers)
        assert (problem["code"], problem["outcome"]) == ("ledger-unavailable", "not_sent")
        assert [request.method for request in requests_of(gateway) if "/jobs/" in request.url] == []


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [(reply(200, {}), "applied", 200), (azure_error(403, "Forbidden"), "rejected", 502)],
    ids=["applied", "rejected"],
)
@pytest.mark.parametrize("outage", TOTAL, indirect=True)
async def test_an_outcome_that_cannot_be_recorded_is_recorded_later(
    answer: HttpReply, outcome: str, status: int, outage: Outage, catalogue: Catalogue, problems: Problems
) -> None:
    """Where only the outcome cannot be written, it is answered unknown, and the record shows the truth afterwards."""
    async with gateway_on(outage, catalogue, starting(outage, answer)) as gateway:
        failed = await post(gateway, key="key-1")
        problem = problems.check(failed, failed.headers)
        assert (problem["code"], problem["outcome"]) == ("ledger-unavailable", "unknown")
        assert problem["retryable"] is False
        if not outage.reads:
            unread = await call(gateway.application, "GET", f"/v1/job-actions/{problem['jobAction']}")
            assert problems.check(unread, unread.headers)["code"] == "ledger-unavailable"
        outage.end()
        record = await settled(gateway, problem["jobAction"])
        assert (record["outcome"], record["settledBy"]) == (outcome, SettledBy.VENDOR_REPLY)
        again = await post(gateway, key="key-1")
        assert (again.status, again.headers["idempotent-replayed"]) == (status, "true")
        assert len(requests_of(gateway)) == 1


@pytest.mark.parametrize("outage", ["cut off", "stopped"], indirect=True)
async def test_a_read_that_fails_says_nothing_of_outcomes(
    outage: Outage, catalogue: Catalogue, problems: Problems
) -> None:
    """A list that cannot be read is answered 503 with a problem that is not about any action; then it is there."""
    async with gateway_on(outage, catalogue) as gateway:
        outage.begin()
        for path in ("/v1/job-actions", "/v1/job-actions/019b8d99-6900-7000-8000-000000000001"):
            answer = await call(gateway.application, "GET", path)
            problem = problems.check(answer, answer.headers)
            assert problem["code"] == "ledger-unavailable"
            assert "outcome" not in problem
        outage.end()
        assert (await call(gateway.application, "GET", "/v1/job-actions")).status == 200


def move(file: Path, folder: Path) -> None:
    """Move a database, with the files that SQLite has beside it, to a folder."""
    folder.mkdir(exist_ok=True)
    for each in file.parent.glob(f"{file.name}*"):
        each.rename(folder / each.name)


async def test_a_file_that_is_moved_away_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    """Nothing is acknowledged that is written to a file which is no longer there; put back, it goes on."""
    address = sqlite_address(tmp_path)
    file = Path(address.removeprefix("sqlite:///"))
    ledger = SqlLedger(Database.at(address), clock)
    record = await done(ledger, clock, new_record(clock))
    move(file, tmp_path / "elsewhere")
    refused = new_record(clock, "key-1")
    with pytest.raises(LedgerUnavailable):
        await ledger.claim(refused, clock.now() + LEASE, held(refused))
    move(tmp_path / "elsewhere" / file.name, file.parent)
    following = await done(ledger, clock, new_record(clock))
    assert (await ledger.page(Selection(), 10, None)).items == (following, record)
    await ledger.close()


async def test_a_file_that_is_another_one_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    """Where a new database was put in its place, nothing is acknowledged until the gateway has been started anew."""
    address = sqlite_address(tmp_path)
    file = Path(address.removeprefix("sqlite:///"))
    ledger = SqlLedger(Database.at(address), clock)
    await done(ledger, clock, new_record(clock))
    move(file, tmp_path / "elsewhere")
    migrate(Database.at(address))
    with pytest.raises(LedgerUnavailable):
        await done(ledger, clock, new_record(clock))
    await ledger.close()
