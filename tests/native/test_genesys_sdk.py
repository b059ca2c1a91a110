"""Genesys' own SDK, unchanged: against the gateway, on any vendor's connection, and against the simulated vendor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from PureCloudPlatformClientV2 import (
    AnalyticsApi,
    ApiClient,
    Configuration,
    ConversationQuery,
    ConversationsApi,
    MediaParticipantRequest,
    PagingSpec,
    ParkingStateRequest,
    WrapupInput,
)
from PureCloudPlatformClientV2.rest import ApiException

from gateway.client import Client
from gateway.sandbox.faults import Fault, FaultKind
from tests.native.servers import Servers, servers

DIALECT = "genesys-cloud"
OWN, AZURE, VONAGE = "genesys-sandbox", "azure-sandbox", "vonage-sandbox"
EVERYWHERE = [OWN, AZURE, VONAGE, None]
"""Connections of the gateway, and the simulated vendor itself."""
AGENT = "81f2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5e"
CODE = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
WORDS = {
    AZURE: {"queued": "queued", "running": "assigned", "completed": "completed", "closed": "closed"},
    VONAGE: {"queued": "Scheduled", "running": "Running", "paused": "Paused", "closed": "Cancelled"},
    OWN: {
        "queued": "queued",
        "paused": "parked",
        "running": "writing",
        "completed": "wrapup",
        "closed": "disconnected",
    },
}
"""The vendors' words for statuses, by Jobgate's."""

Ask = Callable[[ConversationsApi, str], Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("native")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is as at the start, no fault is to come, and the SDK trusts the certificate."""
    running.reset()
    monkeypatch.setattr(Configuration(), "live_reload_config", False)
    monkeypatch.setattr(Configuration(), "ssl_ca_cert", running.certificate)
    monkeypatch.setattr(Configuration(), "ssl_context", None)


def client(running: Servers, connection: str | None, secret: str = "") -> ApiClient:
    """The SDK's client, led to Jobgate by its setting for gateways, with a token by client credentials."""
    url = urlsplit(running.endpoint(DIALECT, connection))
    login = url.path if connection is None else url.path.removesuffix(f"/{connection}")
    sdk = ApiClient()
    sdk.set_gateway(url.hostname, url.scheme, url.port, login, url.path)
    return sdk.get_client_credentials_token(
        running.client_id(DIALECT, connection), secret or running.client_secret(DIALECT, connection)
    )


def conversations(running: Servers, connection: str | None) -> ConversationsApi:
    """The SDK's operations on conversations."""
    return ConversationsApi(client(running, connection))


def job_in(running: Servers, connection: str | None, status: str) -> str:
    """A new job behind a connection, in a status in Jobgate's words."""
    return running.vendor(connection, DIALECT).create_job(WORDS[connection or OWN][status])


def actions(running: Servers, connection: str | None) -> list[tuple[str, str | None, str | None]]:
    """The actions that reached the vendor, with the statuses before and after each."""
    found = [(entry.job_action, entry) for entry in running.vendor(connection, DIALECT).log()]
    return [(asked.action, entry.before, entry.after) for asked, entry in found if asked is not None]


def refused(ask: Callable[[], Any]) -> tuple[int, str]:
    """The HTTP status and the code of the exception that a call of the SDK raises."""
    with pytest.raises(ApiException) as error:
        ask()
    body = json.loads(error.value.body)
    assert body["message"]
    assert body["status"] == error.value.status
    return error.value.status, body["code"]


def disconnecting(**members: Any) -> MediaParticipantRequest:
    """A request that disconnects a participant, or changes it otherwise."""
    made = MediaParticipantRequest()
    for name, value in (members or {"state": "disconnected"}).items():
        setattr(made, name, value)
    return made


def wrapping_up() -> MediaParticipantRequest:
    """A request that gives a participant its wrap-up."""
    wrapup = WrapupInput()
    wrapup.code, wrapup.notes = CODE, "Refunded"
    return disconnecting(wrapup=wrapup)


def parking(state: str) -> ParkingStateRequest:
    """A request that parks a message, or takes it up again."""
    made = ParkingStateRequest()
    made.state = state
    return made


CALLS: dict[str, Ask] = {
    "cancel": lambda sdk, job: sdk.delete_conversation(job),
    "complete": lambda sdk, job: sdk.patch_conversation_participant(job, AGENT, disconnecting()),
    "close": lambda sdk, job: sdk.patch_conversation_participant(job, AGENT, wrapping_up()),
    "pause": lambda sdk, job: sdk.patch_conversations_message_participant_parkingstate(job, AGENT, parking("parked")),
    "restart": lambda sdk, job: sdk.patch_conversations_message_participant_parkingstate(
        job, AGENT, parking("connected")
    ),
    "discard": lambda sdk, job: sdk.post_conversation_disconnect(job),
}
"""The calls of the SDK, by the action that each is."""
OWN_ACTIONS = [
    ("cancel", "queued", "disconnected"),
    ("complete", "running", "wrapup"),
    ("complete", "paused", "wrapup"),
    ("close", "completed", "disconnected"),
    ("pause", "running", "parked"),
    ("restart", "paused", "writing"),
    ("discard", "running", "disconnected"),
]
"""Action, status before, and status after."""


@pytest.mark.parametrize("connection", [OWN, None])
@pytest.mark.parametrize(("action", "status", "after"), OWN_ACTIONS)
def test_it_acts(running: Servers, connection: str | None, action: str, status: str, after: str) -> None:
    """Each operation is carried out once, as the action that it is."""
    job = job_in(running, connection, status)
    said = CALLS[action](conversations(running, connection), job)
    assert said == ("" if action == "discard" else None)
    assert actions(running, connection) == [(action, WORDS[OWN][status], after)]


OTHERS_ACTIONS = [
    (AZURE, "cancel", "queued", "cancelled"),
    (VONAGE, "cancel", "queued", "Cancelled"),
    (VONAGE, "pause", "running", "Paused"),
    (VONAGE, "restart", "paused", "Scheduled"),
]


@pytest.mark.parametrize(("connection", "action", "status", "after"), OTHERS_ACTIONS)
def test_it_acts_on_jobs_of_others(running: Servers, connection: str, action: str, status: str, after: str) -> None:
    """The same calls, on a connection of another vendor, are that vendor's actions. The medium is nothing there."""
    job = job_in(running, connection, status)
    CALLS[action](conversations(running, connection), job)
    assert actions(running, connection) == [(action, WORDS[connection][status], after)]


def test_the_wrap_up_arrives(running: Servers) -> None:
    """The code and the notes of the SDK's request are those that the vendor gets, and the record has them."""
    job = job_in(running, OWN, "completed")
    CALLS["close"](conversations(running, OWN), job)
    (sent,) = [each.job_action for each in running.vendor(OWN, DIALECT).log() if each.job_action]
    assert sent.parameters == {"assignmentId": AGENT, "dispositionCode": CODE, "note": "Refunded"}


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_reads_a_job(running: Servers, connection: str | None) -> None:
    """The SDK reads a job as a conversation, with the members that show its status."""
    sdk = conversations(running, connection)
    job = job_in(running, connection, "queued")
    read = sdk.get_conversation(job)
    assert (read.id, read.end_time) == (job, None)
    taken = sdk.get_conversation(job_in(running, connection, "running"))
    (state,) = [each.messages[0].state for each in taken.participants if each.purpose == "agent"]
    assert (state, taken.end_time) == ("connected", None)
    ended = sdk.get_conversation(job_in(running, connection, "closed"))
    assert isinstance(ended.end_time, datetime)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_lists_jobs(running: Servers, connection: str | None) -> None:
    """The SDK finds every job once, page by page, in the vendor's rows."""
    analytics = AnalyticsApi(client(running, connection))
    query, now = ConversationQuery(), datetime.now(UTC)
    query.interval = f"{now - timedelta(days=3000):%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}"
    query.paging = PagingSpec()
    query.paging.page_size, query.paging.page_number = 5, 1
    listed: list[str] = []
    while page := analytics.post_analytics_conversations_details_query(query).conversations:
        listed += [each.conversation_id for each in page]
        query.paging.page_number += 1
    vendor = running.vendor(connection, DIALECT)
    assert listed == [vendor.specification.job.id_of(job) for job in vendor.jobs()]
    assert query.paging.page_number == 1 - (-len(listed) // 5)
    query.paging.page_number = 1
    assert analytics.post_analytics_conversations_details_query(query).total_hits == len(listed)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_errors_are_its_own(running: Servers, connection: str | None) -> None:
    """Each error is an ErrorBody with the vendor's status and code, and nothing was done."""
    sdk = conversations(running, connection)
    for ask in (sdk.get_conversation, sdk.delete_conversation):
        assert refused(partial(ask, UNKNOWN)) == (404, "not.found")
    closed = job_in(running, connection, "closed")
    conflict = (400, "bad.request") if connection in {OWN, None} else (409, "conflict")
    assert refused(lambda: sdk.delete_conversation(closed)) == conflict
    assert not any(before != after for _, before, after in actions(running, connection))


@pytest.mark.parametrize("connection", [OWN, None])
def test_wrong_credentials_are_refused(running: Servers, connection: str | None) -> None:
    """No token for a wrong secret; and with a wrong token, the vendor's 401."""
    with pytest.raises(ApiException) as error:
        client(running, connection, "a wrong secret")
    assert (error.value.status, json.loads(error.value.body)["error"]) == (401, "invalid_client")
    stranger = client(running, connection)
    stranger.access_token = "nobody's token"
    job = job_in(running, connection, "queued")
    assert refused(lambda: ConversationsApi(stranger).delete_conversation(job)) == (401, "bad.credentials")
    assert actions(running, connection) == []


def test_what_another_vendor_cannot_do_is_an_error_of_its_own(running: Servers) -> None:
    """Azure has no pause: the SDK raises, its message says what there is, and Azure is not asked."""
    job = job_in(running, AZURE, "running")
    with pytest.raises(ApiException) as error:
        CALLS["pause"](conversations(running, AZURE), job)
    assert error.value.status == 422
    assert "cancel" in json.loads(error.value.body)["message"]
    assert actions(running, AZURE) == []


@pytest.mark.parametrize("connection", [OWN, AZURE])
def test_members_that_are_not_carried_are_refused(running: Servers, connection: str) -> None:
    """A hold, or a mute beside the end, would be lost: the request is refused, and nothing is done."""
    sdk, job = conversations(running, connection), job_in(running, connection, "running")
    for body in (disconnecting(held=True), disconnecting(state="disconnected", muted=True)):
        assert refused(partial(sdk.patch_conversation_participant, job, AGENT, body)) == (400, "bad.request")
    assert actions(running, connection) == []


def test_throttling_is_its_own_affair(running: Servers) -> None:
    """The SDK waits as Retry-After says, and sends the action again. It is carried out once."""
    vendor, job = running.vendor(None, DIALECT), job_in(running, None, "running")
    vendor.script(Fault(FaultKind.THROTTLE, operation_id="patchConversationParticipant", times=2, retry_after="0"))
    CALLS["complete"](conversations(running, None), job)
    assert [each for each in actions(running, None) if each[1] != each[2]] == [("complete", "writing", "wrapup")]


def test_a_record_has_what_was_found(running: Servers) -> None:
    """By the unified API, the medium and the participant are found in the conversation, and are in the record."""
    job = job_in(running, OWN, "running")
    with Client(running.gateway_url, "key-of-the-native-tests", verify=running.certificate) as jobgate:
        done = jobgate.pause(OWN, job, wait=10)
    assert done.parameters == {"medium": "messages", "assignmentId": AGENT}
    assert done.outcome == "applied"
