"""HTTP/1.1 as uvicorn serves it, with what it leaves open: an end to header sections, and problems for refusals.

Uvicorn reads header fields without limit of size or time, and refuses in plain text (uvicorn 0.54.0,
`HttpToolsProtocol`). The guard sees a request only once its header section is complete; until then this stands in.
"""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.domain.errors import HeaderFieldsTooLarge, JobgateError, MalformedRequest, RequestTooSlow
from gateway.edge.guard import RequestContext
from gateway.edge.limits import Limits
from gateway.edge.problems import render


class EdgeProtocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, limits: Limits, access_log: bool, **settings: Any) -> None:
        """Serve within `limits`. uvicorn's own switch for the access log would silence every server of the process."""
        super().__init__(*arguments, **settings)
        self.access_log = self.access_log and access_log
        self._seconds = limits.header_seconds
        self._most_bytes = limits.target_bytes + limits.header_bytes
        self._in_head = False
        self._has_completed = False
        self._head_bytes = 0
        self._patience: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. A header section that takes too many bytes or too long is refused."""
        # In these cases alone is it certain that no byte of the data belongs to an earlier request's body.
        is_head = self._in_head or self._is_idle()
        self._has_completed = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if is_head and self._in_head and not self._has_completed:
            self._head_bytes += len(data)
            if self._head_bytes > self._most_bytes:
                self._refuse(HeaderFieldsTooLarge(f"The request is longer than {self._most_bytes} bytes without body."))
                return
        if self._is_idle():
            self._wait()

    def on_message_begin(self) -> None:
        """A header section begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """A header section is complete."""
        self._in_head, self._has_completed = False, True
        self._stop_waiting()
        if not self.url.startswith(b"/"):
            self._prefer_the_targets_host()
        super().on_headers_complete()
        # Trailer fields are never merged into the header fields (RFC 9110, 6.5.1): from here on they go nowhere.
        self.headers = []

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's words
        """Refuse what is no HTTP/1.1, in our words."""
        self._refuse(MalformedRequest("The request is not HTTP/1.1, or can be read in more than one way."))

    def _prefer_the_targets_host(self) -> None:
        """A host in the target counts instead of the Host field (RFC 9112, 3.2.2)."""
        target = httptools.parse_url(self.url)
        if target.host:
            port = b":%d" % target.port if target.port else b""
            others = [(name, value) for name, value in self.headers if name != b"host"]
            self.headers[:] = [(b"host", target.host + port), *others]

    def _is_idle(self) -> bool:
        """Whether no request is under way."""
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self._seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Nothing is said to a client that has said nothing."""
        if self._in_head:
            self._refuse(RequestTooSlow(f"The header fields did not arrive within {self._seconds:g} seconds."))
        else:
            self.transport.close()

    def _refuse(self, problem: JobgateError) -> None:
        context = RequestContext()
        reply = render(problem, context)
        own = {"x-request-id": context.id, "content-length": str(len(reply.content)), "connection": "close"}
        fields = [f"{name}: {value}\r\n".encode() for name, value in {**reply.headers, **own}.items()]
        self.transport.write(b"".join([STATUS_LINE[reply.status], *fields, b"\r\n", reply.content]))
        self.transport.close()
