"""The rate of each caller: told in every answer, and kept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import CallerSettings, QuotaSettings
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport
from tests.support.vendors import settings

LIMIT = QuotaSettings(requests=10, seconds=5)


class LimitedGateway:
    """A gateway with two callers, ten requests in five seconds each."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Wire it."""
        callers = {name: CallerSettings(key=SecretStr(name), scopes=("*",)) for name in ("desk", "robot")}
        wired = settings(rate_limit=LIMIT).model_copy(update={"callers": callers})
        self.clock = FakeClock()
        ledger = MemoryLedger()
        self.gateway = Gateway(wired, catalogue, clock=self.clock, transport=FakeTransport(), ledger=ledger)

    async def ask(self, key: str = "desk", path: str = "/v1/vendors") -> Answer:
        """Make one request."""
        return await call(self.gateway.application, "GET", path, key=key)


@pytest.fixture
def limited(catalogue: Catalogue) -> LimitedGateway:
    """One of them."""
    return LimitedGateway(catalogue)


def rate(answer: Answer) -> tuple[Any, Any]:
    """The rate fields of an answer."""
    return answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


async def test_every_answer_tells_what_is_left(limited: LimitedGateway) -> None:
    """Every answer to a known caller, problems included, tells what is left of the rate."""
    assert rate(await limited.ask()) == ('"caller";q=10;w=5', '"caller";r=9;t=1')
    assert rate(await limited.ask(path="/v1/vendors/nobody")) == ('"caller";q=10;w=5', '"caller";r=8;t=1')
    assert rate(await limited.ask("nobody")) == (None, None)


async def test_who_asks_too_often_waits(limited: LimitedGateway) -> None:
    """A caller beyond its rate gets 429 with Retry-After, and other callers are not affected."""
    for _ in range(10):
        assert (await limited.ask()).status == 200
    refused = await limited.ask()
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "too-many-requests", "1")
    assert rate(refused) == ('"caller";q=10;w=5', '"caller";r=0;t=5')
    assert (await limited.ask("robot")).status == 200
    limited.clock.advance(1)
    assert [(await limited.ask()).status for _ in range(3)] == [200, 200, 429]


async def test_strangers_cost_nobody_anything(limited: LimitedGateway) -> None:
    """Requests with wrong keys count against no caller's rate."""
    for _ in range(20):
        assert (await limited.ask("nobody")).status == 401
    assert rate(await limited.ask())[1] == '"caller";r=9;t=1'


async def test_no_limit(catalogue: Catalogue) -> None:
    """Without a limit, answers have no rate fields."""
    made = Gateway(settings(), catalogue, clock=FakeClock(), transport=FakeTransport(), ledger=MemoryLedger())
    for _ in range(30):
        answer = await call(made.application, "GET", "/v1/vendors")
        assert (answer.status, rate(answer)) == (200, (None, None))
