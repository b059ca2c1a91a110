"""How a server stops: whoever has asked is answered, and nobody is left in the door (uvicorn 0.54.0, `Server`).

1. Everybody is told, by the event `STOPPING`. From now on an answer ends its connection. Otherwise all goes on, for
   `GRACE_SECONDS`: a client that is about to ask once more is answered, and learns that the connection ends.
2. The door is shut (`door.py`), and whoever stands in it is let in.
3. Connections on which nothing is asked are closed, the others once they are answered.
4. What is not answered when the time is over is told so: `Interrupted`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn

from gateway.edge.exchange import STOPPING
from gateway.serving.accept_filter import is_waited_at, turn_away, turns_away
from gateway.serving.protocol import EdgeProtocol

log = logging.getLogger(__name__)

STOP_SECONDS = 13.0
"""How long requests are waited for; what follows takes a second or two."""
GRACE_SECONDS = 1.0
"""How long a connection on which nothing is asked is kept."""
NEIGHBOURS_SECONDS = 1.5
"""How much longer the door is kept open where it is for another process to shut it."""
HANDSHAKE_SECONDS = 0.2
"""How long a connection that the system has begun to make may take until it is made."""
LAST_SECONDS = 1.0
"""How long the last words may take."""
LOOK_SECONDS = 0.02
"""How often it is looked whether there is still something to wait for."""


class StoppingServer(uvicorn.Server):
    """A server that stops gently. `is_alone`: no other process has a copy of its sockets."""

    is_alone = True
    grace_seconds = GRACE_SECONDS
    stop_seconds = STOP_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. An application may bring an event of its own."""
        self.lifespan.state[STOPPING] = asyncio.Event()
        await super().startup(sockets=sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. Told a second time, by SIGINT, it does not wait."""
        begun = time.monotonic()
        self.lifespan.state[STOPPING].set()
        for connection in self._connections:
            connection.shutdown()
        if sockets and self.grace_seconds:
            await self._until(begun + self.grace_seconds, lambda: False)
            await self._shut(sockets[0])
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        await self._until(begun + self.stop_seconds, self._is_done)
        await self._interrupt()
        if not self.force_exit:
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for as long as it serves. Raised once more at the end they would keep others from tidying up."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    @property
    def _connections(self) -> list[EdgeProtocol]:
        return cast("list[EdgeProtocol]", list(self.server_state.connections))

    async def _shut(self, door: socket.socket) -> None:
        """Shut the door, or wait until somebody has; then let in who stands in it."""
        if self.is_alone:
            turn_away(door)
        else:
            await self._until(time.monotonic() + NEIGHBOURS_SECONDS, lambda: turns_away(door))
        await self._until(time.monotonic() + HANDSHAKE_SECONDS, lambda: False)
        await self._until(time.monotonic() + HANDSHAKE_SECONDS, lambda: not is_waited_at(door))

    def _is_done(self) -> bool:
        """Let go of those who do not ask; gives whether nobody is left."""
        for connection in self._connections:
            connection.let_go(self.grace_seconds)
        return self._is_empty()

    def _is_empty(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks

    async def _interrupt(self) -> None:
        """Tell whoever is not answered yet that there will be no answer."""
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
        """Wait until something is so, or until it is time, or somebody insists."""
        while time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(LOOK_SECONDS)
            if is_done():
                break
