"""Actions that the vendor refuses: the job itself tells why, since vendors use one status for several reasons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.domain.errors import VendorRefused, VendorTimedOut
from gateway.domain.model import HttpReply, Outcome
from gateway.domain.vocabulary import Meaning
from gateway.specs.vendor import ErrorReply
from tests.support.scripted_engine import MakeEngine
from tests.support.transport import Line, reply
from tests.support.vendors import (
    AZURE,
    AZURE_JOB,
    TARGETS,
    VONAGE,
    VONAGE_JOB,
    Target,
    azure_error,
    azure_job,
    vonage_error,
    vonage_page,
)

CANCEL, CLOSE, VONAGE_CANCEL, *_ = TARGETS
REFUSALS = [400, 404, 409, 422]

REJECTED = Outcome.REJECTED

every_target = pytest.mark.parametrize("target", TARGETS, ids=str)
every_refusal = pytest.mark.parametrize("status", REFUSALS)


@every_target
@every_refusal
async def test_a_job_in_another_state_is_why(make_engine: MakeEngine, target: Target, status: int) -> None:
    """The job, read back, does not allow the action: 409 with the job's status and what it does allow."""
    made = make_engine(*target.before(), target.refusal(status), target.job(target.refused_in))
    failure = await made.failure(target)
    assert failure.summary == ("wrong-state", 409, REJECTED, "failed")
    state = failure.problem.explanation.job
    assert state is not None
    vendor = made.connection(target.connection).vendor
    assert state.status == vendor.specification.status(target.refused_in).pair
    assert state.allowed_actions == tuple(
        name for name in vendor.supported_actions if vendor.specification.allows(name, target.refused_in)
    )
    assert failure.record.job == state.status


@every_target
@every_refusal
async def test_a_job_that_does_not_exist_is_why(make_engine: MakeEngine, target: Target, status: int) -> None:
    """The job, read back, is not there: 404, whatever status the vendor refused with."""
    made = make_engine(*target.before(), target.refusal(status), target.no_job())
    assert (await made.failure(target)).summary == ("unknown-job", 404, REJECTED, "failed")


@every_target
@every_refusal
async def test_a_job_that_allows_the_action_is_not_why(make_engine: MakeEngine, target: Target, status: int) -> None:
    """The job is there and allows the action, so the vendor has another reason: 422 with the vendor's own words.

    A 404 too: it is about something else than the job, such as an assignment.
    """
    made = make_engine(*target.before(), target.refusal(status), target.job(target.allowed_in))
    failure = await made.failure(target)
    assert failure.summary == ("vendor-refused", 422, REJECTED, "failed")
    assert failure.problem.explanation.vendor is not None
    assert failure.problem.explanation.vendor.status == status
    assert failure.problem.explanation.job is None


@every_target
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(VendorTimedOut("silence"), id="silence"),
        pytest.param(reply(500), id="error"),
        pytest.param(reply(200, b"<html>"), id="html"),
        pytest.param(reply(200, {"no": "job"}), id="nonsense"),
    ],
)
@pytest.mark.parametrize(("status", "code"), [(400, "vendor-refused"), (404, "unknown-job"), (409, "vendor-refused")])
async def test_a_read_back_that_fails_leaves_the_refusal(
    make_engine: MakeEngine, target: Target, answer: Line, status: int, code: str
) -> None:
    """The action was refused, and that stays the answer where the job cannot be read; it never becomes `unknown`."""
    made = make_engine(*target.before(), target.refusal(status), answer)
    failure = await made.failure(target)
    assert (failure.problem.code, failure.record.outcome, failure.record.status) == (code, REJECTED, "failed")


@every_target
@every_refusal
async def test_a_refused_action_is_not_sent_again(make_engine: MakeEngine, target: Target, status: int) -> None:
    """A refused action is sent once, and then the job is read once."""
    made = make_engine(*target.before(), target.refusal(status), target.job(target.refused_in))
    await made.failure(target)
    assert [request.method for request in made.sent] == ["POST", "GET"]
    expected = (
        f"{AZURE}/routing/jobs/{AZURE_JOB}?api-version=2023-11-01"
        if target.is_azure
        else f"{VONAGE}/interactions/jobs?limit=1000&size=1000&page=1"
    )
    assert made.sent[1].url == expected


@pytest.mark.parametrize("envelope", ["error", "communicationError"])
async def test_both_envelopes_of_azure_are_read(make_engine: MakeEngine, envelope: str) -> None:
    """Code and message are found in the envelope that Azure documents and in the one that it sends."""
    made = make_engine(azure_error(409, "Conflict", envelope, **{"trace-id": "trace-7"}), CANCEL.job("queued"))
    failure = await made.failure(CANCEL)
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert vendor.vendor == "azure-job-router"
    assert (vendor.status, vendor.code, vendor.message) == (409, "Conflict", "Conflict, said Azure.")
    assert vendor.request_id == "trace-7"
    assert failure.record.vendor_response == vendor


async def test_azures_code_in_a_header_is_read(make_engine: MakeEngine) -> None:
    """x-ms-error-code is the code where the body has none, as the reference pages promise."""
    made = make_engine(reply(409, b"", {"x-ms-error-code": "Conflict"}), CANCEL.job("queued"))
    vendor = (await made.failure(CANCEL)).problem.explanation.vendor
    assert vendor is not None
    assert vendor.code == "Conflict"


async def test_vonages_envelope_is_read(make_engine: MakeEngine) -> None:
    """The message in Vonage's error envelope is passed on."""
    text = "GUID '111414121313' is not a valid UUID string"
    made = make_engine(*VONAGE_CANCEL.before(), vonage_error(400, text), VONAGE_CANCEL.job("Running"))
    failure = await made.failure(VONAGE_CANCEL)
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert (vendor.code, vendor.message) == (None, text)
    assert text in failure.problem.detail


@pytest.mark.parametrize(
    "body",
    [None, b"<html>", b"{", [], "text", 5, {}, {"error": "text"}, {"communicationError": ["x"]}, {"message": {"a": 1}}],
    ids=str,
)
@pytest.mark.parametrize("target", [CANCEL, VONAGE_CANCEL], ids=str)
async def test_a_refusal_in_no_known_envelope_is_a_refusal_all_the_same(
    make_engine: MakeEngine, target: Target, body: Any
) -> None:
    """A refusal with an unreadable body is still a refusal, by its status."""
    made = make_engine(*target.before(), reply(409, body), target.job(target.refused_in))
    assert (await made.failure(target)).summary == ("wrong-state", 409, REJECTED, "failed")


@pytest.mark.parametrize("status", [400, 404, 409, 410, 412, 422])
async def test_a_code_that_no_document_has_does_not_keep_us_from_looking(make_engine: MakeEngine, status: int) -> None:
    """A refusal with an undocumented code still has the job read back."""
    made = make_engine(azure_error(status, "JobNotInCorrectState"), CANCEL.job("closed"))
    assert (await made.failure(CANCEL)).summary == ("wrong-state", 409, REJECTED, "failed")


async def test_an_assignment_that_does_not_exist_is_not_a_job_that_does_not_exist(make_engine: MakeEngine) -> None:
    """404 for a wrong assignmentId on a job that can be closed: refused by the vendor, not an unknown job."""
    made = make_engine(azure_error(404, "NotFound"), CLOSE.job("completed"))
    assert (await made.failure(CLOSE)).problem.code == "vendor-refused"


async def test_the_job_is_looked_for_on_all_pages(make_engine: MakeEngine) -> None:
    """A refused Vonage job is found on whichever page of the list it is."""
    pages: list[HttpReply] = [vonage_page([], number, 3) for number in (1, 2)]
    last = vonage_page([{"jobId": VONAGE_JOB, "status": "Completed"}], 3, 3)
    made = make_engine(*VONAGE_CANCEL.before(), vonage_error(400, "No."), *pages, last)
    assert (await made.failure(VONAGE_CANCEL)).problem.code == "wrong-state"


@pytest.mark.parametrize("length", [1_024, 100_000])
async def test_a_vendors_novel_is_cut(make_engine: MakeEngine, length: int) -> None:
    """A vendor's message is cut to the length that the API's document allows."""
    made = make_engine(reply(403, {"error": {"code": "c" * length, "message": "m" * length}}))
    failure = await made.failure(CANCEL)
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert (vendor.code, vendor.message) == ("c" * 1_024, "m" * 1_024)
    assert len(failure.problem.detail) <= 1_024


@pytest.mark.parametrize(
    ("meaning", "code"),
    [
        (Meaning.THROTTLED, "vendor-throttled"),
        (Meaning.FORBIDDEN, "vendor-denied-access"),
        (Meaning.UNAUTHENTICATED, "vendor-denied-access"),
    ],
)
async def test_what_the_vendors_document_says_comes_first(make_engine: MakeEngine, meaning: Meaning, code: str) -> None:
    """A status and code to which the document gives one meaning has that meaning, whatever the status usually says."""
    made = make_engine(azure_error(409, "Slow"))
    question = made.ask(CANCEL)
    specification = question.connection.specification
    errors = specification.errors
    known = replace(errors, meanings={**errors.meanings, meaning: (ErrorReply(409, "Slow down.", code="Slow"),)})
    connection = replace(question.connection, specification=replace(specification, errors=known))
    asked = structs.replace(question, connection=connection)
    assert (await made.failure_of(asked)).problem.code == code


@pytest.mark.parametrize("is_action", [True, False])
async def test_a_limit_that_waiting_does_not_mend_is_a_refusal(make_engine: MakeEngine, is_action: bool) -> None:
    """A 429 to which the document gives another meaning is not throttling: nothing is sent again, nor told to be."""
    full = azure_error(429, "TooManyPauses")
    made = make_engine(full, reply(200, azure_job("queued"))) if is_action else make_engine(full)
    question = made.ask(CANCEL)
    errors = question.connection.specification.errors
    listed = (*errors.meanings[Meaning.INVALID_REQUEST], ErrorReply(429, "Paused too often.", code="TooManyPauses"))
    known = replace(errors, meanings={**errors.meanings, Meaning.INVALID_REQUEST: listed})
    connection = replace(question.connection, specification=replace(question.connection.specification, errors=known))
    if is_action:
        problem = (await made.failure_of(structs.replace(question, connection=connection))).problem
    else:
        with pytest.raises(VendorRefused) as raised:
            await made.jobs.get(connection, AZURE_JOB, made.calls.context())
        problem = raised.value
    assert (problem.code, len(made.sent)) == ("vendor-refused", 1 + is_action)
