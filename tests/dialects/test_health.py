"""How a connection does, as the API and the probe tell it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.ports import Ledger
from gateway.resilience.policy import Policy
from gateway.settings.settings import Settings
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import reply
from tests.support.vendors import AZURE_JOB, TARGETS, azure_job, settings

pytestmark = in_memory

HEALTH = "/v1/connections/contoso-prod/health"
JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
CANCEL = TARGETS[0]


def with_quota() -> Settings:
    """Settings in which one connection has the quota of the vendor's document, shared by two workers."""
    made = settings(policy=Policy(attempts=1))
    azure = made.connections["contoso-prod"].model_copy(update={"quota": None})
    return made.model_copy(
        update={
            "connections": {**made.connections, "contoso-prod": azure},
            "server": made.server.model_copy(update={"workers": 2}),
        }
    )


@pytest.fixture
def scripted(catalogue: Catalogue, ledger: Ledger, clock: FakeClock) -> ScriptedGateway:
    """A gateway with a breaker and a quota."""
    return ScriptedGateway(catalogue, ledger, clock, with_quota())


async def health(scripted: ScriptedGateway) -> Any:
    """The health of a connection, as the API reports it."""
    answer = await scripted.get(HEALTH)
    assert answer.status == 200, answer.body
    return answer.json


async def test_a_connection_that_nobody_has_used(scripted: ScriptedGateway) -> None:
    """An unused connection is reported as healthy, and no vendor is called."""
    assert await health(scripted) == {
        "connection": "contoso-prod",
        "breaker": {"state": "closed", "failures": 0},
        "concurrency": {"limit": 1_000, "inUse": 0, "waiting": 0},
        "quota": {"requests": 500, "seconds": 10, "left": 50},
        "retriesLeft": 10,
        "contractDrift": {"count": 0, "kinds": []},
    }
    assert scripted.vendor.requests == []


async def test_success_and_drift_are_told(scripted: ScriptedGateway) -> None:
    """When the vendor last answered, what is left of its quota, and how its replies depart from its document."""
    scripted.answers(reply(200, azure_job("queued", priority="high")))
    await scripted.get(JOB)
    told = await health(scripted)
    assert told["lastSuccessAt"] == "2026-01-05T10:00:00.000Z"
    assert told["quota"]["left"] == 49
    assert told["contractDrift"]["count"] == 1
    (kind,) = told["contractDrift"]["kinds"]
    assert (kind["operation"], kind["place"], kind["count"]) == ("getJob", "/body/priority", 1)
    assert (await scripted.get("/v1/connections/contoso-prod")).json["contractDrift"] == 1


async def test_a_vendor_that_fails_is_left_alone(scripted: ScriptedGateway) -> None:
    """After five failures the answer is 503 with Retry-After, an action has a record, and health says it."""
    for _ in range(5):
        scripted.answers(reply(500))
        assert (await scripted.get(JOB)).status == 502
    told = await health(scripted)
    assert (told["breaker"]["state"], told["breaker"]["failures"]) == ("open", 5)
    assert 30 <= told["breaker"]["retryAfter"] <= 33
    read = await scripted.get(JOB)
    assert (read.status, read.json["code"], read.json["retryable"]) == (503, "connection-suspended", True)
    assert int(read.headers["retry-after"]) == told["breaker"]["retryAfter"]
    action = await scripted.act(CANCEL, "a-key")
    assert (action.status, action.json["code"], action.json["outcome"]) == (503, "connection-suspended", "not_sent")
    assert len(scripted.vendor.requests) == 5
    record = (await scripted.get(f"/v1/job-actions/{action.json['jobAction']}")).json
    assert (record["status"], record["attempts"]) == ("failed", [])
    other = scripted.gateway.directory.connection("contoso-test")
    assert other.pipeline.breaker.state == "closed"


async def test_the_key_of_an_action_that_was_not_sent_is_free_again(scripted: ScriptedGateway) -> None:
    """When the vendor is well again, the same request with the same key is done."""
    for _ in range(5):
        scripted.answers(reply(500))
        await scripted.get(JOB)
    assert (await scripted.act(CANCEL, "a-key")).status == 503
    scripted.clock.advance(34)
    scripted.answers(CANCEL.applied)
    again = await scripted.act(CANCEL, "a-key")
    assert (again.status, again.json["outcome"]) == (200, "applied")
    assert (await health(scripted))["breaker"] == {"state": "closed", "failures": 0}


async def test_a_quota_that_is_used_up(scripted: ScriptedGateway) -> None:
    """A request that would wait beyond its deadline is refused with Retry-After, and the vendor's quota is kept."""
    scripted.answers(*[reply(200, azure_job("queued"))] * 50)
    for _ in range(50):
        assert (await scripted.get(JOB)).status == 200
    refused = await scripted.get(JOB, **{"request-timeout": "0.001"})
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "connection-busy", "1")
    assert (await health(scripted))["quota"]["left"] == 0
    scripted.answers(reply(200, azure_job("queued")))
    begun = scripted.clock.monotonic()
    assert (await scripted.get(JOB)).status == 200
    assert 0 < scripted.clock.monotonic() - begun < 0.1


async def test_readiness_is_told_without_names(scripted: ScriptedGateway) -> None:
    """The probe sums up all connections without naming one, and calls no vendor."""
    scripted.answers(*[reply(500)] * 5)
    for _ in range(5):
        await scripted.get(JOB)
    scripted.answers(reply(200, azure_job("queued", priority="high")))
    await scripted.get(JOB.replace("contoso-prod", "contoso-test"))
    answer = await scripted.ask("GET", "/readyz", None, ())
    assert answer.status == 200
    assert answer.json == {
        "status": "ok",
        "connections": {
            "breakers": {"closed": 2, "open": 1, "half-open": 0},
            "leastQuotaLeft": 45,
            "lastSuccessAt": "2026-01-05T10:00:00.000Z",
            # An error without the body that the document gives errors is a departure too.
            "contractDrift": 6,
        },
    }
    assert len(scripted.vendor.requests) == 6


async def test_a_gateway_without_its_ledger_is_not_ready(
    scripted: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway without its ledger is alive but not ready."""

    async def fail(*_: object) -> None:
        raise LedgerUnavailable("The disk is gone.")

    monkeypatch.setattr(scripted.gateway.ledger, "get", fail)
    answer = await scripted.ask("GET", "/readyz", None, ())
    assert (answer.status, answer.json) == (503, {"status": "ledger-unavailable"})
    assert (await scripted.ask("GET", "/livez", None, ())).status == 200
