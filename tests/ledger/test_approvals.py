"""Approvals in the ledger's database: one of two changes wins, and the chain has each of them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update

from gateway.app.databases import approval_store_of
from gateway.domain.approvals import Approval, ApprovalChange, ApprovalQuery, ApprovalState, Verb
from gateway.domain.leases import Due, TaskKind
from gateway.domain.ports import ApprovalStore
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tables import approvals, tasks
from gateway.ledger.tasks import put_task
from tests.approvals.fixtures import ALICE, BOB, PLAN, by, pending, person, policy
from tests.ledger.fixtures import Ledgers, done, new_record
from tests.support.clock import FakeClock

REQUESTED = "requested"


@pytest.fixture
async def store(ledgers: Ledgers, clock: FakeClock) -> ApprovalStore:
    """A store of approvals, over each storage that there is."""
    ledger = ledgers.open()
    await ledger.start()
    return approval_store_of(ledger, clock)


def new(clock: FakeClock, **given: Any) -> Approval:
    """A new request of alice."""
    return replace(pending(policy(), policy("two", approvals=2)), id=clock.new_id(clock.now()), **given)


async def requested(store: ApprovalStore, clock: FakeClock, **given: Any) -> Approval:
    """Store a new request."""
    approval = new(clock, **given)
    assert await store.write(approval, ApprovalChange(REQUESTED, clock.now(), person(ALICE)))
    return approval


async def test_an_approval_is_read_as_it_was_written(store: ApprovalStore, clock: FakeClock) -> None:
    """All of it survives, and a missing one is None."""
    approval = await requested(store, clock, decisions=(by(BOB, Verb.REJECT),), execute_until=clock.now())
    assert await store.get(approval.id) == approval
    assert await store.get(clock.new_id(clock.now())) is None


async def test_one_of_two_changes_wins(store: ApprovalStore, clock: FakeClock) -> None:
    """Of two changes of the same version one is stored; the other is told so. The same one may be sent again."""
    approval = await requested(store, clock)
    changes = [replace(approval, version=1, state=state) for state in (ApprovalState.APPROVED, ApprovalState.REJECTED)]
    stored = await asyncio.gather(*(store.write(each, ApprovalChange("x", clock.now())) for each in changes))
    assert sorted(stored) == [False, True]
    winner = changes[stored.index(True)]
    assert await store.get(approval.id) == winner
    assert await store.write(winner, ApprovalChange("x", clock.now()))
    assert not await store.write(approval, ApprovalChange(REQUESTED, clock.now()))


async def test_approvals_are_found_newest_first(store: ApprovalStore, clock: FakeClock) -> None:
    """By state, batch and owner, in pages."""
    first = await requested(store, clock)
    clock.advance(1)
    batch = clock.new_id(clock.now())
    second = await requested(store, clock, batch=batch, requester=person(BOB), state=ApprovalState.REVIEW_DUE)
    both = ApprovalQuery()
    assert await store.selected(both, None, 10) == (second, first)
    assert await store.selected(both, None, 1) == (second,)
    assert await store.selected(both, second.id, 10) == (first,)
    for query in (
        ApprovalQuery((ApprovalState.REVIEW_DUE, ApprovalState.REVIEWED)),
        ApprovalQuery(batch=batch),
        ApprovalQuery(owner="bob"),
    ):
        assert await store.selected(query, None, 10) == (second,)


async def test_each_change_is_in_the_chain(database: Database, clock: FakeClock) -> None:
    """With who did it, the digest of the plan, and the comment; and the audit accepts it."""
    ledger = SqlLedger(database, clock)
    await ledger.start()
    store = approval_store_of(ledger, clock)
    approval = await requested(store, clock)
    rejected = replace(approval, version=1, state=ApprovalState.REJECTED)
    await store.write(rejected, ApprovalChange("reject", clock.now(), person(BOB), "Too many"))
    await store.write(rejected, ApprovalChange("reject", clock.now()))
    told = [json.loads(line)["told"] for line in audit.export(database)]
    names = ("what", "by", "owner", "state", "comment")
    assert [tuple(map(each.get, names)) for each in told] == [
        (REQUESTED, "alice-key", "alice", "pending", None),
        ("reject", "bob-key", "bob", "rejected", "Too many"),
    ]
    assert {each["digest"] for each in told} == {PLAN.digest}
    assert audit.verify(database).finding is None
    await ledger.close()


@pytest.mark.parametrize("tampering", ["state", "content", "deleted", "added"])
async def test_tampering_with_an_approval_is_found(database: Database, clock: FakeClock, tampering: str) -> None:
    """Nobody who can write the database can approve something unseen."""
    ledger = SqlLedger(database, clock)
    await ledger.start()
    approval = await requested(approval_store_of(ledger, clock), clock)
    await ledger.close()
    with database.writing.begin() as connection:
        row = dict(connection.execute(select(approvals)).mappings().one())
        change = {
            "state": update(approvals).values(state="approved"),
            "content": update(approvals).values(content=row["content"].replace("bob", "eve")),
            "deleted": delete(approvals),
            "added": insert(approvals).values({**row, "id": clock.new_id(clock.now())}),
        }
        connection.execute(change[tampering])
    finding = audit.verify(database).finding
    assert finding is not None
    assert f"approval {approval.id}" in str(finding) or tampering == "added"


async def test_retention_deletes_what_approvals_stand_beside(database: Database, clock: FakeClock) -> None:
    """Approvals stay in the chain, and keep no job action from being deleted."""
    ledger = SqlLedger(database, clock, timedelta(days=1))
    await ledger.start()
    store = approval_store_of(ledger, clock)
    await done(ledger, clock, new_record(clock))
    approval = await requested(store, clock)
    record = await done(ledger, clock, new_record(clock))
    clock.advance(3 * 86_400)
    await ledger.tidy(clock.now())
    assert await ledger.get(record.id, None) is None
    assert await store.get(approval.id) == approval
    assert audit.verify(database).finding is None
    await ledger.close()


@pytest.mark.parametrize(
    ("state", "wakes"),
    [
        (ApprovalState.APPROVED, True),
        (ApprovalState.REJECTED, True),
        (ApprovalState.PENDING, False),
        (ApprovalState.EXECUTED, False),
    ],
)
async def test_a_decision_wakes_its_batch(
    database: Database, clock: FakeClock, state: ApprovalState, *, wakes: bool
) -> None:
    """In the same commit, and whoever looks after the batch at that moment begins anew. No task is made of it."""
    ledger = SqlLedger(database, clock)
    await ledger.start()
    store = approval_store_of(ledger, clock)
    approval = await requested(store, clock)
    await store.write(replace(approval, version=1), ApprovalChange("x", clock.now()))
    hour = timedelta(hours=1)
    later = Due(TaskKind.BATCH, approval.batch, clock.now() + hour)
    with database.writing.begin() as connection:
        assert connection.execute(select(tasks)).all() == []
        put_task(connection, later)
        (before,) = connection.execute(select(tasks)).all()
    await store.write(replace(approval, version=2, state=state), ApprovalChange("x", clock.now()))
    with database.reading.connect() as connection:
        (after,) = connection.execute(select(tasks)).all()
    assert (before.due_at - after.due_at, after.fence - before.fence) == ((3_600_000, 1) if wakes else (0, 0))
    await ledger.close()
