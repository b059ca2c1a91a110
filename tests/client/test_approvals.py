"""Approvals by the client: read as typed values, and decided by the digest that was read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.client import (
    Approval,
    ApprovalDecision,
    ApprovalPlan,
    ApprovalPolicy,
    BreakGlass,
    Client,
)
from tests.client.stub import Stub

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
ID, BATCH = "019b8d99-6900-7000-8000-000000000001", "019b8d99-6900-7000-8000-000000000002"
PLAN = {"action": "cancel", "parameters": {}, "reason": "Stuck", "manifestDigest": "a", "jobs": {"x": 2}, "limits": {}}
SMALLEST: dict[str, Any] = {
    "id": ID,
    "state": "pending",
    "batch": BATCH,
    "digest": "d" * 64,
    "plan": PLAN,
    "requestedBy": "desk",
    "requestedByOwner": "alice",
    "policies": [{"name": "many", "required": 1, "given": 0, "approvers": ["bob"]}],
    "decisions": [],
    "requestedAt": AT.isoformat(),
    "decideUntil": (AT + timedelta(hours=1)).isoformat(),
}
APPROVAL = Approval(
    id=ID,
    state="pending",
    batch=BATCH,
    digest="d" * 64,
    plan=ApprovalPlan("cancel", {}, "Stuck", "a", {"x": 2}, {}),
    requested_by="desk",
    requested_by_owner="alice",
    policies=(ApprovalPolicy("many", 1, 0, ("bob",)),),
    decisions=(),
    requested_at=AT,
    decide_until=AT + timedelta(hours=1),
)
EMERGENCY = {"reason": "Down", "reviewUntil": AT.isoformat(), "overdue": True, "ticket": "INC-43"}


def test_an_approval(stub: Stub, client: Client) -> None:
    """With all that it can have."""
    decision = {"owner": "bob", "caller": "bob-key", "decision": "approve", "at": AT.isoformat(), "comment": "Agreed"}
    stub.answers({**SMALLEST, "decisions": [decision], "breakGlass": EMERGENCY, "executeUntil": AT.isoformat()})
    approval = client.approval(ID)
    assert approval.decisions == (ApprovalDecision("bob", "bob-key", "approve", AT, "Agreed"),)
    assert approval.break_glass == BreakGlass("Down", AT, overdue=True, ticket="INC-43")
    assert approval.execute_until == AT
    assert stub.received[0].path == f"/v1/approvals/{ID}"


@pytest.mark.parametrize(
    ("states", "target"),
    [((), "/v1/approvals"), (("pending", "review_due"), "/v1/approvals?state=pending&state=review_due")],
)
def test_approvals(stub: Stub, client: Client, states: tuple[str, ...], target: str) -> None:
    """All of them, or those in some states."""
    stub.answers({"items": [SMALLEST], "nextCursor": None})
    assert list(client.approvals(*states)) == [APPROVAL]
    assert stub.received[0].target == target


@pytest.mark.parametrize("verb", ["approve", "reject", "review"])
@pytest.mark.parametrize("comment", [None, "Agreed"])
def test_decisions(stub: Stub, client: Client, verb: str, comment: str | None) -> None:
    """A decision repeats the digest of the plan that was read."""
    stub.answers({**SMALLEST, "state": "approved"})
    assert getattr(client, verb)(APPROVAL, comment).state == "approved"
    (request,) = stub.received
    assert (request.method, request.path) == ("POST", f"/v1/approvals/{ID}/{verb}")
    said = {"digest": "d" * 64} if comment is None else {"digest": "d" * 64, "comment": comment}
    assert json.loads(request.content) == said


def test_breaking_the_glass(stub: Stub, client: Client) -> None:
    """With the manifest that was shown, the reason and the ticket."""
    progress = {"items": 2, "outcomes": {}, "activeSeconds": 0.0}
    times = {"createdAt": AT.isoformat(), "changedAt": AT.isoformat()}
    empty = {"labels": {}, "parameters": {}, "limits": {}, "select": {"kind": "jobs"}, "priority": 50}
    batch = {"id": BATCH, "caller": "desk", "state": "ready", "action": "cancel", "reason": "Stuck", **empty, **times}
    stub.answers({**batch, "progress": progress})
    assert client.break_glass(BATCH, "a", 2, "The hotline is down", ticket="INC-43").state == "ready"
    (request,) = stub.received
    assert request.path == f"/v1/batches/{BATCH}/break-glass"
    said = {"manifestDigest": "a", "count": 2, "reason": "The hotline is down", "ticket": "INC-43"}
    assert json.loads(request.content) == said
