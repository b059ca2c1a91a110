"""Actions that the vendor carries out: the exact request, and the record that is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.model import HttpReply, Outcome, StatusPair
from gateway.domain.record import JobActionStatus, Selection, SettledBy
from gateway.domain.times import canonical_date_time
from tests.support.clock import NOW
from tests.support.scripted_engine import CALLER, MakeEngine
from tests.support.transport import reply
from tests.support.vendors import AZURE, AZURE_JOB, TARGETS, TOKEN_URL, VONAGE, VONAGE_JOB, Target, token

CANCEL, CLOSE, *OF_VONAGE = TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_the_record_says_what_was_asked_and_what_came_of_it(make_engine: MakeEngine, target: Target) -> None:
    """A documented 2xx makes the record `succeeded` and `applied`, with the documented vendor status."""
    made = make_engine(*target.before(), target.applied)
    record = await made.perform(target)
    assert (record.status, record.outcome) == (JobActionStatus.SUCCEEDED, Outcome.APPLIED)
    assert record.job == StatusPair(target.status, target.vendor_status)
    assert (record.job_action.action, record.job_action.job_id) == (target.action, target.job_id)
    assert record.job_action.parameters == target.parameters
    asked = record.requested
    assert (asked.connection, asked.caller, record.problem) == (target.connection, CALLER, None)
    assert (asked.at, [each.at for each in record.sent], record.completed_at) == (NOW, [NOW], NOW)
    assert record.conclusion is not None
    assert (record.conclusion.settled_by, record.readings) == (SettledBy.VENDOR_REPLY, ())
    assert record.vendor_response is not None
    assert record.vendor_response.status == target.applied.status


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_the_request_is_the_one_of_the_documents(make_engine: MakeEngine, target: Target) -> None:
    """Method, URL and body equal the samples in the vendor's documents byte for byte, and nothing else is sent."""
    made = make_engine(*target.before(), target.applied)
    await made.perform(target)
    (sent,) = made.sent
    assert (sent.method, sent.url, sent.content) == ("POST", target.url, target.content)


async def test_the_samples_of_the_documents_are_what_is_meant() -> None:
    """The targets of these tests are the vendors' own samples, not what the gateway happens to send."""
    assert CANCEL.url == f"{AZURE}/routing/jobs/8780b28c-7079-4de1-9143-4d369289e958:cancel?api-version=2023-11-01"
    assert CLOSE.url == (
        f"{AZURE}/routing/jobs/8780b28c-7079-4de1-9143-4d369289e958"
        "/assignments/1d5896f3-8b54-40be-82d3-910323f5e2af:close?api-version=2023-11-01"
    )
    assert (CANCEL.content, CLOSE.content) == (b"", b'{"dispositionCode":"JobCompleted.","note":"Closing job"}')
    assert OF_VONAGE[1].url == f"{VONAGE}/interactions/jobs/fe4b9c24-d305-492e-90e2-ddbdd7a36555/restart"


async def test_headers_to_azure(make_engine: MakeEngine) -> None:
    """Azure gets a signature over this very request, and a content type only where there is a body."""
    signed = {"x-ms-date", "x-ms-content-sha256", "Authorization"}
    without, body = make_engine(CANCEL.applied), make_engine(CLOSE.applied)
    await without.perform(CANCEL)
    await body.perform(CLOSE)
    assert without.sent[0].headers.keys() == {"Accept", "User-Agent"} | signed
    assert body.sent[0].headers.keys() == {"Accept", "User-Agent", "Content-Type"} | signed
    assert body.sent[0].headers["Content-Type"] == "application/json"
    assert body.sent[0].headers["x-ms-date"] == "Mon, 05 Jan 2026 10:00:00 GMT"


async def test_headers_to_vonage(make_engine: MakeEngine) -> None:
    """Vonage gets its bearer token and the media type that names the version, without which it refuses."""
    made = make_engine(token("abc-123"), reply(204))
    await made.perform(OF_VONAGE[0])
    assert made.sent[0].headers == {
        "Accept": "application/vnd.newvoicemedia.v1+json",
        "User-Agent": "jobgate/1",
        "Authorization": "Bearer abc-123",
    }
    assert made.transport.requests[0].url == TOKEN_URL


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        pytest.param(CLOSE, reply(202, {}), id="202 as earlier previews of Azure had it"),
        pytest.param(CLOSE, reply(200), id="Azure without a body"),
        pytest.param(CANCEL, reply(200, {"some": "member"}), id="Azure with members that no document has"),
        pytest.param(OF_VONAGE[0], reply(200, {}), id="Vonage with an empty object"),
        pytest.param(OF_VONAGE[1], reply(200, {"jobId": VONAGE_JOB, "status": "Scheduled"}), id="Vonage with the job"),
    ],
)
async def test_replies_that_depart_from_the_document_and_are_still_clear(
    make_engine: MakeEngine, target: Target, answer: HttpReply
) -> None:
    """A 2xx without an error in it counts as applied, also where the document has another 2xx or another body."""
    record = await make_engine(*target.before(), answer).perform(target)
    assert record.outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("close_at", "vendor_status"),
    [
        ("2026-01-05T10:00:01Z", "completed"),
        ("2026-01-05T12:00:01+02:00", "completed"),
        ("2026-01-05t10:00:01.1234567z", "completed"),
        ("2026-06-30T23:59:60Z", "completed"),
        ("2026-01-05T10:00:00Z", "closed"),
        ("2026-01-05T11:59:59+02:00", "closed"),
        ("2016-12-31T23:59:60Z", "closed"),
        ("0001-01-01T00:00:00.0000000Z", "closed"),
    ],
)
async def test_a_job_that_is_closed_later_stays_completed(
    make_engine: MakeEngine, close_at: str, vendor_status: str
) -> None:
    """CloseAt in the future leaves the job completed until then; in the past, or now, it closes at once.

    The vendor gets the time in the one form that it has.
    """
    target = replace(CLOSE, parameters={**CLOSE.parameters, "closeAt": close_at})
    made = make_engine(CLOSE.applied)
    record = await made.perform(target)
    assert record.job == StatusPair(vendor_status, vendor_status)
    assert f'"closeAt":"{canonical_date_time(close_at)}"'.encode() in made.sent[0].content


async def test_the_vendors_request_id_is_kept(make_engine: MakeEngine) -> None:
    """Azure's trace-id is in the record, since it is the only thing that Azure's support can look up."""
    record = await make_engine(reply(200, {}, {"trace-id": "db7be217-a093-7d29"})).perform(CANCEL)
    assert record.vendor_response is not None
    assert record.vendor_response.request_id == "db7be217-a093-7d29"


async def test_every_call_of_a_job_action_has_one_deadline(make_engine: MakeEngine) -> None:
    """Token, read and action share the seconds that the settings give, whichever of them takes long."""
    made = make_engine(token(), reply(204))
    await made.perform(OF_VONAGE[0])
    assert set(made.transport.deadlines) == {made.clock.monotonic() + made.gateway.settings.vendor_seconds}


async def test_records_are_the_callers_own(make_engine: MakeEngine) -> None:
    """A record is found by its caller, newest first, and by nobody else."""
    made = make_engine(CANCEL.applied, CANCEL.applied)
    first = (await made.actions.perform(made.ask(CANCEL))).record
    made.clock.advance(1)
    second = (await made.actions.perform(made.ask(CANCEL))).record
    assert await made.records() == (second, first)
    assert second.requested.at - first.requested.at == timedelta(seconds=1)
    assert await made.ledger.get(first.id, "somebody else") is None
    assert (await made.ledger.page(Selection(caller="somebody else"), 10, None)).items == ()


async def test_any_job_id_goes_into_the_path_as_one_segment(make_engine: MakeEngine) -> None:
    """A colon in an id is encoded, so that it cannot be taken for the one before the verb."""
    made = make_engine(CANCEL.applied)
    await made.actions.perform(made.request("contoso-prod", "cancel", f"{AZURE_JOB}:close?x#y%2F é"))
    assert made.sent[0].url == (
        f"{AZURE}/routing/jobs/{AZURE_JOB}%3Aclose%3Fx%23y%252F%20%C3%A9:cancel?api-version=2023-11-01"
    )
