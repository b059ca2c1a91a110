"""The matrix of access, made from the documents: every operation of every surface, with every kind of caller."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.access import Caller
from gateway.domain.model import HttpRequest, JobAction, VendorRequest
from gateway.domain.vocabulary import Meaning
from gateway.engine.wire import http_request
from gateway.ledger.memory import MemoryLedger
from gateway.sandbox.settings import Credentials
from gateway.security.keys import ApiKey, digest_of
from gateway.settings.settings import CallerSettings
from gateway.specs.native import GRANT, NativeApi
from gateway.specs.operations import Operation
from gateway.specs.security import checked_schemes
from gateway.specs.windows import Window
from tests.support.asgi import Answer, call
from tests.support.clock import NOW, FakeClock
from tests.support.documents import installed
from tests.support.transport import FakeTransport
from tests.support.vendors import ASSIGNMENT, AZURE_JOB, VONAGE_JOB, obedient, settings

CONNECTION = "contoso-prod"
ENDED = f"jobgate_{'e' * 12}_{'e' * 43}"

SCOPES: Mapping[str, tuple[str, ...]] = {
    "owner": ("jobs:*", "connections:*", "batches:*", "approvals:*", "schedules:*", "keys:*"),
    "other": ("jobs:*", "connections:*"),
    "reader": ("jobs:read", "connections:*"),
    "stranger": ("jobs:*", "connections:vonage-*"),
    "nothing": ("jobs:none",),
    "auditor": ("audit:read",),
}
"""Callers, each with a key that is its name and `-key`."""

RESOURCES = {
    "/batches": "batches",
    "/approvals": "approvals",
    "/schedules": "schedules",
    "/windows": "schedules",
    "/keys": "keys",
}
"""Beginnings of the paths whose operations have scopes of their own, and the resource that these name."""
ALSO = {"createSchedule": ["batches:write"]}
"""The scopes that an operation needs beside that of its resource."""

API = installed().api
OPERATIONS = list(API.operations)
ABOUT_A_CONNECTION = [name for name, each in API.operations.items() if "connection" in each.declared["path"]]


NOT_THERE = "00000000-0000-7000-8000-000000000000"
"""An id that nothing has."""


@dataclass(frozen=True)
class GuardedGateway:
    """A gateway, and the id of a job action that `owner` has asked for."""

    gateway: Gateway
    record: str

    async def ask(self, operation: Operation, key: str | None) -> Answer:
        """Ask for an operation with a key."""
        names = {"connection": CONNECTION, "jobId": AZURE_JOB, "vendor": "azure-job-router", "id": self.record}
        names |= dict.fromkeys(("batchId", "approvalId", "scheduleId"), NOT_THERE)
        path = operation.path
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", value)
        return await call(self.gateway.application, operation.method, f"/v1{path}", key=key)

    def operation(self, name: str) -> Operation:
        """An operation of the document."""
        return self.gateway.catalogue.api.operations[name]


@pytest.fixture(scope="module")
def guarded(catalogue: Catalogue) -> GuardedGateway:
    """A gateway with all these callers, and a key that has ended."""
    clock = FakeClock()
    callers = {
        name: CallerSettings(
            key=SecretStr(f"{name}-key"), scopes=scopes, access_key=SecretStr(access_key_of(f"{name}-key"))
        )
        for name, scopes in SCOPES.items()
    }
    wired = settings().model_copy(update={"callers": callers})
    made = Gateway(wired, catalogue, clock=clock, transport=FakeTransport(otherwise=obedient), ledger=MemoryLedger())
    everything = Caller("ended", frozenset({"*"}))
    made.keyring.replace([ApiKey("e" * 12, everything, digest_of(ENDED), clock.now(), clock.now() + timedelta(0))])
    empty = GuardedGateway(made, "")
    answer = asyncio.run(empty.ask(empty.operation("cancelJob"), "owner-key"))
    assert answer.status == 200, answer.body
    return GuardedGateway(made, answer.json["id"])


def scopes_of(operation: Operation) -> list[str]:
    """The scopes that the document requires for an operation."""
    document = API.document.content
    node = document["paths"][operation.path][operation.method.lower()]
    (requirement,) = node.get("security", document["security"])
    assert list(requirement) == ["bearer", "scopes"], "who calls is asked before what it may do"
    found: list[str] = requirement["scopes"]
    return found


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("key", [None, "", "nobody-key", "Owner-key", ENDED, "a.b.c"])
async def test_nobody_gets_in(guarded: GuardedGateway, name: str, key: str | None) -> None:
    """Without a valid key no operation does anything or reveals anything."""
    answer = await guarded.ask(guarded.operation(name), key)
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_scope_of_the_document_is_needed(guarded: GuardedGateway, name: str) -> None:
    """A caller with the operation's scope is served; one with every other scope gets 403 that names it."""
    operation = guarded.operation(name)
    required = scopes_of(operation)
    served = (await guarded.ask(operation, "owner-key")).status
    if operation.path.startswith((*RESOURCES,)):
        assert served not in {401, 403}
    else:
        # One vendor has not every action, and the job, which is completed, does not allow every one.
        assert served in {200, 409, 422}
    answer = await guarded.ask(operation, "reader-key")
    if set(required) <= {"jobs:read"}:
        assert answer.status not in {401, 403}
    else:
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert required[0] in answer.json["detail"]


@pytest.mark.parametrize("name", ABOUT_A_CONNECTION)
async def test_a_connection_of_others_is_not_there(guarded: GuardedGateway, name: str) -> None:
    """A connection that the caller may not use is answered exactly like one that does not exist."""
    operation = guarded.operation(name)
    answer = await guarded.ask(operation, "stranger-key")
    assert (answer.status, answer.json["code"]) == (404, "unknown-connection")
    elsewhere = operation.path.replace("{connection}", "nowhere").replace("{jobId}", AZURE_JOB)
    missing = await call(guarded.gateway.application, operation.method, f"/v1{elsewhere}", key="owner-key")
    assert same(answer) == same(missing)


def same(answer: Answer) -> dict[str, Any]:
    """An answer but for the id of its request."""
    return {name: value for name, value in answer.json.items() if name != "requestId"} | {"http": answer.status}


def test_every_operation_about_a_connection_asks_for_a_scope(catalogue: Catalogue) -> None:
    """Every operation about connections requires a scope, and each action its own; so does every one about batches."""
    for operation in catalogue.api.operations.values():
        required = scopes_of(operation)
        if operation.path.startswith((*RESOURCES,)):
            verb = "break-glass" if operation.operation_id == "breakGlass" else "write"
            resource = RESOURCES[f"/{operation.path.split('/')[1]}"]
            own = f"{resource}:{'read' if operation.method == 'GET' else verb}"
            assert required == [own, *ALSO.get(operation.operation_id, ())], operation.operation_id
            continue
        is_about_some = "connection" in operation.declared["path"] or operation.operation_id in {
            "findJobs",
            "countJobs",
        }
        assert bool(required) == is_about_some, operation.operation_id
        action = operation.extensions.get("x-action") or operation.extensions.get("x-intent")
        assert required == ([f"jobs:{action}"] if action else ["jobs:read"] if required else [])


async def test_lists_have_what_is_the_callers(guarded: GuardedGateway) -> None:
    """Lists contain the caller's connections and job actions; an auditor sees the job actions of all callers."""
    listed = guarded.operation("listConnections")
    seen = {
        name: [each["name"] for each in (await guarded.ask(listed, f"{name}-key")).json["items"]] for name in SCOPES
    }
    assert seen["owner"] == ["contoso-prod", "contoso-test", "vonage-emea"]
    assert (seen["stranger"], seen["nothing"], seen["auditor"]) == (["vonage-emea"], [], [])
    actions = guarded.operation("listJobActions")
    found = {name: (await guarded.ask(actions, f"{name}-key")).json["items"] for name in SCOPES}
    assert {each["caller"] for each in found["owner"]} == {"owner"}
    assert guarded.record in [each["id"] for each in found["auditor"]]
    assert all(guarded.record not in [each["id"] for each in found[name]] for name in ("other", "reader", "nothing"))


async def test_a_job_action_is_its_owners(guarded: GuardedGateway) -> None:
    """A job action of another caller is answered like an unknown one, except to an auditor."""
    operation = guarded.operation("getJobAction")
    assert (await guarded.ask(operation, "owner-key")).json["id"] == guarded.record
    assert (await guarded.ask(operation, "auditor-key")).json["id"] == guarded.record
    missing = GuardedGateway(guarded.gateway, "00000000-0000-7000-8000-000000000000")
    for name in ("other", "reader", "stranger", "nothing"):
        answer = await guarded.ask(operation, f"{name}-key")
        assert (answer.status, answer.json["code"]) == (404, "unknown-job-action")
        assert same(answer) == same(await missing.ask(operation, f"{name}-key"))


async def test_an_auditor_asks_for_one_caller(guarded: GuardedGateway) -> None:
    """The filter by caller works for an auditor, and shows other callers nothing."""
    path = "/v1/job-actions?caller=owner"
    for name, sees in (("auditor", True), ("owner", True), ("other", False)):
        answer = await call(guarded.gateway.application, "GET", path, key=f"{name}-key")
        assert bool(answer.json["items"]) is sees


# The vendors' own APIs


@dataclass(frozen=True)
class Asked:
    """A request of a vendor's client, and the scopes that it needs."""

    method: str
    target: str
    content: bytes
    headers: tuple[tuple[str, str], ...]
    scopes: tuple[str, ...]

    def at(self, connection: str) -> str:
        """Its address on a connection."""
        return self.target.replace("{connection}", connection)


CONNECTIONS = {"vonage-contact-center": "vonage-emea"}
"""The connections at which the vendors' clients ask; the others have none of their own, and ask at that of Azure."""
JOBS = {"vonage-contact-center": VONAGE_JOB, "twilio-taskrouter": "WTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}


def requests_of(native: NativeApi) -> Iterator[tuple[str, Asked]]:
    """A request for each operation of a vendor's own API, and for each action that it performs."""
    vendor = native.vendor.bound(native.vendor.example_values)
    job = JOBS.get(vendor.name, AZURE_JOB)
    for mapping in vendor.actions.values():
        known = {"assignmentId": ASSIGNMENT, "medium": "emails"}
        parameters = {name: value for name, value in known.items() if name in mapping.parameters}
        encoded = mapping.encode(JobAction(mapping.action, job, parameters))
        alike = [each.action for each in vendor.actions.values() if each.is_alike(mapping)]
        yield mapping.action, asked(native, mapping.operation, encoded, *(f"jobs:{each}" for each in alike))
    for name, read in vendor.reads.items():
        window = {} if read.window_days is None else Window.last(read.window_days, NOW).values
        encoded = read.encode({"job.id": job, "page.limit": 10, "page.number": 1, **window})
        yield name, asked(native, read.operation, encoded, "jobs:read")


def asked(native: NativeApi, operation: Operation, encoded: VendorRequest, *scopes: str) -> Asked:
    """A request of the vendor's document, as it is here; the document here has the scopes for it."""
    served = native.api.operations[operation.operation_id]
    node = native.api.document.content["paths"][served.path][served.method.lower()]
    named = [tuple(each["scopes"]) for each in node["security"]]
    assert all((scope,) in named for scope in scopes)
    made = http_request(operation, encoded, f"{native.base_path}/{{connection}}")
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Asked(made.method, made.url, made.content, tuple(headers.items()), scopes)


NATIVE = [
    pytest.param(native, each, id=f"{native.vendor.name} {name}")
    for native in Catalogue.load().natives.values()
    for name, each in requests_of(native)
]


async def ask(
    guarded: GuardedGateway, native: NativeApi, asked: Asked, key: str | None, connection: str = ""
) -> Answer:
    """Ask for it, at the vendor's own connection unless another is named.

    The key is a bearer token, or where the vendor has none, the name and the access key that a client signs with.
    """
    target = asked.at(connection or CONNECTIONS.get(native.vendor.name, CONNECTION))
    credentials = {} if key is None else {"authorization": f"Bearer {key}"}
    if key is not None and not native.takes_tokens:
        credentials = signed(guarded, native, replace(asked, target=target), key)
    fields = [*asked.headers, *credentials.items()]
    return await call(guarded.gateway.application, asked.method, target, asked.content, fields, key=None)


def signed(guarded: GuardedGateway, native: NativeApi, asked: Asked, key: str) -> dict[str, str]:
    """The header fields with which a client proves its access key."""
    adapter, document = guarded.gateway.catalogue.vendors[native.vendor.name].adapter, native.vendor.api.document
    (scheme,) = checked_schemes(adapter, document, native.vendor.example_values).values()
    parts = Credentials(access_key_of(key), key.removesuffix("-key")).parts(scheme.kind)
    request = HttpRequest(asked.method, f"http://gateway.test{asked.target}", dict(asked.headers), asked.content)
    now = guarded.gateway.clock.now()
    return {name.lower(): value for name, value in scheme.sign(request, parts, now).items()}


def access_key_of(key: str) -> str:
    """The access key of the caller with this key."""
    return base64.b64encode(key.encode().ljust(32)).decode()


CHALLENGES = {"twilio-taskrouter": "Basic", "amazon-connect": "AWS4-HMAC-SHA256"}
"""The credentials that clients without bearer tokens are asked for."""


def said(native: NativeApi, answer: Answer) -> str:
    """The text of a refusal, which has the shape of the vendor's errors."""
    documented = [each.response(answer.status) for name, each in native.api.operations.items() if name != GRANT]
    assert all(body.is_valid(answer.json) for each in documented if each for body in each.bodies.values())
    return answer.body.decode()


def test_every_operation_of_every_surface_is_asked_for() -> None:
    """The matrix covers every served operation, except the token endpoints."""
    for native in Catalogue.load().natives.values():
        operations = native.api.operations.keys() - {GRANT}
        acted = {each.operation.operation_id for each in native.vendor.actions.values()}
        assert operations == acted | native.vendor.reads.keys()


@pytest.mark.parametrize(("native", "asked"), NATIVE)
@pytest.mark.parametrize("key", [None, "", "nobody-key", "Owner-key", ENDED, "a.b.c"])
async def test_nobody_gets_into_a_vendors_api(
    guarded: GuardedGateway, native: NativeApi, asked: Asked, key: str | None
) -> None:
    """Without a valid key no operation of a vendor's API does anything, and the refusal has the vendor's shape.

    It names the credentials that the vendor's clients have.
    """
    answer = await ask(guarded, native, asked, key)
    assert answer.status == native.vendor.errors.meanings[Meaning.UNAUTHENTICATED][0].status
    assert "scope" not in said(native, answer)
    assert answer.headers["www-authenticate"].split()[0] == CHALLENGES.get(native.vendor.name, "Bearer")


@pytest.mark.parametrize(("native", "asked"), NATIVE)
@pytest.mark.parametrize("caller", SCOPES)
async def test_a_vendors_api_needs_the_scope_of_its_document(
    guarded: GuardedGateway, native: NativeApi, asked: Asked, caller: str
) -> None:
    """For each connection and caller, the operation is done, refused with 403 that names the scope, or unknown."""
    who = Caller(caller, frozenset(SCOPES[caller]))
    for connection in ("contoso-prod", "contoso-test", "vonage-emea", "nowhere"):
        answer = await ask(guarded, native, asked, f"{caller}-key", connection)
        nowhere = await ask(guarded, native, asked, "owner-key", "nowhere")
        if not who.may_use(connection) or (connection == "nowhere" and all(map(who.may, asked.scopes))):
            assert (answer.status, answer.body) == (nowhere.status, nowhere.body) == (404, nowhere.body)
        elif all(map(who.may, asked.scopes)):
            assert answer.status not in {401, 403}  # one vendor has not every action of another, nor every job
            assert answer.body != nowhere.body
        else:
            assert answer.status == 403
            assert asked.scopes[0] in said(native, answer)


@pytest.mark.parametrize(("native", "asked"), NATIVE)
async def test_a_refusal_comes_before_the_request_is_looked_at(
    guarded: GuardedGateway, native: NativeApi, asked: Asked
) -> None:
    """A caller without the scope is refused before the request is validated, and no vendor is called."""
    transport = guarded.gateway.transport
    assert isinstance(transport, FakeTransport)
    before = len(transport.requests)
    wrong = replace(asked, target=f"{asked.target}{'&' if '?' in asked.target else '?'}colour=red")
    answer = await ask(guarded, native, wrong, "nothing-key", "contoso-prod")
    assert answer.status == 404  # to a caller without any connection
    if asked.scopes != ("jobs:read",):
        assert (await ask(guarded, native, wrong, "reader-key")).status == 403
    assert len(transport.requests) == before
