"""A gateway with a database, whose schedules and batches go on when a test lets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.schedules.running import ScheduleRunner
from gateway.settings.settings import BasicAuthentication, CallerSettings, ConnectionSettings, WindowSettings
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import azure_job, settings

ALL = ("batches:*", "schedules:*", "jobs:*", "connections:*")
CALLERS = {
    "alice": ALL,
    "bob": ALL,
    "weak": ("schedules:*", "batches:*", "connections:*"),
    "closer": ("jobs:close", "connections:*"),
    "auditor": ("audit:read", "schedules:read", "batches:read"),
}
DAY = 86_400.0
TWILIO = "twilio-test"
TASK = "WT0123456789abcdef0123456789abcdef"


class Desk:
    """A gateway with a database. Its vendor has `jobs` queued jobs."""

    def __init__(self, catalogue: Catalogue, folder: Path, clock: FakeClock | None = None, **more: Any) -> None:
        """Wire it, with more settings."""
        self.clock = clock or FakeClock()
        self.catalogue = catalogue
        self.jobs = 3
        self.refuses = False
        self.transport = FakeTransport(otherwise=self._answer)
        self.database = Database.at(sqlite_address(folder))
        self.ledger = SqlLedger(self.database, self.clock)
        self.gateway = self.wired(**more)

    def wired(self, scopes: dict[str, tuple[str, ...]] | None = None, owner: str | None = None, **more: Any) -> Gateway:
        """A gateway on the same database, with these callers, of one owner or of their own."""
        known = {
            name: CallerSettings(key=SecretStr(name), scopes=each, owner=owner)
            for name, each in (scopes or CALLERS).items()
        }
        usual = settings(callers=known, **more)
        twilio = ConnectionSettings(
            vendor="twilio-taskrouter",
            values={"workspaceSid": "WS0123456789abcdef0123456789abcdef"},
            authentication=BasicAuthentication(
                kind="basic", scheme="accountSid_authToken", username="AC1", password=SecretStr("token")
            ),
        )
        chosen = usual.model_copy(update={"connections": {**usual.connections, TWILIO: twilio}})
        self.gateway = Gateway(chosen, self.catalogue, clock=self.clock, transport=self.transport, ledger=self.ledger)
        return self.gateway

    def _answer(self, request: HttpRequest) -> HttpReply:
        if request.method == "POST":
            return reply(500 if self.refuses else 200, {})
        path = request.url.partition("?")[0]
        if path.endswith("/routing/jobs"):
            found = [azure_job("queued", f"job-{number}") for number in range(self.jobs)]
            return reply(200, {"value": found})
        return reply(200, azure_job("queued", path.rpartition("/")[2]))

    async def ask(self, method: str, path: str, body: Any = None, key: str = "alice", **headers: str) -> Answer:
        """Ask the unified API."""
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await call(self.gateway.application, method, f"/v1{path}", body, fields, key=key)

    async def go_on(self) -> None:
        """Let every schedule and every batch that is due go on, as far as it gets."""
        schedules, runner = self.gateway.schedules, self.gateway.batch_runner
        assert schedules is not None
        assert runner is not None
        while await ScheduleRunner(schedules).look():
            pass
        while leases := await runner.store.take(16):
            for lease in leases:
                await runner.work(lease)

    async def scheduled(self, key: str = "alice", **more: Any) -> dict[str, Any]:
        """A schedule that cancels every queued job, by default each night at two."""
        answer = await self.ask("POST", "/schedules", body_of(**more), key)
        assert answer.status == 201, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def schedule(self, schedule_id: str, key: str = "auditor") -> dict[str, Any]:
        """A schedule as it is now."""
        found: dict[str, Any] = (await self.ask("GET", f"/schedules/{schedule_id}", key=key)).json
        return found

    async def batches(self) -> list[dict[str, Any]]:
        """All batches, the newest one first."""
        found: list[dict[str, Any]] = (await self.ask("GET", "/batches", key="auditor")).json["items"]
        return found

    @property
    def cancelled(self) -> int:
        """The number of cancellations that went to the vendor."""
        return sum(":cancel" in each.url for each in self.transport.requests)

    @property
    def events(self) -> list[str]:
        """What the chain says about schedules."""
        told = [json.loads(line) for line in audit.export(self.database)]
        found = [each["told"] for each in told if each["kind"] == "state"]
        return [each["state"] for each in found if each["of"] == "schedule"]


def body_of(**more: Any) -> dict[str, Any]:
    """The request for a schedule."""
    batch = {"action": "cancel", "reason": "Nightly", "select": {"filter": {"connections": ["contoso-prod"]}}}
    batch["limits"] = {"maxShare": 1}
    if "runAt" not in more:
        more = {"cron": "0 2 * * *", "timeZone": "UTC", **more}
    return {"name": "nightly", "batch": {**batch, **more.pop("batch", {})}, **more}


def window(kind: str, cron: str, duration: str = "PT1H", **more: Any) -> WindowSettings:
    """A window in UTC."""
    return WindowSettings.model_validate({"kind": kind, "cron": cron, "time_zone": "UTC", "duration": duration, **more})
