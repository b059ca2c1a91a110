"""Periodic checkpoints of a running gateway, and their publication to the log and to a webhook."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from pydantic import SecretStr

from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock, Transport
from gateway.ledger.checkpointing import Checkpoints

log = logging.getLogger(__name__)

PLAIN_TEXT = "text/plain; charset=utf-8"
WEBHOOK_SECONDS = 10.0
LAST_SECONDS = 2.0
"""Longest time for the webhook when the gateway stops, in seconds."""
SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Webhook:
    """A URL to which notes of a media type are sent."""

    address: SecretStr
    transport: Transport
    clock: Clock
    media_type: str = PLAIN_TEXT

    async def send(self, note: str, seconds: float, message_id: str | None = None) -> str | None:
        """Send a note once. Returns why it was not accepted, None if it was.

        Repeats of a note have the same `message_id` (https://www.standardwebhooks.com/).
        """
        headers = {"Content-Type": self.media_type, "User-Agent": "jobgate"}
        if message_id is not None:
            headers["Webhook-Id"] = message_id
        request = HttpRequest("POST", self.address.get_secret_value(), headers, note.encode())
        try:
            reply = await self.transport.send(request, self.clock.monotonic() + seconds)
        except JobgateError as error:
            return error.code
        return None if reply.status in SUCCESS else f"status {reply.status}"


@dataclass(frozen=True)
class Publisher:
    """Writes checkpoints every `seconds`, and publishes them in the log and to a webhook, if configured."""

    checkpoints: Checkpoints
    seconds: float
    is_logged: bool = False
    webhook: Webhook | None = None

    async def run(self) -> None:
        """Publish the newest checkpoint, then write and publish regularly, until cancelled."""
        await asyncio.to_thread(self.checkpoints.tell_newest)
        while True:
            await self.publish(WEBHOOK_SECONDS)
            await asyncio.sleep(self.seconds)
            await asyncio.to_thread(self.checkpoints.write_in_turn)

    async def publish(self, seconds: float = LAST_SECONDS) -> None:
        """Publish the checkpoints written since the last call."""
        for note in self.checkpoints.take_written():
            if self.is_logged:
                log.info("checkpoint of the ledger: %s", note.replace("\n", " | "))
            if self.webhook is not None:
                failure = await self.webhook.send(note, seconds)
                if failure is not None:
                    log.warning("the webhook did not accept a checkpoint: %s", failure)
