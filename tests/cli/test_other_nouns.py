"""Commands for batches, schedules, windows and approvals: each calls its operation, with what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.cli.fixtures import DIGEST, ID, ITEMS, ask, asked, batch, ended, sent
from tests.client.stub import Reply, Stub

NONE: dict[str, Any] = {"items": [], "nextCursor": None}
OF_A_BATCH = {"items": [batch()], "nextCursor": None}


@pytest.mark.parametrize(
    ("command", "path", "query"),
    [
        (
            "batches list --state running --label incident=INC-43",
            "/batches",
            {"state": "running", "label": "incident=INC-43"},
        ),
        (f"batches items {ID} --outcome rejected", f"/batches/{ID}/items", {"outcome": "rejected"}),
        ("schedules list", "/schedules", {}),
        ("windows list", "/windows", {}),
        ("callers list", "/keys", {}),
        ("approvals list --state pending", "/approvals", {"state": "pending"}),
        ("actions list --status unsettled --label a=b", "/job-actions", {"status": "unsettled", "label": "a=b"}),
    ],
)
def test_lists(stub: Stub, command: str, path: str, query: dict[str, str]) -> None:
    """A list has the filters of its operation as options."""
    stub.answers(NONE)
    assert ask(stub, *command.split()).exit_code == ExitCode.DONE
    assert [(each.path, each.query) for each in stub.received] == [(f"/v1{path}", query)]


@pytest.mark.parametrize(
    ("command", "method", "path", "body"),
    [
        (f"batches pause {ID} --reason wait", "POST", f"/batches/{ID}/pause", {"reason": "wait"}),
        (f"batches abort {ID}", "POST", f"/batches/{ID}/abort", None),
        (f"schedules pause {ID} --reason wait", "POST", f"/schedules/{ID}/pause", {"reason": "wait"}),
        (f"schedules resume {ID}", "POST", f"/schedules/{ID}/resume", None),
        (f"schedules delete {ID}", "DELETE", f"/schedules/{ID}", None),
        (f"schedules show {ID}", "GET", f"/schedules/{ID}", None),
        (f"approvals show {ID}", "GET", f"/approvals/{ID}", None),
        (f"batches show {ID}", "GET", f"/batches/{ID}", None),
    ],
)
def test_one_call(stub: Stub, command: str, method: str, path: str, body: object) -> None:
    """A command that is one call sends its options as the body; without options there is none."""
    stub.answers(batch())
    assert ask(stub, *command.split()).exit_code == ExitCode.DONE
    (received,) = stub.received
    assert (received.method, received.path) == (method, f"/v1{path}")
    assert (json.loads(received.content) if received.content else None) == body


def test_a_batch_is_created_and_confirmed_later(stub: Stub) -> None:
    """`create` shows the preview and says how to confirm; the guard rails and times are options."""
    stub.answers(Reply(batch("preparing"), 202), batch(), ITEMS)
    options = ("--max-unknown", "1", "--rate-per-second", "2.5", "--priority", "80", "--parameter", "mode=forced")
    said = ask(stub, "batches", "create", "terminate", "c/a", "--reason", "r", *options)
    assert (said.exit_code, f"jobgate batches confirm {ID}" in said.stderr) == (ExitCode.DONE, True)
    new = sent(stub, "/batches")
    assert (new["limits"], new["priority"]) == ({"maxUnknown": 1, "ratePerSecond": 2.5}, 80)
    assert (new["action"], new["parameters"]) == ("terminate", {"mode": "forced"})
    stub.answers(batch(), ITEMS, batch("ready"), ended())
    assert ask(stub, "batches", "confirm", ID, "--yes", "--expect", "3").exit_code == ExitCode.DONE
    assert sent(stub, f"/batches/{ID}/confirm") == {"manifestDigest": DIGEST, "count": 3}


def test_resume_watches(stub: Stub) -> None:
    """A batch that is resumed is watched to its end."""
    stub.answers(batch("running"), ended())
    assert ask(stub, "batches", "resume", ID, "--reason", "looked at it").exit_code == ExitCode.DONE
    assert sent(stub, f"/batches/{ID}/resume") == {"reason": "looked at it"}


def test_redrive_is_confirmed_like_any_batch(stub: Stub) -> None:
    """Trying again what was not sent is a new batch, with its own preview and number."""
    new = batch(id=ID.replace("0", "1"))
    stub.answers(Reply(new, 202), ITEMS, Reply(new | {"state": "aborted"}))
    said = ask(stub, "batches", "redrive", ID, "--yes", "--expect", "2")
    assert said.exit_code == ExitCode.REFUSED
    assert asked(stub)[-1] == ("POST", f"/batches/{new['id']}/abort")


def test_an_emergency_is_confirmed_too(stub: Stub) -> None:
    """`break-glass` shows the batch, and sends its digest and count with the reason and the ticket."""
    stub.answers(batch("awaiting_approval"), ITEMS, batch("ready"), ended())
    options = ("--reason", "The emergency line is stuck", "--ticket", "INC-43", "--yes", "--expect", "3")
    assert ask(stub, "batches", "break-glass", ID, *options).exit_code == ExitCode.DONE
    assert sent(stub, f"/batches/{ID}/break-glass") == {
        "manifestDigest": DIGEST,
        "count": 3,
        "reason": "The emergency line is stuck",
        "ticket": "INC-43",
    }


@pytest.mark.parametrize("decision", ["approve", "reject", "review"])
def test_a_decision_is_about_what_was_shown(stub: Stub, decision: str) -> None:
    """The batch is shown first; the decision has the digest of the plan, and needs the number of jobs."""
    approval = {"id": ID, "state": "pending", "batch": ID, "digest": DIGEST[::-1]}
    stub.answers(approval, batch("awaiting_approval"), ITEMS, approval | {"state": "approved"})
    said = ask(stub, "approvals", decision, ID, "--comment", "agreed", "--yes", "--expect", "3")
    assert (said.exit_code, "3 jobs will be acted on" in said.stderr) == (ExitCode.DONE, True)
    assert sent(stub, f"/approvals/{ID}/{decision}") == {"digest": DIGEST[::-1], "comment": "agreed"}
    stub.answers(approval, batch("awaiting_approval"), ITEMS)
    assert ask(stub, "approvals", decision, ID).exit_code == ExitCode.REFUSED


def test_a_schedule_is_made(stub: Stub) -> None:
    """A schedule has its time, its zone and a batch with a filter; a dry run says so to the gateway."""
    stub.answers(Reply({"id": ID, "name": "nightly"}, 201))
    times = ("--cron", "0 2 * * *", "--time-zone", "Europe/Amsterdam", "--start-within", "5m")
    filtered = ("--connection", "c", "--status", "completed", "--reason", "clean-up")
    said = ask(stub, "schedules", "create", "nightly", "close", *times, *filtered, "--dry-run")
    assert said.exit_code == ExitCode.DONE, said.output
    assert stub.received[0].query == {"dryRun": "true"}
    assert sent(stub, "/schedules") == {
        "name": "nightly",
        "cron": "0 2 * * *",
        "timeZone": "Europe/Amsterdam",
        "startWithin": "PT300S",
        "batch": {
            "action": "close",
            "reason": "clean-up",
            "labels": {},
            "select": {"filter": {"connections": ["c"], "statuses": ["completed"]}},
        },
    }


def test_a_report_is_compared_with_its_digest(stub: Stub) -> None:
    """The report is printed unchanged; one that is not what the batch has noted is exit code 2."""
    report = b'{"position": 1}\n{"position": 2}\n'
    noted = {"sha256": hashlib.sha256(report).hexdigest(), "items": 2}
    stub.answers(ended() | {"report": noted}, Reply(report))
    said = ask(stub, "batches", "report", ID)
    assert (said.exit_code, said.stdout.encode()) == (ExitCode.DONE, report)
    stub.answers(ended() | {"report": noted}, Reply(b"forged\n"))
    assert ask(stub, "batches", "report", ID).exit_code == ExitCode.NOT_APPLIED
    stub.answers(ended() | {"report": noted}, Reply(b"position\r\n1\r\n"))
    assert ask(stub, "batches", "report", ID, "--output", "csv").exit_code == ExitCode.DONE


@pytest.mark.parametrize(
    ("code", "exit_code"), [("approval-required", ExitCode.NEEDS_APPROVAL), ("window-closed", ExitCode.REFUSED)]
)
def test_refusals_of_rules_have_their_own_codes(stub: Stub, code: str, exit_code: ExitCode) -> None:
    """A single action that needs approval, or comes at the wrong time, is told apart from a mistake."""
    body = {"type": "t", "title": "T", "status": 403, "code": code, "retryable": False, "requestId": "r"}
    stub.answers(Reply(body, 403, {"Content-Type": "application/problem+json"}))
    assert ask(stub, "jobs", "cancel", "c/a").exit_code == exit_code
