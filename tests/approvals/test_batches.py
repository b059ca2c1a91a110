"""Batches that need approval, from their confirmation to their end, and those that break the glass."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.app.gauges import ledger_gauges
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.settings.settings import ApprovalSettings, BreakGlassSettings, CallerSettings
from gateway.telemetry.metrics import APPROVALS_PENDING, REVIEWS_DUE, REVIEWS_OVERDUE
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.problems import Problems
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import azure_job, settings

ALL = ("approvals:*", "batches:*", "jobs:*", "connections:*")
CALLERS = {
    "alice": ("alice", ALL),
    "alice-too": ("alice", ALL),
    "bob": ("bob", ALL),
    "dave": ("dave", ALL),
    "warden": ("wendy", ("audit:read", "batches:write", "batches:read", "batches:stop", "connections:contoso-*")),
    "warden-of-others": ("wendy", ("batches:write", "batches:stop", "connections:fabrikam-*")),
    "writer": ("walter", ("batches:write", "connections:*")),
    "auditor": ("auditor", ("audit:read", "approvals:read", "batches:read")),
}
HOOK = "https://hooks.contoso.example/break-glass"
REASON = "The hotline is down for everybody"
HOUR = 3_600.0


class Desk:
    """A gateway with a database, whose batches go on when a test lets them."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        """Wire it; two jobs or more need the approval of bob."""
        self.clock = FakeClock()
        self.transport = FakeTransport(otherwise=self._answer)
        self.database = Database.at(sqlite_address(folder))
        self.ledger = SqlLedger(self.database, self.clock, timedelta(days=7))
        self.catalogue = catalogue
        self.gateway = self.wired(ApprovalSettings(items=2, approvers=("bob",)))

    def wired(self, policy: ApprovalSettings | None, callers: tuple[str, ...] = tuple(CALLERS)) -> Gateway:
        """A gateway on the same database, with this policy and these callers."""
        known = {
            name: CallerSettings(key=SecretStr(name), scopes=CALLERS[name][1], owner=CALLERS[name][0])
            for name in callers
        }
        self.gateway = Gateway(
            settings(
                callers=known,
                approvals={} if policy is None else {"two-jobs": policy},
                break_glass=BreakGlassSettings(webhook=SecretStr(HOOK)),
            ),
            self.catalogue,
            clock=self.clock,
            transport=self.transport,
            ledger=self.ledger,
        )
        return self.gateway

    def _answer(self, request: HttpRequest) -> HttpReply:
        if request.method == "POST":
            return reply(200, {})
        return reply(200, azure_job("queued", request.url.rpartition("/")[2].partition("?")[0]))

    async def ask(self, method: str, path: str, body: Any = None, key: str = "alice") -> Answer:
        """Ask the unified API."""
        return await call(self.gateway.application, method, f"/v1{path}", body, key=key)

    async def go_on(self) -> None:
        """Let every batch that is due go on, as far as it gets."""
        runner = self.gateway.batch_runner
        assert runner is not None
        while leases := await runner.store.take(16):
            for lease in leases:
                await runner.work(lease)

    async def prepared(self, jobs: int = 2, key: str = "alice", **more: Any) -> dict[str, Any]:
        """A prepared batch that cancels so many jobs."""
        named = [{"connection": "contoso-prod", "jobId": f"job-{number}"} for number in range(jobs)]
        body = {"action": "cancel", "reason": "The queue is stuck", "select": {"jobs": named}, **more}
        answer = await self.ask("POST", "/batches", body, key)
        assert answer.status == 202, answer.json
        await self.go_on()
        return await self.batch(answer.json["id"])

    async def batch(self, batch_id: str, key: str = "auditor") -> dict[str, Any]:
        """A batch as it is now."""
        answer = await self.ask("GET", f"/batches/{batch_id}", key=key)
        assert answer.status == 200, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def confirm(self, batch: dict[str, Any], key: str = "alice") -> Answer:
        """Confirm a batch as it was shown."""
        return await self.ask("POST", f"/batches/{batch['id']}/confirm", shown(batch), key)

    async def waiting(self, **more: Any) -> dict[str, Any]:
        """A batch of alice that waits for its approval."""
        answer = await self.confirm(await self.prepared(**more))
        assert (answer.status, answer.json["state"]) == (200, "awaiting_approval")
        await self.go_on()
        found: dict[str, Any] = answer.json
        return found

    async def decide(self, batch: dict[str, Any], verb: str, key: str = "bob") -> Answer:
        """Decide about the approval of a batch."""
        path = f"/approvals/{batch['approval']}"
        approval = (await self.ask("GET", path, key="auditor")).json
        return await self.ask("POST", f"{path}/{verb}", {"digest": approval["digest"]}, key)

    async def break_glass(self, batch: dict[str, Any], key: str = "alice", reason: str = REASON) -> Answer:
        """Begin a batch in an emergency."""
        body = {**shown(batch), "reason": reason, "ticket": "INC-43"}
        return await self.ask("POST", f"/batches/{batch['id']}/break-glass", body, key)

    @property
    def cancelled(self) -> int:
        """The number of cancellations that went to the vendor."""
        return sum(":cancel" in each.url for each in self.transport.requests)

    @property
    def chain(self) -> list[dict[str, Any]]:
        """The audit chain."""
        return [json.loads(line) for line in audit.export(self.database)]

    @property
    def events(self) -> list[str]:
        """The events of approvals in the chain."""
        return [each["told"]["what"] for each in self.chain if each["kind"] == "approval"]


def shown(batch: dict[str, Any]) -> dict[str, Any]:
    """The manifest that somebody was shown."""
    return {"manifestDigest": batch["manifest"]["digest"], "count": batch["manifest"]["count"]}


@pytest.fixture
async def desk(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway with a database."""
    made = Desk(catalogue, tmp_path)
    await made.ledger.start()
    yield made
    await made.ledger.close()


async def test_a_batch_waits_for_its_approval(desk: Desk) -> None:
    """Confirmed, it sends nothing until another owner has approved its plan; the chain has each step."""
    batch = await desk.waiting()
    assert desk.cancelled == 0
    assert (await desk.decide(batch, "approve", key="alice-too")).json["code"] == "not-an-approver"
    assert (await desk.decide(batch, "approve")).json["state"] == "approved"
    await desk.go_on()
    done = await desk.batch(batch["id"])
    assert (done["state"], done["outcome"], desk.cancelled) == ("completed", "all_applied", 2)
    assert desk.events == ["requested", "approve", "executed"]
    assert audit.verify(desk.database).finding is None


async def test_a_small_batch_needs_no_approval(desk: Desk) -> None:
    """If no policy applies, the confirmation is enough."""
    batch = await desk.prepared(jobs=1)
    assert (await desk.confirm(batch)).json["state"] == "ready"
    await desk.go_on()
    assert ((await desk.batch(batch["id"]))["state"], desk.cancelled) == ("completed", 1)


async def test_a_batch_of_one_is_the_way(desk: Desk) -> None:
    """An action that is refused alone is carried out as an approved batch of one job."""
    desk.wired(ApprovalSettings(approvers=("bob",)))
    assert (await desk.ask("POST", "/connections/contoso-prod/jobs/job-0/cancel")).status == 403
    batch = await desk.waiting(jobs=1)
    await desk.decide(batch, "approve")
    await desk.go_on()
    done = await desk.batch(batch["id"])
    assert (done["state"], done["outcome"], desk.cancelled) == ("completed", "all_applied", 1)


async def test_an_unattended_confirmation_needs_the_approval_too(desk: Desk) -> None:
    """A count that was expected confirms a batch, and approves nothing."""
    batch = await desk.prepared(confirm={"expectedCount": 2})
    assert (batch["state"], desk.cancelled) == ("awaiting_approval", 0)
    await desk.decide(batch, "approve")
    await desk.go_on()
    assert ((await desk.batch(batch["id"]))["state"], desk.cancelled) == ("completed", 2)


@pytest.mark.parametrize(
    ("happens", "code"),
    [("reject", "approval-rejected"), ("an hour", "approval-expired")],
)
async def test_a_batch_ends_that_is_not_approved(desk: Desk, happens: str, code: str) -> None:
    """Rejected, or not approved in time, it ends and says why."""
    batch = await desk.waiting()
    if happens == "reject":
        await desk.decide(batch, "reject")
    else:
        desk.clock.advance(HOUR)
    await desk.go_on()
    ended = await desk.batch(batch["id"])
    assert (ended["state"], ended["why"]["code"], desk.cancelled) == ("expired", code, 0)
    assert ended["progress"]["outcomes"] == {"not_sent": 2}


async def test_an_approved_batch_has_to_begin_in_time(desk: Desk) -> None:
    """If it could not begin within the time of its policy, its approval has expired."""
    batch = await desk.waiting()
    await desk.decide(batch, "approve")
    desk.clock.advance(HOUR / 4)
    await desk.go_on()
    ended = await desk.batch(batch["id"])
    assert (ended["state"], ended["why"]["code"], desk.cancelled) == ("expired", "approval-expired", 0)


async def test_an_aborted_batch_withdraws_its_request(desk: Desk) -> None:
    """Nobody can approve it afterwards."""
    batch = await desk.waiting()
    assert (await desk.ask("POST", f"/batches/{batch['id']}/abort")).status == 200
    assert (await desk.decide(batch, "approve")).json["code"] == "approval-closed"
    assert desk.events == ["requested", "withdrawn"]


async def test_a_warden_aborts_the_batch_of_somebody_else(desk: Desk) -> None:
    """The batch, its event and the withdrawal of its approval name the caller who did it."""
    batch = await desk.waiting()
    answer = await desk.ask("POST", f"/batches/{batch['id']}/abort", {"reason": "INC-43"}, key="warden")
    assert (answer.status, answer.json["state"]) == (200, "aborting")
    assert answer.json["why"] == {"detail": "INC-43", "by": "warden"}
    told = [each["told"] for each in desk.chain if each["kind"] in {"state", "approval"}]
    assert [(each["state"], each.get("by")) for each in told][-2:] == [("aborting", "warden"), ("withdrawn", "warden")]
    assert told[-1]["owner"] == "wendy"


async def test_a_warden_pauses_and_aborts_but_never_begins(desk: Desk) -> None:
    """Without the scope, or the connections, the batch is unknown; with them it can be stopped, not confirmed."""
    batch = await desk.prepared(1)
    path = f"/batches/{batch['id']}"
    assert (await desk.confirm(batch, "warden")).json["code"] == "unknown-batch"
    assert (await desk.confirm(batch)).json["state"] == "ready"
    for stranger in ("writer", "warden-of-others"):
        assert (await desk.ask("POST", f"{path}/pause", key=stranger)).json["code"] == "unknown-batch"
        assert (await desk.ask("POST", f"{path}/abort", key=stranger)).json["code"] == "unknown-batch"
    assert (await desk.ask("POST", f"{path}/pause", key="warden")).json["state"] == "paused"
    assert (await desk.ask("POST", f"{path}/resume", key="warden")).json["code"] == "unknown-batch"
    assert (await desk.ask("POST", f"{path}/resume")).json["state"] == "ready"
    assert (await desk.ask("POST", f"{path}/abort", key="warden")).json["state"] == "aborting"


async def test_a_batch_without_jobs_is_its_callers_alone(desk: Desk) -> None:
    """A batch that still collects its first job is on no connection, so no warden can see or stop it."""
    body = {"action": "cancel", "reason": "The queue is stuck", "select": {"pages": True}}
    batch = (await desk.ask("POST", "/batches", body)).json
    for command in ("pause", "abort"):
        answer = await desk.ask("POST", f"/batches/{batch['id']}/{command}", key="warden-of-others")
        assert answer.json["code"] == "unknown-batch"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda desk: desk.wired(ApprovalSettings(items=2, approvals=2, approvers=("bob", "dave"))),
            "The policy two-jobs has changed",
            id="a stricter policy",
        ),
        pytest.param(
            lambda desk: desk.wired(None, ("bob", "auditor")), "alice does not have the scope", id="no key any more"
        ),
    ],
)
async def test_what_has_changed_stops_the_batch(desk: Desk, change: Callable[[Desk], Gateway], said: str) -> None:
    """An approval gives no rights: policies and scopes are checked again before anything is sent."""
    batch = await desk.waiting()
    await desk.decide(batch, "approve")
    change(desk)
    await desk.go_on()
    stopped = await desk.batch(batch["id"])
    assert (stopped["state"], stopped["why"]["code"], desk.cancelled) == ("stopped", "configuration-changed", 0)
    assert said in stopped["why"]["detail"]


async def test_a_policy_holds_for_batches_that_were_confirmed_before(desk: Desk) -> None:
    """A batch that nobody was asked about does not begin under a policy that is new."""
    desk.wired(None)
    batch = await desk.prepared()
    await desk.confirm(batch)
    desk.wired(ApprovalSettings(items=2, approvers=("bob",)))
    await desk.go_on()
    stopped = await desk.batch(batch["id"])
    assert (stopped["state"], stopped["why"]["code"], desk.cancelled) == ("stopped", "configuration-changed", 0)


async def test_who_sees_a_batch_that_waits(desk: Desk) -> None:
    """Its approvers see the batch and its items; others do not."""
    batch = await desk.waiting()
    for key, status in (("bob", 200), ("dave", 404)):
        for path in (f"/batches/{batch['id']}", f"/batches/{batch['id']}/items"):
            assert (await desk.ask("GET", path, key=key)).status == status
    assert (await desk.confirm(batch, "bob")).status == 404


async def test_breaking_the_glass(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A waiting batch begins at once; it is logged, told to the webhook, in the chain, and waits to be reviewed."""
    batch = await desk.waiting()
    with caplog.at_level(logging.WARNING):
        begun = await desk.break_glass(batch)
    assert (begun.status, begun.json["state"]) == (200, "ready")
    assert "break-glass" in caplog.text
    await desk.go_on()
    done = await desk.batch(batch["id"])
    assert (done["state"], desk.cancelled, done["deadline"]) == ("completed", 2, "2026-01-05T10:15:00.000Z")
    assert desk.gateway.notices is not None
    await desk.gateway.notices.look()
    (request,) = [each for each in desk.transport.requests if each.url == HOOK]
    notice = json.loads(request.content or b"")
    assert request.headers["Webhook-Id"] == notice["id"]
    assert (notice["event"], notice["batch"], notice["jobs"], notice["requestedByOwner"], notice["reason"]) == (
        "break-glass",
        batch["id"],
        2,
        "alice",
        REASON,
    )
    assert desk.events == ["requested", "break-glass", "withdrawn", "notice-delivered"]
    due = (await desk.ask("GET", "/approvals?state=review_due", key="dave")).json["items"]
    assert [(each["id"], each["breakGlass"]["overdue"]) for each in due] == [(done["approval"], False)]
    desk.clock.advance(72 * HOUR)
    due = (await desk.ask("GET", "/approvals?state=review_due", key="dave")).json["items"]
    assert due[0]["breakGlass"] == {
        "reason": REASON,
        "ticket": "INC-43",
        "reviewUntil": "2026-01-08T10:00:00.000Z",
        "overdue": True,
        "notices": [
            {"event": "break-glass", "state": "delivered", "at": "2026-01-05T10:00:00.000Z"},
            {"event": "review-overdue", "state": "pending", "at": "2026-01-08T10:00:00.000Z"},
        ],
    }
    refused = await desk.break_glass(await desk.prepared(key="alice-too"), "alice-too")
    assert refused.json["code"] == "break-glass-refused"
    assert (await desk.decide(done, "review", key="dave")).json["state"] == "reviewed"
    assert (await desk.break_glass(await desk.prepared())).status == 200
    assert audit.verify(desk.database).finding is None


async def test_a_batch_of_an_emergency_has_to_end_soon(desk: Desk) -> None:
    """Items that were not sent within the time are not sent."""
    batch = await desk.prepared()
    await desk.break_glass(batch)
    desk.clock.advance(HOUR / 4)
    await desk.go_on()
    assert ((await desk.batch(batch["id"]))["state"], desk.cancelled) == ("expired", 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": "x" * 19}, "malformed-request"),
        ({"reason": "x" + " " * 30}, "malformed-request"),
        ({"manifestDigest": "0" * 64}, "manifest-differs"),
        ({"count": 3}, "manifest-differs"),
    ],
    ids=["a short reason", "blanks", "another digest", "another count"],
)
async def test_an_emergency_that_is_refused(desk: Desk, problems: Problems, change: Any, code: str) -> None:
    """The reason has to say something, and the manifest to be the one that was shown."""
    batch = await desk.prepared()
    body = {**shown(batch), "reason": REASON, **change}
    answer = await desk.ask("POST", f"/batches/{batch['id']}/break-glass", body)
    assert problems.check(answer, answer.headers)["code"] == code
    assert desk.events == []


async def test_a_large_emergency_is_refused(desk: Desk) -> None:
    """The settings say how many jobs it may have; the batch goes on waiting."""
    batch = await desk.prepared(jobs=26)
    assert (await desk.break_glass(batch)).json["code"] == "break-glass-refused"
    assert (await desk.batch(batch["id"]))["state"] == "awaiting_confirmation"


async def test_an_emergency_needs_its_scope(desk: Desk) -> None:
    """The scope for batches is not enough."""
    batch = await desk.prepared()
    without = CallerSettings(
        key=SecretStr("alice"), scopes=("batches:write", "batches:read", "jobs:*", "connections:*")
    )
    desk.gateway = Gateway(
        settings(callers={"alice": without}),
        desk.catalogue,
        clock=desk.clock,
        transport=desk.transport,
        ledger=desk.ledger,
    )
    answer = await desk.break_glass(batch)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert "batches:break-glass" in answer.json["detail"]


async def test_one_caller_of_two_owners_is_two_requesters(desk: Desk) -> None:
    """Nobody with another owner than the creator can confirm, even under the same caller's name."""
    batch = await desk.prepared()
    callers = {"alice": CallerSettings(key=SecretStr("alice"), scopes=ALL, owner="eve")}
    desk.gateway = Gateway(
        settings(callers=callers), desk.catalogue, clock=desk.clock, transport=desk.transport, ledger=desk.ledger
    )
    assert (await desk.confirm(batch)).json["code"] == "forbidden"


async def test_old_approvals_are_deleted_with_their_events(desk: Desk) -> None:
    """An approval is deleted once its batch is gone and its events are old; a review that is due stays."""
    await desk.decide(await desk.waiting(), "approve")
    await desk.go_on()
    emergency = await desk.waiting()
    assert (await desk.break_glass(emergency)).status == 200
    await desk.go_on()
    due = (await desk.batch(emergency["id"]))["approval"]
    desk.clock.advance(6 * 24 * HOUR)
    late = await desk.waiting()
    await desk.decide(late, "reject")
    await desk.go_on()
    for days, left in ((2, {due, late["approval"]}), (7, {due})):
        desk.clock.advance(days * 24 * HOUR)
        await desk.ledger.tidy(desk.clock.now())
        shown_now = (await desk.ask("GET", "/approvals", key="auditor")).json["items"]
        assert {each["id"] for each in shown_now} == left
        assert audit.verify(desk.database).finding is None
    assert desk.events == ["break-glass"]
    assert (await desk.decide({"approval": due}, "review", "dave")).status == 200
    desk.clock.advance(8 * 24 * HOUR)
    await desk.ledger.tidy(desk.clock.now())
    assert (await desk.ask("GET", "/approvals", key="auditor")).json["items"] == []
    assert (desk.events, audit.verify(desk.database).finding) == ([], None)


async def test_what_waits_for_people_is_measured(desk: Desk, tmp_path: Path) -> None:
    """The metrics count approvals that wait, and reviews that are due; overdue ones too."""
    desk.clock.advance((datetime.now(UTC) - desk.clock.now()).total_seconds())

    def waiting() -> list[float]:
        with ledger_gauges(settings(state_folder=tmp_path)) as source:
            found = {gauge.name: value for gauge, _, value in source()}
        return [found[each.name] for each in (APPROVALS_PENDING, REVIEWS_DUE, REVIEWS_OVERDUE)]

    batch = await desk.waiting()
    assert waiting() == [1.0, 0.0, 0.0]
    await desk.break_glass(batch)
    assert waiting() == [0.0, 1.0, 0.0]
    desk.clock.advance(-80 * HOUR)
    await desk.go_on()
    await desk.break_glass(await desk.waiting())
    assert waiting() == [0.0, 2.0, 1.0]
