"""A vendor that can be switched between working, hanging and failing, and that records the times of its calls.

It serves in the event loop of the measuring code, so that both use the same clock.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import cast

from bench.processes import HOST
from bench.upstream import complete
from bench.work import JOB

BACKLOG = 4_096
_REPLY = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_READ = json.dumps({"id": JOB, "etag": "1", "status": "queued", "enqueuedAt": "2026-01-01T00:00:00Z"}).encode()
_DONE = b"{}"
_ERROR = b'{"error": {"code": "Failed", "message": "The vendor fails."}}'
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""Value of SO_LINGER with which closing a connection resets it."""


class Ending(StrEnum):
    """The end of a request."""

    REPLY = "reply"
    SILENCE = "silence"
    RESET = "reset"


@dataclass(frozen=True)
class Behaviour:
    """A vendor's behaviour: each request ends in the way `ending` after `seconds`; a reply has `status`."""

    seconds: float = 0.0
    status: HTTPStatus = HTTPStatus.OK
    ending: Ending = Ending.REPLY

    def reply(self, request: bytes) -> bytes:
        """The answer to a request."""
        content = _ERROR if self.status != HTTPStatus.OK else _READ if request.startswith(b"GET ") else _DONE
        return _REPLY % (self.status, self.status.phrase.encode(), len(content), content)


HUNG = Behaviour(ending=Ending.SILENCE)
FAILING = Behaviour(status=HTTPStatus.INTERNAL_SERVER_ERROR)
UNAVAILABLE = Behaviour(status=HTTPStatus.SERVICE_UNAVAILABLE)
RESETTING = Behaviour(ending=Ending.RESET)


class Vendor:
    """A vendor. A change of `behaviour` applies to later requests."""

    def __init__(self, behaviour: Behaviour, at_once: int | None = None) -> None:
        """Handle at most `at_once` requests at the same time, and queue the others; None: no limit."""
        self.behaviour = behaviour
        self.port = 0
        self.calls: list[float] = []
        """The times of all requests, on the monotonic clock."""
        self.most_at_once = 0
        self._at_once = at_once
        self._under_way = 0
        self._waiting: deque[tuple[VendorLine, bytes]] = deque()

    @property
    def url(self) -> str:
        """The URL of the vendor."""
        return f"http://{HOST}:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Vendor]:
        """Serve on a free port of loopback within the block."""
        lines: set[VendorLine] = set()
        server = await asyncio.get_running_loop().create_server(
            lambda: VendorLine(self, lines), HOST, 0, backlog=BACKLOG
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for line in tuple(lines):
                line.close()
            await server.wait_closed()

    def between(self, begin: float, end: float) -> int:
        """The number of calls after `begin` and not after `end`."""
        return sum(begin < at <= end for at in self.calls)

    def take(self, line: VendorLine, request: bytes) -> None:
        """Handle or queue a request."""
        self.calls.append(time.monotonic())
        if self._at_once is not None and self._under_way >= self._at_once:
            self._waiting.append((line, request))
        else:
            self._begin(line, request)

    def _begin(self, line: VendorLine, request: bytes) -> None:
        behaviour = self.behaviour
        if behaviour.ending is Ending.SILENCE:
            return
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        loop = asyncio.get_running_loop()
        if behaviour.seconds:
            loop.call_later(behaviour.seconds, self._end, line, behaviour, request)
        else:
            self._end(line, behaviour, request)

    def _end(self, line: VendorLine, behaviour: Behaviour, request: bytes) -> None:
        self._under_way -= 1
        if behaviour.ending is Ending.RESET:
            line.reset()
        else:
            line.write(behaviour.reply(request))
        if self._waiting:
            self._begin(*self._waiting.popleft())


class VendorLine(asyncio.Protocol):
    """One connection to a vendor."""

    def __init__(self, vendor: Vendor, lines: set[VendorLine]) -> None:
        """Belong to this vendor, and to the set of its open lines."""
        self._vendor = vendor
        self._lines = lines
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        self._transport = cast("asyncio.Transport", transport)
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Stop answering."""
        self._transport = None
        self._lines.discard(self)

    def data_received(self, data: bytes) -> None:
        """Pass every complete request to the vendor."""
        self._received += data
        while (length := complete(self._received)) is not None:
            request, self._received = self._received[:length], self._received[length:]
            self._vendor.take(self, request)

    def write(self, reply: bytes) -> None:
        """Answer, if the connection is still open."""
        if self._transport is not None:
            self._transport.write(reply)

    def reset(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()
