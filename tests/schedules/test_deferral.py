"""Actions at a later time: by the vendor itself, or by a schedule of one job; the answer says which."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain.vocabulary import DEFERRING
from gateway.specs.capabilities import Support
from tests.schedules.fixtures import TASK, TWILIO, Desk
from tests.support.problems import Problems

NATIVE = "/connections/contoso-prod/jobs/a/close"
EMULATED = f"/connections/{TWILIO}/jobs/{TASK}/close"
LATER = "2026-01-05T12:00:00Z"


def test_the_document_names_what_is_emulated(catalogue: Catalogue) -> None:
    """The parameters with a later time are those that the document marks."""
    marked = {
        name
        for action in catalogue.actions.values()
        for name, otherwise in action.parameters.items()
        if otherwise is Support.EMULATED
    }
    assert marked == set(DEFERRING)


async def test_a_vendor_that_waits_itself_gets_the_time(desk: Desk) -> None:
    """At once, and the answer says so."""
    answer = await desk.ask("POST", NATIVE, {"closeAt": LATER, "assignmentId": "b"})
    assert (answer.status, answer.json["scheduled"]) == (200, "native")
    assert len(desk.transport.requests) == 1
    shown = await desk.ask("POST", f"{NATIVE}?dryRun=true", {"closeAt": LATER, "assignmentId": "b"})
    assert shown.json["scheduled"] == "native"
    assert "scheduled" not in (await desk.ask("POST", NATIVE, {"assignmentId": "b"})).json


async def test_jobgate_waits_for_a_vendor_that_cannot(desk: Desk) -> None:
    """By a schedule of one job, whose address is in the answer; the vendor is asked once, at that time."""
    answer = await desk.ask("POST", EMULATED, {"closeAt": LATER, "note": "Done"}, idempotency_key="k")
    assert (answer.status, answer.json["scheduled"]) == (202, "emulated")
    schedule = answer.json["schedule"]
    assert answer.headers["location"].endswith(f"/v1/schedules/{schedule['id']}")
    assert (schedule["runAt"], schedule["batch"]["parameters"]) == ("2026-01-05T12:00:00.000Z", {"note": "Done"})
    again = await desk.ask("POST", EMULATED, {"closeAt": LATER, "note": "Done"}, idempotency_key="k")
    assert (again.status, again.json["schedule"]["id"]) == (202, schedule["id"])
    await desk.go_on()
    assert desk.transport.requests == []
    desk.clock.advance(7_200)
    await desk.go_on()
    assert (await desk.schedule(schedule["id"]))["state"] == "ended"
    (batch,) = await desk.batches()
    assert (batch["schedule"], batch["action"]) == (schedule["id"], "close")


async def test_a_dry_run_says_it_too(desk: Desk) -> None:
    """And makes no schedule."""
    answer = await desk.ask("POST", f"{EMULATED}?dryRun=true", {"closeAt": LATER})
    assert (answer.status, answer.json["scheduled"]) == (200, "emulated")
    assert "closeAt" not in str(answer.json["vendorRequest"])
    assert (await desk.ask("GET", "/schedules")).json["items"] == []


async def test_a_time_that_has_passed_is_now(desk: Desk) -> None:
    """As at the vendors that wait themselves."""
    answer = await desk.ask("POST", EMULATED, {"closeAt": "2026-01-05T10:00:00Z"})
    assert [each.method for each in desk.transport.requests] == ["POST"]
    assert "schedule" not in answer.json


@pytest.mark.parametrize(
    ("key", "body", "headers", "status", "code"),
    [
        ("closer", {"closeAt": LATER}, {}, 403, "forbidden"),
        ("alice", {"closeAt": LATER}, {"if_match": '"1"'}, 422, "precondition-not-supported"),
        ("alice", {"closeAt": LATER, "assignmentId": "a"}, {}, 422, "parameter-not-supported"),
        (
            "alice",
            {"closeAt": LATER, "dispositionCode": "x"},
            {"prefer": "handling=strict"},
            422,
            "parameter-not-supported",
        ),
    ],
)
async def test_what_a_schedule_cannot_keep_is_refused(
    desk: Desk, problems: Problems, key: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    """Before anything is scheduled."""
    answer = await desk.ask("POST", EMULATED, body, key=key, **headers)
    problem = problems.check(answer, answer.headers)
    assert (problem["status"], problem["code"]) == (status, code)
    assert (await desk.ask("GET", "/schedules")).json["items"] == []


async def test_batches_and_schedules_never_swap_one_for_the_other(desk: Desk) -> None:
    """With a time that the vendor cannot wait for, they are refused."""
    batch = {
        "action": "close",
        "reason": "r",
        "parameters": {"closeAt": LATER},
        "select": {"jobs": [{"connection": TWILIO, "jobId": TASK}]},
    }
    refused = await desk.ask("POST", "/batches", batch)
    assert (refused.status, refused.json["code"]) == (422, "parameter-not-supported")
    schedule = {"name": "n", "runAt": LATER, "batch": batch}
    assert (await desk.ask("POST", "/schedules", schedule)).json["code"] == "parameter-not-supported"
