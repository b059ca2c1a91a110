"""A vendor whose accounts differ by values, with times and codes as numbers, arrays, and an action without a body."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.app import Gateway
from gateway.client import Client, DryRun
from gateway.domain.vocabulary import Meaning
from gateway.ledger.memory import MemoryLedger
from gateway.sandbox.request_log import LogEntry
from gateway.settings.settings import ConfigurationError, Settings
from gateway.startup.checks import checked
from gateway.startup.serve import Running
from tests.support.commands import write

INSTALLED = "account_desk"
CONNECTION = "account-sandbox"
STEPS = ["tidy", "close"]
MORE = "https://accounts.example/errors"


def asked(desk: Running, method: str, path: str, connection: str = CONNECTION, **more: Any) -> requests.Response:
    """A request by the vendor's own client."""
    url = f"{desk.url}/native/account-desk/{connection}{path}"
    headers = {"Authorization": f"Bearer {desk.api_key}", **more.pop("headers", {})}
    return requests.request(method, url, headers=headers, timeout=20, **more)


def asked_of_the_simulator(desk: Running, method: str, path: str, **more: Any) -> requests.Response:
    """The same request, to the vendor itself."""
    token = desk.sandbox.vendor("account-desk").issue_token().value
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    return requests.request(method, desk.sandbox.endpoint("account-desk") + path, headers=headers, timeout=20, **more)


def arrived(desk: Running) -> list[LogEntry]:
    """The requests for tickets that came to the vendor."""
    return [each for each in desk.sandbox.vendor("account-desk").log() if each.operation_id != "token"]


def body_of(preview: DryRun) -> Any:
    """The body of a previewed request."""
    return json.loads(preview.vendor_request.body or "null")


def state_of(desk: Running, ticket: str) -> object:
    """The state of a ticket at the vendor."""
    return desk.sandbox.vendor("account-desk").job(ticket)["State"]


def fault(status: int, code: int, message: str) -> dict[str, Any]:
    """The vendor's error, as its document has it."""
    return {"code": code, "status": status, "message": message, "more": MORE}


# Values of the account


def test_values_of_the_account_are_written_at_every_place(client: Client, desk: Running) -> None:
    """The workspace of the connection stands in the path, the query and the body of the vendor's requests."""
    assert client.job(CONNECTION, "T1").status == "queued"
    assert [each.id for each in client.jobs(CONNECTION)][:4] == ["T1", "T2", "T3", "T4"]
    read, listed = arrived(desk)
    assert read.query == "Workspace=WS1"
    assert "/WS1/tickets" in listed.path
    preview = client.preview("close", CONNECTION, "T2", note="tidy")
    assert body_of(preview) == {"Workspace": "WS1", "Steps": STEPS, "Note": "tidy"}
    assert client.close(CONNECTION, "T2").outcome == "applied"


OF_ANOTHER: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a read, in the query": ("GET", "/tickets/T1?Workspace=WS2", {}),
    "a list, in the path": ("GET", "/WS2/tickets", {}),
    "an action, in the query": ("POST", "/tickets/T1/stop?Workspace=WS2", {}),
    "an action, in the body": (
        "POST",
        "/tickets/T2/finish",
        {"json": {"Workspace": "WS2", "Steps": STEPS}},
    ),
}


@pytest.mark.parametrize(("method", "path", "more"), OF_ANOTHER.values(), ids=OF_ANOTHER.keys())
def test_another_account_is_unknown(desk: Running, method: str, path: str, more: dict[str, Any]) -> None:
    """A request for another workspace gets the vendor's own 404, without a call; its simulator says the same."""
    refused = asked(desk, method, path, **more)
    assert (refused.status_code, refused.json()["code"]) == (404, 20404)
    assert not arrived(desk)
    simulated = asked_of_the_simulator(desk, method, path, **more)
    assert (simulated.status_code, simulated.json()) == (404, fault(404, 20404, "There is no such ticket."))
    assert {state_of(desk, "T1"), state_of(desk, "T2")} == {"open", "worked"}


def test_the_own_account_is_reached(desk: Running) -> None:
    """A request for the workspace of the connection is carried out."""
    read = asked(desk, "GET", "/tickets/T1?Workspace=WS1")
    assert (read.status_code, read.json()["Created"]) == (200, 1767605400.25)
    assert asked(desk, "GET", "/WS1/tickets?PageSize=2").json()["tickets"][0]["Id"] == "T1"
    assert asked(desk, "POST", "/tickets/T1/stop?Workspace=WS1").status_code == 204
    assert state_of(desk, "T1") == "stopped"
    finished = asked(desk, "POST", "/tickets/T2/finish", json={"Workspace": "WS1", "Steps": STEPS})
    assert (finished.status_code, state_of(desk, "T2")) == (204, "done")


def test_another_constant_is_another_action(desk: Running) -> None:
    """A constant that is a list has to be equal; a list that differs asks for no action that there is."""
    for steps in (["close"], ["close", "tidy"], None):
        body = {"Workspace": "WS1", **({} if steps is None else {"Steps": steps})}
        assert asked(desk, "POST", "/tickets/T2/finish", json=body).status_code == 422, steps
        assert asked_of_the_simulator(desk, "POST", "/tickets/T2/finish", json=body).status_code == 400, steps
    assert state_of(desk, "T2") == "worked"


@pytest.mark.parametrize("workspace", ["WS1", "WS77"])
def test_on_another_vendors_connection_any_account_is_taken(desk: Running, workspace: str) -> None:
    """There is nothing to compare the workspace with; it is shown again in each job."""
    job_id = desk.sandbox.vendor("azure-job-router").create_job("queued")
    path = f"/tickets/{job_id}?Workspace={workspace}"
    shown = asked(desk, "GET", path, "azure-sandbox")
    assert (shown.status_code, shown.json()["Workspace"]) == (200, workspace)
    listed = asked(desk, "GET", f"/{workspace}/tickets", "azure-sandbox")
    assert {each["Workspace"] for each in listed.json()["tickets"]} == {workspace}
    assert asked(desk, "POST", f"/tickets/{job_id}/stop?Workspace={workspace}", "azure-sandbox").status_code == 204


def test_the_unified_api_shows_the_values(client: Client) -> None:
    """A connection's values are shown, since they are no secrets; those of other connections are missing."""
    shown = {each.name: each.values for each in client.connections()}
    assert shown[CONNECTION] == {"workspace": "WS1", "region": "eu"}
    assert shown["azure-sandbox"] == {}


# Times


def test_times_as_numbers_are_shown_as_times(client: Client) -> None:
    """Seconds since 1970, whole or not, are RFC 3339 times in the unified API."""
    created = {each.id: each.timestamps["createdAt"] for each in client.jobs(CONNECTION)}
    assert created["T1"] == datetime(2026, 1, 5, 9, 30, microsecond=250_000, tzinfo=UTC)
    assert created["T2"] == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def test_times_are_written_as_numbers(client: Client, desk: Running) -> None:
    """A time of the caller's is a number for the vendor; one of the vendor's client is the same time."""
    preview = client.preview("close", CONNECTION, "T2", close_at=datetime.fromisoformat("2026-01-05T10:30:00.25+01:00"))
    assert body_of(preview)["At"] == 1767605400250
    body = {"Workspace": "WS1", "Steps": STEPS, "At": 4102444800000}
    assert asked(desk, "POST", "/tickets/T2/finish", json=body).status_code == 204
    (received,) = (each.job_action for each in arrived(desk) if each.job_action is not None)
    assert received.parameters["closeAt"] == "2100-01-01T00:00:00Z"
    assert state_of(desk, "T2") == "worked"


# Errors


def test_codes_are_written_as_numbers(desk: Running) -> None:
    """The vendor's own errors and Jobgate's have the types of the document: code, status, and a constant."""
    unknown = asked(desk, "GET", "/tickets/none?Workspace=WS1")
    assert (unknown.status_code, unknown.json()) == (404, fault(404, 20404, "There is no such ticket."))
    assert unknown.headers["x-desk-error"] == "20404"
    late = asked(desk, "POST", "/tickets/T3/stop?Workspace=WS1")
    assert (late.status_code, late.json()["code"], late.json()["status"]) == (409, 20409, 409)
    invalid = asked(desk, "GET", "/tickets/T1")
    assert (invalid.status_code, invalid.json()["code"]) == (400, 20001)
    unsupported = asked(desk, "GET", "/WS1/tickets?Label=a", "azure-sandbox")
    assert (unsupported.status_code, unsupported.json()["status"]) == (422, 422)
    assert "code" not in unsupported.json()


def test_a_code_is_read_up_to_its_tail(desk: Running) -> None:
    """A code ends at the separator, and is compared as text with the numbers of the document."""
    errors = desk.gateway.catalogue.vendors["account-desk"].specification.errors
    for code in ("20409:https://accounts.example/20409", "20409", 20409):
        found = errors.read({"header": {"x-desk-error": code}, "body": None})
        assert errors.meanings_of(409, str(found["error.code"])) == {Meaning.WRONG_STATE}
    assert errors.meanings_of(409, "20404") == set()


# Arrays


def test_an_array_is_passed_on_in_its_style(desk: Running) -> None:
    """The name of an exploded array is repeated; the elements of another one stand between commas."""
    assert asked(desk, "GET", "/WS1/tickets?Label=a&Label=b%2Cc&Level=1,2").status_code == 200
    assert arrived(desk)[-1].query == "Label=a&Label=b%2Cc&Level=1,2"
    for wrong in ("Level=1,x", "Level=1&Level=2", "Page=1&Page=2"):
        assert asked(desk, "GET", f"/WS1/tickets?{wrong}").status_code == 400, wrong


# Bodies that say nothing


@pytest.mark.parametrize("content", [b"", b"null", b" null ", b"{}"])
def test_an_empty_body_is_none(desk: Running, content: bytes) -> None:
    """Where the document has no body, `null`, `{}` and nothing are the same, for the gateway and the simulator."""
    headers = {"Content-Type": "application/json"}
    path = "/tickets/T1/stop?Workspace=WS1"
    assert asked(desk, "POST", path, data=content, headers=headers).status_code == 204
    desk.sandbox.vendor("account-desk").reset()
    assert asked_of_the_simulator(desk, "POST", path, data=content, headers=headers).status_code == 204


@pytest.mark.parametrize("content", [b"[]", b"0", b"false", b'{"a": 1}', b'""'])
def test_any_other_body_is_refused(desk: Running, content: bytes) -> None:
    """A body that says something is refused where the document has none."""
    headers = {"Content-Type": "application/json"}
    path = "/tickets/T1/stop?Workspace=WS1"
    assert asked(desk, "POST", path, data=content, headers=headers).status_code == 415
    assert asked_of_the_simulator(desk, "POST", path, data=content, headers=headers).status_code // 100 == 4
    assert state_of(desk, "T1") == "open"


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "no media type"])
def test_the_type_of_no_body_is_ignored(desk: Running, kind: str) -> None:
    """A Content-Type without a body says nothing, on reads and actions."""
    for ask in (asked, asked_of_the_simulator):
        desk.sandbox.vendor("account-desk").reset()
        for method, path in (("GET", "/tickets/T1"), ("POST", "/tickets/T1/stop")):
            done = ask(desk, method, f"{path}?Workspace=WS1", headers={"Content-Type": kind})
            assert done.status_code // 100 == 2, (method, done.text)


# Settings

ACCOUNT = """
api_key = "jobgate_key-of-the-tests"
[connections.desk]
vendor = "account-desk"
authentication = { kind = "client-credentials", scheme = "desk", client_id = "a", client_secret = "b", \
token_url = "https://eu.accounts.example/token" }
"""
AZURE = """
[connections.azure]
vendor = "azure-job-router"
endpoint = "https://a.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "c2VjcmV0LXRoYXQtc2lnbnM=" }
"""
MISTAKES = {
    "missing": ("", "connections.desk.values.workspace: is missing; account-desk needs it: The id of the workspace"),
    "unknown": (
        'values = { workspace = "WS5", regoin = "us" }',
        "connections.desk.values.regoin: account-desk has no such value; did you mean region?",
    ),
    "no such form": (
        'values = { workspace = "WS5", region = "asia" }',
        "connections.desk.values.region: does not fit the document of account-desk; write it as there: The region",
    ),
    "too long for the path": (
        f'values = {{ workspace = "WS{"5" * 40}" }}',
        "connections.desk.values.workspace: does not fit the document of account-desk",
    ),
    "no value of that vendor": (
        f'{AZURE}\nvalues = {{ region = "eu" }}',
        "connections.azure.values.region: azure-job-router has no such value; remove it.",
    ),
    "no server of the account": (
        AZURE.replace('endpoint = "https://a.test"', ""),
        "connections.azure.endpoint: is missing; the document of azure-job-router has no server that is certainly",
    ),
}


def checked_with(desk: Running, folder: Path, more: str) -> Settings:
    """The settings of the desk's account and more, as a gateway would start with them."""
    file = write(folder / "jobgate.toml", f"{ACCOUNT}{more}\n")
    return checked(file, {}, desk.gateway.catalogue, is_offline=True)


@pytest.mark.parametrize(("more", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_values_that_do_not_fit_the_vendor_are_mistakes(desk: Running, tmp_path: Path, more: str, said: str) -> None:
    """Each mistake has its key, the vendor and the remedy, and not the value."""
    with pytest.raises(ConfigurationError) as refused:
        checked_with(desk, tmp_path, more)
    assert f"  {said}" in str(refused.value)
    assert "asia" not in str(refused.value)


def test_all_mistakes_in_values_are_named_at_once(desk: Running, tmp_path: Path) -> None:
    """One run names every value that is missing, unknown or wrong."""
    with pytest.raises(ConfigurationError) as refused:
        checked_with(desk, tmp_path, 'values = { region = "asia", zone = "a" }')
    for name in ("workspace", "region", "zone"):
        assert str(refused.value).count(f"connections.desk.values.{name}: ") == 1


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ('{ workspace = "WS5" }', "https://eu.accounts.example/v1"),
        ('{ workspace = "WS5", region = "us" }', "https://us.accounts.example/v1"),
    ],
)
def test_the_endpoint_follows_from_the_values(desk: Running, tmp_path: Path, values: str, endpoint: str) -> None:
    """Without an endpoint, the server of the document is called, with the values of the account or their defaults."""
    settings = checked_with(desk, tmp_path, f"values = {values}")
    gateway = Gateway(settings, desk.gateway.catalogue, ledger=MemoryLedger())
    (connection,) = gateway.directory.connections.values()
    assert connection.endpoint == endpoint
    assert connection.values.keys() == {"workspace", "region"}
    assert [each.action for _, each in connection.specification.samples()] == ["cancel", "close"]
    written = checked_with(desk, tmp_path, f'values = {values}\nendpoint = "https://proxy.test"')
    (connection,) = Gateway(written, desk.gateway.catalogue, ledger=MemoryLedger()).directory.connections.values()
    assert connection.endpoint == "https://proxy.test"
