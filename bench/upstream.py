"""A vendor that answers immediately or after a fixed time, with minimal HTTP/1.1, so that it is not the bottleneck.

`GET /last` returns the number of requests and the last one; `POST /token` grants an OAuth token. After `POST /jobs/N`
it has a list of N queued jobs, `GET /routing/jobs`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from dataclasses import dataclass
from typing import cast

import uvloop

REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
ANSWER = REPLY % (2, b"{}")
"""The answer in Job Router's documented examples of Cancel Job."""
GRANT = b'{"access_token": "a-token-of-the-benchmark", "expires_in": 86400, "token_type": "Bearer"}'
TOKEN = REPLY % (len(GRANT), GRANT)
"""The answer of a token endpoint (RFC 6749, 5.1)."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


PAGE = 100
"""Jobs on a page of its list."""
_SKIPPED = re.compile(rb"[?&]skip=([0-9]+)")


@dataclass
class Seen:
    """The received requests, and the number of jobs in the list."""

    count: int = 0
    last: bytes = b""
    jobs: int = 0

    def page(self, request: bytes) -> bytes:
        """The answer to a request for a page of the list."""
        skipped = _SKIPPED.search(request)
        begin = int(skipped[1]) if skipped else 0
        end = min(begin + PAGE, self.jobs)
        jobs = [
            {"id": f"{n:08x}-0000-4000-8000-000000000000", "status": "queued", "etag": "1"} for n in range(begin, end)
        ]
        more = {"nextLink": f"/routing/jobs?api-version=2023-11-01&skip={end}"} if end < self.jobs else {}
        content = json.dumps({"value": jobs, **more}).encode()
        return REPLY % (len(content), content)

    def note(self, request: bytes) -> None:
        """Count a request."""
        self.count += 1
        self.last = request

    def reply(self) -> bytes:
        """The answer to `GET /last`."""
        head, _, body = self.last.decode("latin-1").partition("\r\n\r\n")
        line, *headers = head.split("\r\n")
        said = {"count": self.count, "line": line, "headers": headers, "body": body}
        content = json.dumps(said).encode()
        return REPLY % (len(content), content)


class Upstream(asyncio.Protocol):
    """One connection. Requests come one after another, each with a Content-Length or without a body."""

    def __init__(self, seen: Seen, delay: float) -> None:
        """Answer after `delay` seconds."""
        self._seen = seen
        self._delay = delay
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Stop answering."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (length := complete(self._received)) is not None:
            self._take(self._received[:length])
            self._received = self._received[length:]

    def _take(self, request: bytes) -> None:
        if request.startswith(b"GET /last "):
            self._answer(self._seen.reply())
            return
        if request.startswith(b"POST /token "):
            self._answer(TOKEN)
            return
        if request.startswith(b"POST /jobs/"):
            self._seen.jobs = int(request[len(b"POST /jobs/") :].split(b" ")[0])
            self._answer(ANSWER)
            return
        if request.startswith(b"GET /routing/jobs?"):
            self._answer(self._seen.page(request))
            return
        self._seen.note(request)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer, ANSWER)
        else:
            self._answer(ANSWER)

    def _answer(self, reply: bytes) -> None:
        if self._transport is not None:
            self._transport.write(reply)


def complete(received: bytes) -> int | None:
    """The length of the first message, None while it is incomplete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    announced = _LENGTH.search(received, 0, end)
    length = end + 4 + (int(announced[1]) if announced else 0)
    return length if len(received) >= length else None


async def serve(port: int, delay: float) -> None:
    """Serve on loopback until cancelled."""
    loop = asyncio.get_running_loop()
    seen = Seen()
    server = await loop.create_server(lambda: Upstream(seen, delay), "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.delay))
