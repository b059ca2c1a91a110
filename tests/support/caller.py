"""The product's transport, with a deadline in seconds."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.clock import SystemClock
from gateway.domain.model import HttpReply, HttpRequest
from gateway.transport import HttpTransport

Headers = Mapping[str, str]
NONE: Headers = {}


class Caller:
    """Sends requests through one transport."""

    def __init__(self) -> None:
        """Use the transport of the product and the clock of the machine."""
        self.clock = SystemClock()
        self.transport = HttpTransport(self.clock)

    async def __call__(
        self, url: str, method: str = "POST", content: bytes = b"", *, seconds: float = 5.0, headers: Headers = NONE
    ) -> HttpReply:
        """Send one request that has to end in `seconds`."""
        request = HttpRequest(method, url, headers, content)
        return await self.transport.send(request, self.clock.monotonic() + seconds)
