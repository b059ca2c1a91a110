"""A node that runs batches, as a process of its own, and the vendor that all nodes share: a file of its requests.

The module is loaded once, by the server that forks the nodes, so that a node starts in milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.batches import changes, outcomes, running
from gateway.domain import background
from gateway.domain.clock import SystemClock
from gateway.domain.errors import VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest
from gateway.engine import reconciliation
from gateway.ledger import agenda, batch_store, tasks
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.schedules import running as schedules_running
from gateway.schedules.running import ScheduleRunner
from gateway.settings.settings import BatchSettings, LedgerSettings, Settings
from tests.support import vendors
from tests.support.transport import reply

CATALOGUE = Catalogue.load()
CONNECTION = "contoso-prod"
LEASE = timedelta(seconds=1)
VENDOR_SECONDS = 2.0
_JOB = re.compile(r".*/routing/jobs/(?P<job>[^/:?]+)(?P<cancel>:cancel)?\?.*")


def settings() -> Settings:
    """Settings under which no guard rail stops a batch, and doubts end soon."""
    ledger = LedgerSettings(confirm_seconds=(0.1, 0.3, 0.6), repeat_seconds=1.0, give_up_seconds=60.0)
    rails = BatchSettings(max_items=10_000, max_errors=10_000, max_unknown=10_000)
    return vendors.settings(ledger=ledger, batches=rails, vendor_seconds=VENDOR_SECONDS)


@dataclass(frozen=True)
class FileVendor:
    """A vendor whose memory is a file: a line for each request to cancel a job. It answers late, or sometimes not."""

    file: Path
    trouble: float = 0.0

    def asked(self) -> list[str]:
        """The jobs that it was asked to cancel, in order."""
        return self.file.read_text("ascii").split()

    async def send(self, request: HttpRequest, _deadline: float) -> HttpReply:
        """Answer as the vendor does."""
        found = _JOB.fullmatch(request.url)
        assert found, request.url
        if found["cancel"]:
            return await self._cancel(found["job"])
        status = "cancelled" if found["job"] in self.asked() else "queued"
        return reply(200, vendors.azure_job(status, found["job"]))

    async def _cancel(self, job: str) -> HttpReply:
        await asyncio.sleep(random.uniform(0, 0.03))  # noqa: S311 - a delay
        try:
            with self.file.open("ab", buffering=0) as memory:
                memory.write(f"{job}\n".encode())
        except OSError:
            raise VendorUnreachable("No connection to the vendor could be made.") from None
        await asyncio.sleep(random.uniform(0, 0.03))  # noqa: S311 - a delay
        if random.random() < self.trouble:  # noqa: S311 - chance
            raise VendorTimedOut("The vendor did not answer in time.")
        return reply(200, {})


@dataclass(frozen=True)
class JumpingClock(SystemClock):
    """The system's clock, put forward or back by so many seconds."""

    offset: Any

    def now(self) -> datetime:
        """The time that it shows."""
        return super().now() + timedelta(seconds=self.offset.value)


def gateway_at(address: str, memory: Path, clock: SystemClock, trouble: float = 0.0) -> Gateway:
    """A gateway without a server."""
    ledger = SqlLedger(Database.at(address), clock)
    return Gateway(settings(), CATALOGUE, clock=clock, transport=FileVendor(memory, trouble), ledger=ledger)


def shorten_leases(patch: pytest.MonkeyPatch) -> None:
    """Let leases end so soon that a test can wait for it, until the patch is undone."""
    for module in (tasks, batch_store, changes, running):
        patch.setattr(module, "LEASE_TIME", LEASE)
    patch.setattr(running, "RENEW_SECONDS", LEASE.total_seconds() / 3)
    patch.setattr(outcomes, "DOUBT_TIME", timedelta(seconds=30))
    patch.setattr(running, "SOON", timedelta(seconds=0.1))
    patch.setattr(agenda, "LOOK_SECONDS", 0.1)
    patch.setattr(reconciliation, "LEASE_SECONDS", 0.5)
    for module in (background, schedules_running):
        patch.setattr(module, "RECOVERY_SECONDS", 0.2)


def serve(address: str, memory: Path, offset: Any, seed: int) -> None:
    """Run batches until killed."""
    logging.disable(logging.CRITICAL)
    random.seed(seed)
    shorten_leases(pytest.MonkeyPatch())
    asyncio.run(_serve(gateway_at(address, memory, JumpingClock(offset), 0.03)))


async def _serve(gateway: Gateway) -> None:
    runner = gateway.batch_runner
    assert runner is not None
    while True:
        try:
            await gateway.ledger.start()
            break
        except Exception:  # noqa: BLE001 - the database may be away
            await asyncio.sleep(0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.reconciler.run())
        group.create_task(runner.run())
        if gateway.schedules is not None:
            group.create_task(ScheduleRunner(gateway.schedules).run())
