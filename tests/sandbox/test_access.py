"""Who may call the simulated vendors: signatures, tokens, scopes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.domain.model import HttpRequest, JobAction
from gateway.domain.vocabulary import Meaning
from gateway.edge.exchange import Message
from gateway.sandbox.request_log import EXTENSION, Exchange
from gateway.sandbox.server import Sandbox, SandboxServer
from gateway.sandbox.settings import Credentials, SandboxSettings
from tests.sandbox.fixtures import OAUTH, SCOPED, VENDORS, Answer, Clock, VendorClient, call, departures

SIGNED = [name for name, (adapter, _) in VENDORS.items() if "accessKey" in adapter.signing]
HOST = "contoso.westus.communications.azure.com"
JOB = "/routing/jobs/8780b28c-7079-4de1-9143-4d369289e958"
VECTORS = [
    ("POST", f"{JOB}:cancel?api-version=2023-11-01", b"", "gbNIZK933+3TiE7ymCewPcOBtm2w7GJ3NAqiDGEeRCw="),
    (
        "POST",
        f"{JOB}/assignments/1d5896f3-8b54-40be-82d3-910323f5e2af:close?api-version=2023-11-01",
        b'{"dispositionCode": "JobCompleted.", "note": "Closing job"}',
        "a5+7ksCXcLCraUuloow4f8dxKKRhvOAgOc5x4bFhvTQ=",
    ),
    (
        "GET",
        "/routing/jobs?maxpagesize=20&status=active&api-version=2023-11-01",
        b"",
        "EIlryMRjCUbix67SJPWL+ElUVzBHTUmyOKdItH9payU=",
    ),
]
HASHES = {
    b"": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    VECTORS[1][2]: "01MrZho6KGVVPc7qEc/hyogz/HAE6Ihv0haE+BsxikQ=",
}


async def at_the_vendors_own_address(
    sandbox: Sandbox, name: str, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> int:
    """The status that the vendor's application answers to a request for its real host."""
    path, _, query = target.partition("?")
    exchange = Exchange(method, f"https://{HOST}{target}", f"https://{HOST}", path, path, query, "trace")
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", HOST.encode()), (b"content-length", str(len(body)).encode()), *raw],
        "extensions": {EXTENSION: exchange},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await sandbox.vendor(name).application(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(("method", "target", "body", "signature"), VECTORS, ids=["cancel", "close", "list"])
@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("good", [True, False], ids=["right", "wrong"])
async def test_signatures_made_by_the_vendors_own_code(
    name: str, method: str, target: str, body: bytes, signature: str, good: bool
) -> None:
    """Requests that were signed with Microsoft's own client are let in, and refused with one bit changed."""
    credentials = Credentials(access_key="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    sandbox = Sandbox(
        {name: VENDORS[name]},
        SandboxSettings(credentials={name: credentials}),
        lambda: datetime(2023, 11, 3, 21, 27, 6, tzinfo=UTC),
    )
    if target.startswith(f"{JOB}:"):
        sandbox.vendor(name).set_status(JOB.rpartition("/")[2], "queued")
    sent = signature if good else f"A{signature[1:]}"
    headers = {
        "x-ms-date": "Fri, 03 Nov 2023 21:27:06 GMT",
        "x-ms-content-sha256": HASHES[body],
        "authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={sent}",
        **({"content-type": "application/json"} if body else {}),
    }
    status = await at_the_vendors_own_address(sandbox, name, method, target, headers, body)
    assert status == (200 if good else 401)


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: HttpRequest(request.method, request.url, request.headers, b'{"note":"changed"}'),
        lambda request: HttpRequest(request.method, f"{request.url}&maxpagesize=1", request.headers),
        lambda request: HttpRequest("GET", request.url, request.headers),
    ],
    ids=["body", "query", "method"],
)
def test_a_signature_covers_the_whole_request(name: str, spoil: Any, clients: dict[str, VendorClient]) -> None:
    """A signature made for another body, address or method is refused."""
    client = clients[name]
    action, mapping = next(iter(client.specification.actions.items()))
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    request = client.action_request(JobAction(action, job_id))
    headers = {**request.headers, "Content-Type": "application/json"}
    spoilt = spoil(HttpRequest(request.method, request.url, headers, request.content))
    answer = client.send(spoilt, client.proof(request))
    assert answer.status in {401, 405}
    assert client.status_of(job_id) == mapping.from_statuses[0]


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (-299, 200), (301, 401), (-301, 401)])
def test_a_signature_holds_for_some_minutes(
    name: str, seconds: int, status: int, clients: dict[str, VendorClient], clock: Clock
) -> None:
    """A signature of another time than the vendor's clock shows is refused, in both directions."""
    client = clients[name]
    request = client.some_request()
    proof = client.proof(request)
    clock.advance(seconds)
    assert client.send(request, proof).status == status


def test_nobody_gets_in_without_credentials(client: VendorClient) -> None:
    """Without credentials, every documented operation answers as the document says, before anything else."""
    errors = client.specification.errors
    documented = errors.meanings[Meaning.UNAUTHENTICATED][0]
    envelope = errors.envelopes[documented.envelope or next(iter(errors.envelopes))]
    assert client.specification.api.operations
    for operation in client.specification.api.operations.values():
        request = client.request(operation, **operation.example)
        for proof in ({}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic eA=="}, {"Authorization": ""}):
            answer = client.send(request, proof)
            assert answer.status == documented.status
            assert "error.message" in envelope.decode({"header": answer.headers, "body": answer.json})
            assert departures(operation, answer) == []


@pytest.mark.parametrize("name", OAUTH)
def test_a_token_lets_in_until_it_expires(name: str, clients: dict[str, VendorClient], clock: Clock) -> None:
    """A token from the token endpoint is good for as many seconds as the endpoint said, and no longer."""
    client = clients[name]
    client.vendor.configure(token_seconds=60)
    granted = ask_for_token(client)
    assert granted.status == 200
    assert granted.headers["cache-control"] == "no-store"
    body = granted.json
    assert {"token_type": "Bearer", "expires_in": 60}.items() <= body.items()
    proof = {"Authorization": f"Bearer {body['access_token']}"}
    assert client.send(client.some_request(), proof).status == 200
    clock.advance(59)
    assert client.send(client.some_request(), proof).status == 200
    clock.advance(1)
    assert client.send(client.some_request(), proof).status == 401


@pytest.mark.parametrize("name", OAUTH)
def test_a_client_may_authenticate_with_http_basic(name: str, clients: dict[str, VendorClient]) -> None:
    """HTTP Basic is as good as the form, but not both at once, and not with a wrong secret."""
    client = clients[name]
    credentials = client.vendor.credentials
    form = {"client_id": None, "client_secret": None}
    right = basic(credentials.client_id, credentials.client_secret)
    assert ask_for_token(client, right, **form).status == 200
    assert ask_for_token(client, right).json["error"] == "invalid_request"
    wrong = ask_for_token(client, basic(credentials.client_id, "wrong"), **form)
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    assert wrong.headers["www-authenticate"].startswith('Basic realm="')


@pytest.mark.parametrize("name", OAUTH)
@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": "somebody"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_secret": "guessed"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "gu\u00e9ssed"}, 401, "invalid_client"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused(
    name: str, form: dict[str, str | None], status: int, error: str, clients: dict[str, VendorClient]
) -> None:
    """A request for a token that RFC 6749 would not grant is answered with its error, and no token."""
    answer = ask_for_token(clients[name], **form)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json.keys() == {"error", "error_description"}


@pytest.mark.parametrize("name", SCOPED)
def test_a_token_is_for_a_scope(name: str, clients: dict[str, VendorClient]) -> None:
    """If the document has scopes, a request for a token without any is refused."""
    answer = ask_for_token(clients[name], scope=None)
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("name", OAUTH)
def test_a_parameter_of_a_token_request_comes_once(name: str, clients: dict[str, VendorClient]) -> None:
    """A parameter that comes twice makes the request invalid (RFC 6749, 3.2)."""
    client = clients[name]
    url = str(client.server.token_url(name))
    form = b"grant_type=client_credentials&grant_type=client_credentials"
    answer = call(url, "POST", [("Content-Type", "application/x-www-form-urlencoded")], form)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", OAUTH)
def test_the_token_endpoint_takes_post_only(name: str, clients: dict[str, VendorClient]) -> None:
    """Another method at the token endpoint is answered 405 with what is allowed."""
    url = str(clients[name].server.token_url(name))
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = call(url, method)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("name", SCOPED)
def test_a_token_needs_the_scope(name: str, clients: dict[str, VendorClient]) -> None:
    """A token without the operation's scope is answered 403, in the document's words where it has them."""
    client = clients[name]
    token = client.vendor.issue_token(frozenset({"another-scope"}))
    answer = client.send(client.some_request(), {"Authorization": f"Bearer {token.value}"})
    documented = client.specification.errors.meanings.get(Meaning.FORBIDDEN)
    assert answer.status == (documented[0].status if documented else 403)
    read = client.specification.list_read
    assert read is not None
    assert departures(read.operation, answer) == []


def test_credentials_differ_from_sandbox_to_sandbox(server: SandboxServer) -> None:
    """Credentials are made anew for every sandbox and vendor, and are not in a representation of them."""
    other = Sandbox(VENDORS)
    made = [server.credentials(name) for name in VENDORS] + [other.vendor(name).credentials for name in VENDORS]
    secrets = [secret for each in made for secret in (each.access_key, each.client_secret)]
    assert len(set(secrets)) == 2 * len(made)
    assert not any(secret in repr(made) for secret in secrets)


def test_the_log_holds_no_credentials(client: VendorClient) -> None:
    """Whatever credentials are sent, none is in the log."""
    request = client.some_request()
    proof = client.proof(request)
    client.send(request, proof)
    if client.vendor.token_endpoint:
        ask_for_token(client)
    said = repr(client.vendor.log())
    secrets = [client.vendor.credentials.client_secret, client.vendor.credentials.access_key, *proof.values()]
    assert client.vendor.log() != ()
    assert [each for each in secrets if each in said] == []


def ask_for_token(client: VendorClient, proof: str | None = None, **changes: str | None) -> Answer:
    """Ask the token endpoint for a token. `changes` replace parameters of a good form; None leaves one out."""
    credentials = client.vendor.credentials
    form: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": " ".join(sorted(client.vendor.scopes)),
        **changes,
    }
    sent = urlencode({name: value for name, value in form.items() if value is not None}).encode()
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    headers += [("Authorization", proof)] if proof else []
    url = client.server.token_url(client.specification.name)
    assert url is not None
    return call(url, "POST", headers, sent)


def basic(client_id: str, secret: str) -> str:
    """The value of an Authorization header of HTTP Basic."""
    return f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"
