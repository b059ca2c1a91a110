"""Reloading: on SIGHUP the settings are read again, without dropping a request.

New requests go to a gateway with the new settings. The old gateway finishes its requests, and is then closed.
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
        """The event that tells the gateway that its server stops."""

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Open what the gateway needs while serving, and close it at the end. Raises LedgerUnavailable."""


Load = Callable[[], Settings]
"""Reads the settings. Raises ConfigurationError."""
Make = Callable[[Settings], ServedGateway]
"""Wires a gateway. Raises ConfigurationError."""

FIXED = ("state_folder", "database_url", "limits", "traces")
"""The settings, besides `[server]`, that a reload cannot change."""
RELOADABLE_OF_SERVER = frozenset({"trusted_hosts", "trusted_proxies", "response_validation"})
"""The only members of `[server]` that a reload can change."""


@dataclass
class Generation:
    """A gateway that is served, from one reload to the next."""

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
        """Wait for the requests under way, and close."""
        if self.under_way:
            await self.is_idle.wait()
        await self.lifespan.__aexit__(None, None, None)


class Reloadable:
    """An ASGI application whose gateway can be replaced while it serves."""

    def __init__(self, settings: Settings, load: Load, make: Make) -> None:
        """Start with a gateway of these settings. Raises ConfigurationError."""
        self._settings = settings
        self._load = load
        self._make = make
        self._first = make(settings)
        self._generation: Generation | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        # Made now, when no request waits.
        _ = self._first.application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the ASGI lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._generation is not None:
            await self._generation.serve(scope, receive, send)

    async def reload(self) -> None:
        """Read the settings again, and serve with them. If they are invalid, log why, and keep the old ones."""
        async with self._turn:
            old = self._generation
            try:
                settings = await asyncio.to_thread(self._load)
                require_unchanged_fixed_settings(self._settings, settings)
                gateway = await asyncio.to_thread(self._made, settings)
                self._generation = await begun(gateway)
            except (ConfigurationError, LedgerUnavailable) as error:
                log.error("the settings were not reloaded; the old ones stay in use: %s", error)  # noqa: TRY400
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
        """Serve the ASGI lifespan, from the start of the server to its stop."""
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
        """Wait until the server stops, and tell the gateway."""
        await stopping.wait()
        if self._generation is not None:
            self._generation.gateway.stopping.set()

    def _begin_to_reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def begun(gateway: ServedGateway) -> Generation:
    """Open a gateway, ready to serve. Raises LedgerUnavailable."""
    lifespan = gateway.lifespan()
    await lifespan.__aenter__()
    return Generation(gateway, lifespan)


def require_unchanged_fixed_settings(old: Settings, new: Settings) -> None:
    """Raise ConfigurationError if settings differ that a reload cannot change."""
    names = [name for name in FIXED if getattr(old, name) != getattr(new, name)]
    parts = type(old.server).model_fields.keys() - RELOADABLE_OF_SERVER
    names += sorted(f"server.{name}" for name in parts if getattr(old.server, name) != getattr(new.server, name))
    if names:
        raise ConfigurationError(f"{', '.join(names)}: cannot change while the gateway runs. Restart it.")
