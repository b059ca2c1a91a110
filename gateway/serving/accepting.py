"""Accepting connections, and leaving them to the worker that holds the fewest.

Workers share a listening socket. Whoever wakes first would accept every client that connects at that moment, and
clients keep their connections. So workers see, in memory that they share, how many connections each one holds. One that
is ahead of another leaves new ones to it for a moment.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

log = logging.getLogger(__name__)

MOST_PER_TURN = 32
"""Most connections accepted in one turn of the event loop: requests of others wait meanwhile."""
LEAD = 8
"""A worker is ahead if it holds more than the one with the fewest, by over an eighth of its own connections and one."""
LEFT_SECONDS = 0.002
"""Seconds for which a worker that is ahead leaves new connections to others. A busy worker may not look until then."""
AFTERWARDS = 8
"""Most connections that a worker then accepts although it is ahead."""
RECOVERY_SECONDS = 1.0
"""Seconds until the next attempt if the system has no room for another connection."""
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
ABSENT = 2**32 - 1
"""The number of connections of a worker that accepts none."""
SHARES_OF_A_WORKER = 8
"""Shares for each worker: those that stop, and their successors, are there at the same time."""


@dataclass(frozen=True)
class Share:
    """The connections of one worker, beside those of the others. `held` is the memory that all of them share."""

    held: Any
    number: int

    def hold(self, connections: int) -> None:
        """Tell how many connections this worker holds."""
        self.held[self.number] = connections

    def leave(self) -> None:
        """Tell that this worker accepts no connection."""
        self.held[self.number] = ABSENT

    @property
    def room(self) -> int:
        """The number of connections that this worker can accept until it is ahead of another, at most."""
        mine = self.held[self.number]
        return int(min(self.held) + mine // LEAD + 1 - mine)


def shares(workers: int) -> tuple[Share, ...]:
    """Shares for the processes of so many workers."""
    held = get_context("forkserver").RawArray("I", [ABSENT] * workers * SHARES_OF_A_WORKER)
    return tuple(Share(held, number) for number in range(len(held)))


class Connections(set[Any]):
    """The connections of a server, with those that it has accepted and that begin. Other workers see their number."""

    def __init__(self) -> None:
        """None are there yet."""
        super().__init__()
        self._share: Share | None = None
        self._beginning = 0

    @property
    def is_empty(self) -> bool:
        """True if there is none, and none begins."""
        return not self and not self._beginning

    @property
    def room(self) -> int:
        """The number of connections to accept now, none if this worker is ahead of another."""
        return MOST_PER_TURN if self._share is None else max(0, min(self._share.room, MOST_PER_TURN))

    def begin(self) -> None:
        """One is accepted. Later it is added, or it fails."""
        self._beginning += 1
        self._tell()

    def fail(self) -> None:
        """One that began is not to be added."""
        self._beginning -= 1
        self._tell()

    def add(self, connection: Any) -> None:
        """Add one that began."""
        super().add(connection)
        self._beginning -= 1
        self._tell()

    def discard(self, connection: Any) -> None:
        """Remove one, if it is there."""
        super().discard(connection)
        self._tell()

    def join(self, share: Share | None) -> None:
        """Let other workers see the number from now on. Without a share there are none."""
        self._share = share
        self._tell()

    def leave(self) -> None:
        """Tell that no more are accepted."""
        if self._share is not None:
            self._share.leave()
            self._share = None

    def _tell(self) -> None:
        if self._share is not None:
            self._share.hold(len(self) + self._beginning)


class Acceptor:
    """Accepts the connections of a listening socket in the running event loop, until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        held: Connections,
    ) -> None:
        """Give each connection a protocol, which adds itself to those that are held, and TLS if there is a context."""
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._protocol = protocol
        self._context = context
        self._held = held
        self._connecting: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        listening.setblocking(False)  # noqa: FBT003 - the socket's own form
        self._loop.add_reader(listening.fileno(), self._look)

    def close(self) -> None:
        """Accept no more."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listening.fileno())

    def _look(self) -> None:
        """Accept what has come, or leave it to another worker for a moment."""
        room = self._held.room
        if room:
            self._accept(room)
        else:
            self._wait(LEFT_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._rest = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        """Accept what nobody has taken in the meantime."""
        self._rest = None
        self._loop.add_reader(self._listening.fileno(), self._look)
        self._accept(AFTERWARDS)

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                log.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400 - a reason is enough
                self._wait(RECOVERY_SECONDS)
                return
            self._held.begin()
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._context)
        except BaseException as error:
            self._held.fail()
            if not isinstance(error, OSError):  # the client has gone, or its TLS handshake failed
                raise
