"""A notice of an emergency outlives the process that began the emergency, or that was delivering it."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.app import Gateway
from gateway.domain.clock import SystemClock
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.settings.settings import BreakGlassSettings
from tests.approvals.fixtures import ALICE, BATCH, DAVE, PLAN
from tests.crash.batch_node import CATALOGUE
from tests.support import vendors
from tests.support.patience import PATIENCE
from tests.support.transport import reply

REASON = "The hotline is down for everybody"


@dataclass(frozen=True)
class FileWebhook:
    """A webhook whose memory is a file: a line for each notice that it accepted. Its sender may be killed then."""

    memory: Path
    kills: bool = False

    async def send(self, request: HttpRequest, _deadline: float) -> HttpReply:
        """Accept a notice."""
        with self.memory.open("a", encoding="ascii") as memory:
            memory.write(f"{request.headers['Webhook-Id']}\n")
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return reply(204)


class LaterClock(SystemClock):
    """A clock a minute ahead, by which the leases of a process that was killed have ended."""

    def now(self) -> datetime:
        """The time that it shows."""
        return super().now() + timedelta(minutes=1)


def gateway_at(address: str, clock: SystemClock, webhook: FileWebhook) -> Gateway:
    """A gateway with a webhook, without a server."""
    settings = vendors.settings(break_glass=BreakGlassSettings(webhook=SecretStr("https://hooks.contoso.example/a")))
    return Gateway(settings, CATALOGUE, clock=clock, transport=webhook, ledger=SqlLedger(Database.at(address), clock))


def break_the_glass(address: str, memory: Path, *, delivers: bool) -> None:
    """Begin an emergency, and be killed at once, or when the webhook has accepted its notice."""
    asyncio.run(_break_the_glass(gateway_at(address, SystemClock(), FileWebhook(memory, kills=True)), delivers))


async def _break_the_glass(gateway: Gateway, delivers: bool) -> None:
    await gateway.ledger.start()
    plan = type(PLAN)(PLAN.action, {}, PLAN.reason, PLAN.manifest, {"contoso-prod": 3})
    await gateway.approvals.break_glass(BATCH, plan, ALICE, REASON)
    if delivers:
        assert gateway.notices is not None
        await gateway.notices.run()
    os.kill(os.getpid(), signal.SIGKILL)


async def delivered(gateway: Gateway) -> bool:
    """Serve until the only notice that is due is delivered."""
    async with gateway.lifespan(), asyncio.timeout(PATIENCE):
        while True:
            page = await gateway.approvals.page(DAVE, None, 1, None)
            if "delivered" in {each.state for each in page.items[0].notices}:
                return True
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("delivers", [False, True], ids=["before-delivery", "before-its-commit"])
def test_the_next_process_delivers(address: str, tmp_path: Path, context: ForkServerContext, *, delivers: bool) -> None:
    """Killed after the commit of the emergency, or when the webhook has answered: then it gets the same id again."""
    memory = tmp_path / "webhook.txt"
    memory.touch()
    first = context.Process(target=break_the_glass, args=(address, memory), kwargs={"delivers": delivers})
    first.start()
    first.join(PATIENCE)
    assert first.exitcode == -signal.SIGKILL
    assert len(memory.read_text("ascii").split()) == delivers
    assert asyncio.run(delivered(gateway_at(address, LaterClock(), FileWebhook(memory))))
    accepted = memory.read_text("ascii").split()
    assert len(accepted) == 1 + delivers
    assert len(set(accepted)) == 1
    database = Database.at(address)
    try:
        assert verify(database).finding is None
    finally:
        database.dispose()
