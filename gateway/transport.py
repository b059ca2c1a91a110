"""The only place that talks to vendors over HTTP.

What the client library would do by itself and must not: follow redirects, obey environment proxies or netrc, rewrite
the URL, read without end. The URL goes out exactly as it was built, because what is signed is what is sent.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Clock

LARGEST_REPLY = 8 * 1024 * 1024
"""Bytes of a vendor's reply, decoded, that are read."""
IDLE_SECONDS = 15.0
"""How long an unused connection to a vendor is kept."""

_LEAST_STATUS = 100


class HttpTransport:
    """Sends requests with aiohttp. Keeps connections open; close it when done."""

    def __init__(self, clock: Clock, *, connections: int = 1_000) -> None:
        """Make a transport of at most `connections` connections at once."""
        self._clock = clock
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once and read the whole reply before `deadline`.

        Raises VendorUnreachable where nothing was sent, VendorTimedOut and VendorReplyNotUnderstood where something
        may have been.
        """
        progress = SimpleNamespace(sent=False)
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                return await self._exchange(request, progress)
        except TimeoutError as error:
            if not progress.sent:
                raise VendorUnreachable("No connection to the vendor could be made in time.") from error
            raise VendorTimedOut("The vendor did not answer in time.") from error
        except (aiohttp.ClientError, ValueError) as error:
            if not progress.sent:
                raise VendorUnreachable("No connection to the vendor could be made.") from error
            raise VendorReplyNotUnderstood("The vendor's reply broke off.") from error

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: HttpRequest, progress: SimpleNamespace) -> HttpReply:
        async with self._opened().request(
            request.method,
            URL(request.url, encoded=True),
            # The library would leave out a port that is the scheme's own, and signatures are made with it.
            headers={**request.headers, "Host": urlsplit(request.url).netloc.rpartition("@")[2]},
            data=request.content or None,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "User-Agent"),
            trace_request_ctx=progress,
        ) as response:
            if response.status < _LEAST_STATUS:
                raise VendorReplyNotUnderstood("The vendor's reply has no HTTP status.")
            content = await _read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(response.status, headers, content)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                trace_configs=[trace],
            )
            # Private, and the only switch: the library would send PUT, DELETE and GET again by itself when a kept
            # connection drops (aiohttp 3.14.5, `ClientSession._request`). A test holds it.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


async def _note_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.sent = True


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for chunk in response.content.iter_chunked(65_536):
        content += chunk
        if len(content) > LARGEST_REPLY:
            raise VendorReplyNotUnderstood(f"The vendor's reply has more than {LARGEST_REPLY} bytes.")
    return content
