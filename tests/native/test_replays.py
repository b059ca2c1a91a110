"""A signed request that is sent once more, by its sender or by who has overheard it, is one action."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
import requests
from azure.communication.jobrouter import JobRouterClient
from pydantic import SecretStr

from adapters.azure_job_router import CLOCK_SKEW, sign
from gateway.app import Catalogue, Gateway
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.memory import MemoryLedger
from tests.native.fixtures import AZURE, VERSION, VendorClients, job_path
from tests.native.servers import Servers, servers
from tests.support.asgi import Answer
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import AZURE_JOB, azure_job, settings

CANCEL = job_path(AZURE_JOB, ":cancel")
SECRET = base64.b64encode(b"k" * 32).decode()
NAME = "x-ms-client-request-id"
REPEATED: dict[str, dict[str, str]] = {
    "bare": {},
    "with another name": {NAME: "9a2f3c1e-0000-4000-8000-000000000002"},
    "with a key": {"idempotency-key": "a-key-of-somebody-else"},
}
"""What who repeats a signed request can write into it without breaking its signature."""


class SigningClients(VendorClients):
    """A client that signs, a clock that stands still, and a vendor that answers actions with `action`."""

    def __init__(self, catalogue: Catalogue, **others: Any) -> None:
        """Have a gateway that knows the client's access key."""
        self.clock, self.action = FakeClock(), reply(200, {})
        transport = FakeTransport(otherwise=self._answer)
        wired = settings(access_key=SecretStr(SECRET)).model_copy(update=others)
        gateway = Gateway(wired, catalogue, clock=self.clock, transport=transport, ledger=MemoryLedger())
        super().__init__(gateway, transport)

    def _answer(self, request: HttpRequest) -> HttpReply:
        return self.action if request.method == "POST" else reply(200, azure_job("closed"))

    def signed(self, **headers: str) -> dict[str, str]:
        """The header fields of a request to cancel the job, signed now."""
        request = HttpRequest("POST", f"http://gateway.test/native/{AZURE}/contoso-prod{CANCEL}?{VERSION}", {})
        made = sign(request, SECRET, self.clock.now())
        return {name.lower(): value for name, value in made.items()} | headers

    async def cancel(self, headers: Mapping[str, str]) -> Answer:
        """Send a request to cancel the job."""
        return await self.azure("POST", CANCEL, headers=headers.items(), key=None)

    @property
    def actions(self) -> int:
        """How many actions the vendor was asked for."""
        return sum(call.startswith("POST") for call in self.calls)


@pytest.fixture
def clients(catalogue: Catalogue) -> SigningClients:
    """A client, its gateway and the vendor."""
    return SigningClients(catalogue)


@pytest.mark.parametrize("first", [{}, {NAME: "9a2f3c1e-0000-4000-8000-000000000001"}, {"idempotency-key": "mine"}])
@pytest.mark.parametrize("repeated", REPEATED.values(), ids=REPEATED.keys())
async def test_a_signature_acts_once(clients: SigningClients, first: dict[str, str], repeated: dict[str, str]) -> None:
    """A repeated signature gets the same answer from the same record whatever unsigned fields change."""
    signed = clients.signed()
    done = await clients.cancel(signed | first)
    for _ in range(2):
        again = await clients.cancel(signed | repeated)
        assert (again.status, again.body) == (done.status, done.body) == (200, b"{}")
        assert again.headers["jobgate-job-action"] == done.headers["jobgate-job-action"]
        assert again.headers["idempotent-replayed"] == "true"
    assert clients.actions == 1


async def test_a_signature_acts_once_when_many_send_it_at_once(clients: SigningClients) -> None:
    """Of concurrent requests with one signature, one acts, and the others wait and get its answer."""
    signed = clients.signed()
    answers = await asyncio.gather(*(clients.cancel(signed | {NAME: str(uuid4())}) for _ in range(8)))
    assert {(each.status, each.headers["jobgate-job-action"]) for each in answers} == {
        (200, answers[0].headers["jobgate-job-action"])
    }
    assert clients.actions == 1


async def test_it_stands_for_its_answer_until_its_date_is_refused(clients: SigningClients) -> None:
    """A signature is replayed during its whole validity, and refused after it."""
    signed = clients.signed()
    clients.clock.jump(-CLOCK_SKEW)
    done = await clients.cancel(signed)
    for seconds in (0.0, 2 * CLOCK_SKEW.total_seconds() - 1):
        clients.clock.advance(seconds)
        again = await clients.cancel(signed)
        assert again.headers["jobgate-job-action"] == done.headers["jobgate-job-action"]
    clients.clock.advance(2)
    assert (await clients.cancel(signed)).status == 401
    assert clients.actions == 1


async def test_what_was_refused_stays_refused(clients: SigningClients) -> None:
    """A repeated signature gets the earlier refusal even if the job allows the action now."""
    clients.action = reply(409, {"error": {"code": "Conflict", "message": "Not now."}})
    signed = clients.signed(**{NAME: "first"})
    refused = await clients.cancel(signed)
    clients.action = reply(200, {})
    for headers in ({}, {NAME: "second"}, {NAME: "first"}):
        again = await clients.cancel(signed | headers)
        assert (again.status, again.body) == (refused.status, refused.body)
    assert (refused.status, clients.actions) == (409, 1)


async def test_what_was_not_done_is_done_for_a_new_signature_only(clients: SigningClients) -> None:
    """A try that failed is sent again with a new date, as Azure's SDKs do; repeating the old one does nothing more."""
    clients.action = reply(429, {"error": {"code": "ThrottleLimitExceededException", "message": "Later."}})
    first = clients.signed(**{NAME: "one"})
    failed = await clients.cancel(first)
    assert failed.status == 429
    asked = clients.actions
    clients.action = reply(200, {})
    for repeated in REPEATED.values():
        assert (await clients.cancel(first | repeated)).status == 429
    assert clients.actions == asked
    clients.clock.advance(1)
    second = clients.signed(**{NAME: "one"})
    done = await clients.cancel(second)
    assert (done.status, clients.actions) == (200, asked + 1)
    for signed in (first, second):
        for repeated in REPEATED.values():
            await clients.cancel(signed | repeated)
    assert clients.actions == asked + 1


async def test_the_tries_of_one_request_are_known_by_its_name(clients: SigningClients) -> None:
    """Retries with one name and new signatures are one action, which each of the signatures then stands for."""
    tries = []
    for _ in range(3):
        tries.append(clients.signed(**{NAME: "one"}))
        clients.clock.advance(1)
    answers = [await clients.cancel(each) for each in tries]
    answers += [await clients.cancel({**each, NAME: "another"}) for each in tries]
    assert len({each.headers["jobgate-job-action"] for each in answers}) == 1
    assert clients.actions == 1


async def test_a_key_that_was_used_for_something_else_does_not_free_its_signature(clients: SigningClients) -> None:
    """A signed request that was refused for its key stays refused without the key."""
    await clients.azure("POST", job_path("another", ":cancel"), headers=[("idempotency-key", "used")])
    signed = clients.signed()
    refused = await clients.cancel(signed | {"idempotency-key": "used"})
    for repeated in REPEATED.values():
        again = await clients.cancel(signed | repeated)
        assert (again.status, again.body) == (refused.status, refused.body)
    assert (refused.status, clients.actions) == (422, 1)


async def test_two_requests_of_different_seconds_are_two_actions(clients: SigningClients) -> None:
    """Requests without a name that are signed in different seconds are different actions."""
    for number in (1, 2):
        assert (await clients.cancel(clients.signed())).status == 200
        clients.clock.advance(1)
        assert clients.actions == number


async def test_two_equal_requests_of_one_second_are_one(clients: SigningClients) -> None:
    """Dates have seconds, so their signatures are the same, whatever names they have: documented in dialects.md."""
    for name in ("one", "two"):
        assert (await clients.cancel(clients.signed(**{NAME: name}))).status == 200
    assert clients.actions == 1


async def test_no_key_of_a_client_is_a_signatures_name(clients: SigningClients) -> None:
    """A client cannot take the name of a signed request: it has a tab, which no header field's value may have there."""
    signed = clients.signed()
    done = await clients.cancel(signed)
    record = await clients.gateway.ledger.get(done.headers["jobgate-job-action"], None)
    assert record is not None
    assert record.requested.signature is not None
    taken = {"idempotency-key": record.requested.signature}
    clients.clock.advance(1)
    assert (await clients.cancel(clients.signed() | taken)).status == 400
    assert record.requested.idempotency_key is None


async def test_a_connection_that_needs_a_key_needs_one_beside_the_signature(catalogue: Catalogue) -> None:
    """A signature is another at each try, so it is no key that its sender can repeat a request by."""
    connections = settings().connections
    strict = {name: each.model_copy(update={"require_idempotency_key": True}) for name, each in connections.items()}
    clients = SigningClients(catalogue, connections=strict)
    assert (await clients.cancel(clients.signed())).status == 400
    clients.clock.advance(1)
    assert (await clients.cancel(clients.signed(**{NAME: "one"}))).status == 200


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway with its ledger on a disk, and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("replays")) as started:
        yield started


@pytest.mark.parametrize("repeated", REPEATED.values(), ids=REPEATED.keys())
def test_a_request_of_the_sdk_that_is_overheard_acts_once(running: Servers, repeated: dict[str, str]) -> None:
    """A recorded SDK request that is sent again, with other unsigned fields, acts once."""
    vendor = running.vendor("azure-sandbox")
    job, heard = vendor.create_job("queued"), list[Any]()
    endpoint = running.endpoint(AZURE, "azure-sandbox")
    connection = f"endpoint={endpoint}/;accesskey={running.access_key(AZURE, 'azure-sandbox')}"
    with JobRouterClient.from_connection_string(
        connection, connection_verify=running.certificate, raw_response_hook=heard.append
    ) as azure:
        azure.cancel_job(job)
    request = heard[-1].http_request
    before = len(vendor.log())
    kept = {name: value for name, value in request.headers.items() if name.lower() != NAME}
    answer = requests.post(
        request.url, data=request.content, headers=kept | repeated, verify=running.certificate, timeout=20
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["jobgate-job-action"] == heard[-1].http_response.headers["jobgate-job-action"]
    assert len(vendor.log()) == before
