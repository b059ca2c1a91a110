"""AWS's own SDK, unchanged: against the gateway, on any vendor's connection, and against the simulated vendor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gateway.sandbox.faults import Fault, FaultKind
from tests.native.servers import Servers, servers
from tests.support.patience import wait_until

DIALECT = "amazon-connect"
OWN, AZURE, VONAGE = "amazon-sandbox", "azure-sandbox", "vonage-sandbox"
EVERYWHERE = [OWN, AZURE, VONAGE, None]
"""Connections of the gateway, and the simulated vendor itself."""
INSTANCE = "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"
ANOTHER = "aaaaaaaa-1111-2222-3333-cccccccccccc"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
YEARS = {"Type": "INITIATION_TIMESTAMP", "StartTime": datetime(2020, 1, 1, tzinfo=UTC)}
WORDS = {
    AZURE: {"queued": "queued", "running": "assigned", "completed": "completed", "closed": "closed"},
    VONAGE: {"queued": "Scheduled", "running": "Running", "paused": "Paused", "closed": "Completed"},
    OWN: {
        "queued": "QUEUED",
        "paused": "PAUSED",
        "running": "CONNECTED_TO_AGENT",
        "completed": "DISCONNECTED",
        "closed": "COMPLETED",
    },
}
"""The vendors' words for statuses, by Jobgate's."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("native")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is as at the start, no fault is to come, and the SDK finds no settings of this machine."""
    running.reset()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")


def client(running: Servers, connection: str | None, secret: str = "", region: str = "us-east-1") -> Any:
    """The SDK's client, as its documentation makes one for another endpoint."""
    return boto3.client(
        "connect",
        region_name=region,
        endpoint_url=running.endpoint(DIALECT, connection),
        aws_access_key_id=running.client_id(DIALECT, connection),
        aws_secret_access_key=secret or running.access_key(DIALECT, connection),
        verify=running.certificate,
        config=Config(proxies={}, parameter_validation=True),
    )


def job_in(running: Servers, connection: str | None, status: str, job_id: str | None = None) -> str:
    """A new job behind a connection, in a status in Jobgate's words."""
    return running.vendor(connection, DIALECT).create_job(WORDS[connection or OWN][status], job_id)


def contact(job_id: str, instance: str = INSTANCE) -> dict[str, str]:
    """The arguments of the SDK's operations on a contact."""
    return {"InstanceId": instance, "ContactId": job_id}


def actions(running: Servers, connection: str | None) -> list[tuple[str, str | None, str | None]]:
    """The actions that reached the vendor, with the statuses before and after each."""
    found = [(entry.job_action, entry) for entry in running.vendor(connection, DIALECT).log()]
    return [(asked.action, entry.before, entry.after) for asked, entry in found if asked is not None]


def refused(ask: Any, **arguments: str) -> tuple[str, int]:
    """The code and the HTTP status of the exception that a call of the SDK raises."""
    with pytest.raises(ClientError) as error:
        ask(**arguments)
    answer: Any = error.value.response
    assert answer["Error"]["Message"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


OWN_ACTIONS = [
    ("stop_contact", "queued", "cancel", "COMPLETED"),
    ("stop_contact", "running", "complete", "DISCONNECTED"),
    ("stop_contact", "paused", "complete", "DISCONNECTED"),
    ("stop_contact", "completed", "close", "COMPLETED"),
    ("pause_contact", "running", "pause", "PAUSED"),
    ("resume_contact", "paused", "restart", "QUEUED"),
]
"""Operation, status before, the action that it is there, and status after."""


@pytest.mark.parametrize("connection", [OWN, None])
@pytest.mark.parametrize(("operation", "status", "action", "after"), OWN_ACTIONS)
def test_it_acts(
    running: Servers, connection: str | None, operation: str, status: str, action: str, after: str
) -> None:
    """Each operation is carried out once, as the action that the status of the contact makes of it."""
    job = job_in(running, connection, status)
    done = getattr(client(running, connection), operation)(**contact(job))
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert done["ResponseMetadata"]["RetryAttempts"] == 0
    assert actions(running, connection) == [(action, WORDS[OWN][status], after)]


OTHERS_ACTIONS = [
    (AZURE, "stop_contact", "queued", "cancel", "cancelled"),
    (AZURE, "stop_contact", "running", "complete", "completed"),
    (AZURE, "stop_contact", "completed", "close", "closed"),
    (VONAGE, "stop_contact", "queued", "cancel", "Cancelled"),
    (VONAGE, "stop_contact", "running", "cancel", "Cancelled"),
    (VONAGE, "pause_contact", "running", "pause", "Paused"),
    (VONAGE, "resume_contact", "paused", "restart", "Scheduled"),
]


@pytest.mark.parametrize(("connection", "operation", "status", "action", "after"), OTHERS_ACTIONS)
def test_it_acts_on_jobs_of_others(
    running: Servers, connection: str, operation: str, status: str, action: str, after: str
) -> None:
    """The same calls, on a connection of another vendor, are that vendor's actions."""
    job = job_in(running, connection, status)
    getattr(client(running, connection), operation)(**contact(job))
    assert actions(running, connection) == [(action, WORDS[connection][status], after)]


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_reads_a_job(running: Servers, connection: str | None) -> None:
    """The SDK reads a job as a contact, with the members that show its status."""
    sdk = client(running, connection)
    job = job_in(running, connection, "queued")
    read = sdk.describe_contact(**contact(job))["Contact"]
    assert read["Id"] == job
    assert connection in {OWN, None} or "AgentInfo" not in read
    running_job = sdk.describe_contact(**contact(job_in(running, connection, "running")))["Contact"]
    assert isinstance(running_job["AgentInfo"]["ConnectedToAgentTimestamp"], datetime)
    assert "DisconnectTimestamp" not in running_job
    ended = sdk.describe_contact(**contact(job_in(running, connection, "closed")))["Contact"]
    assert isinstance(ended["DisconnectTimestamp"], datetime)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_lists_jobs(running: Servers, connection: str | None) -> None:
    """The SDK's paginator finds every job once, page by page."""
    sdk = client(running, connection)
    asked: Any = {"InstanceId": INSTANCE, "TimeRange": {**YEARS, "EndTime": datetime.now(UTC)}}
    pages = list(sdk.get_paginator("search_contacts").paginate(**asked, PaginationConfig={"PageSize": 5}))
    listed = [each["Id"] for page in pages for each in page["Contacts"]]
    vendor = running.vendor(connection, DIALECT)
    assert listed == [vendor.specification.job.id_of(job) for job in vendor.jobs()]
    assert len(pages) == -(-len(listed) // 5)
    assert all(len(page["Contacts"]) <= 5 for page in pages)


def test_it_searches_as_it_likes_at_home(running: Servers) -> None:
    """Another kind of time range is the vendor's business; for jobs of another vendor it cannot be translated."""
    asked: Any = {"InstanceId": INSTANCE, "TimeRange": {**YEARS, "EndTime": datetime.now(UTC)}}
    asked["TimeRange"]["Type"] = "DISCONNECT_TIMESTAMP"
    for connection in (OWN, None):
        assert client(running, connection).search_contacts(**asked)["Contacts"]
    assert refused(client(running, AZURE).search_contacts, **asked)[1] == 422


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_a_time_range_does_not_end_before_it_starts(running: Servers, connection: str | None) -> None:
    """Such a range is the vendor's invalid request, wherever the jobs are."""
    asked: Any = {"InstanceId": INSTANCE, "TimeRange": {**YEARS, "EndTime": datetime(2019, 1, 1, tzinfo=UTC)}}
    assert refused(client(running, connection).search_contacts, **asked) == ("InvalidRequestException", 400)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_errors_are_its_own_exceptions(running: Servers, connection: str | None) -> None:
    """Each error has the code and status of the vendor's model, and nothing was done."""
    sdk = client(running, connection)
    for ask in (sdk.describe_contact, sdk.stop_contact):
        assert refused(ask, **contact(UNKNOWN)) == ("ResourceNotFoundException", 404)
    with pytest.raises(sdk.exceptions.ResourceNotFoundException):
        sdk.describe_contact(**contact(UNKNOWN))
    if connection in {OWN, None}:
        for ask in (sdk.pause_contact, sdk.resume_contact):
            assert refused(ask, **contact(UNKNOWN)) == ("ResourceNotFoundException", 404)
    closed = job_in(running, connection, "closed")
    assert refused(sdk.stop_contact, **contact(closed)) == ("ConflictException", 409)
    stranger = client(running, connection, secret="another secret")
    for ask in (stranger.describe_contact, stranger.stop_contact):
        assert refused(ask, **contact(closed)) == ("InvalidSignatureException", 403)
    assert not any(before != after for _, before, after in actions(running, connection))


@pytest.mark.parametrize("connection", [OWN, None])
def test_another_instance_is_not_reached(running: Servers, connection: str | None) -> None:
    """An id of another instance is the vendor's 404, in reads and in actions; through the gateway, it goes nowhere."""
    sdk, job = client(running, connection), job_in(running, connection, "queued")
    for ask in (sdk.describe_contact, sdk.stop_contact, sdk.pause_contact):
        assert refused(ask, **contact(job, ANOTHER)) == ("ResourceNotFoundException", 404)
    asked: Any = {"InstanceId": ANOTHER, "TimeRange": {**YEARS, "EndTime": datetime.now(UTC)}}
    assert refused(sdk.search_contacts, **asked) == ("ResourceNotFoundException", 404)
    assert connection is None or not running.vendor(connection, DIALECT).log()


def test_another_region_is_not_taken(running: Servers) -> None:
    """The region is a part of the signature."""
    sdk, job = client(running, None, region="eu-west-2"), job_in(running, None, "queued")
    assert refused(sdk.describe_contact, **contact(job)) == ("InvalidSignatureException", 403)


def test_what_another_vendor_cannot_do_is_an_error_of_its_own(running: Servers) -> None:
    """Azure has no pause: the SDK raises, its message says what there is, and Azure is not asked."""
    job = job_in(running, AZURE, "running")
    with pytest.raises(ClientError, match="cancel") as error:
        client(running, AZURE).pause_contact(**contact(job))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 422
    assert actions(running, AZURE) == []


@pytest.mark.parametrize("connection", [OWN, AZURE])
def test_members_that_are_not_carried_are_refused(running: Servers, connection: str) -> None:
    """A flow to run, or the reason of a campaign, would be lost: the request is refused, and nothing is done."""
    sdk, job = client(running, connection), job_in(running, connection, "queued")
    asked: Any = {**contact(job), "DisconnectReason": {"Code": "ABANDONED"}}
    assert refused(sdk.stop_contact, **asked) == ("InvalidRequestException", 400)
    assert refused(sdk.pause_contact, **contact(job), ContactFlowId="flow") == ("InvalidRequestException", 400)
    assert actions(running, connection) == []


FAULTS = {
    "applied, no answer": Fault(FaultKind.DROP_AFTER),
    "applied, an answer that makes no sense": Fault(FaultKind.MALFORMED),
    "500, not applied": Fault(FaultKind.STATUS, status=500),
    "503, not applied": Fault(FaultKind.STATUS, status=503),
    "no answer, not applied": Fault(FaultKind.DROP_BEFORE),
    "throttled twice": Fault(FaultKind.THROTTLE, times=2, retry_after="0"),
}


@pytest.mark.sampled(0.4, kind=lambda connection: connection)
@pytest.mark.parametrize("connection", [OWN, AZURE])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_its_own_retries_never_double_an_action(running: Servers, connection: str, fault: Fault) -> None:
    """The SDK sends a stop up to three times, and it is one stop: it never ends the wrap-up as well.

    No exception means that it is done, and done means that it was done once.
    """
    job, vendor = job_in(running, connection, "running"), running.vendor(connection, DIALECT)
    operation = vendor.specification.actions["complete"].operation.operation_id
    vendor.script(Fault(**{**fault.__dict__, "operation_id": operation}))
    said = None
    try:
        client(running, connection).stop_contact(**contact(job))
    except ClientError as error:
        said = error.response["ResponseMetadata"]["HTTPStatusCode"]
    assert said in {None, 424, 502}
    wait_until(lambda: bool(vendor.log()))
    effects = [each for each in actions(running, connection) if each[1] != each[2]]
    assert {action for action, _, _ in effects} <= {"complete"}
    assert len(effects) == int(vendor.specification.job.status_of(vendor.job(job)) == WORDS[connection]["completed"])
    assert (said is None) <= (len(effects) == 1)
