"""Checkpoints while a gateway is served: written every so often, and told to whoever is to keep them elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock, Transport
from gateway.ledger.checkpointing import Checkpoints

log = logging.getLogger(__name__)

HEADERS: Mapping[str, str] = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "jobgate"}
WEBHOOK_SECONDS = 10.0
LAST_SECONDS = 2.0
"""How long a webhook may take at the end, when the gateway stops."""
SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Webhook:
    """An address that checkpoints are sent to. Nobody waits for it, and what it does not take is not sent again."""

    address: SecretStr
    transport: Transport
    clock: Clock

    async def send(self, note: str, seconds: float) -> None:
        """Send a checkpoint."""
        request = HttpRequest("POST", self.address.get_secret_value(), HEADERS, note.encode())
        try:
            reply = await self.transport.send(request, self.clock.monotonic() + seconds)
        except JobgateError as error:
            log.warning("a checkpoint could not be sent to the webhook: %s", error.code)
            return
        if reply.status not in SUCCESS:
            log.warning("the webhook did not take a checkpoint: status %d", reply.status)


@dataclass(frozen=True)
class Publisher:
    """Writes checkpoints every `seconds`, and tells them to the log and to a webhook, where there is one."""

    checkpoints: Checkpoints
    seconds: float
    is_logged: bool = False
    webhook: Webhook | None = None

    async def run(self) -> None:
        """Publish the newest checkpoint, and go on until cancelled."""
        await asyncio.to_thread(self.checkpoints.tell_newest)
        while True:
            await self.publish(WEBHOOK_SECONDS)
            await asyncio.sleep(self.seconds)
            await asyncio.to_thread(self.checkpoints.write_in_turn)

    async def publish(self, seconds: float = LAST_SECONDS) -> None:
        """Tell what was written since this was done last."""
        for note in self.checkpoints.take_written():
            if self.is_logged:
                log.info("checkpoint of the ledger: %s", note.replace("\n", " | "))
            if self.webhook is not None:
                await self.webhook.send(note, seconds)
