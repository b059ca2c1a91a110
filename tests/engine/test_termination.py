"""Terminations: the steps that end a job, each sent once and recorded, and the truth about what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from gateway.app import Gateway
from gateway.domain.errors import VendorTimedOut
from gateway.domain.model import JobAction, Outcome
from gateway.domain.record import (
    Concluded,
    JobActionRecord,
    JobActionStatus,
    Read,
    Requested,
    Selection,
    Sent,
    SettledBy,
)
from gateway.domain.vocabulary import TERMINATE
from gateway.engine.reconciliation import lease
from gateway.engine.termination import Terminations
from gateway.settings.settings import CallerSettings
from tests.support.asgi import Answer, call
from tests.support.clock import NOW
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import (
    ASSIGNMENT,
    AZURE,
    AZURE_JOB,
    assignment,
    azure_error,
    azure_job,
    completed_job,
    settings,
    token,
    vonage_job,
    vonage_page,
)

JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
ASSIGNED = reply(200, azure_job("assigned", assignments={ASSIGNMENT: assignment()}))
COMPLETED = reply(200, completed_job(ASSIGNMENT))
AT = "2026-01-05T09:40:00.1111111+00:00"
CLOSED = reply(200, azure_job("closed", assignments={ASSIGNMENT: assignment(completedAt=AT, closedAt=AT)}))
DONE = reply(200, {})
CONFLICT = azure_error(409, "Conflict")
SILENCE = VendorTimedOut("The vendor did not answer in time.")
AT_ASSIGNMENT = f"{AZURE}/routing/jobs/{AZURE_JOB}/assignments/{ASSIGNMENT}"
COMPLETE, CLOSE = (f"{AT_ASSIGNMENT}:{action}?api-version=2023-11-01" for action in ("complete", "close"))
CANCEL = f"{AZURE}/routing/jobs/{AZURE_JOB}:cancel?api-version=2023-11-01"


def azure(status: str) -> Line:
    """A read of Azure's job in this status."""
    return reply(200, azure_job(status))


async def terminate(made: ScriptedEngine, body: Any = None, path: str = JOB, **headers: str) -> Answer:
    """The answer to a termination. Fails if the vendor was asked less often than the test thinks."""
    answer = await call(made.gateway.application, "POST", f"{path}/terminate", body, list(headers.items()))
    assert not made.transport.script
    return answer


def urls(made: ScriptedEngine) -> list[str]:
    """The addresses of the actions that were sent."""
    return [each.url for each in made.actions_sent]


async def parent_and_steps(made: ScriptedEngine) -> tuple[JobActionRecord, list[JobActionRecord]]:
    """The record of the termination, and those of its steps, oldest first."""
    records = (await made.ledger.page(Selection(), 100, None)).items
    (parent,) = (each for each in records if each.requested.is_termination)
    steps = [each for each in reversed(records) if each.requested.parent == parent.id]
    assert len(steps) == len(records) - 1
    return parent, steps


async def test_an_assigned_job_is_completed_and_closed(make_engine: MakeEngine) -> None:
    """Each step is a job action with a record of its own, under the one that the caller gets."""
    made = make_engine(ASSIGNED, ASSIGNED, DONE, DONE)
    answer = await terminate(made, {"note": "Over"})
    assert (answer.status, answer.json["outcome"], answer.json["job"]["vendorStatus"]) == (200, "applied", "closed")
    assert (answer.json["action"], answer.json["alreadySo"]) == ("terminate", False)
    assert answer.json["parameters"] == {"mode": "graceful", "note": "Over"}
    assert urls(made) == [COMPLETE, CLOSE]
    assert [each.content for each in made.actions_sent] == [b'{"note":"Over"}'] * 2
    _, steps = await parent_and_steps(made)
    shown = [{"id": each.id, "action": each.job_action.action, "outcome": "applied"} for each in steps]
    assert answer.json["steps"] == shown
    listed = await call(made.gateway.application, "GET", f"/v1/job-actions?parent={answer.json['id']}")
    assert [each["id"] for each in listed.json["items"]] == [each.id for each in reversed(steps)]
    assert {each["parent"] for each in listed.json["items"]} == {answer.json["id"]}


async def test_steps_are_listed_by_their_own_parent_only(make_engine: MakeEngine) -> None:
    """Another termination of the job, another job's id and an unknown parent have none of these steps."""
    made = make_engine(azure("queued"), DONE, azure("queued"), DONE)
    answers = [await call(made.gateway.application, "POST", f"{JOB}/terminate") for _ in range(2)]
    ids = [each.json["id"] for each in answers]
    for parent, found in ((ids[0], 1), (ids[1], 1), ("019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a", 0)):
        listed = await call(made.gateway.application, "GET", f"/v1/job-actions?parent={parent}")
        assert len(listed.json["items"]) == found
    other = await call(made.gateway.application, "GET", f"/v1/job-actions?parent={ids[0]}&jobId=other")
    assert other.json["items"] == []


@pytest.mark.parametrize("status", ["closed", "cancelled"])
async def test_a_job_that_has_ended_is_left_alone(make_engine: MakeEngine, status: str) -> None:
    """Already so is applied: nothing is sent, and the record says that the job was read."""
    made = make_engine(azure(status))
    answer = await terminate(made)
    assert (answer.status, answer.json["outcome"], answer.json["settledBy"]) == (200, "applied", "reading")
    assert (answer.json["alreadySo"], answer.json["steps"], urls(made)) == (True, [], [])


async def test_a_refusal_leads_to_another_way_from_the_present_status(make_engine: MakeEngine) -> None:
    """A job that was assigned in the meantime cannot be cancelled; it is completed and closed instead."""
    closing = [ASSIGNED, ASSIGNED, ASSIGNED, DONE, DONE]
    made = make_engine(azure("queued"), azure_error(400, "BadRequest"), *closing)
    answer = await terminate(made)
    assert (answer.status, answer.json["outcome"]) == (200, "applied")
    assert [each["outcome"] for each in answer.json["steps"]] == ["rejected", "applied", "applied"]
    assert urls(made) == [CANCEL, COMPLETE, CLOSE]


async def test_a_refusal_in_the_same_status_excludes_the_action(make_engine: MakeEngine) -> None:
    """An action that the vendor has just refused, although the status allows it, is not sent again; another is."""
    made = make_engine(ASSIGNED, ASSIGNED, CONFLICT, ASSIGNED, ASSIGNED, DONE)
    answer = await terminate(made)
    assert (answer.status, urls(made)) == (200, [COMPLETE, CANCEL])


async def test_there_is_no_third_attempt(make_engine: MakeEngine) -> None:
    """A second refusal is the answer: nothing was changed, and both steps are recorded."""
    refused = [ASSIGNED, CONFLICT, ASSIGNED]
    made = make_engine(ASSIGNED, *refused, ASSIGNED, CONFLICT, ASSIGNED)
    answer = await terminate(made)
    assert (answer.status, answer.json["code"], answer.json["outcome"]) == (422, "vendor-refused", "rejected")
    parent, steps = await parent_and_steps(made)
    assert answer.json["jobAction"] == parent.id
    assert [each.outcome for each in steps] == [Outcome.REJECTED, Outcome.REJECTED]


async def test_a_job_that_ended_by_itself_meanwhile(make_engine: MakeEngine) -> None:
    """A refusal because somebody else has ended the job is no failure: it has ended."""
    made = make_engine(azure("queued"), CONFLICT, azure("cancelled"), azure("cancelled"))
    answer = await terminate(made)
    assert (answer.status, answer.json["outcome"], answer.json["alreadySo"]) == (200, "applied", True)


async def test_a_second_step_that_fails_leaves_a_part(make_engine: MakeEngine) -> None:
    """Partial: the answer says which steps were carried out, in which status the job is, and what went wrong."""
    made = make_engine(ASSIGNED, ASSIGNED, DONE, azure_error(403, "Forbidden"))
    answer = await terminate(made)
    assert (answer.status, answer.json["code"], answer.json["outcome"]) == (502, "vendor-denied-access", "partial")
    assert answer.json["detail"].startswith("Carried out: complete. Then: ")
    parent, _ = await parent_and_steps(made)
    assert (parent.status, parent.is_settled) == (JobActionStatus.FAILED, True)
    assert parent.job is not None
    assert parent.job.vendor_status == "completed"


@pytest.mark.parametrize("status", ["classificationFailed", "scheduleFailed"])
async def test_no_way_is_said_and_nothing_is_sent(make_engine: MakeEngine, status: str) -> None:
    """Where the vendor documents no way to an end, the answer is 409 with the job's status."""
    made = make_engine(azure(status))
    answer = await terminate(made)
    assert (answer.status, answer.json["code"], answer.json["outcome"]) == (409, "not-ended", "not_sent")
    assert answer.json["job"]["vendorStatus"] == status
    assert urls(made) == []


async def test_nothing_follows_a_step_of_unknown_outcome(make_engine: MakeEngine) -> None:
    """202: the second step is not begun, and both records are settled once the job shows what happened."""
    made = make_engine(ASSIGNED, ASSIGNED, SILENCE)
    answer = await terminate(made)
    assert (answer.status, answer.json["outcome"], answer.json["status"]) == (202, "unknown", "unsettled")
    assert urls(made) == [COMPLETE]
    made.transport.otherwise = COMPLETED
    made.clock.advance(0.5)
    await made.reconciler.reconcile_due()
    parent, (step,) = await parent_and_steps(made)
    assert (parent.outcome, step.outcome) == (Outcome.PARTIAL, Outcome.APPLIED)
    assert parent.problem is not None
    assert parent.problem.code == "not-ended"
    assert parent.conclusion is not None
    assert [each.outcome for each in parent.conclusion.steps] == [Outcome.APPLIED]
    assert urls(made) == [COMPLETE]


@pytest.mark.parametrize(("shown", "outcome"), [("cancelled", Outcome.APPLIED), ("queued", Outcome.REJECTED)])
async def test_a_lost_reply_to_the_only_step(make_engine: MakeEngine, shown: str, outcome: Outcome) -> None:
    """The job shows whether it has ended, which is the outcome of the step and of the whole."""
    made = make_engine(azure("queued"), SILENCE)
    await terminate(made)
    made.transport.otherwise = azure(shown)
    for _ in range(5):
        made.clock.advance(20)
        await made.reconciler.reconcile_due()
    parent, (step,) = await parent_and_steps(made)
    assert (parent.outcome, step.outcome, parent.is_settled) == (outcome, outcome, True)
    assert urls(made) == [CANCEL]


async def test_a_dry_run_shows_the_requests_that_are_sent(make_engine: MakeEngine) -> None:
    """The plan has each step with its exact request, in order, and nothing is recorded or sent."""
    made = make_engine(ASSIGNED, ASSIGNED)
    plan = await call(made.gateway.application, "POST", f"{JOB}/terminate?dryRun=true", {"note": "Over"})
    assert plan.status == 200
    assert (plan.json["job"]["vendorStatus"], plan.json["alreadySo"]) == ("assigned", False)
    assert [(each["action"], each["to"]["vendorStatus"]) for each in plan.json["steps"]] == [
        ("complete", "completed"),
        ("close", "closed"),
    ]
    assert urls(made) == []
    assert (await made.ledger.page(Selection(), 10, None)).items == ()
    made.transport.script.extend([ASSIGNED, ASSIGNED, DONE, DONE])
    await terminate(made, {"note": "Over"})
    shown = [(each["vendorRequest"]["url"], each["vendorRequest"]["body"].encode()) for each in plan.json["steps"]]
    assert shown == [(each.url, each.content) for each in made.actions_sent]


async def test_a_dry_run_on_an_ended_job(make_engine: MakeEngine) -> None:
    """There is nothing to do, and the plan says so."""
    made = make_engine(azure("closed"))
    plan = await call(made.gateway.application, "POST", f"{JOB}/terminate?dryRun=true")
    assert (plan.json["alreadySo"], plan.json["steps"]) == (True, [])


async def test_a_key_stands_for_the_whole(make_engine: MakeEngine) -> None:
    """The same request with the same key gets the same answer, and takes no further step."""
    made = make_engine(azure("queued"), DONE)
    first = await terminate(made, **{"idempotency-key": "end-it"})
    again = await terminate(made, **{"idempotency-key": "end-it"})
    assert first.json == again.json
    assert again.headers["idempotent-replayed"] == "true"
    other = await terminate(made, {"mode": "forced"}, **{"idempotency-key": "end-it"})
    assert other.json["code"] == "idempotency-key-reused"


async def test_a_note_that_cannot_be_carried_is_refused_to_the_strict(make_engine: MakeEngine) -> None:
    """handling=strict holds for each step, and nothing is sent."""
    made = make_engine(token(), vonage_page([vonage_job("Running", "7a3f2f4e-52ec-4ed6-9b7e-5e8e9b1f0c11")]))
    path = "/v1/connections/vonage-emea/jobs/7a3f2f4e-52ec-4ed6-9b7e-5e8e9b1f0c11"
    answer = await terminate(made, {"note": "Why"}, path, prefer="handling=strict")
    assert (answer.status, answer.json["code"], answer.json["outcome"]) == (422, "parameter-not-supported", "not_sent")
    assert urls(made) == []


async def test_a_precondition_holds_for_the_first_step(make_engine: MakeEngine) -> None:
    """Azure cannot compare versions, so a termination with If-Match is refused, and nothing is sent."""
    made = make_engine(azure("queued"))
    answer = await terminate(made, **{"if-match": '"1"'})
    assert (answer.status, answer.json["code"]) == (422, "precondition-not-supported")
    assert (answer.json["outcome"], urls(made)) == ("not_sent", [])


async def begun(made: ScriptedEngine, taken: int) -> JobActionRecord:
    """A termination whose gateway died: its job was read, and so many steps were sent, the last without a reply."""
    made.clock.advance(1)
    asked = Requested(made.clock.now(), "somebody", "contoso-prod", "azure-job-router", JobAction(TERMINATE, AZURE_JOB))
    due = NOW + lease(10)
    parent = JobActionRecord(made.clock.new_id(made.clock.now()), asked)
    await made.ledger.claim(parent, due, None)
    parent = await made.ledger.append(parent, Read(made.clock.now()), due)
    actions = ("complete", "close")[:taken]
    for action in actions:
        made.clock.advance(0.01)
        now = made.clock.now()
        job_action = JobAction(action, AZURE_JOB, {"assignmentId": ASSIGNMENT})
        step = JobActionRecord(made.clock.new_id(now), replace(asked, at=now, job_action=job_action, parent=parent.id))
        await made.ledger.claim(step, due, None)
        step = await made.ledger.sent(step, Sent(now))
        if action != actions[-1]:
            await made.ledger.append(step, Concluded(now, Outcome.APPLIED, SettledBy.VENDOR_REPLY), None)
    return parent


@pytest.mark.parametrize(
    ("job", "taken", "outcome"),
    [
        (COMPLETED, 1, Outcome.PARTIAL),
        (CLOSED, 2, Outcome.APPLIED),
        (azure("queued"), 0, Outcome.NOT_SENT),
        (CLOSED, 0, Outcome.APPLIED),
    ],
)
async def test_a_gateway_that_died_between_steps(
    make_engine: MakeEngine, job: Line, taken: int, outcome: Outcome
) -> None:
    """Another one concludes from the job and the steps that were taken, and begins none."""
    made = make_engine()
    parent = await begun(made, taken)
    made.transport.otherwise = job
    for _ in range(6):
        made.clock.advance(20)
        await made.reconciler.reconcile_due()
    concluded = await made.ledger.get(parent.id, None)
    assert concluded is not None
    assert (concluded.outcome, concluded.is_settled) == (outcome, True)
    assert urls(made) == []


async def test_a_job_that_was_seen_and_is_gone_has_ended(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the vendor deletes ended jobs, one that was seen has ended if it is gone; others are unknown."""
    gone = azure_error(404, "NotFound")
    made = make_engine(gone)
    specification = vars(made.connection("contoso-prod").specification)
    monkeypatch.setitem(specification, "deletes_ended_jobs", value=True)
    unseen = await terminate(made)
    assert (unseen.status, unseen.json["code"], unseen.json["outcome"]) == (404, "unknown-job", "not_sent")
    made.transport.script.extend([azure("queued"), DONE, gone])
    await call(made.gateway.application, "POST", f"{JOB}/terminate")
    seen = await terminate(made)
    assert (seen.status, seen.json["outcome"], seen.json["alreadySo"]) == (200, "applied", True)
    assert "job" not in seen.json
    monkeypatch.setitem(specification, "deletes_ended_jobs", value=False)
    made.transport.script.append(gone)
    assert (await terminate(made)).status == 404


async def test_the_time_of_a_request_holds_for_all_steps_together(make_engine: MakeEngine) -> None:
    """A step whose turn comes after the time is up is not begun, and what was done before is said."""
    made = make_engine(ASSIGNED, ASSIGNED, DONE)
    append = made.ledger.append

    async def slow(record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        if record.requested.parent is not None:
            made.clock.advance(11)
        return await append(record, event, due)

    made.ledger.append = slow  # type: ignore[method-assign]
    asked = made.request("contoso-prod", TERMINATE, AZURE_JOB, {"mode": "graceful"})
    record = (await Terminations(made.actions, made.reconciler).perform(asked)).record
    assert record.outcome is Outcome.PARTIAL
    assert record.problem is not None
    assert record.problem.code == "not-ended"
    assert urls(made) == [COMPLETE]


async def test_force_needs_another_scope(make_engine: MakeEngine) -> None:
    """A caller that may terminate, and may not discard, is refused the mode `forced` before the job is read."""
    made = make_engine()
    scopes = ("jobs:terminate", "connections:*")
    callers = {"desk": CallerSettings(key=SecretStr("desk-key"), scopes=scopes)}
    gateway = Gateway(
        settings(callers=callers),
        made.gateway.catalogue,
        clock=made.clock,
        transport=made.transport,
        ledger=made.ledger,
    )
    refused = await call(gateway.application, "POST", f"{JOB}/terminate", {"mode": "forced"}, key="desk-key")
    assert (refused.status, refused.json["code"], refused.json["outcome"]) == (403, "forbidden", "not_sent")
    assert "jobs:discard" in refused.json["detail"]
    made.transport.script.append(azure("closed"))
    allowed = await call(gateway.application, "POST", f"{JOB}/terminate", {"mode": "graceful"}, key="desk-key")
    assert (allowed.status, allowed.json["alreadySo"]) == (200, True)


def test_records_have_every_action_and_terminate(make_engine: MakeEngine) -> None:
    """The document's actions of records are its actions and `terminate`."""
    schemas = make_engine().gateway.catalogue.api.document.content["components"]["schemas"]
    assert schemas["RecordedAction"]["enum"] == [*schemas["ActionName"]["enum"], TERMINATE]
