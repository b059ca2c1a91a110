"""The graceful stop of a server: every request is answered, and no connection is lost (uvicorn 0.54.0, `Server`).

1. The event `STOPPING` is set. From now on each response ends its connection. The server still works as before for
   `GRACE_SECONDS`: a client that is about to send another request gets an answer, and learns that the connection ends.
2. New connections are stopped (`accept_filter.py`), and the backlog is accepted.
3. Idle connections are closed; the others are closed after their response.
4. Requests without a response at the end of `STOP_SECONDS` are refused with the problem `Interrupted`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import uvicorn

from gateway.edge.exchange import STOPPING
from gateway.serving.accept_filter import attach_syn_filter, has_syn_filter, is_readable
from gateway.serving.accepting import Acceptor, Connections, Share
from gateway.serving.protocol import EdgeProtocol

log = logging.getLogger(__name__)

STOP_SECONDS = 13.0
"""Seconds in which requests can finish. The steps after that take a second or two."""
GRACE_SECONDS = 1.0
"""Seconds for which idle connections are kept open."""
NEIGHBOURS_SECONDS = 1.5
"""Seconds to wait for another process to attach the SYN filter to the shared socket."""
HANDSHAKE_SECONDS = 0.2
"""Seconds in which a TCP handshake under way can complete."""
LAST_SECONDS = 1.0
"""Seconds for sending the refusals at the end."""
LOOK_SECONDS = 0.02
"""Seconds between checks while waiting."""


class StoppingServer(uvicorn.Server):
    """A server that stops gracefully. `is_alone`: no other process has a copy of its sockets."""

    is_alone = True
    share: Share | None = None
    grace_seconds = GRACE_SECONDS
    stop_seconds = STOP_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. The application can replace the event `STOPPING` by its own."""
        self.lifespan.state[STOPPING] = asyncio.Event()
        self.server_state.connections = self.connections = Connections()
        await super().startup(sockets=[])
        self.connections.join(self.share)
        self._acceptors = [self._acceptor(each) for each in sockets or ()]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. After a second SIGINT, stop without waiting."""
        begun = time.monotonic()
        self.lifespan.state[STOPPING].set()
        self.connections.leave()
        for connection in self._connections:
            connection.shutdown()
        if sockets and self.grace_seconds:
            await self._until(begun + self.grace_seconds, lambda: False)
            await self._stop_accepting(sockets[0])
        for acceptor in self._acceptors:
            acceptor.close()
        for each in sockets or ():
            each.close()
        await self._until(begun + self.stop_seconds, self._is_done)
        await self._interrupt()
        if not self.force_exit:
            await self.lifespan.shutdown()

    def _acceptor(self, listening: socket.socket) -> Acceptor:
        """Accept the connections of a socket, as uvicorn would."""
        settings: Any = self.config
        protocol = partial(
            settings.http_protocol_class,
            config=settings,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return Acceptor(listening, protocol, settings.ssl, self.connections)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture signals while serving. uvicorn would raise them again at the end, before callers can clean up."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    @property
    def _connections(self) -> list[EdgeProtocol]:
        return cast("list[EdgeProtocol]", list(self.server_state.connections))

    async def _stop_accepting(self, listening: socket.socket) -> None:
        """Stop new connections, or wait until another process has; then wait until the backlog is accepted."""
        if self.is_alone:
            attach_syn_filter(listening)
        else:
            await self._until(time.monotonic() + NEIGHBOURS_SECONDS, lambda: has_syn_filter(listening))
        await self._until(time.monotonic() + HANDSHAKE_SECONDS, lambda: False)
        await self._until(time.monotonic() + HANDSHAKE_SECONDS, lambda: not is_readable(listening))

    def _is_done(self) -> bool:
        """Close idle connections. Return True if none is left."""
        for connection in self._connections:
            connection.close_if_idle(self.grace_seconds)
        return self._is_empty()

    def _is_empty(self) -> bool:
        return self.connections.is_empty and not self.server_state.tasks

    async def _interrupt(self) -> None:
        """Refuse every request that has no response yet, and end all connections."""
        if self.server_state.tasks:
            log.warning("stopped before %d requests were answered.", len(self.server_state.tasks))
        for connection in self._connections:
            connection.interrupt()
        for task in self.server_state.tasks:
            task.cancel()
        await self._until(time.monotonic() + LAST_SECONDS, self._is_empty)
        for connection in self._connections:
            connection.transport.abort()

    async def _until(self, end: float, is_done: Callable[[], bool]) -> None:
        """Wait until `is_done`, until `end` (monotonic time), or until the stop is forced."""
        while time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(LOOK_SECONDS)
            if is_done():
                break
