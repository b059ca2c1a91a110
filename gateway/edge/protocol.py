"""HTTP/1.1 as uvicorn serves it, with what it leaves open: an end to header sections, and problems for refusals.

Uvicorn reads header fields without limit of size or time, and refuses in plain text (uvicorn 0.54.0,
`HttpToolsProtocol`). The guard sees a request only once its header section is complete; until then this stands in.
"""

from __future__ import annotations

from asyncio import TimerHandle
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from gateway.domain.errors import HeaderFieldsTooLarge, JobgateError, MalformedRequest, RequestTooSlow
from gateway.edge.canonical import Headers
from gateway.edge.guard import TOO_SLOW, WHOLE_REPLY, RequestContext, fields_of
from gateway.edge.limits import Limits
from gateway.edge.problems import render


class EdgeProtocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, limits: Limits, access_log: bool, **settings: Any) -> None:
        """Serve within `limits`. uvicorn's own switch for the access log would silence every server of the process."""
        super().__init__(*arguments, **settings)
        self.access_log = self.access_log and access_log
        self._header_seconds = limits.header_seconds
        self._body_seconds = limits.body_seconds
        self._most_bytes = limits.target_bytes + limits.header_bytes
        self._in_head = self._in_body = False
        self._has_completed = False
        self._head_bytes = 0
        self._patience: TimerHandle | None = None
        self._extensions: Any = {}

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait(self._header_seconds)

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
        if self._in_body:
            self._wait(self._body_seconds)
        elif self._in_head or self._is_idle():
            self._wait(self._header_seconds)

    def on_message_begin(self) -> None:
        """A header section begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """A header section is complete."""
        self._in_head, self._in_body, self._has_completed = False, True, True
        self._stop_waiting()
        if not self.url.startswith(b"/"):
            self._prefer_the_targets_host()
        super().on_headers_complete()
        # Trailer fields are never merged into the header fields (RFC 9110, 6.5.1): from here on they go nowhere.
        self.headers = []
        self._extensions = {WHOLE_REPLY: partial(self._reply, self.cycle)}
        self.cycle.scope["extensions"] = self._extensions

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._in_body = False
        self._stop_waiting()
        super().on_message_complete()

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

    def _wait(self, seconds: float) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Nothing is said to a client that has said nothing."""
        if self._in_body and not self._is_idle():
            self._end_body()
        elif self._in_head and self._is_idle():
            self._refuse(RequestTooSlow(f"The header fields did not arrive within {self._header_seconds:g} seconds."))
        else:
            self.transport.close()

    def _end_body(self) -> None:
        """Let the guard refuse a request whose body does not come: it knows what the request was for."""
        self._extensions[TOO_SLOW] = True
        self.cycle.keep_alive = False
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _reply(self, cycle: RequestResponseCycle, status: int, fields: Headers, content: bytes) -> None:
        """Send a reply in one piece, where uvicorn would go through it twice and wake the client twice."""
        if cycle.disconnected or cycle.response_started:
            return
        if cycle.access_log:
            target = get_path_with_query_string(cycle.scope)
            version, client = cycle.scope["http_version"], get_client_addr(cycle.scope)
            cycle.access_logger.info('%s - "%s %s HTTP/%s" %d', client, cycle.scope["method"], target, version, status)
        self._write(status, [*cycle.default_headers, *fields], content, close=not cycle.keep_alive)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()

    def _refuse(self, problem: JobgateError) -> None:
        """Refuse what the guard has not seen, and close the connection."""
        context = RequestContext()
        reply = render(problem, context)
        self._write(reply.status, fields_of(reply, context.id), reply.content, close=True)

    def _flush(self, data: bytes, close: bool) -> None:  # noqa: FBT001 - call_soon has no keywords
        if not self.transport.is_closing():
            self.transport.write(data)
            if close:
                self.transport.close()

    def _write(self, status: int, fields: Headers, content: bytes, *, close: bool) -> None:
        lines = [b"%b: %b\r\n" % field for field in fields]
        if close:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines):
            raise ValueError("a header field of a reply has a line break in it")
        # Written at the end of this turn of the event loop, replies to many clients go out together; one by one, each
        # would wake its client and have the next request back before the others have been looked at.
        self.loop.call_soon(self._flush, b"%b%b\r\n%b" % (STATUS_LINE[status], head, content), close)
