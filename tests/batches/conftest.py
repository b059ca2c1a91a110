"""A gateway with a database, and a vendor that remembers what it was asked. Batches go on when a test says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.stores import Store
from gateway.settings.settings import BatchSettings
from tests.support import vendors
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.transport import reply

CONNECTION = "contoso-prod"


@dataclass
class Vendor:
    """A vendor of queued jobs, which it cancels. Some are gone, and some make trouble.

    `members` are further members of jobs. If the vendor `acts_first`, it has acted before its answer is awaited.
    `before_read` happens before a job is read alone.
    """

    jobs: dict[str, str] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, HttpReply | Exception] = field(default_factory=dict)
    acts_first: bool = False
    before_read: Callable[[], object] = lambda: None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, request: HttpRequest, _deadline: float) -> HttpReply:
        """Answer as Azure does."""
        path = request.url.partition("/routing/jobs")[2].partition("?")[0]
        if request.method == "GET" and not path:
            listed = [vendors.azure_job(status, job, **self.members.get(job, {})) for job, status in self.jobs.items()]
            return reply(200, {"value": listed})
        job = path.removeprefix("/").partition(":")[0]
        if request.method == "GET":
            self.before_read()
            return reply(200, vendors.azure_job(self.jobs[job], job)) if job in self.jobs else reply(404, {})
        self.is_asked.set()
        if not self.acts_first:
            await self.may_answer.wait()
        self.asked[job] += 1
        trouble = self.trouble.get(job)
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return trouble
        self.jobs[job] = "cancelled"
        await self.may_answer.wait()
        return reply(200, {})


@dataclass
class House:
    """A gateway, its vendor, and requests to it."""

    gateway: Gateway
    vendor: Vendor
    clock: FakeClock

    async def ask(self, method: str, path: str, body: Any = None, **fields: str) -> Answer:
        """One request."""
        headers = [(name.replace("_", "-").lower(), value) for name, value in fields.items()]
        return await call(self.gateway.application, method, f"/v1{path}", body, headers)

    async def create(self, *jobs: str, **members: Any) -> Mapping[str, Any]:
        """Create a batch of jobs, or of what `select` says."""
        select = {"jobs": [{"connection": CONNECTION, "jobId": each} for each in jobs]}
        body = {"action": "cancel", "reason": "a test", "select": select, **members}
        answer = await self.ask("POST", "/batches", body)
        assert answer.status == 202, answer.body
        made: Mapping[str, Any] = answer.json
        return made

    async def go_on(self) -> None:
        """Let every batch that is due take its next step."""
        runner = self.gateway.batch_runner
        assert runner is not None
        await runner.look()
        await runner.finish(60)

    async def go_on_until(self, batch: Mapping[str, Any], *states: str) -> Mapping[str, Any]:
        """Let batches go on until this one is in one of these states."""
        found: Mapping[str, Any] = {}
        for _ in range(20):
            found = (await self.ask("GET", f"/batches/{batch['id']}")).json
            if found["state"] in states:
                return found
            await self.go_on()
            self.clock.advance(1.5)
            await self.gateway.reconciler.reconcile_due()
        raise AssertionError(f"it does not become {states}: {found}")

    async def confirm(self, batch: Mapping[str, Any], **members: Any) -> Answer:
        """Confirm a batch as it was shown."""
        shown = {"manifestDigest": batch["manifest"]["digest"], "count": batch["manifest"]["count"], **members}
        return await self.ask("POST", f"/batches/{batch['id']}/confirm", shown)

    async def items(self, batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The items of a batch."""
        answer = await self.ask("GET", f"/batches/{batch['id']}/items?limit=100")
        found: list[Mapping[str, Any]] = answer.json["items"]
        return found


@pytest.fixture
async def house(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[House]:
    """A gateway over a new database."""
    clock = FakeClock()
    made = house_at(catalogue, Database.at(sqlite_address(tmp_path)), clock)
    await made.gateway.ledger.start()
    yield made
    await made.gateway.close()


def house_at(
    catalogue: Catalogue,
    database: Database,
    clock: FakeClock,
    vendor: Vendor | None = None,
    store: Store | None = None,
) -> House:
    """A gateway over a database, which is written by `store`."""
    vendor = vendor or Vendor()
    vendor.may_answer.set()
    ledger = SqlLedger(database, clock, timedelta(days=7), store=store)
    wired = vendors.settings(batches=BatchSettings(max_items=60))
    gateway = Gateway(wired, catalogue, clock=clock, transport=vendor, ledger=ledger)
    return House(gateway, vendor, clock)


def queued(house: House, number: int, first: int = 0) -> list[str]:
    """So many queued jobs."""
    names = [f"job-{each}" for each in range(first, first + number)]
    house.vendor.jobs |= dict.fromkeys(names, "queued")
    return names


def refs(jobs: list[str]) -> list[dict[str, str]]:
    """Jobs as the API names them."""
    return [{"connection": CONNECTION, "jobId": each} for each in jobs]


def database_of(house: House) -> Database:
    """The database of a gateway."""
    ledger = house.gateway.ledger
    assert isinstance(ledger, SqlLedger)
    return ledger._database
