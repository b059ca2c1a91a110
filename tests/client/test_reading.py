"""What the client reads: every GET of the API, as typed values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.client import (
    ActionWarning,
    Attempt,
    BlockedAction,
    Capability,
    Client,
    Connection,
    ConnectionCount,
    FoundJobs,
    Job,
    JobAction,
    JobActionProblem,
    JobCount,
    Origin,
    ParameterSupport,
    Reading,
    ReadSupport,
    StatusPair,
    UnreadConnection,
    Vendor,
    VendorResponse,
    VendorStatus,
)
from tests.client.stub import KEY, Reply, Stub

PAUSED = {"status": "paused", "vendorStatus": "Paused"}
SCHEDULED = {"status": "scheduled", "vendorStatus": "Scheduled"}

VENDOR_JSON = {
    "name": "vonage-contact-center",
    "title": "Interaction Content Export",
    "apiVersion": "1",
    "documentation": "https://docs.example/",
    "statuses": [{**PAUSED, "final": False}],
    "actions": [
        {
            "action": "restart",
            "support": "native",
            "effect": "once",
            "from": [PAUSED],
            "to": SCHEDULED,
            "parameters": [{"name": "note", "support": "recorded"}],
        },
        {"action": "close", "support": "unsupported", "parameters": []},
    ],
    "reads": [{"read": "listJobs", "support": "unsupported"}],
}
VENDOR = Vendor(
    name="vonage-contact-center",
    title="Interaction Content Export",
    api_version="1",
    documentation="https://docs.example/",
    statuses=(VendorStatus("paused", "Paused", final=False),),
    actions=(
        Capability(
            "restart",
            "native",
            (ParameterSupport("note", "recorded"),),
            effect="once",
            from_statuses=(StatusPair("paused", "Paused"),),
            to_status=StatusPair("scheduled", "Scheduled"),
        ),
        Capability("close", "unsupported", ()),
    ),
    reads=(ReadSupport("listJobs", "unsupported"),),
)
CONNECTION_JSON = {
    "name": "vonage-prod",
    "vendor": "vonage-contact-center",
    "endpoint": "https://x",
    "authentication": "oauth",
}
CONNECTION = Connection("vonage-prod", "vonage-contact-center", "https://x", "oauth")
JOB_JSON = {
    "id": "job-1",
    "connection": "vonage-prod",
    "vendor": "vonage-contact-center",
    **PAUSED,
    "final": False,
    "allowedActions": ["restart"],
    "blockedActions": [{"action": "pause", "reason": "It is paused."}],
    "timestamps": {"enqueuedAt": "2026-01-05T09:30:00.1234567+00:00"},
    "version": '"7"',
    "queue": "support",
    "type": "voice",
    "vendorObject": {"jobId": "job-1", "filters": [1, None]},
}
JOB = Job(
    id="job-1",
    connection="vonage-prod",
    vendor="vonage-contact-center",
    status="paused",
    vendor_status="Paused",
    final=False,
    allowed_actions=("restart",),
    blocked_actions=(BlockedAction("pause", "It is paused."),),
    timestamps={"enqueuedAt": datetime(2026, 1, 5, 9, 30, 0, 123456, tzinfo=UTC)},
    version='"7"',
    vendor_object={"jobId": "job-1", "filters": [1, None]},
    queue="support",
    type="voice",
)
UNREAD_JSON = {"connection": "d", "problem": "vendor-timed-out", "detail": "Too slow."}
UNREAD = UnreadConnection("d", "vendor-timed-out", "Too slow.")
COUNT_JSON = {
    "count": 2,
    "isComplete": False,
    "leftOut": 1,
    "connections": [{"connection": "c", "count": 2, "statuses": {"queued": 2}, "leftOut": 1}],
    "incomplete": [UNREAD_JSON],
}
COUNT = JobCount(2, False, 1, (ConnectionCount("c", 2, {"queued": 2}, 1),), (UNREAD,))  # noqa: FBT003 - a member
JOB_ACTION_JSON = {
    "id": "action-1",
    "caller": "somebody",
    "connection": "vonage-prod",
    "vendor": "vonage-contact-center",
    "jobId": "job-1",
    "action": "restart",
    "parameters": {"note": "again"},
    "version": '"7"',
    "idempotencyKey": "order-7",
    "origin": {"address": "127.0.0.1", "requestId": "request-1", "traceId": "0af7651916cd43dd8448eb211c80319c"},
    "status": "failed",
    "outcome": "rejected",
    "job": SCHEDULED,
    "warnings": [{"code": "recorded-only", "parameter": "note", "detail": "Kept here."}],
    "requestedAt": "2026-01-05T09:30:00.000Z",
    "attempts": [{"sentAt": "2026-01-05T09:30:00.500Z"}],
    "readings": [
        {"at": "2026-01-05T09:30:01.000Z", "problem": "vendor-error"},
        {"at": "2026-01-05T09:30:01.500Z", "job": SCHEDULED},
    ],
    "settledBy": "reading",
    "completedAt": "2026-01-05T09:30:01.500Z",
    "vendorResponse": {"status": 409, "code": "Conflict", "requestId": "trace-1"},
    "problem": {"code": "wrong-state", "detail": "It is Running."},
}
JOB_ACTION = JobAction(
    id="action-1",
    caller="somebody",
    connection="vonage-prod",
    vendor="vonage-contact-center",
    job_id="job-1",
    action="restart",
    parameters={"note": "again"},
    version='"7"',
    idempotency_key="order-7",
    origin=Origin("127.0.0.1", "request-1", "0af7651916cd43dd8448eb211c80319c"),
    status="failed",
    outcome="rejected",
    job=StatusPair("scheduled", "Scheduled"),
    warnings=(ActionWarning("recorded-only", "note", "Kept here."),),
    requested_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
    attempts=(Attempt(datetime(2026, 1, 5, 9, 30, 0, 500_000, tzinfo=UTC)),),
    readings=(
        Reading(datetime(2026, 1, 5, 9, 30, 1, tzinfo=UTC), None, "vendor-error"),
        Reading(datetime(2026, 1, 5, 9, 30, 1, 500_000, tzinfo=UTC), StatusPair("scheduled", "Scheduled")),
    ),
    settled_by="reading",
    completed_at=datetime(2026, 1, 5, 9, 30, 1, 500_000, tzinfo=UTC),
    vendor_response=VendorResponse(409, "Conflict", "trace-1"),
    problem=JobActionProblem("wrong-state", "It is Running."),
)

FREE = {"parameters", "timestamps", "vendorObject", "labels", "statuses"}
"""Objects whose members have no fixed names."""

CONDITIONS = (
    "connection=c&jobId=job+1&action=restart&status=failed&outcome=rejected"
    "&since=2026-01-05T09%3A30%3A00Z&until=2026-01-05T10%3A00%3A00Z"
)

Call = Callable[[Client], Any]
READS: list[tuple[str, Call, Any, Any]] = [
    ("/v1/vendors", lambda client: client.vendors(), [VENDOR_JSON], (VENDOR,)),
    ("/v1/vendors/vonage-contact-center", lambda client: client.vendor("vonage-contact-center"), VENDOR_JSON, VENDOR),
    ("/v1/connections", lambda client: client.connections(), [CONNECTION_JSON], (CONNECTION,)),
    ("/v1/connections/vonage-prod", lambda client: client.connection("vonage-prod"), CONNECTION_JSON, CONNECTION),
    ("/v1/connections/c/jobs", lambda client: tuple(client.jobs("c")), [JOB_JSON], (JOB,)),
    (
        "/v1/connections/c/jobs?status=paused&limit=9",
        lambda client: tuple(client.jobs("c", status="paused", limit=9)),
        [JOB_JSON],
        (JOB,),
    ),
    ("/v1/connections/c/jobs/job-1", lambda client: client.job("c", "job-1"), JOB_JSON, JOB),
    (
        "/v1/connections/c/jobs/job-1?include=vendor",
        lambda client: client.job("c", "job-1", include_vendor=True),
        JOB_JSON,
        JOB,
    ),
    ("/v1/job-actions", lambda client: tuple(client.job_actions()), [JOB_ACTION_JSON], (JOB_ACTION,)),
    (
        f"/v1/job-actions?{CONDITIONS}&limit=9",
        lambda client: tuple(
            client.job_actions(
                connection="c",
                job_id="job 1",
                action="restart",
                status="failed",
                outcome="rejected",
                since=datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
                until=datetime(2026, 1, 5, 11, 0, tzinfo=timezone(timedelta(hours=1))),
                limit=9,
            )
        ),
        [JOB_ACTION_JSON],
        (JOB_ACTION,),
    ),
    ("/v1/job-actions?label=a%3Db", lambda client: tuple(client.job_actions(label="a=b")), [], ()),
    (
        "/v1/jobs/count?connection=c&connection=d&status=queued&vendorStatus=Odd&olderThan=PT5400S&queue=q&type=t",
        lambda client: client.count_jobs(
            connections=["c", "d"],
            statuses=["queued"],
            vendor_statuses=["Odd"],
            older_than=timedelta(minutes=90),
            queue="q",
            type="t",
        ),
        COUNT_JSON,
        COUNT,
    ),
    ("/v1/job-actions/action-1", lambda client: client.job_action("action-1"), JOB_ACTION_JSON, JOB_ACTION),
]


def page(items: list[Any], next_cursor: str | None = None) -> dict[str, Any]:
    """A list as the API sends it."""
    return {"items": items, "nextCursor": next_cursor}


def newer(value: Any) -> Any:
    """The same JSON from a gateway of the future: every object has a member more, but for those of free members."""
    if isinstance(value, list):
        return [newer(each) for each in value]
    if not isinstance(value, dict):
        return value
    free = {name: each for name, each in value.items() if isinstance(each, dict) and name in FREE}
    return {"invention": {"of": "tomorrow"}, **{name: newer(each) for name, each in value.items()}, **free}


@pytest.mark.parametrize(("target", "call", "body", "expected"), READS, ids=[read[0] for read in READS])
def test_read(stub: Stub, client: Client, target: str, call: Call, body: Any, expected: Any) -> None:
    """Every read asks for its address with the key, and gives all members of the reply as typed values."""
    stub.answers(page(body) if isinstance(body, list) else body)
    assert call(client) == expected
    (request,) = stub.received
    assert (request.method, request.target, request.content) == ("GET", target, b"")
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("target", "call", "body", "expected"), READS, ids=[read[0] for read in READS])
def test_newer_gateway(stub: Stub, client: Client, target: str, call: Call, body: Any, expected: Any) -> None:
    """Members that the client does not know are ignored, wherever they are."""
    stub.answers(newer(page(body) if isinstance(body, list) else body))
    assert call(client) == expected


def test_optional_members(stub: Stub, client: Client) -> None:
    """Members that may be left out, or are null, are None."""
    optional = {"outcome", "job", "completedAt", "vendorResponse", "problem", "settledBy", "idempotencyKey"}
    required = {name: value for name, value in JOB_ACTION_JSON.items() if name not in optional}
    stub.answers(required, required | dict.fromkeys(optional))
    for _ in range(2):
        found = client.job_action("action-1")
        assert (found.outcome, found.job, found.completed_at, found.vendor_response, found.problem) == (None,) * 5
        assert (found.settled_by, found.idempotency_key) == (None, None)


@pytest.mark.parametrize(("wait", "prefer"), [(None, None), (0, None), (20, "wait=20")])
def test_waiting_for_an_outcome(stub: Stub, client: Client, wait: int | None, prefer: str | None) -> None:
    """How long the gateway should wait for the outcome is a preference of the request."""
    stub.answers(JOB_ACTION_JSON)
    assert client.job_action("action-1", wait=wait) == JOB_ACTION
    (request,) = stub.received
    assert (request.target, request.headers.get("prefer")) == ("/v1/job-actions/action-1", prefer)


def test_times_without_zone(stub: Stub, client: Client) -> None:
    """A condition that could mean several moments is refused before anything is sent."""
    with pytest.raises(ValueError, match="zone"):
        client.job_actions(since=datetime(2026, 1, 5))  # noqa: DTZ001 - the mistake that is tried
    assert stub.received == []


def test_pages_of_found_jobs(stub: Stub, client: Client) -> None:
    """Each page says which connections could not be read, and how many jobs were left out."""
    first = {**page([JOB_JSON], "a"), "incomplete": [UNREAD_JSON]}
    stub.answers(Reply(first, headers={"Jobgate-Left-Out": "3"}), {**page([]), "incomplete": []})
    found = list(client.find_jobs(statuses=["queued"], limit=7))
    assert found == [FoundJobs((JOB,), (UNREAD,), "a", 3), FoundJobs(())]
    targets = [request.target for request in stub.received]
    assert targets == ["/v1/jobs?status=queued&limit=7", "/v1/jobs?status=queued&limit=7&cursor=a"]


def test_an_odd_number_of_jobs_left_out(stub: Stub, client: Client) -> None:
    """A header field that holds no number, by whatever is between, is no failure."""
    stub.answers(*[Reply(page([]) | {"incomplete": []}, headers={"Jobgate-Left-Out": "many"})] * 2)
    assert [each.left_out for each in client.find_jobs()] == [0]
    assert [each["leftOut"] for each in client.pages(("jobs",))] == [0]


def test_pages(stub: Stub, client: Client) -> None:
    """All pages are read, an empty one among them, each with the cursor of the one before and the same filter."""
    jobs = [{**JOB_JSON, "id": f"job-{number}"} for number in range(3)]
    stub.answers(page(jobs[:2], "a"), page([], "b"), page(jobs[2:]))
    assert [job.id for job in client.jobs("c", status="paused")] == ["job-0", "job-1", "job-2"]
    queries = [request.query for request in stub.received]
    assert queries == [{"status": "paused"} | cursor for cursor in ({}, {"cursor": "a"}, {"cursor": "b"})]


def test_pages_on_demand(stub: Stub, client: Client) -> None:
    """A page is asked for when its first item is needed, and not before."""
    stub.answers(page([JOB_ACTION_JSON, JOB_ACTION_JSON], "a"))
    actions = client.job_actions()
    assert stub.received == []
    assert len(list(islice(actions, 2))) == 2
    assert len(stub.received) == 1


@pytest.mark.parametrize(("limit", "asked"), [(1, ["1"]), (2, ["2"]), (3, ["3", "3"]), (500, ["200", "200"])])
def test_limit(stub: Stub, client: Client, limit: int, asked: list[str]) -> None:
    """`limit` bounds the jobs in all, not those of a page; no page is asked to be larger than the API allows."""
    stub.answers(page([JOB_JSON, JOB_JSON], "a"), page([JOB_JSON, JOB_JSON]))
    assert len(list(client.jobs("c", limit=limit))) == min(limit, 4)
    assert [request.query["limit"] for request in stub.received] == asked


def test_no_items(stub: Stub, client: Client) -> None:
    """With a limit of 0 nothing is asked; a negative one is refused."""
    assert list(client.job_actions(limit=0)) == []
    with pytest.raises(ValueError, match="islice"):
        client.job_actions(limit=-1)
    assert stub.received == []


@pytest.mark.parametrize("job_id", ["a/b", "a:cancel", "50%", "%2F", "é", "a b", "a?b#c", "a+b", "..a", "~", "作业"])
def test_ids_are_encoded(stub: Stub, client: Client, job_id: str) -> None:
    """Whatever an id holds, it arrives as one segment of the path and as it was."""
    stub.answers(JOB_JSON, JOB_ACTION_JSON)
    client.job("c", job_id)
    client.pause("c", job_id)
    read, paused = (request.path.split("/") for request in stub.received)
    assert (len(read), unquote(read[-1])) == (6, job_id)
    assert (len(paused), unquote(paused[-2]), paused[-1]) == (7, job_id, "pause")


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_ids_that_urls_resolve_away(stub: Stub, client: Client, job_id: str) -> None:
    """An id that would change which address is called is refused before anything is sent."""
    for call in (client.job, client.cancel):
        with pytest.raises(ValueError, match="not a valid id"):
            call("c", job_id)
    assert stub.received == []


def test_one_connection(stub: Stub, client: Client) -> None:
    """Calls share a connection."""
    stub.answers(*[CONNECTION_JSON] * 3)
    for _ in range(3):
        client.connection("vonage-prod")
    assert len({request.connection for request in stub.received}) == 1
