"""The only module that calls vendors over HTTP.

The bytes of a request are written here, so that exactly what was signed is sent. Nothing that a client library does by
itself can happen: no redirects, no proxies or netrc of the environment, no cookies, no retries, no rewritten URLs. And
it is certain when nothing was sent: as long as there is no connection on which a request may be sent at once.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection

from gateway.domain.errors import GatewayError
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Clock
from gateway.domain.urls import origin_of
from gateway.transport import connections
from gateway.transport.connections import Pool
from gateway.transport.unreachable import unreachable

log = logging.getLogger(__name__)

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
        self._pools: dict[str, Pool] = {}
        if any(origin.startswith("https:") for origin in self._allowed):
            connections.trusting()

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once and read the whole reply before `deadline`.

        Raises VendorUnreachable if nothing was sent, VendorTimedOut and VendorReplyNotUnderstood if something may have
        been, and GatewayError if the request is for another origin.
        """
        try:
            origin, content = written(request)
            pool = self._pool(origin)
            # In the next turn of the event loop, so that the requests of many callers go out together. Between a kept
            # connection's being taken and the first byte there is no wait, in which it could end.
            await asyncio.sleep(0)
            connection = await pool.take(deadline)
        except (OSError, ValueError) as error:
            problem = unreachable(request.url, error)
            log.warning("no connection: %s", problem.diagnosis)
            raise problem from error
        try:
            return await connection.exchange(content, deadline - self._clock.monotonic())
        finally:
            pool.give_back(connection)

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        # The event loop closes them in its next turn.
        await asyncio.sleep(0)

    def _pool(self, origin: str) -> Pool:
        """The connections to an origin. Raises ValueError if it has no valid address."""
        if origin not in self._allowed:
            raise GatewayError("Jobgate made a request to an address that this connection may not call.")
        if origin not in self._pools:
            self._pools[origin] = Pool(origin, self._clock, self._connect_seconds)
        return self._pools[origin]


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
    lines = [f"{request.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()]]
    if not _is_printable("".join(lines)):
        raise ValueError("a header field is not printable ASCII")
    head = "\r\n".join((*lines, "", ""))
    return origin_of(url["origin"]), head.encode("ascii") + request.content


def _is_printable(text: str) -> bool:
    """True if the text is printable ASCII, which excludes line breaks."""
    return text.isascii() and text.isprintable()
