"""One job: read from Azure at once, found in Vonage's list, and put into common words."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects import rendering
from gateway.domain.errors import JobgateError, VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import BlockedAction, Job, StatusPair
from gateway.engine import jobs
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import (
    AZURE,
    AZURE_JOB,
    VONAGE,
    VONAGE_JOB,
    azure_error,
    azure_job,
    token,
    vonage_job,
    vonage_page,
)

OTHER_JOB = "0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e01"


async def read(made: ScriptedEngine, connection: str = "contoso-prod", job_id: str = AZURE_JOB) -> Job:
    """One job."""
    return await made.jobs.get(made.connection(connection), job_id, made.calls.context())


async def fails(made: ScriptedEngine, connection: str = "contoso-prod", job_id: str = AZURE_JOB) -> JobgateError:
    """The error with which reading a job fails."""
    with pytest.raises(JobgateError) as caught:
        await read(made, connection, job_id)
    return caught.value


async def test_a_job_of_azure(make_engine: MakeEngine) -> None:
    """The job in common words, beside the vendor's own object, from one signed GET."""
    vendors_own = azure_job(
        "completed", enqueuedAt="2026-01-05T09:30:00.1234567+00:00", queueId="support", channelId="chat"
    )
    made = make_engine(reply(200, vendors_own))
    job = await read(made)
    assert job == Job(
        id=AZURE_JOB,
        connection="contoso-prod",
        vendor="azure-job-router",
        status=StatusPair("completed", "completed"),
        final=False,
        allowed_actions=("close",),
        blocked_actions=(
            BlockedAction(
                "cancel",
                "Allowed when the job is created or pendingClassification or pendingSchedule or scheduled or "
                "waitingForActivation or queued or assigned; it is completed.",
            ),
            BlockedAction("pause", "azure-job-router has no such action."),
            BlockedAction("restart", "azure-job-router has no such action."),
            BlockedAction("complete", "Allowed when the job is assigned; it is completed."),
            BlockedAction("unassign", "Allowed when the job is assigned; it is completed."),
            BlockedAction("discard", "azure-job-router has no such action."),
        ),
        timestamps={"enqueuedAt": "2026-01-05T09:30:00.1234567+00:00"},
        vendor_object=vendors_own,
        version='"1"',
        queue="support",
        type="chat",
    )
    (sent,) = made.sent
    assert (sent.method, sent.content) == ("GET", b"")
    assert sent.url == f"{AZURE}/routing/jobs/{AZURE_JOB}?api-version=2023-11-01"
    assert sent.headers["Authorization"].startswith("HMAC-SHA256 ")


async def test_every_status_of_every_vendor_has_its_word(make_engine: MakeEngine) -> None:
    """For every documented vendor status, the status and the allowed actions are those of the document."""
    made = make_engine()
    for name in ("contoso-prod", "vonage-emea"):
        connection = made.connection(name)
        specification = connection.vendor.specification
        make = azure_job if name == "contoso-prod" else vonage_job
        assert specification.statuses
        for vendor_status, status in specification.statuses.items():
            job = jobs.normalise(connection, make(vendor_status))
            assert (job.status, job.final) == (status.pair, status.final)
            assert all(specification.allows(action, vendor_status) for action in job.allowed_actions)
            blocked = {each.action for each in job.blocked_actions}
            assert blocked | set(job.allowed_actions) == set(connection.vendor.capabilities)
            assert not blocked & set(job.allowed_actions)


async def test_a_status_that_no_document_has_is_unknown(make_engine: MakeEngine) -> None:
    """A new word of the vendor's is shown as it is, called `unknown`, and allows nothing."""
    job = await read(make_engine(reply(200, azure_job("hibernating"))))
    assert job.status == StatusPair("unknown", "hibernating")
    assert (job.final, job.allowed_actions) == (False, ())


async def test_a_job_of_vonage_is_found_on_whichever_page_it_is(make_engine: MakeEngine) -> None:
    """Pages are read one after the other, as large as the vendor has them, until the job is there, and no further."""
    pages = [vonage_page([vonage_job("Running", OTHER_JOB)], number, 9) for number in (1, 2)]
    made = make_engine(token(), *pages, vonage_page([vonage_job("Paused", OTHER_JOB), vonage_job("Failed")], 3, 9))
    job = await read(made, "vonage-emea", VONAGE_JOB)
    assert (job.id, job.status) == (VONAGE_JOB, StatusPair("failed", "Failed"))
    assert [request.url for request in made.sent] == [
        f"{VONAGE}/interactions/jobs?limit=1000&size=1000&page={number}" for number in (1, 2, 3)
    ]
    assert {request.headers["Accept"] for request in made.sent} == {"application/vnd.newvoicemedia.v1+json"}


async def test_a_job_that_is_on_no_page_is_unknown(make_engine: MakeEngine) -> None:
    """After the last page the answer is unknown-job, which names the vendor."""
    pages = [vonage_page([vonage_job("Running", OTHER_JOB)], number, 3) for number in (1, 2, 3)]
    made = make_engine(token(), *pages)
    problem = await fails(made, "vonage-emea", VONAGE_JOB)
    assert (problem.code, problem.status) == ("unknown-job", 404)
    assert problem.explanation.vendor is not None
    assert problem.explanation.vendor.vendor == "vonage-contact-center"
    assert made.transport.script == []


async def test_looking_for_a_job_ends(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor whose list never ends is asked for a limited number of pages."""
    monkeypatch.setattr(jobs, "MOST_PAGES", 5)
    made = make_engine(token(), *[vonage_page([], number, 1_000) for number in range(1, 8)])
    assert (await fails(made, "vonage-emea", VONAGE_JOB)).code == "unknown-job"
    assert len(made.sent) == 5


@pytest.mark.parametrize("paging", [None, {}, {"page": 1}, {"page": 1, "count": "two"}, "nonsense"])
async def test_a_list_that_does_not_say_how_long_it_is(make_engine: MakeEngine, paging: Any) -> None:
    """Where the number of pages is missing, a full page is followed by the next, and no job is overlooked."""
    full = [vonage_job("Running", OTHER_JOB)] * 1_000
    made = make_engine(
        token(),
        reply(200, {"jobs": full, "paging": paging}),
        reply(200, {"jobs": [vonage_job("Paused")], "paging": paging}),
    )
    assert (await read(made, "vonage-emea", VONAGE_JOB)).id == VONAGE_JOB


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        pytest.param(azure_error(404, "NotFound"), "unknown-job", 404, id="404"),
        pytest.param(azure_error(404, "ResourceNotFound"), "unknown-job", 404, id="404 with another code"),
        pytest.param(azure_error(400, "BadRequest"), "vendor-refused", 422, id="400"),
        pytest.param(azure_error(401, "Denied", "error"), "vendor-denied-access", 502, id="401"),
        pytest.param(azure_error(403, "Forbidden", "error"), "vendor-denied-access", 502, id="403"),
        pytest.param(azure_error(429, "TooMany"), "vendor-throttled", 429, id="429"),
        pytest.param(reply(500), "vendor-error", 502, id="500"),
        pytest.param(reply(302), "vendor-reply-not-understood", 502, id="302"),
        pytest.param(reply(204), "vendor-reply-not-understood", 502, id="204"),
        pytest.param(reply(200), "vendor-reply-not-understood", 502, id="no body"),
        pytest.param(reply(200, b"<html>"), "vendor-reply-not-understood", 502, id="html"),
        pytest.param(reply(200, []), "vendor-reply-not-understood", 502, id="a list"),
        pytest.param(azure_error(200, "Oops"), "vendor-reply-not-understood", 502, id="an error inside a success"),
        pytest.param(VendorTimedOut("silence"), "vendor-timed-out", 504, id="silence"),
        pytest.param(VendorReplyNotUnderstood("cut"), "vendor-reply-not-understood", 502, id="broke off"),
        pytest.param(VendorUnreachable("refused"), "vendor-unreachable", 503, id="refused"),
    ],
)
async def test_what_can_go_wrong_with_a_read(make_engine: MakeEngine, answer: Line, code: str, status: int) -> None:
    """Each failure has its kind and status, names the vendor, and says nothing of an outcome: nothing was asked."""
    problem = await fails(make_engine(answer))
    assert (problem.code, problem.status) == (code, status)
    assert problem.explanation.outcome is None
    assert problem.explanation.vendor is not None
    assert problem.explanation.vendor.vendor == "azure-job-router"


BROKEN: list[Any] = ["missing", None, "", [], {}, True, 1.5]


@pytest.mark.parametrize("value", [*BROKEN, "x" * 1_025])
@pytest.mark.parametrize("member", ["id", "status"])
async def test_a_job_without_an_id_or_a_status_is_not_understood(
    make_engine: MakeEngine, member: str, value: Any
) -> None:
    """A job without a usable id or status is the vendor's fault, not the caller's or the gateway's."""
    vendors_own = azure_job("queued")
    if value == "missing":
        del vendors_own[member]
    else:
        vendors_own[member] = value
    assert (await fails(make_engine(reply(200, vendors_own)))).code == "vendor-reply-not-understood"


async def test_numbers_are_ids_too(make_engine: MakeEngine) -> None:
    """An id that the vendor writes as a number is that number's text."""
    assert (await read(make_engine(reply(200, {"id": 7, "status": "queued"})))).id == "7"


TIMES = [
    ("2023-11-13T17:42:43.1800931+00:00", True),
    ("2026-01-05T08:00:00.00Z", True),
    ("2026-01-05T08:00:00-23:59", True),
    ("2026-01-05T08:00:00.123456789012Z", True),
    ("2026-01-05T24:00:00Z", False),
    ("2026-02-30T08:00:00Z", False),
    ("2026-W01-1T00:00:00Z", False),
    ("20260105T080000Z", False),
    ("2026-01-05T08:00Z", False),
    ("2026-01-05T08:00:00", False),
    ("2026-01-05 08:00:00Z", False),
    ("2026-01-05T08:00:00,5Z", False),
    ("2026-01-05T08:00:00+00:00:30", False),
    (f"2026-01-05T08:00:00.{'1' * 43}Z", True),
    (f"2026-01-05T08:00:00.{'1' * 44}Z", False),
    ("yesterday", False),
    ("", False),
    (1_767_600_000, False),
    (None, False),
]


@pytest.mark.parametrize(("time", "kept"), TIMES)
async def test_times_are_passed_on_as_they_are_or_not_at_all(make_engine: MakeEngine, time: Any, kept: bool) -> None:
    """A time that RFC 3339 allows is shown unchanged, seven digits and all; another is left out, not made up."""
    job = await read(make_engine(reply(200, azure_job("queued", enqueuedAt=time))))
    assert job.timestamps == ({"enqueuedAt": time} if kept else {})
    validator = make_engine().gateway.catalogue.api.operations["getJob"].responses["200"].bodies["application/json"]
    assert validator.errors(rendering.job(job, with_vendor=True)) == ()
