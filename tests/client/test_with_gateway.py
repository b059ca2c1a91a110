"""The client and the real gateway, in front of the sandbox: they mean the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.client import Client, JobAction, JobActionConditions, ProblemError, ScheduledAction, StatusPair
from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running

AZURE, VONAGE, TWILIO = "azure-sandbox", "vonage-sandbox", "twilio-sandbox"
TASK = "WTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture
def real(stack: Running) -> Iterator[Client]:
    """A client of the real gateway."""
    with Client(stack.url, stack.api_key) as made:
        yield made


def new_job(stack: Running, vendor: str, status: str) -> str:
    """A new job at a simulated vendor; gives its id."""
    job_id = str(uuid.uuid4())
    stack.sandbox.vendor(vendor).create_job(status, job_id)
    return job_id


def test_vendors_and_connections(real: Client) -> None:
    """Each listed vendor and connection can be read by its name, with the same content."""
    assert {each.name: real.vendor(each.name) for each in real.vendors()} == {
        each.name: each for each in real.vendors()
    }
    assert {AZURE, VONAGE} <= {each.name for each in real.connections()}
    assert all(real.connection(each.name) == each for each in real.connections())


@pytest.mark.parametrize("connection", [AZURE, VONAGE])
def test_jobs(real: Client, connection: str) -> None:
    """Lists of jobs and single jobs read the same, page by page and filtered."""
    jobs = list(real.jobs(connection))
    assert [real.job(connection, job.id) for job in jobs[:3]] == jobs[:3]
    assert list(real.jobs(connection, limit=3)) == jobs[:3]
    assert {job.status for job in real.jobs(connection, status="cancelled")} == {"cancelled"}
    assert real.job(connection, jobs[0].id, include_vendor=True).vendor_object


@pytest.mark.parametrize(
    ("connection", "vendor", "action", "before", "after"),
    [
        (AZURE, "azure-job-router", "cancel", "queued", StatusPair("cancelled", "cancelled")),
        (AZURE, "azure-job-router", "close", "completed", StatusPair("closed", "closed")),
        (VONAGE, "vonage-contact-center", "cancel", "Running", StatusPair("cancelled", "Cancelled")),
        (VONAGE, "vonage-contact-center", "pause", "Running", StatusPair("paused", "Paused")),
        (VONAGE, "vonage-contact-center", "restart", "Failed", StatusPair("scheduled", "Scheduled")),
    ],
)
def test_actions(
    stack: Running, real: Client, connection: str, vendor: str, action: str, before: str, after: StatusPair
) -> None:
    """Each method does to the job what it says; the record of it can be found again."""
    job_id = new_job(stack, vendor, before)
    done = getattr(real, action)(connection, job_id, note="n", disposition_code="d")
    assert (done.action, done.job_id, done.status, done.outcome, done.job) == (
        action,
        job_id,
        "succeeded",
        "applied",
        after,
    )
    assert real.job(connection, job_id).vendor_status == after.vendor_status
    assert real.job_action(done.id) == done == next(real.job_actions())


def lose_the_answer(stack: Running, action: str) -> None:
    """Have Azure carry out the next action of this name without a word."""
    mapping = stack.gateway.directory.vendors["azure-job-router"].specification.actions[action]
    fault = Fault(FaultKind.DROP_AFTER, operation_id=mapping.operation.operation_id)
    stack.sandbox.vendor("azure-job-router").script(fault)


def test_the_same_key(stack: Running, real: Client) -> None:
    """An action that is sent again with its key gets the same answer, and reached the vendor once."""
    job_id, key = new_job(stack, "azure-job-router", "queued"), str(uuid.uuid4())
    done = real.cancel(AZURE, job_id, idempotency_key=key)
    again = real.cancel(AZURE, job_id, idempotency_key=key)
    assert (done.idempotency_key, done.replayed, again) == (key, False, replace(done, replayed=True))
    log = stack.sandbox.vendor("azure-job-router").log()
    assert [each.status for each in log if each.job_action and each.job_action.job_id == job_id] == [200]
    with pytest.raises(ProblemError) as refusal:
        real.cancel(AZURE, job_id, note="n", idempotency_key=key)
    assert (refusal.value.code, refusal.value.replayed) == ("idempotency-key-reused", False)


def test_unknown_outcomes(stack: Running, real: Client) -> None:
    """Where the vendor's answer is lost, the outcome is unknown at first, and certain to who waits for it."""
    job_id = new_job(stack, "azure-job-router", "queued")
    lose_the_answer(stack, "cancel")
    done = real.cancel(AZURE, job_id)
    assert (done.status, done.outcome, done.settled_by, len(done.attempts)) == ("unsettled", "unknown", None, 1)
    settled = real.job_action(done.id, wait=20)
    assert (settled.status, settled.outcome, settled.settled_by) == ("succeeded", "applied", "reading")
    assert (settled.id, settled.readings[-1].job) == (done.id, StatusPair("cancelled", "cancelled"))


def test_waiting(stack: Running, real: Client) -> None:
    """Who acts with `wait` gets the outcome at once, although the vendor's answer was lost."""
    job_id = new_job(stack, "azure-job-router", "queued")
    lose_the_answer(stack, "cancel")
    done = real.cancel(AZURE, job_id, wait=20)
    assert (done.status, done.outcome, done.settled_by) == ("succeeded", "applied", "reading")


def test_job_actions_by_condition(stack: Running, real: Client) -> None:
    """Job actions are found by each condition, and none by a condition that is not met."""
    job_id = new_job(stack, "azure-job-router", "queued")
    done = real.cancel(AZURE, job_id)
    of_this_job: JobActionConditions = {"job_id": job_id}
    met: list[JobActionConditions] = [
        {"connection": AZURE},
        {"action": "cancel"},
        {"status": "succeeded"},
        {"outcome": "applied"},
        {"since": done.requested_at, "until": done.requested_at},
    ]
    missed: list[JobActionConditions] = [
        {"connection": VONAGE},
        {"action": "close"},
        {"status": "failed"},
        {"outcome": "unknown"},
        {"since": done.requested_at + timedelta(milliseconds=1)},
        {"until": done.requested_at - timedelta(milliseconds=1)},
    ]
    assert [list(real.job_actions(**(of_this_job | each))) for each in met] == [[done]] * len(met)
    assert [list(real.job_actions(**(of_this_job | each))) for each in missed] == [[]] * len(missed)


def test_close_later(stack: Running, real: Client) -> None:
    """A job that is to be closed later stays completed until then."""
    job_id = new_job(stack, "azure-job-router", "completed")
    done = real.close(AZURE, job_id, close_at=datetime.now(UTC) + timedelta(hours=1))
    assert isinstance(done, JobAction)
    assert (done.job, done.scheduled) == (StatusPair("completed", "completed"), "native")
    assert set(done.parameters) == {"closeAt", "assignmentId"}


def test_close_later_by_a_schedule(stack: Running, real: Client) -> None:
    """Where the vendor cannot wait, a schedule does, which can be paused, resumed and deleted like any other."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    assert real.preview("close", TWILIO, TASK, close_at=at).scheduled == "emulated"
    done = real.close(TWILIO, TASK, close_at=at)
    assert isinstance(done, ScheduledAction)
    schedule = done.schedule
    assert (done.scheduled, schedule.run_at, schedule.next_occurrences) == ("emulated", at, (at,))
    assert real.schedule(schedule.id) == schedule
    assert schedule in list(real.schedules())
    paused = real.pause_schedule(schedule.id, "Holidays")
    assert (paused.state, paused.why and paused.why.detail) == ("paused", "Holidays")
    assert real.resume_schedule(schedule.id).next_occurrences == (at,)
    assert real.delete_schedule(schedule.id).state == "deleted"


def test_schedules_and_windows(real: Client) -> None:
    """A schedule is previewed and created with typed times; the windows of the gateway are none."""
    batch = {"action": "cancel", "reason": "Nightly", "select": {"filter": {"connections": [AZURE]}}}
    seen = real.preview_schedule("nightly", batch, cron="0 2 * * *", time_zone="Europe/Amsterdam")
    assert (len(seen.next_occurrences), seen.start_within) == (5, "PT5M")
    assert seen.found
    made = real.create_schedule(
        "nightly", batch, cron="0 2 * * *", time_zone="Europe/Amsterdam", catch_up="once", idempotency_key="nightly"
    )
    assert (made.cron, made.catch_up, made.next_occurrences) == ("0 2 * * *", "once", seen.next_occurrences)
    real.delete_schedule(made.id)
    assert real.windows() == ()


def test_keys(real: Client) -> None:
    """The keys of the gateway, with typed members; its own one is in the settings."""
    own = next(each for each in real.api_keys() if each.caller == "default")
    assert (own.source, own.scopes, own.state, own.access_key) == ("settings", ("*",), "valid", True)
    assert own.created_at is None


def test_preview_changes_nothing(stack: Running, real: Client) -> None:
    """A preview shows the vendor's request, and the job stays as it is."""
    job_id = new_job(stack, "azure-job-router", "queued")
    preview = real.preview("cancel", AZURE, job_id, note="n")
    assert preview.vendor_request.url.endswith(f"/routing/jobs/{job_id}:cancel?api-version=2023-11-01")
    assert preview.vendor_request.body == '{"note":"n"}'
    assert real.job(AZURE, job_id).vendor_status == "queued"


def test_strict(stack: Running, real: Client) -> None:
    """What the vendor cannot carry is a warning, or with `strict` a refusal that names it."""
    job_id = new_job(stack, "vonage-contact-center", "Running")
    with pytest.raises(ProblemError) as refusal:
        real.pause(VONAGE, job_id, note="n", strict=True)
    assert (refusal.value.code, refusal.value.status, refusal.value.outcome) == (
        "parameter-not-supported",
        422,
        "not_sent",
    )
    assert [each.pointer for each in refusal.value.errors] == ["/body/note"]
    assert [each.parameter for each in real.pause(VONAGE, job_id, note="n").warnings] == ["note"]


def test_wrong_state(stack: Running, real: Client) -> None:
    """A job in the wrong state is a problem that shows the job and the vendor's answer, and leads to its record."""
    job_id = new_job(stack, "vonage-contact-center", "Completed")
    with pytest.raises(ProblemError) as refusal:
        real.pause(VONAGE, job_id)
    problem = refusal.value
    assert (problem.code, problem.outcome, problem.retryable) == ("wrong-state", "rejected", False)
    assert problem.job is not None
    assert (problem.job.vendor_status, problem.job.allowed_actions) == ("Completed", ())
    assert problem.vendor is not None
    assert problem.vendor.name == "vonage-contact-center"
    assert problem.job_action is not None
    record = real.job_action(problem.job_action)
    assert record.problem is not None
    assert (record.problem.code, record.problem.detail) == ("wrong-state", problem.detail)


@pytest.mark.parametrize(
    ("name", "code"), [("cancel", "unknown-job"), ("job", "unknown-job"), ("connection", "unknown-connection")]
)
def test_unknown_things(real: Client, name: str, code: str) -> None:
    """What does not exist is a problem whose code says what it is."""
    arguments = ("nowhere",) if name == "connection" else (AZURE, "no-such-job")
    with pytest.raises(ProblemError) as refusal:
        getattr(real, name)(*arguments)
    assert (refusal.value.code, refusal.value.status) == (code, 404)


@pytest.mark.parametrize("job_id", ["a:cancel", "50%", "é", "a b", "a?b#c", "a+b", "作业", "..a"])
def test_odd_ids(stack: Running, real: Client, job_id: str) -> None:
    """A job with an odd id can be read and cancelled, and no other is."""
    job = f"{job_id}-{uuid.uuid4()}"
    stack.sandbox.vendor("azure-job-router").create_job("queued", job)
    assert real.job(AZURE, job).id == job
    assert real.cancel(AZURE, job).job_id == job
    assert real.job(AZURE, job).vendor_status == "cancelled"


def test_ids_with_a_slash(real: Client) -> None:
    """An id with a slash, which no vendor gives, is refused by the gateway and leads nowhere else."""
    with pytest.raises(ProblemError) as refusal:
        real.cancel(AZURE, "8780b28c/cancel")
    assert refusal.value.status in {400, 404}


def test_wrong_key(stack: Running) -> None:
    """A key that the gateway does not take is a problem, and is not shown in it."""
    with Client(stack.url, "jobgate_wrong-key") as stranger, pytest.raises(ProblemError) as refusal:
        stranger.vendors()
    assert (refusal.value.code, refusal.value.status) == ("unauthenticated", 401)
    assert "wrong-key" not in repr(refusal.value)
