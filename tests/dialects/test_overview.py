"""The overview of the unified API, and the caller's own description."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.domain.errors import VendorTimedOut
from gateway.domain.ports import Ledger
from gateway.settings.settings import CallerSettings
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.vendors import API_KEY, AZURE_JOB, ONE_ATTEMPT, settings

CANCEL = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/cancel"


@pytest.fixture
def scripted(catalogue: Catalogue, ledger: Ledger, clock: FakeClock) -> ScriptedGateway:
    """The unified API, with a caller that may use one connection."""
    scopes = ("jobs:*", "connections:contoso-prod")
    callers = {"desk": CallerSettings(key=SecretStr("desk-key-of-the-overview"), scopes=scopes)}
    policy = ONE_ATTEMPT.model_copy(update={"breaker_failures": 2, "fair_seconds": 0.0})
    return ScriptedGateway(catalogue, ledger, clock, settings(policy=policy).model_copy(update={"callers": callers}))


async def overview(scripted: ScriptedGateway, key: str = API_KEY) -> dict[str, Any]:
    """The overview of a caller."""
    answer = await call(scripted.gateway.application, "GET", "/v1/overview", key=key)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_unknown_outcomes_count(scripted: ScriptedGateway) -> None:
    """The unknown outcomes count, with the time of the oldest, in every kind of ledger."""
    assert (await overview(scripted))["unknown"] == {"count": 0}
    for _ in range(2):
        scripted.answers(VendorTimedOut("late"))
        assert (await call(scripted.gateway.application, "POST", CANCEL)).status == 202
        scripted.clock.advance(60)
    assert (await overview(scripted))["unknown"] == {"count": 2, "oldestAt": "2026-01-05T10:00:00.000Z"}


@in_memory
async def test_a_caller_sees_its_own(scripted: ScriptedGateway) -> None:
    """Without audit:read, only the caller's own job actions and connections count."""
    scripted.answers(VendorTimedOut("late"))
    await call(scripted.gateway.application, "POST", CANCEL)
    seen = await overview(scripted, "desk-key-of-the-overview")
    assert (seen["allCallers"], seen["unknown"]) == (False, {"count": 0})
    assert [each["connection"] for each in seen["connections"]] == ["contoso-prod"]
    everybody = await overview(scripted)
    assert (everybody["allCallers"], everybody["unknown"]["count"]) == (True, 1)


@in_memory
async def test_a_vendor_that_hangs_shows(scripted: ScriptedGateway) -> None:
    """A connection whose vendor does not answer shows its failures, and then its open breaker."""
    for state, failures in (("closed", 1), ("open", 2)):
        scripted.answers(VendorTimedOut("late"))
        await call(scripted.gateway.application, "POST", CANCEL)
        seen = (await overview(scripted))["connections"][0]
        assert (seen["connection"], seen["breaker"], seen["failures"]) == ("contoso-prod", state, failures)


@in_memory
async def test_a_caller_learns_its_scopes(scripted: ScriptedGateway) -> None:
    """Every caller can read its own name and scopes."""
    answer = await call(scripted.gateway.application, "GET", "/v1/caller", key="desk-key-of-the-overview")
    assert answer.json == {"name": "desk", "scopes": ["connections:contoso-prod", "jobs:*"]}
