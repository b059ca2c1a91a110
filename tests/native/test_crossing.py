"""Any dialect on any vendor: what crosses does so in the caller's own words, and what cannot is refused in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.app import Gateway
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.memory import MemoryLedger
from gateway.specs.vendor import VendorSpecification
from tests.native.fixtures import AZURE, VERSION, VONAGE, VendorClients, job_path
from tests.support.documents import installed
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import (
    ASSIGNMENT,
    AZURE_JOB,
    TOKEN_URL,
    VONAGE_JOB,
    azure_job,
    settings,
    token,
    vonage_job,
    vonage_page,
)

CATALOGUE = installed()
AZURE_WORDS, VONAGE_WORDS = CATALOGUE.vendors[AZURE].specification, CATALOGUE.vendors[VONAGE].specification


def with_jobs(*jobs: Any, page: int = 1_000) -> VendorClients:
    """A gateway whose vendors have these jobs, and give them so many at a time."""

    def answer(request: HttpRequest) -> HttpReply:
        if request.url == TOKEN_URL:
            return token()
        url = urlsplit(request.url)
        if request.method == "POST":
            return reply(200, {}) if "communication" in url.netloc else reply(204)
        if "communication" not in url.netloc:
            return vonage_page([job for job in jobs if "jobId" in job])
        azures = [job for job in jobs if "id" in job]
        if url.path != "/routing/jobs":
            return next(reply(200, job) for job in azures if url.path.endswith(job["id"]))
        start = int(url.query.partition("continuationToken=")[2] or 0)
        body: dict[str, Any] = {"value": azures[start : start + page]}
        if start + page < len(azures):
            body["nextLink"] = f"https://{url.netloc}{url.path}?{VERSION}&continuationToken={start + page}"
        return reply(200, body)

    transport = FakeTransport(otherwise=answer)
    gateway = Gateway(settings(), CATALOGUE, transport=transport, ledger=MemoryLedger())
    return VendorClients(gateway, transport)


def uuid(number: int) -> str:
    """An id that both vendors can have."""
    return f"00000000-0000-4000-8000-{number:012}"


def shown_as(words: VendorSpecification, other: VendorSpecification) -> dict[str, str | None]:
    """Each status of another vendor, and the word as which its job is shown."""
    return {name: words.word_for(each.pair.status) for name, each in other.statuses.items()}


def test_the_words_for_vonages_jobs_in_azures_dialect() -> None:
    """Each status of Vonage's has a word of Azure's that means the same."""
    assert shown_as(AZURE_WORDS, VONAGE_WORDS) == {
        "Scheduled": "scheduled",
        "Running": "assigned",
        "Paused": "waitingForActivation",
        "Failed": "scheduleFailed",
        "Completed": "completed",
        "Cancelled": "cancelled",
    }


def test_the_words_for_azures_jobs_in_vonages_dialect() -> None:
    """Each status of Azure's has a word of Vonage's that means the same, or nearly so."""
    assert shown_as(VONAGE_WORDS, AZURE_WORDS) == {
        "created": "Scheduled",
        "pendingClassification": "Scheduled",
        "classificationFailed": "Failed",
        "pendingSchedule": "Scheduled",
        "scheduled": "Scheduled",
        "scheduleFailed": "Failed",
        "waitingForActivation": "Paused",
        "queued": "Scheduled",
        "assigned": "Running",
        "completed": "Completed",
        "closed": "Completed",
        "cancelled": "Cancelled",
    }


@pytest.mark.parametrize("status", list(VONAGE_WORDS.statuses))
async def test_azures_client_reads_vonages_jobs(status: str) -> None:
    """Azure's client reads Vonage's jobs, single and listed, as RouterJobs that Azure's document allows."""
    clients = with_jobs(vonage_job(status))
    one = await clients.azure("GET", job_path(VONAGE_JOB), connection="vonage-emea")
    listed = await clients.azure("GET", "/routing/jobs", connection="vonage-emea")
    assert (one.status, listed.status) == (200, 200)
    assert one.json["id"] == VONAGE_JOB
    assert one.json["status"] == shown_as(AZURE_WORDS, VONAGE_WORDS)[status]
    assert one.headers["etag"] == one.json["etag"]
    assert listed.json == {"value": [one.json]}


@pytest.mark.parametrize("status", list(AZURE_WORDS.statuses))
async def test_vonages_client_reads_azures_jobs(status: str) -> None:
    """Vonage's client reads Azure's jobs in a list that Vonage's document allows, counts included."""
    clients = with_jobs(azure_job(status))
    listed = await clients.vonage("GET", "/interactions/jobs", connection="contoso-prod")
    assert listed.json == {
        "jobs": [{"jobId": AZURE_JOB, "status": shown_as(VONAGE_WORDS, AZURE_WORDS)[status]}],
        "paging": {"page": 1, "count": 1, "pageCount": 1, "totalCount": 1},
    }


async def test_an_own_job_keeps_the_header_fields_of_its_document() -> None:
    """What the vendor's document has, such as the entity tag, is passed on; what it has not is not."""
    clients = with_jobs()
    clients.transport.otherwise = reply(200, azure_job("queued"), {"etag": '"7"', "x-internal": "host 4"})
    answer = await clients.azure("GET", job_path(AZURE_JOB))
    assert (answer.headers["etag"], "x-internal" in answer.headers) == ('"7"', False)


async def test_more_jobs_than_can_be_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list by number tells how many pages there are: cut short, it would say that there are no more."""
    monkeypatch.setattr("gateway.dialects.native.MOST_PAGES", 2)
    monkeypatch.setattr("gateway.dialects.native.LARGEST_PAGE", 1)
    clients = with_jobs(*({**azure_job("queued"), "id": uuid(number)} for number in range(3)), page=1)
    answer = await clients.vonage("GET", "/interactions/jobs", connection="contoso-prod")
    assert (answer.status, "more than 2 jobs" in answer.json["message"]) == (422, True)


async def test_an_entity_tag_is_another_when_the_job_is() -> None:
    """The entity tag changes when the job changes, and only then."""
    tags = [
        (await with_jobs(vonage_job(status)).azure("GET", job_path(VONAGE_JOB), connection="vonage-emea")).json["etag"]
        for status in ("Running", "Running", "Paused")
    ]
    assert tags[0] == tags[1] != tags[2]


async def test_a_status_that_nobody_knows_is_not_told() -> None:
    """Azure's document lets a job be without a status; Vonage's does not, so there the job is left out, and counted."""
    clients = with_jobs(vonage_job("Dreaming"), azure_job("dreaming"))
    one = await clients.azure("GET", job_path(VONAGE_JOB), connection="vonage-emea")
    assert (one.status, "status" in one.json) == (200, False)
    listed = await clients.vonage("GET", "/interactions/jobs", connection="contoso-prod")
    assert (listed.json["jobs"], listed.headers["jobgate-left-out"]) == ([], "1")


@pytest.mark.parametrize("status", ["assigned", "active", "closed"])
async def test_a_filter_counts_what_it_leaves_open(status: str) -> None:
    """A job in a status that nobody knows may be in the one that is asked for."""
    clients = with_jobs(vonage_job("Running"), vonage_job("Dreaming", uuid(1)))
    path = f"{VERSION}&status={status}"
    listed = await clients.azure("GET", "/routing/jobs", connection="vonage-emea", query=path)
    assert [job["status"] for job in listed.json["value"]] == ["assigned"] * (status != "closed")
    assert listed.headers["jobgate-left-out"] == "1"


async def test_ids_without_a_form_in_the_dialect_are_left_out() -> None:
    """Vonage's clients know ids as UUIDs; the others are counted, so that nothing is lost silently."""
    clients = with_jobs(azure_job("queued"), azure_job("queued", "order-7"), azure_job("queued", "a:b"))
    listed = await clients.vonage("GET", "/interactions/jobs", connection="contoso-prod")
    assert [job["jobId"] for job in listed.json["jobs"]] == [AZURE_JOB]
    assert (listed.headers["jobgate-left-out"], listed.json["paging"]["totalCount"]) == ("2", 1)
    whole = await clients.vonage("GET", "/interactions/jobs?page=2", connection="contoso-prod")
    assert whole.json["jobs"] == []


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_every_job_is_on_one_page_by_number(limit: int) -> None:
    """A vendor that gives its jobs by links is paged through by number, and the number of pages is the right one."""
    clients = with_jobs(*(azure_job("queued", uuid(number)) for number in range(10)), page=4)
    found: list[str] = []
    number = count = 1
    while number <= count:
        path = f"/interactions/jobs?page={number}&limit={limit}"
        body = (await clients.vonage("GET", path, connection="contoso-prod")).json
        assert body["paging"]["pageCount"] == len(body["jobs"]) <= limit
        found += [job["jobId"] for job in body["jobs"]]
        count, number = body["paging"]["count"], number + 1
    assert found == [uuid(number) for number in range(10)]
    assert count == -(-10 // limit)


@pytest.mark.parametrize("limit", [1, 3, 7, 1_000])
async def test_every_job_is_on_one_page_by_link(limit: int) -> None:
    """A vendor that gives its jobs by number is paged through by links, which lead to this gateway."""

    def answer(request: HttpRequest) -> HttpReply:
        if request.url == TOKEN_URL:
            return token()
        query = dict(pair.split("=") for pair in urlsplit(request.url).query.split("&"))
        number, size = int(query["page"]), int(query["limit"])
        jobs = [vonage_job("Running", uuid(each)) for each in range(10)]
        return vonage_page(jobs[(number - 1) * size : number * size], number, -(-10 // size))

    transport = FakeTransport(otherwise=answer)
    clients = VendorClients(Gateway(settings(), CATALOGUE, transport=transport, ledger=MemoryLedger()), transport)
    found: list[str] = []
    query: str | None = f"{VERSION}&maxpagesize={limit}"
    while query:
        body = (await clients.azure("GET", "/routing/jobs", connection="vonage-emea", query=query)).json
        found += [job["id"] for job in body["value"]]
        link = urlsplit(body.get("nextLink", ""))
        assert link.netloc in {"", "gateway.test"}
        assert link.path in {"", "/native/azure-job-router/vonage-emea/routing/jobs"}
        query = link.query
    assert found == [uuid(number) for number in range(10)]


@pytest.mark.parametrize("word", ["waitingForActivation", "active"])
async def test_pages_without_what_a_filter_chooses_are_passed_over(word: str) -> None:
    """Azure's client sees no empty page although Vonage cannot filter, and its link leads to the page after it."""
    pages = [["Cancelled"], ["Cancelled"], ["Paused"], ["Cancelled"], ["Paused"]]

    def answer(request: HttpRequest) -> HttpReply:
        if request.url == TOKEN_URL:
            return token()
        number = int(dict(pair.split("=") for pair in urlsplit(request.url).query.split("&"))["page"])
        return vonage_page([vonage_job(status, uuid(number)) for status in pages[number - 1]], number, len(pages))

    transport = FakeTransport(otherwise=answer)
    clients = VendorClients(Gateway(settings(), CATALOGUE, transport=transport, ledger=MemoryLedger()), transport)
    query: str | None = f"{VERSION}&maxpagesize=1&status={word}"
    found: list[list[str]] = []
    while query:
        body = (await clients.azure("GET", "/routing/jobs", connection="vonage-emea", query=query)).json
        found.append([job["id"] for job in body["value"]])
        query = urlsplit(body.get("nextLink", "")).query
    assert found == [[uuid(3)], [uuid(5)]]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("assigned", ["Running"]),
        ("waitingForActivation", ["Paused"]),
        ("scheduled", ["Scheduled"]),
        ("pendingSchedule", []),
        ("created", []),
        ("closed", []),
        ("all", ["Scheduled", "Running", "Paused", "Failed", "Completed", "Cancelled"]),
        ("active", ["Scheduled", "Running", "Paused", "Failed", "Completed"]),
    ],
)
async def test_azures_filter_chooses_vonages_jobs(word: str, expected: list[str]) -> None:
    """Azure's status filter finds exactly the Vonage jobs that are shown in that status."""
    jobs = {status: uuid(number) for number, status in enumerate(VONAGE_WORDS.statuses)}
    clients = with_jobs(*(vonage_job(status, job_id) for status, job_id in jobs.items()))
    body = (
        await clients.azure("GET", "/routing/jobs", connection="vonage-emea", query=f"{VERSION}&status={word}")
    ).json
    assert [job["id"] for job in body["value"]] == [jobs[status] for status in expected]


@pytest.mark.parametrize("name", ["queueId", "channelId", "classificationPolicyId", "scheduledBefore"])
async def test_a_filter_that_cannot_cross_is_refused(name: str) -> None:
    """A filter that the other vendor does not have is refused, because ignoring it would show other jobs."""
    clients = with_jobs(vonage_job("Running"))
    value = "2026-01-05T09:00:00Z" if name == "scheduledBefore" else "support"
    answer = await clients.azure("GET", "/routing/jobs", connection="vonage-emea", query=f"{VERSION}&{name}={value}")
    assert (answer.status, answer.json["error"]["code"]) == (422, answer.headers["x-ms-error-code"])
    assert name in answer.json["error"]["message"]
    assert clients.calls == []


async def test_filters_of_the_vendors_own_go_through() -> None:
    """On a connection of its own vendor a client's filters are the vendor's business."""
    clients = with_jobs(azure_job("queued"))
    answer = await clients.azure("GET", "/routing/jobs", query=f"{VERSION}&queueId=support&status=queued&maxpagesize=5")
    assert answer.status == 200
    (call,) = clients.calls
    for part in ("queueId=support", "status=queued", "maxpagesize=5"):
        assert part in call


async def test_azures_client_cancels_a_job_of_vonages() -> None:
    """The connection decides the vendor. What Vonage cannot keep is in the record, and the answer says so."""
    clients = with_jobs(vonage_job("Running"))
    body = {"note": "Why", "dispositionCode": "Done"}
    answer = await clients.azure("POST", job_path(VONAGE_JOB, ":cancel"), body, connection="vonage-emea")
    assert (answer.status, answer.json) == (200, {})
    assert clients.calls[-1].endswith(f"/interactions/jobs/{VONAGE_JOB}/cancel")
    assert answer.headers["jobgate-recorded-only"] == "dispositionCode, note"
    record = await clients.gateway.ledger.get(answer.headers["jobgate-job-action"], "default")
    assert record is not None
    assert record.requested.job_action.parameters == body
    assert (record.requested.vendor, record.requested.connection) == (VONAGE, "vonage-emea")


async def test_vonages_client_cancels_a_job_of_azures() -> None:
    """Vonage's client cancels an Azure job and gets 204 without a body, as at Vonage."""
    clients = with_jobs(azure_job("queued"))
    answer = await clients.vonage("POST", f"/interactions/jobs/{AZURE_JOB}/cancel", connection="contoso-prod")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers
    assert clients.calls == [
        f"POST https://contoso.westus.communications.azure.com{job_path(AZURE_JOB, ':cancel')}?{VERSION}"
    ]


async def azure_close(clients: VendorClients) -> Any:
    """Azure's client closes a job of Vonage's."""
    return await clients.azure(
        "POST", job_path(VONAGE_JOB, f"/assignments/{ASSIGNMENT}:close"), {}, connection="vonage-emea"
    )


async def vonage_pause(clients: VendorClients) -> Any:
    """Vonage's client pauses a job of Azure's."""
    return await clients.vonage("POST", f"/interactions/jobs/{AZURE_JOB}/pause", connection="contoso-prod")


async def vonage_restart(clients: VendorClients) -> Any:
    """Vonage's client restarts a job of Azure's."""
    return await clients.vonage("POST", f"/interactions/jobs/{AZURE_JOB}/restart", connection="contoso-prod")


@pytest.mark.parametrize("ask", [azure_close, vonage_pause, vonage_restart])
async def test_what_the_target_cannot_do_is_refused_in_the_callers_words(ask: Callable[[VendorClients], Any]) -> None:
    """An unsupported action is refused before any call, with a sentence that lists the supported ones."""
    clients = with_jobs(azure_job("queued"), vonage_job("Running"))
    answer = await ask(clients)
    assert answer.status == 422
    said = answer.json["error"]["message"] if ask is azure_close else answer.json["message"]
    assert "it has cancel" in said
    assert clients.transport.requests == []


async def test_a_wrong_state_is_told_in_the_callers_words() -> None:
    """Azure's client hears Conflict and Azure's word for the status of Vonage's job, and the other way round."""
    script = [token(), reply(400, {"message": "Not now."}), vonage_page([vonage_job("Completed")])]
    transport = FakeTransport(script)
    clients = VendorClients(Gateway(settings(), CATALOGUE, transport=transport, ledger=MemoryLedger()), transport)
    answer = await clients.azure("POST", job_path(VONAGE_JOB, ":cancel"), connection="vonage-emea")
    assert (answer.status, answer.json["communicationError"]["code"]) == (409, "Conflict")
    assert answer.json["error"]["message"] == "The job is completed, which does not allow the action."
    transport.script = [
        reply(409, {"communicationError": {"code": "Conflict", "message": "No."}}),
        reply(200, azure_job("closed")),
    ]
    answer = await clients.vonage("POST", f"/interactions/jobs/{AZURE_JOB}/cancel", connection="contoso-prod")
    assert (answer.status, list(answer.json)) == (409, ["message"])
    assert answer.json == {"message": "The job is Completed, which does not allow the action."}


async def test_credentials_that_the_vendor_refuses_are_not_the_callers() -> None:
    """If the vendor refuses the gateway's credentials, the client does not get 401, which would blame its own key."""
    transport = FakeTransport(otherwise=reply(401, {"error": {"code": "Denied", "message": "Denied."}}))
    clients = VendorClients(Gateway(settings(), CATALOGUE, transport=transport, ledger=MemoryLedger()), transport)
    answer = await clients.azure("GET", job_path(AZURE_JOB))
    assert (answer.status, answer.json["error"]["code"]) == (502, "BadGateway")


async def test_members_that_nobody_knows_are_refused() -> None:
    """Unknown members of a request are refused, because ignoring them would lose them silently."""
    clients = with_jobs(azure_job("queued"))
    answer = await clients.azure("POST", job_path(AZURE_JOB, ":cancel"), {"note": "x", "reason": "y"})
    assert (answer.status, answer.json["error"]["code"]) == (400, "BadRequest")
    assert "reason" in json.dumps(answer.json)
    assert clients.calls == []
