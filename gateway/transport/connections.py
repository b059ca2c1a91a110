"""Connections to one origin: the lookup of its addresses, TLS, and those that are kept for the next request."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import ssl
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import cast
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, addr_to_addr_infos, start_connection

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut
from gateway.domain.model import HttpReply
from gateway.domain.ports import Clock
from gateway.transport.replies import ReplyReader

IDLE_SECONDS = 15.0
"""Seconds for which an unused connection is kept."""
LOOKUP_SECONDS = 10.0
"""Seconds for which the addresses of a name are kept."""
NEXT_ADDRESS_SECONDS = 0.25
"""Seconds after which the next address is tried as well (RFC 8305, 5)."""

_PORTS = {"http": 80, "https": 443}


@cache
def trusting() -> ssl.SSLContext:
    """TLS that trusts the authorities of the machine, and speaks HTTP/1.1. Made early, since it reads files."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connection(asyncio.Protocol):
    """A connection, with at most one request at a time."""

    __slots__ = (
        "_late_at",
        "_loop",
        "_open",
        "_replies",
        "_timer",
        "_transport",
        "_waiting",
        "_wakes_at",
        "idle_since",
    )

    def __init__(self, open_ones: set[Connection]) -> None:
        """Prepare. While it is open, it is one of `open_ones`."""
        self.idle_since = 0.0
        self._open = open_ones
        self._replies = ReplyReader()
        self._waiting: asyncio.Future[HttpReply] | None = None
        self._loop = asyncio.get_running_loop()
        self._late_at, self._wakes_at = 0.0, math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def may_follow(self) -> bool:
        """True if another request may follow on this connection."""
        return self._replies.may_follow and not self._transport.is_closing()

    async def exchange(self, content: bytes, seconds: float) -> HttpReply:
        """Send a request once, and read the reply. Raises VendorTimedOut and VendorReplyNotUnderstood."""
        self._waiting = self._loop.create_future()
        self._wait_until(self._loop.time() + seconds)
        self._replies.expect()
        self._transport.write(content)
        try:
            reply = await self._waiting
        finally:
            self._waiting = None
        if self._transport.get_write_buffer_size():
            # The reply came before the request had left, whose rest no other request must follow.
            self._replies.may_follow = False
        return reply

    def end(self) -> None:
        """End the connection."""
        # uvloop's transport of TLS does not remember that it was closed.
        self._replies.may_follow = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be open."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on. What nobody asked for ends the connection: it would be taken for the next reply."""
        waiting = self._waiting
        if waiting is None or waiting.done():
            self.end()
            return
        try:
            reply = self._replies.feed(data)
        except VendorReplyNotUnderstood as problem:
            waiting.set_exception(problem)
            return
        if reply is not None:
            waiting.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of everything. The end of the connection may be the end of the reply."""
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            try:
                waiting.set_result(self._replies.end(is_orderly=error is None))
            except VendorReplyNotUnderstood as problem:
                waiting.set_exception(problem)
        self._replies.close()

    def _wait_until(self, late_at: float) -> None:
        """Give the reply until a time of the event loop. A timer that ends earlier stays, and will look at the time."""
        self._late_at = late_at
        if late_at < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = late_at
            self._timer = self._loop.call_at(late_at, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        """Give up if the reply is late. A timer for each request would cost more than this one, which outlives many."""
        self._timer, self._wakes_at = None, math.inf
        if self._waiting is None or self._waiting.done():
            return
        if self._loop.time() < self._late_at:
            self._wait_until(self._late_at)
        else:
            self._waiting.set_exception(VendorTimedOut("The vendor did not answer in time."))


class Addresses:
    """The addresses of a host, looked up in a thread of its own.

    The event loop's threads are few and shared: a name server that hangs for one vendor would block the lookups for all
    others.
    """

    def __init__(self, host: str, port: int) -> None:
        """Take a name, or an address. Raises ValueError if it is a number that is no address, such as `127.1`."""
        self._known: list[AddrInfoType] | None = None
        if ":" in host or host.replace(".", "").isdigit():
            self._known = addr_to_addr_infos((str(ipaddress.ip_address(host)), port))
        self._host, self._port = host, port
        self._threads = ThreadPoolExecutor(1, "lookup of a vendor")
        self._lookup: asyncio.Future[list[AddrInfoType]] | None = None
        self._looked_up = 0.0

    async def find(self) -> list[AddrInfoType]:
        """All addresses, each time in another order. Raises OSError if there are none, and UnicodeError."""
        if self._known is not None:
            return self._known
        loop = asyncio.get_running_loop()
        if self._lookup is None or self._is_over(self._lookup, loop.time()):
            self._looked_up = loop.time()
            self._lookup = loop.run_in_executor(self._threads, self._look_up)
        # Whoever gives up leaves the lookup to the others that wait for it.
        found = await asyncio.shield(self._lookup)
        found.append(found.pop(0))
        return [*found]

    def close(self) -> None:
        """Look up nothing more."""
        self._threads.shutdown(wait=False)

    def _look_up(self) -> list[AddrInfoType]:
        return [*socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)]

    def _is_over(self, lookup: asyncio.Future[list[AddrInfoType]], now: float) -> bool:
        """True if a lookup has failed, or was long ago."""
        return lookup.done() and (lookup.exception() is not None or now - self._looked_up > LOOKUP_SECONDS)


class Pool:
    """The connections to one origin: any number, as the caller limits them."""

    def __init__(self, origin: str, clock: Clock, connect_seconds: float) -> None:
        """Start without connections. A new one must be made within `connect_seconds`. Raises ValueError."""
        address = urlsplit(origin)
        self._host = address.hostname or ""
        self._tls = trusting() if address.scheme == "https" else None
        self._addresses = Addresses(self._host, address.port or _PORTS[address.scheme])
        self._clock = clock
        self._connect_seconds = connect_seconds
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._tidying: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def take(self, deadline: float) -> Connection:
        """A connection on which a request may be sent at once, the one used last if there are several.

        Raises OSError and ValueError, among them TimeoutError, if there is none before `deadline`.
        """
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            raise TimeoutError
        while self._idle:
            connection = self._idle.pop()
            if connection.may_follow and connection.idle_since + IDLE_SECONDS > self._clock.monotonic():
                return connection
            connection.end()
        connection = await self._connect(min(seconds, self._connect_seconds))
        if self._clock.monotonic() >= deadline:
            self.give_back(connection)
            raise TimeoutError
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request if one may follow on it, else end it."""
        if self._is_closed or not connection.may_follow:
            connection.end()
            return
        connection.idle_since = self._clock.monotonic()
        self._idle.append(connection)
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tidy)

    def close(self) -> None:
        """End every connection."""
        self._is_closed = True
        self._addresses.close()
        if self._tidying is not None:
            self._tidying.cancel()
        for connection in [*self._open]:
            connection.end()

    async def _connect(self, seconds: float) -> Connection:
        """Make a connection within a time that includes the lookup and the handshake of TLS."""
        async with asyncio.timeout(seconds):
            addresses = await self._addresses.find()
            reached = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS)
            _, connection = await asyncio.get_running_loop().create_connection(
                partial(Connection, self._open),
                sock=reached,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        if self._is_closed or not connection.may_follow:
            connection.end()
            raise ConnectionError
        return connection

    def _tidy(self) -> None:
        """End the connections that were not used for long."""
        self._tidying = None
        oldest = self._clock.monotonic() - IDLE_SECONDS
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().end()
        if self._idle:
            self._tidying = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tidy)
