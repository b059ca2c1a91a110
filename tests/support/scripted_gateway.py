"""The unified API in this process, wired as in the product except for the clock and the vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Ledger
from gateway.domain.record import JobActionRecord
from gateway.settings.settings import Settings
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport, Line
from tests.support.vendors import Target, settings

in_memory = pytest.mark.parametrize("ledger", ["memory"], indirect=True)
"""For tests in which the kind of ledger does not matter."""


class Vendor(FakeTransport):
    """A vendor that follows a script, and whose answers a test can delay."""

    def __init__(self) -> None:
        """Begin without a script, and answer at once."""
        super().__init__()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_asked = asyncio.Event()

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Follow the next line of the script, once the test allows it."""
        self.is_asked.set()
        await self.may_answer.wait()
        return await super().send(request, deadline)


class ScriptedGateway:
    """A gateway whose vendor follows a script, with the unified API to call it."""

    def __init__(self, catalogue: Catalogue, ledger: Ledger, clock: FakeClock, wired: Settings | None = None) -> None:
        """Wire it."""
        self.clock = clock
        self.vendor = Vendor()
        self.gateway = Gateway(wired or settings(), catalogue, clock=clock, transport=self.vendor, ledger=ledger)

    def answers(self, *script: Line) -> None:
        """Add lines to the vendor's script."""
        self.vendor.script.extend(script)

    async def act(
        self,
        target: Target,
        key: str | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        dry_run: bool = False,
    ) -> Answer:
        """Ask for an action of the documents, with its own parameters where there is no other body."""
        address = f"/v1/connections/{target.connection}/jobs/{target.job_id}/{target.action}"
        fields = [*headers, *([] if key is None else [("idempotency-key", key)])]
        parameters = dict(target.parameters) or None if body is None else body
        return await self.ask("POST", f"{address}?dryRun=true" if dry_run else address, parameters, fields)

    async def get(self, target: str, **headers: str) -> Answer:
        """Read something."""
        return await self.ask("GET", target, None, headers.items())

    async def ask(self, method: str, target: str, body: Any, headers: Iterable[tuple[str, str]]) -> Answer:
        """Make one request."""
        return await call(self.gateway.application, method, target, body, headers)

    async def settle(self, seconds: float, *script: Line) -> tuple[JobActionRecord, ...]:
        """Let time pass and the reconciler run; `script` is what the vendor answers."""
        self.clock.advance(seconds)
        self.answers(*script)
        return await self.gateway.reconciler.reconcile_due()

    @property
    def actions_sent(self) -> list[HttpRequest]:
        """The actions that went to a vendor's API, without the fetching of tokens."""
        return [each for each in self.vendor.requests if each.method == "POST" and "/connect/token" not in each.url]
