"""Closing without an assignmentId: the assignment is found in the job, or the caller is told why not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import VendorTimedOut
from gateway.domain.model import Outcome
from tests.support.scripted_engine import MakeEngine
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE, AZURE_JOB, assignment, azure_error, azure_job, completed_job

COMPLETED = "2026-01-05T09:40:00.1111111+00:00"
CLOSED = "2026-01-05T09:41:00.2222222+00:00"

DONE = assignment(completedAt=COMPLETED)
CLOSED_ONE = assignment(completedAt=COMPLETED, closedAt=CLOSED)
UNDER_WAY = assignment()


@pytest.mark.parametrize(
    "assignments",
    [
        pytest.param({"a-1": DONE}, id="the only one"),
        pytest.param({"a-0": CLOSED_ONE, "a-1": DONE}, id="one was closed before"),
        pytest.param({"a-1": DONE, "a-2": UNDER_WAY}, id="one is not completed yet"),
    ],
)
async def test_the_assignment_that_is_found_is_the_one_that_is_closed(
    make_engine: MakeEngine, assignments: Any
) -> None:
    """The only closable assignment goes into the path and the record, and the job is read once."""
    made = make_engine(reply(200, azure_job("completed", assignments=assignments)), reply(200, {}))
    await made.actions.perform(made.request("contoso-prod", "close", AZURE_JOB, {"note": "Closing job"}))
    read, close = made.sent
    assert (read.method, read.url) == ("GET", f"{AZURE}/routing/jobs/{AZURE_JOB}?api-version=2023-11-01")
    assert close.url == f"{AZURE}/routing/jobs/{AZURE_JOB}/assignments/a-1:close?api-version=2023-11-01"
    assert close.content == b'{"note":"Closing job"}'
    assert (await made.only_record()).job_action.parameters == {"note": "Closing job", "assignmentId": "a-1"}


@pytest.mark.parametrize(
    ("assignments", "candidates"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"a-1": CLOSED_ONE}, (), id="all closed"),
        pytest.param({"a-1": UNDER_WAY}, (), id="none completed"),
        pytest.param({"a-1": DONE, "a-2": CLOSED_ONE, "a-3": DONE}, ("a-1", "a-3"), id="two"),
        pytest.param(None, (), id="a job without the member"),
        pytest.param("nonsense", (), id="a member that makes no sense"),
    ],
)
async def test_where_it_is_not_clear_the_caller_chooses(
    make_engine: MakeEngine, assignments: Any, candidates: tuple[str, ...]
) -> None:
    """With no closable assignment or several, the answer is 409 that names them, and no action is sent."""
    made = make_engine(reply(200, azure_job("completed", assignments=assignments)))
    failure = await made.failure_of(made.request("contoso-prod", "close", AZURE_JOB))
    assert failure.summary == ("ambiguous-parameter", 409, Outcome.NOT_SENT, "failed")
    assert failure.problem.explanation.candidates == candidates
    assert made.actions_sent == []


@pytest.mark.parametrize("status", ["queued", "assigned", "closed", "cancelled", "a new word"])
async def test_a_job_in_the_wrong_state_is_told_before_anything_is_sent(make_engine: MakeEngine, status: str) -> None:
    """If the job does not allow the action, the answer says so, and no action is sent."""
    made = make_engine(reply(200, azure_job(status, assignments={"a-1": DONE})))
    failure = await made.failure_of(made.request("contoso-prod", "close", AZURE_JOB))
    assert failure.summary == ("wrong-state", 409, Outcome.NOT_SENT, "failed")
    assert failure.problem.explanation.job is not None
    assert failure.problem.explanation.job.status.vendor_status == status
    assert failure.record.job == failure.problem.explanation.job.status
    assert made.actions_sent == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(azure_error(404, "NotFound"), "unknown-job", id="no such job"),
        pytest.param(azure_error(401, "Denied", "error"), "vendor-denied-access", id="denied"),
        pytest.param(azure_error(429, "ThrottleLimitExceededException"), "vendor-throttled", id="throttled"),
        pytest.param(azure_error(500, "Oops"), "vendor-error", id="the vendor's own error"),
        pytest.param(reply(200, b"<html>"), "vendor-reply-not-understood", id="not JSON"),
        pytest.param(VendorTimedOut("silence"), "vendor-timed-out", id="silence"),
    ],
)
async def test_a_read_that_fails_means_that_nothing_was_sent(make_engine: MakeEngine, answer: Line, code: str) -> None:
    """If the read fails in any way, the outcome of the action is `not_sent`, never `unknown`."""
    made = make_engine(answer)
    failure = await made.failure_of(made.request("contoso-prod", "close", AZURE_JOB))
    assert failure.problem.code == code
    assert (failure.record.outcome, failure.record.status) == (Outcome.NOT_SENT, "failed")
    assert failure.problem.explanation.outcome is Outcome.NOT_SENT
    assert made.actions_sent == []


async def test_an_assignment_that_is_given_is_not_looked_up(make_engine: MakeEngine) -> None:
    """With an assignmentId the job is not read: one call, the action itself."""
    made = make_engine(reply(200, {}))
    await made.actions.perform(made.request("contoso-prod", "close", AZURE_JOB, {"assignmentId": "a-9"}))
    assert [request.method for request in made.sent] == ["POST"]
    assert "/assignments/a-9:close" in made.sent[0].url


async def test_a_found_assignment_that_cannot_be_sent_is_no_reason_to_send_another_request(
    make_engine: MakeEngine,
) -> None:
    """An assignment id with a slash would be another path: it is refused, and nothing is sent."""
    made = make_engine(reply(200, completed_job("a/../../b")))
    failure = await made.failure_of(made.request("contoso-prod", "close", AZURE_JOB))
    assert failure.record.outcome is Outcome.NOT_SENT
    assert made.actions_sent == []
