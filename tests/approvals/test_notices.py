"""Notices of emergencies: delivered at least once, tried again for a day, and then given up."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from gateway.app.databases import approval_store_of
from gateway.approvals.approvals import Approvals
from gateway.approvals.notices import GIVE_UP, LONGEST_PAUSE, Notices
from gateway.approvals.policy import NO_POLICIES
from gateway.domain.approvals import Approval, NoticeEvent, NoticeState, Verb
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.leases import LEASE_TIME, TaskKind
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tables import approvals, tasks
from gateway.ledger.task_store import TaskStore
from gateway.telemetry.metrics import NOTICES
from tests.approvals.fixtures import ALICE, BATCH, DAVE, PLAN
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.telemetry.fixtures import Difference

REASON = "The hotline is down for everybody"
DAY = 86_400.0
FAILURE = "vendor-timed-out"


class Desk:
    """Approvals in a database, and a webhook that fails as often as it is told."""

    def __init__(self, folder: Path) -> None:
        """Wire it."""
        self.clock = FakeClock()
        self.database = Database.at(sqlite_address(folder))
        self.ledger = SqlLedger(self.database, self.clock)
        self.failures: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.notices = self.node()

    def node(self, *, has_webhook: bool = True) -> Notices:
        """A node over the database."""
        store = approval_store_of(self.ledger, self.clock)
        known = Approvals(store, NO_POLICIES, self.clock, has_webhook=has_webhook)
        return Notices(known, TaskStore(self.ledger, self.clock, TaskKind.NOTICE), self.send)

    async def send(self, content: str, _seconds: float, message_id: str) -> str | None:
        """Be the webhook."""
        self.sent.append((message_id, content))
        await asyncio.sleep(0)
        return self.failures.pop() if self.failures else None

    async def emergency(self) -> Approval:
        """An emergency of alice."""
        plan = replace(PLAN, items={"contoso-prod": 3})
        return await self.notices.approvals.break_glass(BATCH, plan, ALICE, REASON, "INC-43")

    async def states(self, approval: Approval) -> dict[str, str]:
        """The state of each notice."""
        now = await self.notices.approvals.get(approval.id, DAVE)
        return {each.event: each.state for each in now.notices}

    @property
    def tasks(self) -> list[str]:
        """The events of the notices that are to be delivered."""
        with self.database.reading.connect() as connection:
            found = connection.execute(select(tasks.c.key).where(tasks.c.kind == TaskKind.NOTICE)).scalars()
            return sorted(each.partition(":")[2] for each in found)

    @property
    def events(self) -> list[tuple[str, str | None]]:
        """The events of approvals in the chain."""
        told = [json.loads(line)["told"] for line in audit.export(self.database)]
        return [(each["what"], each.get("comment")) for each in told]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Approvals in a database, and a webhook."""
    made = Desk(tmp_path)
    await made.ledger.start()
    yield made
    await made.ledger.close()


async def test_a_notice_is_delivered_once(desk: Desk) -> None:
    """If the webhook accepts it, it is sent once; the approval, the chain and a metric say that it was delivered."""
    counted = Difference()
    approval = await desk.emergency()
    assert await desk.states(approval) == {"break-glass": "pending", "review-overdue": "pending"}
    assert await desk.notices.look()
    assert not await desk.notices.look()
    ((message_id, content),) = desk.sent
    assert json.loads(content) == {
        "id": message_id,
        "event": "break-glass",
        "at": "2026-01-05T10:00:00+00:00",
        "approval": approval.id,
        "batch": BATCH,
        "action": "cancel",
        "jobs": 3,
        "requestedBy": "alice-key",
        "requestedByOwner": "alice",
        "reason": REASON,
        "ticket": "INC-43",
        "reviewUntil": "2026-01-08T10:00:00+00:00",
    }
    assert await desk.states(approval) == {"break-glass": "delivered", "review-overdue": "pending"}
    assert desk.events == [("break-glass", REASON), ("notice-delivered", "break-glass")]
    assert counted.of(NOTICES) == {("break-glass", "delivered"): 1}
    assert desk.tasks == ["review-overdue"]
    assert audit.verify(desk.database).finding is None


async def test_a_failed_notice_is_sent_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """After pauses that double, with the same id and content, until it is accepted."""
    counted = Difference()
    await desk.emergency()
    desk.failures = [FAILURE] * 4
    tried = []
    for second in range(100):
        if await desk.notices.look():
            tried.append(second)
        desk.clock.advance(1)
    assert tried == [0, 5, 10, 20, 40]
    assert len(set(desk.sent)) == 1
    assert counted.of(NOTICES) == {("break-glass", "failed"): 4, ("break-glass", "delivered"): 1}
    assert caplog.text.count(f"{FAILURE}; it is sent again") == 4


async def test_a_notice_is_given_up_after_a_day(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """At least once an hour it is tried; then an error is logged, and the approval, the chain and a metric say so."""
    counted = Difference()
    approval = await desk.emergency()
    desk.failures = [FAILURE] * 100
    for _ in range(2 * GIVE_UP // LONGEST_PAUSE):
        desk.clock.advance(LONGEST_PAUSE.total_seconds())
        await desk.notices.look()
    assert len(desk.sent) == GIVE_UP // LONGEST_PAUSE
    assert desk.tasks == ["review-overdue"]
    assert await desk.states(approval) == {"break-glass": "undelivered", "review-overdue": "pending"}
    assert desk.events[-1] == ("notice-undelivered", "break-glass")
    assert counted.of(NOTICES)[("break-glass", "undelivered")] == 1
    assert [each.levelno for each in caplog.records if "given up" in each.message] == [logging.ERROR]


async def test_a_notice_that_waited_for_days_is_tried(desk: Desk) -> None:
    """Where no node ran meanwhile, a notice is not given up before its first attempt."""
    approval = await desk.emergency()
    desk.clock.advance(2 * DAY)
    await desk.notices.look()
    assert (await desk.states(approval))["break-glass"] == "delivered"


async def test_an_overdue_review_is_told(desk: Desk) -> None:
    """Once, when its time has passed."""
    approval = await desk.emergency()
    await desk.notices.look()
    desk.clock.advance(3 * DAY - 1)
    assert not await desk.notices.look()
    desk.clock.advance(1)
    assert await desk.notices.look()
    assert json.loads(desk.sent[-1][1])["event"] == "review-overdue"
    assert await desk.states(approval) == {"break-glass": "delivered", "review-overdue": "delivered"}
    assert desk.tasks == []


async def test_a_review_in_time_is_not_told_to_be_overdue(desk: Desk) -> None:
    """The first notice is delivered all the same, and the second one is dropped."""
    approval = await desk.emergency()
    await desk.notices.approvals.decide(approval.id, DAVE, Verb.REVIEW, approval.plan.digest)
    assert await desk.states(approval) == {"break-glass": "pending"}
    await desk.notices.look()
    desk.clock.advance(3 * DAY)
    assert await desk.notices.look()
    assert [json.loads(content)["event"] for _, content in desk.sent] == ["break-glass"]
    assert desk.tasks == []


async def test_one_of_two_nodes_delivers(desk: Desk) -> None:
    """Both look at the same time, and the notice is sent once."""
    await desk.emergency()
    assert sorted(await asyncio.gather(desk.notices.look(), desk.node().look())) == [False, True]
    assert len(desk.sent) == 1


@pytest.mark.parametrize("noted", [False, True])
async def test_a_delivery_that_was_interrupted(desk: Desk, monkeypatch: pytest.MonkeyPatch, *, noted: bool) -> None:
    """Another node sends it again, with the same id, unless it is noted; and then its task ends."""
    approval = await desk.emergency()

    async def interrupted(*_: Any) -> None:
        if noted:
            await desk.node().approvals.note(approval.id, NoticeEvent.BREAK_GLASS, NoticeState.DELIVERED)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(Notices, "_end", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await desk.notices.look()
    assert not await desk.notices.look()
    desk.clock.advance(LEASE_TIME.total_seconds())
    assert await desk.node().look()
    assert len(desk.sent) == (1 if noted else 2)
    assert len(set(desk.sent)) == 1
    assert (await desk.states(approval))["break-glass"] == "delivered"
    assert desk.tasks == ["review-overdue"]


async def test_a_notice_whose_task_does_not_end_is_counted_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metric counts what the chain says, although the ledger fails right after it was written."""
    counted = Difference()
    await desk.emergency()

    async def failing(*_: object) -> bool:
        raise LedgerUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "end", failing)
        with pytest.raises(LedgerUnavailable):
            await desk.notices.look()
    desk.clock.advance(LEASE_TIME.total_seconds())
    assert await desk.notices.look()
    assert [what for what, _ in desk.events] == ["break-glass", "notice-delivered"]
    assert counted.of(NOTICES) == {("break-glass", "delivered"): 1}
    assert desk.tasks == ["review-overdue"]


async def test_without_a_webhook_nothing_is_kept(desk: Desk) -> None:
    """There is no notice and no task, so a webhook that is named later is told of later emergencies only."""
    desk.notices = desk.node(has_webhook=False)
    approval = await desk.emergency()
    assert (await desk.states(approval), desk.tasks) == ({}, [])


async def test_a_notice_of_a_deleted_approval_ends(desk: Desk) -> None:
    """Retention does not wait for it."""
    await desk.emergency()
    with desk.database.writing.begin() as connection:
        connection.execute(approvals.delete())
    desk.clock.advance(timedelta(days=4).total_seconds())
    for _ in range(3):
        await desk.notices.look()
    assert (desk.sent, desk.tasks) == ([], [])
