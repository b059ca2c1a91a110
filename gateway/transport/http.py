"""The only module that calls vendors over HTTP.

aiohttp keeps the connections (TLS, DNS, keep-alive) and parses the replies. The bytes of a request are written here, so
that exactly what was signed is sent. Nothing that a client library does by itself can happen: no redirects, no proxies
or netrc of the environment, no cookies, no retries, no rewritten URLs. And it is certain when nothing was sent: as long
as there is no connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from gateway.domain.errors import GatewayError, VendorReplyNotUnderstood, VendorTimedOut
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Clock
from gateway.domain.urls import origin_of
from gateway.transport.unreachable import unreachable

log = logging.getLogger(__name__)

LARGEST_REPLY = 8 * 1024 * 1024
"""Largest body of a vendor's reply, decoded, in bytes."""
LARGEST_HEADERS = 16_384
"""Longest header field or first line of a reply, in bytes."""
MOST_HEADERS = 128
"""Most header fields of a reply."""
MOST_INTERIM = 256
"""Most 1xx replies before the final reply."""
LOOKUPS_AT_ONCE = 2
"""Most concurrent address lookups of one connection, which has no more addresses."""
IDLE_SECONDS = 15.0
"""Seconds for which an unused connection to a vendor is kept."""

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
_INTERIM = range(100, 200)
_URL = re.compile(r"(?P<origin>https?://(?:[^/?#@]*@)?(?P<authority>[^/?#@]+))(?P<target>[^#]*)", re.IGNORECASE)


class HttpTransport:
    """Sends requests and keeps connections open. Close it when done."""

    def __init__(self, clock: Clock, origins: Collection[str], *, connect_seconds: float = 2.0) -> None:
        """Make a transport that calls only these origins (`https://contoso.example`).

        A new connection must be made within `connect_seconds`. The caller limits the number of connections.
        """
        self._clock = clock
        self._connect_seconds = connect_seconds
        self._allowed = frozenset(map(origin_of, origins))
        self._connector: aiohttp.TCPConnector | None = None
        self._origins: dict[str, aiohttp.ClientRequest] = {}

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once and read the whole reply before `deadline`.

        Raises VendorUnreachable if nothing was sent, VendorTimedOut and VendorReplyNotUnderstood if something may have
        been, and GatewayError if the request is for another origin.
        """
        outgoing: Outgoing | None = None
        try:
            origin, content = written(request)
            if origin not in self._allowed:
                raise GatewayError("Jobgate made a request to an address that this connection may not call.")
            outgoing = Outgoing(await self._connect(origin, deadline), content)
            return await _exchange(outgoing, deadline - self._clock.monotonic())
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, ValueError) as error:
            is_late = isinstance(error, TimeoutError) or (outgoing is not None and outgoing.is_late)
            if outgoing is None or not outgoing.is_sent:
                problem = unreachable(request.url, error, is_late=is_late)
                log.warning("no connection: %s", problem.diagnosis)
                raise problem from error
            if is_late:
                raise VendorTimedOut("The vendor did not answer in time.") from error
            raise VendorReplyNotUnderstood("The vendor's reply broke off, or is not HTTP.") from error

    async def close(self) -> None:
        """Close every connection."""
        if self._connector is not None:
            await self._connector.close()
            self._connector = None

    async def _connect(self, origin: str, deadline: float) -> Connection:
        if self._connector is None:
            self._connector = Connector(self._connect_seconds)
        if origin not in self._origins:
            # The connector takes the address in this form; the request in it is never sent.
            self._origins[origin] = aiohttp.ClientRequest("GET", URL(origin), loop=asyncio.get_running_loop())
        while (left := deadline - self._clock.monotonic()) > 0:
            # A new connection takes no longer than `connect_seconds` anyway.
            until = _NO_TIMEOUT if left >= self._connect_seconds else _within(left)
            connection = await self._connector.connect(self._origins[origin], [], until)
            # The connector does not check for data that came meanwhile, which would be taken for our reply.
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise TimeoutError


def _within(seconds: float) -> aiohttp.ClientTimeout:
    """A time limit for a new connection; by default, aiohttp would round longer times up."""
    return aiohttp.ClientTimeout(connect=seconds, ceil_threshold=math.inf)


class Resolver(AbstractResolver):
    """Looks up addresses in threads of its own.

    The event loop's threads, which aiohttp 3.14.5 uses, are few and shared: a name server that hangs for one vendor
    would block the lookups for all others.
    """

    def __init__(self) -> None:
        """Start without threads."""
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "lookup of a vendor")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError if there are none."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Cancel all lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool of connections, with a time limit for a new connection that includes the address lookup."""

    def __init__(self, connect_seconds: float) -> None:
        """Make a pool of unlimited size."""
        super().__init__(limit=0, keepalive_timeout=IDLE_SECONDS, resolver=Resolver())
        self._connect_seconds = connect_seconds

    async def _create_connection(self, *arguments: Any, **settings: Any) -> ResponseHandler:
        async with asyncio.timeout(self._connect_seconds):
            return await super()._create_connection(*arguments, **settings)


def written(request: HttpRequest) -> tuple[str, bytes]:
    """The origin and the bytes of a request. Raises ValueError if it would not be exactly one HTTP/1.1 request."""
    url = _URL.fullmatch(request.url)
    if url is None:
        raise ValueError("the URL is not one of http or https with a host")
    target = url["target"] if url["target"].startswith("/") else f"/{url['target']}"
    if not _is_printable(target) or " " in target:
        raise ValueError("the URL has a character that is not percent-encoded")
    # Signatures cover the authority as it is in the URL, even if its port is the scheme's default.
    fields = {"Host": url["authority"], "Accept-Encoding": "gzip, deflate", **request.headers}
    if request.content or request.method not in {"GET", "HEAD"}:
        fields["Content-Length"] = str(len(request.content))
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if not all(map(_is_printable, lines)):
        raise ValueError("a header field is not printable ASCII")
    return origin_of(url["origin"]), b"%b\r\n\r\n%b" % ("\r\n".join(lines).encode("ascii"), request.content)


def _is_printable(text: str) -> bool:
    """True if the text is printable ASCII, which excludes line breaks."""
    return text.isascii() and text.isprintable()


class Outgoing:
    """A request on its connection. `is_sent`: its first byte may have left. `is_late`: its deadline has passed."""

    def __init__(self, connection: Connection, content: bytes) -> None:
        """Prepare to send."""
        self.connection = connection
        self.content = content
        self.is_sent = self.is_late = False

    def send(self) -> None:
        """Send the request, unless it is late, the connection is gone, or the vendor has sent something already."""
        protocol, transport = self.connection.protocol, self.connection.transport
        is_gone = protocol is None or protocol.should_close
        if self.is_late or is_gone or transport is None or transport.is_closing():
            self.connection.close()
            return
        self.is_sent = True
        transport.write(self.content)

    def give_up(self) -> None:
        """End the connection because the deadline has passed. That also ends the wait for the reply."""
        self.is_late = True
        if self.connection.transport is not None:
            self.connection.transport.abort()


async def _exchange(outgoing: Outgoing, seconds: float) -> HttpReply:
    """Send a request, and read the reply in time. A connection with unread data is closed."""
    # One timer does the work of asyncio.timeout at less than half its cost.
    timer = asyncio.get_running_loop().call_later(seconds, outgoing.give_up)
    outgoing.is_late = seconds <= 0
    try:
        reply = await _converse(outgoing)
    except BaseException:
        outgoing.connection.close()
        raise
    finally:
        timer.cancel()
    outgoing.connection.release()
    return reply


async def _converse(outgoing: Outgoing) -> HttpReply:
    protocol = outgoing.connection.protocol
    if protocol is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        read_until_eof=True,
        max_line_size=LARGEST_HEADERS,
        max_field_size=LARGEST_HEADERS,
        max_headers=MOST_HEADERS,
    )
    if protocol.should_close:
        raise aiohttp.ServerDisconnectedError
    # At the end of this turn of the event loop, so that the requests of many callers go out together.
    asyncio.get_running_loop().call_soon(outgoing.send)
    message, payload = await protocol.read()
    if not outgoing.is_sent:
        raise aiohttp.ServerDisconnectedError
    interim = 0
    while message.code in _INTERIM:
        interim += 1
        if interim > MOST_INTERIM:
            raise VendorReplyNotUnderstood(f"The vendor sent more than {MOST_INTERIM} interim replies.")
        message, payload = await protocol.read()
    if message.code < _INTERIM.start:
        raise VendorReplyNotUnderstood("The vendor's reply has no HTTP status.")
    content = await _read(payload)
    if outgoing.is_late:  # some replies end with their connection, whichever side closed it
        raise TimeoutError
    return HttpReply(message.code, _by_lower_case(message.headers), content)


def _by_lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _read(payload: aiohttp.StreamReader) -> bytes:
    content = b""
    while not payload.at_eof():
        content += await payload.readany()
        if len(content) > LARGEST_REPLY:
            raise VendorReplyNotUnderstood(f"The vendor's reply has more than {LARGEST_REPLY} bytes.")
    return content
