"""The product's transport, with a deadline in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.domain.clock import SystemClock
from gateway.domain.model import HttpReply, HttpRequest
from gateway.transport.http import HttpTransport
from tests.support.patience import PATIENCE

Headers = Mapping[str, str]
NONE: Headers = {}
OTHER = "https://vendor.test"
"""An origin that every transport may call."""


class Sender:
    """Sends requests through one transport for each origin."""

    def __init__(self) -> None:
        """Use the transport of the product and the clock of the machine."""
        self.clock = SystemClock()
        self.transports: dict[str, HttpTransport] = {}

    async def __call__(
        self,
        url: str,
        method: str = "POST",
        content: bytes = b"",
        *,
        seconds: float = PATIENCE,
        headers: Headers = NONE,
    ) -> HttpReply:
        """Send one request that has to end in `seconds`."""
        request = HttpRequest(method, url, headers, content)
        origin = "/".join(url.split("/")[:3])
        allowed = [OTHER, origin] if urlsplit(origin).netloc and origin.startswith("http") else [OTHER]
        transport = self.transports.setdefault(origin, HttpTransport(self.clock, allowed))
        return await transport.send(request, self.clock.monotonic() + seconds)

    async def close(self) -> None:
        """Close every connection."""
        for transport in self.transports.values():
            await transport.close()
