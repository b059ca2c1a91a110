"""Batches by the client: made, commanded, and reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.client import Batch, Client, ProblemError
from tests.client.stub import PROBLEM, Reply, Stub

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
ID = "019b8d99-6900-7000-8000-000000000001"
BATCH: dict[str, Any] = {
    "id": ID,
    "caller": "desk",
    "state": "running",
    "action": "cancel",
    "parameters": {},
    "reason": "Stuck",
    "labels": {},
    "select": {"kind": "jobs"},
    "limits": {"maxItems": 10},
    "priority": 5,
    "createdAt": AT.isoformat(),
    "changedAt": AT.isoformat(),
    "progress": {"items": 2, "outcomes": {"applied": 1, "pending": 1}, "activeSeconds": 1.5},
}
MISSING = {"type": "about:blank", "title": "Gone", "status": 404, "code": "unknown-batch", "retryable": False}
COMMANDS: dict[str, tuple[Callable[[Client], Batch], Any]] = {
    "prepare": (lambda client: client.prepare_batch(ID), None),
    "pause": (lambda client: client.pause_batch(ID), None),
    "resume": (lambda client: client.resume_batch(ID, "Mended"), {"reason": "Mended"}),
    "abort": (lambda client: client.abort_batch(ID, "Wrong"), {"reason": "Wrong"}),
    "redrive": (lambda client: client.redrive_batch(ID, idempotency_key="again"), None),
    "confirm": (
        lambda client: client.confirm_batch(ID, "d", 2, 0.5),
        {"manifestDigest": "d", "count": 2, "share": 0.5},
    ),
    "break-glass": (
        lambda client: client.break_glass(ID, "d", 2, "Down"),
        {"manifestDigest": "d", "count": 2, "reason": "Down"},
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(stub: Stub, client: Client, command: str) -> None:
    """Each is a POST below the batch, without a body if there is nothing to say; the batch is returned."""
    ask, body = COMMANDS[command]
    stub.answers(BATCH)
    batch = ask(client)
    assert (batch.id, batch.progress.outcomes, batch.is_ended) == (ID, {"applied": 1, "pending": 1}, False)
    (received,) = stub.received
    assert (received.method, received.target) == ("POST", f"/v1/batches/{ID}/{command}")
    assert (json.loads(received.content) if received.content else None) == body
    assert received.headers.get("idempotency-key") == ('"again"' if command == "redrive" else None)


def test_a_batch_is_created_of_named_jobs(stub: Stub, client: Client) -> None:
    """The options have the API's names, and the expected count is its confirmation."""
    stub.answers(Reply(BATCH, 201))
    made = client.create_batch("cancel", "Stuck", jobs=[("a", "1")], not_before=AT, expected_count=1)
    assert (made.limits, made.created_at) == ({"maxItems": 10}, AT)
    assert json.loads(stub.received[0].content) == {
        "action": "cancel",
        "reason": "Stuck",
        "select": {"jobs": [{"connection": "a", "jobId": "1"}]},
        "notBefore": "2026-01-05T10:00:00Z",
        "confirm": {"expectedCount": 1},
    }


@pytest.mark.parametrize(
    ("given", "select"), [({"filter": {"olderThan": "P1D"}}, {"filter": {"olderThan": "P1D"}}), ({}, {"pages": True})]
)
def test_a_batch_is_created_of_a_filter_or_of_pages(
    stub: Stub, client: Client, given: dict[str, Any], select: dict[str, Any]
) -> None:
    """Without jobs and filter, the jobs come in pages."""
    stub.answers(Reply(BATCH, 201))
    client.create_batch("cancel", "Stuck", **given)
    assert json.loads(stub.received[0].content)["select"] == select


def test_jobs_are_added_in_numbered_pages(stub: Stub, client: Client) -> None:
    """The number is in the query, the jobs are the body."""
    stub.answers(BATCH)
    client.add_to_batch(ID, 3, [("a", "1"), ("b", "2")])
    assert stub.received[0].target == f"/v1/batches/{ID}/items?page=3"
    jobs = [{"connection": "a", "jobId": "1"}, {"connection": "b", "jobId": "2"}]
    assert json.loads(stub.received[0].content) == jobs


def test_a_report_comes_unchanged(stub: Stub, client: Client) -> None:
    """In pieces, in the wanted form."""
    stub.answers(Reply(b"position,outcome\r\n1,applied\r\n"))
    assert b"".join(client.batch_report(ID, "csv")) == b"position,outcome\r\n1,applied\r\n"
    assert stub.received[0].target == f"/v1/batches/{ID}/report?format=csv"


def test_a_report_that_is_not_there_is_said_at_once(stub: Stub, client: Client) -> None:
    """The problem is raised by the call, not by the first piece."""
    stub.answers(Reply({**MISSING, "requestId": "r"}, 404, {"Content-Type": PROBLEM}))
    with pytest.raises(ProblemError, match="unknown-batch"):
        client.batch_report(ID)


def test_jobs_and_a_filter_exclude_each_other(stub: Stub, client: Client) -> None:
    """A batch of both could act on other jobs than was meant, so nothing is sent."""
    with pytest.raises(ValueError, match="not by both"):
        client.create_batch("cancel", "Stuck", jobs=[("c", "j")], filter={"connections": ["c"]})
    assert stub.received == []
