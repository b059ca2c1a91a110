"""New settings while the gateway is served: SIGHUP has the file read again, and no request is dropped.

The gateway of the new settings takes what comes from then on; that of the old ones answers what it has begun, and ends.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.domain.errors import LedgerUnavailable
from gateway.edge.exchange import STOPPING, Application, Receive, Scope, Send
from gateway.settings.settings import ConfigurationError, Settings

log = logging.getLogger(__name__)


class ServedGateway(Protocol):
    """The part of a gateway that a server needs."""

    @property
    def application(self) -> Application:
        """The ASGI application."""

    @property
    def stopping(self) -> asyncio.Event:
        """The event by which the gateway is told that its server stops."""

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Open what the gateway needs while it is served, and close it at the end. Raises LedgerUnavailable."""


Load = Callable[[], Settings]
"""Reads the settings. Raises ConfigurationError."""
Make = Callable[[Settings], ServedGateway]
"""Wires a gateway. Raises ConfigurationError."""

FIXED = ("state_folder", "database_url", "limits")
FREE_OF_SERVER = frozenset({"trusted_hosts", "trusted_proxies", "response_validation"})
"""Of `[server]` all is fixed but these."""


@dataclass
class Generation:
    """A gateway that is served, from one reading of the settings to the next."""

    gateway: ServedGateway
    lifespan: AbstractAsyncContextManager[Any]
    under_way: int = 0
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.under_way += 1
        self.is_idle.clear()
        try:
            await self.gateway.application(scope, receive, send)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self.is_idle.set()

    async def end(self) -> None:
        """Answer what was begun, and close."""
        if self.under_way:
            await self.is_idle.wait()
        await self.lifespan.__aexit__(None, None, None)


class Reloadable:
    """An ASGI application whose gateway can be exchanged while it is served."""

    def __init__(self, settings: Settings, load: Load, make: Make) -> None:
        """Serve the gateway of these settings at first. Raises ConfigurationError."""
        self._settings = settings
        self._load = load
        self._make = make
        self._first = make(settings)
        self._generation: Generation | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        # Made now, while nobody waits for an answer.
        _ = self._first.application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._generation is not None:
            await self._generation.serve(scope, receive, send)

    async def reload(self) -> None:
        """Read the settings again, and serve with them. Where they are no good the old ones hold; the log says why."""
        async with self._turn:
            old = self._generation
            try:
                settings = await asyncio.to_thread(self._load)
                refuse_what_is_fixed(self._settings, settings)
                gateway = await asyncio.to_thread(self._made, settings)
                self._generation = await begun(gateway)
            except (ConfigurationError, LedgerUnavailable) as error:
                log.error("the settings were not reloaded, and the old ones hold: %s", error)  # noqa: TRY400 - it says all
                return
            self._settings = settings
            log.info("the settings were reloaded")
        if old is not None:
            await old.end()

    def _made(self, settings: Settings) -> ServedGateway:
        gateway = self._make(settings)
        _ = gateway.application
        return gateway

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From the server's start to its stop (ASGI lifespan)."""
        await receive()
        try:
            self._generation = await begun(self._first)
        except LedgerUnavailable as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        stopping = scope["state"].setdefault(STOPPING, asyncio.Event())
        watching = asyncio.create_task(self._tell(stopping))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._begin_to_reload)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        loop.remove_signal_handler(signal.SIGHUP)
        watching.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._generation.end()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tell(self, stopping: asyncio.Event) -> None:
        """Tell the gateway that the server stops."""
        await stopping.wait()
        if self._generation is not None:
            self._generation.gateway.stopping.set()

    def _begin_to_reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def begun(gateway: ServedGateway) -> Generation:
    """A gateway that is ready to serve. Raises LedgerUnavailable."""
    lifespan = gateway.lifespan()
    await lifespan.__aenter__()
    return Generation(gateway, lifespan)


def refuse_what_is_fixed(old: Settings, new: Settings) -> None:
    """See that only what can change has changed. Raises ConfigurationError."""
    names = [name for name in FIXED if getattr(old, name) != getattr(new, name)]
    parts = type(old.server).model_fields.keys() - FREE_OF_SERVER
    names += sorted(f"server.{name}" for name in parts if getattr(old.server, name) != getattr(new.server, name))
    if names:
        raise ConfigurationError(f"{', '.join(names)}: cannot change while the gateway is served. Start it anew.")
