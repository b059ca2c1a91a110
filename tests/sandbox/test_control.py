"""The control API: what can be done by hand, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.vocabulary import Meaning
from gateway.sandbox.server import SandboxServer
from tests.sandbox.fixtures import NOWHERE, OAUTH, SCOPED, VENDORS, Answer, Clock, VendorClient, call


def control(client: VendorClient, method: str, path: str, body: Any = None) -> Answer:
    """Make a request to the control API of one vendor."""
    url = f"{client.server.url}/control/{client.specification.name}/{path}"
    if body is None:
        return call(url, method)
    return call(url, method, [("Content-Type", "application/json")], json.dumps(body).encode())


def id_of(client: VendorClient, job: Any) -> str:
    """The id of a vendor's job."""
    return str(client.specification.job.decode({"body": job})["job.id"])


def test_vendors(server: SandboxServer) -> None:
    """The list of vendors says of each where it is, and which statuses and actions it has."""
    items = call(f"{server.url}/control/vendors").json["items"]
    assert [each["name"] for each in items] == list(VENDORS)
    for each in items:
        specification = VENDORS[each["name"]][1]
        assert each["endpoint"] == server.endpoint(each["name"])
        assert each["tokenUrl"] == server.token_url(each["name"])
        assert each["statuses"] == list(specification.clear_statuses)
        assert each["actions"] == list(specification.actions)


def test_jobs_are_listed(client: VendorClient) -> None:
    """All jobs of a vendor are shown, as the vendor shows them."""
    assert control(client, "GET", "jobs").json == {"items": list(client.vendor.jobs())}


def test_jobs_are_made_in_any_status(client: VendorClient) -> None:
    """A job can be made in every status, with an id of one's own or a new one; a taken id is refused."""
    for status in client.specification.clear_statuses:
        made = control(client, "POST", "jobs", {"status": status})
        job_id = id_of(client, made.json)
        assert (made.status, client.status_of(job_id)) == (200, status)
    own = "11111111-2222-4333-8444-555555555555"
    made = control(client, "POST", "jobs", {"status": status, "id": own})
    assert (id_of(client, made.json), client.status_of(own)) == (own, status)
    again = control(client, "POST", "jobs", {"status": status, "id": own})
    assert (again.status, "this id" in again.json["detail"]) == (400, True)


def test_a_job_that_the_document_forbids_is_not_made(client: VendorClient) -> None:
    """A job whose id the vendor's document would not allow is refused, and the answer says what is wrong with it."""
    status = next(iter(client.specification.clear_statuses))
    before = client.vendor.jobs()
    answer = control(client, "POST", "jobs", {"status": status, "id": "x" * 257})
    assert (answer.status, "the vendor's document: /" in answer.json["detail"]) == (400, True)
    assert client.vendor.jobs() == before


def test_a_job_is_read_and_set_by_hand(client: VendorClient) -> None:
    """A job can be put into any status, whatever it is in; the answer is the job."""
    job_id = id_of(client, client.vendor.jobs()[0])
    assert client.specification.clear_statuses
    for status in client.specification.clear_statuses:
        answer = control(client, "PUT", f"jobs/{job_id}", {"status": status})
        assert (answer.status, client.status_of(job_id)) == (200, status)
        assert control(client, "GET", f"jobs/{job_id}").json == answer.json == client.vendor.job(job_id)


def test_a_job_is_advanced(client: VendorClient) -> None:
    """A system transition can be made by hand, the first or a named one; another is refused with the choices."""
    origin, to = client.specification.transitions[-1]
    first = next(each for at, each in client.specification.transitions if at == origin)
    job_id = client.vendor.create_job(origin)
    assert control(client, "POST", f"jobs/{job_id}/advance").status == 200
    assert client.status_of(job_id) == first
    client.vendor.set_status(job_id, origin)
    assert control(client, "POST", f"jobs/{job_id}/advance", {"to": to}).status == 200
    assert client.status_of(job_id) == to
    client.vendor.set_status(job_id, origin)
    refused = control(client, "POST", f"jobs/{job_id}/advance", {"to": "elsewhere"})
    assert (refused.status, to in refused.json["detail"]) == (400, True)


def test_faults_are_scripted(client: VendorClient) -> None:
    """Faults can be added, are shown with the times that are left, befall requests, and can be cleared."""
    fault = {"kind": "status", "times": 3, "status": 502, "retryAfter": "5"}
    added = control(client, "POST", "faults", fault)
    assert (added.status, added.json["kind"], added.json["operationId"]) == (200, "status", None)
    assert client.send(client.some_request()).status == 502
    (shown,) = control(client, "GET", "faults").json["items"]
    assert shown == added.json | {"times": 2}
    assert control(client, "DELETE", "faults").status == 204
    assert control(client, "GET", "faults").json == {"items": []}
    assert client.send(client.some_request()).status == 200


@pytest.mark.parametrize("name", OAUTH)
def test_tokens_expire_when_told(name: str, clients: dict[str, VendorClient]) -> None:
    """A token can be issued by hand, and all can be made to expire."""
    client = clients[name]
    token = control(client, "POST", "tokens", {"seconds": 5}).json
    proof = {"Authorization": f"{token['token_type']} {token['access_token']}"}
    assert (token["expires_in"], client.send(client.some_request(), proof).status) == (5, 200)
    control(client, "POST", "faults", {"kind": "expire_tokens"})
    assert client.send(client.some_request(), proof).status == 401
    narrow = control(client, "POST", "tokens", {"scope": "a b"}).json
    assert narrow["scope"] == "a b"
    proof = {"Authorization": f"Bearer {narrow['access_token']}"}
    assert client.send(client.some_request(), proof).status == (403 if name in SCOPED else 200)


def test_settings_are_changed_one_by_one(client: VendorClient, clock: Clock) -> None:
    """A setting that is given changes, the others stay; null brings back the default."""
    errors = client.specification.errors
    chosen = errors.meanings[Meaning.WRONG_STATE][-1].status
    envelope = list(errors.envelopes)[-1]
    default: dict[str, Any] = {"wrongState": None, "envelope": None, "tokenSeconds": 7200, "clockSeconds": None}
    assert control(client, "GET", "settings").json == default
    for change in ({"wrongState": chosen}, {"envelope": envelope}, {"tokenSeconds": 60}, {"clockSeconds": 5}):
        default |= change
        assert control(client, "PATCH", "settings", change).json == default
    assert control(client, "GET", "settings").json == default
    assert client.vendor.settings.wrong_state_status == chosen
    origin, to = client.specification.transitions[0]
    job_id = client.vendor.create_job(origin)
    clock.advance(5)
    assert client.status_of(job_id) == to
    assert control(client, "PATCH", "settings", {"clockSeconds": None}).json["clockSeconds"] is None


def test_settings_that_no_document_has(client: VendorClient) -> None:
    """A status or an envelope that the vendor's document does not have is refused, with those that it has."""
    errors = client.specification.errors
    known = str(errors.meanings[Meaning.WRONG_STATE][0].status)
    answer = control(client, "PATCH", "settings", {"wrongState": 499})
    assert (answer.status, known in answer.json["detail"]) == (400, True)
    answer = control(client, "PATCH", "settings", {"envelope": "brown"})
    assert (answer.status, next(iter(errors.envelopes)) in answer.json["detail"]) == (400, True)
    assert client.vendor.settings.envelope is None


def test_the_log(client: VendorClient) -> None:
    """The log tells what was asked, what changed and what was answered; `after` leaves out earlier requests."""
    action, mapping = next(iter(client.specification.actions.items()))
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    answer = client.perform(action, job_id)
    client.send(client.some_request())
    first, second = control(client, "GET", "log").json["items"]
    assert first["vendor"] == client.specification.name
    assert (first["method"], first["operationId"]) == (mapping.operation.method, mapping.operation.operation_id)
    assert (first["jobAction"]["action"], first["jobAction"]["jobId"]) == (action, job_id)
    assert (first["before"], first["after"]) == (mapping.from_statuses[0], mapping.to_status)
    assert (first["status"], first["fault"], second["jobAction"]) == (answer.status, None, None)
    assert first["at"] == "2026-01-05T10:00:00+00:00"
    assert control(client, "GET", f"log?after={first['sequence']}").json == {"items": [second]}
    assert control(client, "GET", "log?after=0").json["items"] == [first, second]
    refused = control(client, "GET", "log?after=soon")
    assert (refused.status, "sequence number" in refused.json["detail"]) == (400, True)


def test_reset(client: VendorClient) -> None:
    """A reset brings back the first jobs and settings and forgets faults and log; tokens and numbering go on."""
    token = client.vendor.issue_token()
    before = client.vendor.jobs()
    client.send(client.some_request())
    (entry,) = client.vendor.log()
    for job in before:
        client.vendor.set_status(id_of(client, job), next(iter(client.specification.clear_statuses)))
    control(client, "POST", "jobs", {"status": next(iter(client.specification.clear_statuses))})
    control(client, "POST", "faults", {"kind": "malformed"})
    control(client, "PATCH", "settings", {"tokenSeconds": 5})
    assert control(client, "POST", "reset").status == 204
    assert client.vendor.jobs() == before
    assert (client.vendor.scripted(), client.vendor.log(), client.vendor.settings.token_seconds) == ((), (), 7200)
    if client.vendor.token_endpoint:
        proof = {"Authorization": f"Bearer {token.value}"}
        assert client.send(client.some_request(), proof).status == 200
        assert client.vendor.log()[0].sequence > entry.sequence


def test_credentials(client: VendorClient) -> None:
    """What a client must present can be asked for."""
    credentials = client.vendor.credentials
    assert control(client, "GET", "credentials").json == {
        "accessKey": credentials.access_key,
        "clientId": credentials.client_id,
        "clientSecret": credentials.client_secret,
        "tokenUrl": client.server.token_url(client.specification.name),
        "scopes": sorted(client.vendor.scopes),
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "jobs", {}),
        ("POST", "jobs", {"status": NOWHERE}),
        ("POST", "jobs", {"status": 1}),
        ("POST", "jobs", {"status": NOWHERE, "color": "red"}),
        ("POST", "jobs", []),
        ("POST", "faults", {}),
        ("POST", "faults", {"kind": "fire"}),
        ("POST", "faults", {"kind": "status", "status": 200}),
        ("POST", "faults", {"kind": "status", "times": 0}),
        ("POST", "faults", {"kind": "status", "times": "2"}),
        ("POST", "faults", {"kind": "delay", "seconds": -1}),
        ("POST", "faults", {"kind": "throttle", "retryAfter": "1\r\nSet-Cookie: x"}),
        ("POST", "faults", {"kind": "status", "operationId": "misspelt"}),
        ("POST", "faults", {"kind": "status", "operation_id": "token"}),
        ("PATCH", "settings", {"tokenSeconds": 0}),
        ("PATCH", "settings", {"clockSeconds": 0}),
        ("PATCH", "settings", {"clockSeconds": "5"}),
        ("PATCH", "settings", {"clock_seconds": 5}),
        ("POST", "tokens", {"seconds": 0}),
    ],
    ids=json.dumps,
)
def test_input_is_checked(method: str, path: str, body: Any, client: VendorClient) -> None:
    """Input that makes no sense is a problem that says where and why, and changes nothing."""
    before = client.vendor.jobs(), client.vendor.scripted(), client.vendor.settings
    answer = control(client, method, path, body)
    assert (answer.status, answer.media_type) == (400, "application/problem+json")
    assert len(answer.json["detail"]) > 20
    assert (client.vendor.jobs(), client.vendor.scripted(), client.vendor.settings) == before


def test_input_is_json(client: VendorClient) -> None:
    """A body that is not sent as JSON is refused, so that no page in a browser can send one unasked."""
    url = f"{client.server.url}/control/{client.specification.name}/faults"
    assert call(url, "POST", [("Content-Type", "text/plain")], b'{"kind":"malformed"}').status == 415
    assert call(url, "POST", [("Content-Type", "application/json")], b'{"kind":').status == 400
    assert client.vendor.scripted() == ()


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "nowhere/jobs", "unknown-vendor"),
        ("GET", "{vendor}/jobs/none", "unknown-job"),
        ("PUT", "{vendor}/jobs/none", "unknown-job"),
        ("POST", "{vendor}/jobs/none/advance", "unknown-job"),
        ("GET", "{vendor}/nonsense", "unknown-path"),
        ("GET", "nonsense", "unknown-path"),
    ],
)
def test_what_is_not_there(method: str, path: str, code: str, client: VendorClient) -> None:
    """A vendor, a job or an address that is not there is answered 404, and says which of them it is."""
    status = next(iter(client.specification.clear_statuses))
    body = json.dumps({"status": status}).encode() if method == "PUT" else None
    url = f"{client.server.url}/control/{path.format(vendor=client.specification.name)}"
    answer = call(url, method, [("Content-Type", "application/json")] if body else [], body)
    assert (answer.status, answer.json["code"]) == (404, code)


def test_methods_of_the_control_api(client: VendorClient) -> None:
    """A method that an address does not take is answered 405 with those that it takes."""
    answer = control(client, "PATCH", "jobs")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_control_is_not_the_vendors(client: VendorClient) -> None:
    """What is done through the control API is in no vendor's log, and no vendor has an address of it."""
    control(client, "GET", "jobs")
    assert client.vendor.log() == ()
    assert call(f"{client.endpoint}/control/vendors").status == 404
    assert call(f"{client.server.url}/{client.specification.name}/control/vendors").status == 404
