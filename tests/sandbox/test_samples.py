"""The samples of the vendors' own pages and Microsoft's recordings, byte for byte.

Vendors are named here, since their pages are what is quoted.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from gateway.domain.model import HttpRequest
from gateway.sandbox.server import SandboxServer
from tests.sandbox.fixtures import Clock, VendorClient

AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
AZURE_JOB = "8780b28c-7079-4de1-9143-4d369289e958"
CANCEL = f"/routing/jobs/{AZURE_JOB}:cancel?api-version=2023-11-01"
CLOSE = f"/routing/jobs/{AZURE_JOB}/assignments/1d5896f3-8b54-40be-82d3-910323f5e2af:close?api-version=2023-11-01"
CLOSE_BODY = b'{\n  "dispositionCode": "JobCompleted.",\n  "note": "Closing job"\n}'
VONAGE_JOB = "fe4b9c24-d305-492e-90e2-ddbdd7a36555"
VERSION = "application/vnd.newvoicemedia.v1+json"


def wire(server: SandboxServer, content: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Send bytes; gives the status line, the header fields and the body that come back."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(content)
        with connection.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, dict(field.lower().split(b": ", 1) for field in fields), body


def signed(client: VendorClient, target: str, body: bytes) -> bytes:
    """The bytes of a signed POST request, as a page shows it."""
    url = client.endpoint + target
    proof = client.adapter.signing["accessKey"].sign(
        HttpRequest("POST", url, {}, body), client.vendor.credentials.access_key, client.clock.now()
    )
    parts = urlsplit(url)
    fields = {"Host": parts.netloc, "Connection": "close", **proof}
    if body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"POST {parts.path}?{parts.query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_close_job_sample(server: SandboxServer, clients: dict[str, VendorClient]) -> None:
    """The sample request of Close Job closes the sample's job, and the answer is the sample's: 200, `{}`."""
    client = clients[AZURE]
    line, headers, body = wire(server, signed(client, CLOSE, CLOSE_BODY))
    assert (line, headers[b"content-type"], body) == (b"HTTP/1.1 200 OK", b"application/json", b"{}")
    job = client.vendor.job(AZURE_JOB)
    assert (job["status"], job["dispositionCode"]) == ("closed", "JobCompleted.")
    assert "Closing job" in str(job["notes"])
    assert "closedAt" in str(job["assignments"])


@pytest.mark.parametrize("body", [b"{}", b""], ids=["empty object", "no body"])
def test_cancel_job_samples(body: bytes, server: SandboxServer, clients: dict[str, VendorClient]) -> None:
    """Both sample requests of Cancel Job, with `{}` and without a body, cancel and are answered 200, `{}`."""
    client = clients[AZURE]
    client.vendor.set_status(AZURE_JOB, "queued")
    line, _, answer = wire(server, signed(client, CANCEL, body))
    assert (line, answer) == (b"HTTP/1.1 200 OK", b"{}")
    job = client.vendor.job(AZURE_JOB)
    assert (job["status"], job["dispositionCode"]) == ("cancelled", "Cancelled")


def test_change_job_status_sample(server: SandboxServer, clients: dict[str, VendorClient]) -> None:
    """The page's curl line, with curl's own headers, restarts the page's job: 204 and no content."""
    client = clients[VONAGE]
    parts = urlsplit(f"{client.endpoint}/interactions/jobs/{VONAGE_JOB}/restart")
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: curl/8.5.0\r\n"
        f"Authorization: Bearer {client.vendor.issue_token().value}\r\nAccept: {VERSION}\r\nConnection: close\r\n\r\n"
    )
    line, headers, body = wire(server, request.encode())
    assert (line, body) == (b"HTTP/1.1 204 No Content", b"")
    assert not {b"content-type", b"content-length"} & headers.keys()
    assert client.vendor.job(VONAGE_JOB)["status"] == "Scheduled"


def test_token_sample(clients: dict[str, VendorClient], server: SandboxServer) -> None:
    """The vendor's sample of a token request, a form, is answered with a bearer token and its lifetime."""
    credentials = server.credentials(VONAGE)
    form = (
        f"grant_type=client_credentials&client_id={credentials.client_id}"
        f"&client_secret={credentials.client_secret}&scope=interaction-content:read"
    ).encode()
    parts = urlsplit(str(server.token_url(VONAGE)))
    assert parts.path == f"/{VONAGE}/Auth/connect/token"
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nconnection: close\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(form)}\r\n\r\n"
    )
    line, headers, body = wire(server, request.encode() + form)
    assert (line, headers[b"content-type"]) == (b"HTTP/1.1 200 OK", b"application/json")
    assert b'"token_type":"Bearer","expires_in":7200' in body


def test_recorded_close_with_a_past_time(server: SandboxServer, clients: dict[str, VendorClient]) -> None:
    """The recorded request whose `closeAt` is the year 1 closes at once; what it leaves is what was recorded."""
    body = b'{"closeAt":"0001-01-01T00:00:00.0000000Z","note":"Job closed by a worker"}'
    line, _, answer = wire(server, signed(clients[AZURE], CLOSE, body))
    assert (line, answer) == (b"HTTP/1.1 200 OK", b"{}")
    job = clients[AZURE].vendor.job(AZURE_JOB)
    assert (job["status"], job["dispositionCode"]) == ("closed", "Closed")
    assert job["notes"] == [{"message": "Job closed by a worker", "addedAt": "2026-01-05T10:00:00.0000000+00:00"}]


def test_recorded_errors_name_their_target(clients: dict[str, VendorClient]) -> None:
    """An error of the live service has the request's path as its target, without the query."""
    client = clients[AZURE]
    answer = client.perform("cancel", AZURE_JOB)
    error = answer.json["communicationError"]
    assert error == {
        "code": "Conflict",
        "message": "The job is not in a status that allows this action.",
        "target": f"/routing/jobs/{AZURE_JOB}:cancel",
    }
    assert "x-ms-error-code" not in answer.headers


def test_the_documented_envelope_names_its_code_in_a_header(clients: dict[str, VendorClient]) -> None:
    """An error in the shape of the reference pages has the header that these pages promise."""
    client = clients[AZURE]
    client.vendor.configure(envelope="documented", wrong_state_status=400)
    answer = client.perform("cancel", AZURE_JOB)
    assert (answer.status, answer.json["error"]["code"]) == (400, "BadRequest")
    assert answer.headers["x-ms-error-code"] == "BadRequest"


def test_replies_name_the_trace(clients: dict[str, VendorClient]) -> None:
    """As recorded, `trace-id` is the trace of the request's `traceparent` as a GUID, and random without one."""
    client = clients[AZURE]
    request = client.some_request()
    parent = "00-db7be217a0937d297df98fdbfb5d382a-00f067aa0ba902b7-01"
    answer = client.send(request, {**client.proof(request), "traceparent": parent})
    assert answer.headers["trace-id"] == "db7be217-a093-7d29-7df9-8fdbfb5d382a"
    others = {client.send(request).headers["trace-id"] for _ in range(3)}
    assert len(others | {answer.headers["trace-id"]}) == 4


def test_the_wrong_version_is_refused(clients: dict[str, VendorClient]) -> None:
    """A request for another version than the documented one is answered 400, in words that name the place."""
    request = clients[VONAGE].some_request()
    answer = clients[VONAGE].send(request, {**clients[VONAGE].proof(request), "Accept": "*/*"})
    assert (answer.status, "Accept" in answer.json["message"]) == (400, True)
    request = clients[AZURE].some_request()
    old = HttpRequest(request.method, request.url.replace("2023-11-01", "2021-01-01"), request.headers)
    answer = clients[AZURE].send(old)
    assert (answer.status, "api-version" in answer.json["communicationError"]["message"]) == (400, True)


def test_time_in_samples_is_the_vendors(clients: dict[str, VendorClient], clock: Clock) -> None:
    """A signature is judged by the vendor's clock, which tests can hold still."""
    client = clients[AZURE]
    request = client.some_request()
    proof = client.proof(request)
    clock.advance(3_600)
    assert client.send(request, proof).status == 401
