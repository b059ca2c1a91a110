"""Answers to a vendor's client about failed actions: true, and safe for clients that retry by themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.errors import VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import LedgerSettings
from tests.native.fixtures import ACCEPT, VendorClients, job_path
from tests.support.transport import FakeTransport, Line, reply
from tests.support.vendors import AZURE_JOB, TOKEN_URL, VONAGE_JOB, azure_job, settings, token, vonage_job, vonage_page

REPEATED = {408, 429, 500, 502, 503, 504}
"""Statuses after which some client sends again by itself: azure-core (500, 503, 504), `curl --retry` (all), Vonage's
samples (429 and 500 to 599)."""
CANCEL = job_path(AZURE_JOB, ":cancel")
REQUEST_ID = ("x-ms-client-request-id", "9a2f3c1e-0000-4000-8000-000000000001")
DOUBTFUL: dict[str, Line] = {
    "timeout": VendorTimedOut("no answer"),
    "500": reply(500, {"error": {"code": "Internal", "message": "Oops."}}),
    "503": reply(503, b"", {"retry-after": "1"}),
    "504": reply(504, b"<html>"),
    "HTML": reply(200, b"<html>"),
}


class Vendors:
    """Vendors that do one thing to actions, and show a job in a status."""

    def __init__(self, catalogue: Catalogue, action: Line, status: str = "queued", **others: Any) -> None:
        """Have Azure's job in this status whenever it is read."""
        self.action, self.status = action, status
        self.transport = FakeTransport(otherwise=self._answer)
        wired = settings(
            vendor_seconds=0.8, ledger=LedgerSettings(confirm_seconds=(0.05, 0.1), repeat_seconds=0.1), **others
        )
        self.clients = VendorClients(
            Gateway(wired, catalogue, transport=self.transport, ledger=MemoryLedger()), self.transport
        )

    def _answer(self, request: HttpRequest) -> HttpReply:
        if request.url == TOKEN_URL:
            return token()
        if request.method == "POST":
            if isinstance(self.action, Exception):
                raise self.action
            return self.action if isinstance(self.action, HttpReply) else self.action(request)
        if "communication" in request.url:
            return reply(200, azure_job(self.status))
        return vonage_page([vonage_job(self.status)])

    @property
    def actions(self) -> int:
        """How many actions the vendors were asked for."""
        return sum(call.startswith("POST") for call in self.clients.calls)


@pytest.fixture
def vendors(catalogue: Catalogue) -> Any:
    """Makes vendors."""

    def make(action: Line, status: str = "queued", **others: Any) -> Vendors:
        return Vendors(catalogue, action, status, **others)

    return make


@pytest.mark.parametrize("action", DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_what_was_carried_out_is_told_as_done(vendors: Any, action: Line) -> None:
    """If the vendor's reply is lost and the job shows the effect, the client gets the usual success."""
    made = vendors(action, "cancelled")
    async with made.clients.gateway.lifespan():
        answer = await made.clients.azure("POST", CANCEL)
        assert (answer.status, answer.json, made.actions) == (200, {}, 1)


@pytest.mark.sampled(0.4, kind=lambda dialect: dialect)
@pytest.mark.parametrize("action", DOUBTFUL.values(), ids=DOUBTFUL.keys())
@pytest.mark.parametrize("dialect", ["azure", "vonage"])
async def test_what_nobody_knows_is_no_invitation(vendors: Any, action: Line, dialect: str) -> None:
    """An unknown outcome is answered with a status that no client retries, and without Retry-After."""
    made = vendors(action, "dreaming")
    async with made.clients.gateway.lifespan():
        if dialect == "azure":
            answer = await made.clients.azure("POST", CANCEL)
            said, code = answer.json["error"]["message"], answer.json["error"]["code"]
            assert (code, answer.headers["x-ms-error-code"]) == ("OutcomeUnknown", "OutcomeUnknown")
        else:
            answer = await made.clients.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/pause")
            said = answer.json["message"]
        assert answer.status == 424
        assert answer.status not in REPEATED
        assert "retry-after" not in answer.headers
        assert "Read the job" in said
        assert answer.headers["jobgate-job-action"]
        assert made.actions == 1


async def test_a_client_that_sends_again_does_not_act_again(vendors: Any) -> None:
    """The name that Azure's clients give a request is an idempotency key: the same request gets the same answer."""
    made = vendors(reply(200, {}))
    async with made.clients.gateway.lifespan():
        first = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
        again = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
        assert (first.status, again.status, made.actions) == (200, 200, 1)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["jobgate-job-action"] == first.headers["jobgate-job-action"]
        assert "idempotent-replayed" not in first.headers


async def test_what_became_known_meanwhile_is_told_when_it_is_sent_again(vendors: Any) -> None:
    """After 424 a client may ask again by the same name, and learns what has become of it without a second action."""
    made = vendors(VendorTimedOut("no answer"), "dreaming")
    async with made.clients.gateway.lifespan():
        assert (await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])).status == 424
        made.status = "cancelled"
        again = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
        assert (again.status, again.headers["idempotent-replayed"], made.actions) == (200, "true", 1)


async def test_one_name_for_several_requests_means_each_by_itself(vendors: Any) -> None:
    """Requests of one name for different actions are different actions, because some clients reuse a name."""
    made = vendors(reply(200, {}))
    async with made.clients.gateway.lifespan():
        for path in (CANCEL, job_path("other", ":cancel")):
            assert (await made.clients.azure("POST", path, headers=[REQUEST_ID])).status == 200
        with_note = await made.clients.azure("POST", CANCEL, {"note": "Why"}, headers=[REQUEST_ID])
        assert (with_note.status, made.actions) == (200, 3)


async def test_a_refusal_is_not_kept_for_a_name(vendors: Any) -> None:
    """A job may allow tomorrow what it does not allow today, and the client may use the same name then.

    An idempotency key stands for its answer, whatever that was.
    """
    refusal = reply(409, {"error": {"code": "JobIsAssigned", "message": "Assigned."}})
    made = vendors(refusal, "assigned")
    key = ("idempotency-key", "k")
    assert (await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])).status == 409
    assert (await made.clients.azure("POST", CANCEL, headers=[key])).status == 409
    made.action = reply(200, {})
    named = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
    assert (named.status, "idempotent-replayed" in named.headers) == (200, False)
    keyed = await made.clients.azure("POST", CANCEL, headers=[key])
    assert (keyed.status, keyed.headers["idempotent-replayed"]) == (409, "true")
    assert made.actions == 3


async def test_a_request_that_is_sent_twice_at_once_is_answered_twice(vendors: Any) -> None:
    """The second one waits for the first, and hears the same: 409 would say that it was refused."""
    made = vendors(reply(200, {}))
    async with asyncio.TaskGroup() as tasks:
        both = []

        async def send_again() -> None:
            both.append(tasks.create_task(made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])))
            await asyncio.sleep(0.1)

        made.transport.before_reply = send_again
        both.append(tasks.create_task(made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])))
    first, second = (each.result() for each in both)
    assert (first.status, second.status, first.body, made.actions) == (200, 200, second.body, 1)
    assert first.headers["jobgate-job-action"] == second.headers["jobgate-job-action"]
    assert second.headers["idempotent-replayed"] == "true"


async def test_a_request_that_goes_on_and_on_is_doubtful_to_who_sends_it_again(vendors: Any) -> None:
    """The second one waits for no longer than a call may take, and hears then what makes no client send it again."""
    made = vendors(reply(200, {}))
    has_ended = asyncio.Event()
    made.transport.before_reply = has_ended.wait
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(made.clients.azure("POST", CANCEL, headers=[REQUEST_ID]))
        await asyncio.sleep(0.05)
        second = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
        has_ended.set()
    assert (second.status, second.json["error"]["code"], "retry-after" in second.headers) == (
        424,
        "OutcomeUnknown",
        False,
    )
    assert (first.result().status, made.actions) == (200, 1)
    assert second.headers["jobgate-job-action"] == first.result().headers["jobgate-job-action"]


async def test_without_a_name_two_requests_are_two_actions(vendors: Any) -> None:
    """Without a name, two equal requests are two actions, as on the unified API."""
    made = vendors(reply(200, {}))
    async with made.clients.gateway.lifespan():
        for _ in range(2):
            assert (await made.clients.azure("POST", CANCEL)).status == 200
        assert made.actions == 2


async def test_an_idempotency_key_works_in_every_dialect(vendors: Any) -> None:
    """Who can set a header has what the unified API has; another request with the same key is refused."""
    made = vendors(reply(204))
    key = ("idempotency-key", "order-4711")
    async with made.clients.gateway.lifespan():
        path = f"/interactions/jobs/{VONAGE_JOB}"
        answers = [await made.clients.vonage("POST", f"{path}/pause", [ACCEPT, key]) for _ in range(2)]
        assert [answer.status for answer in answers] == [204, 204]
        assert made.actions == 1
        other = await made.clients.vonage("POST", f"{path}/cancel", [ACCEPT, key])
        assert (other.status, made.actions) == (422, 1)


async def test_a_key_counts_more_than_a_name(vendors: Any) -> None:
    """If a request has a key and a name, the key identifies it."""
    made = vendors(reply(200, {}))
    for key, is_replayed in (("a", False), ("b", False), ("a", True)):
        answer = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID, ("idempotency-key", key)])
        assert (answer.status, "idempotent-replayed" in answer.headers) == (200, is_replayed)
    assert made.actions == 2


async def test_a_connection_that_needs_a_key_takes_the_name_for_one(catalogue: Catalogue, vendors: Any) -> None:
    """Azure's clients name their requests; Vonage's have to send the header."""
    made = vendors(reply(200, {}))
    connections = {
        name: each.model_copy(update={"require_idempotency_key": True})
        for name, each in made.clients.gateway.settings.connections.items()
    }
    wired = made.clients.gateway.settings.model_copy(update={"connections": connections})
    clients = VendorClients(Gateway(wired, catalogue, transport=made.transport, ledger=MemoryLedger()), made.transport)
    assert (await clients.azure("POST", CANCEL)).status == 400
    assert (await clients.azure("POST", CANCEL, headers=[REQUEST_ID])).status == 200
    refused = await clients.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/pause")
    assert (refused.status, "Idempotency-Key" in refused.json["message"]) == (400, True)


async def test_what_was_not_sent_may_be_sent_again(vendors: Any) -> None:
    """A vendor that cannot be reached has done nothing: 503 with Retry-After, which clients understand."""
    made = vendors(VendorUnreachable("no connection"))
    async with made.clients.gateway.lifespan():
        answer = await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        made.action = reply(200, {})
        assert (await made.clients.azure("POST", CANCEL, headers=[REQUEST_ID])).status == 200


async def test_a_throttled_client_hears_when_to_come_again(vendors: Any) -> None:
    """A throttled client gets the vendor's Retry-After and code."""
    throttled = {"communicationError": {"code": "ThrottleLimitExceededException", "message": "Slow down."}}
    made = vendors(reply(429, throttled, {"retry-after": "7"}))
    async with made.clients.gateway.lifespan():
        answer = await made.clients.azure("POST", CANCEL)
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert answer.json["communicationError"]["code"] == "ThrottleLimitExceededException"
        assert answer.json["communicationError"]["message"] == "Slow down."
