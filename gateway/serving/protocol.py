"""Strict HTTP/1.1 over uvicorn's protocol (0.54.0, `HttpToolsProtocol`).

The guard sees a request only when its header section is complete, and never its framing. This module does the rest:

* Header sections, trailers and chunk extensions are limited in bytes, whole requests in seconds.
* A request that is not HTTP/1.1, or is ambiguous, is refused with a problem, after the responses to earlier requests.
* Trailer fields are not merged into header fields, a body of an upgrade request is not read as a second request, and a
  host in the target overrides the Host field.
* Upgrades are ignored: the request is answered as if it had not asked for one.
* Only a few pipelined requests are read ahead, and dropped requests leave no reference cycles.
* A response is written in one piece. A client that does not read it is disconnected.
* While the server stops (`stopping.py`), the response to the last request ends the connection.
"""

from __future__ import annotations

import re
from asyncio import TimerHandle
from collections import deque
from contextlib import suppress
from functools import partial
from socket import SHUT_WR
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from gateway.domain.errors import (
    HeaderFieldsTooLarge,
    Interrupted,
    JobgateError,
    MalformedRequest,
    RequestTooLarge,
    RequestTooSlow,
    TargetTooLong,
)
from gateway.edge.canonical import Headers
from gateway.edge.exchange import SERVER, RequestContext, ServerExtension, fields_of, is_stopping
from gateway.edge.hosts import host_name
from gateway.edge.limits import Limits
from gateway.edge.problems import render
from gateway.serving.accept_filter import is_readable
from gateway.telemetry.metrics import REQUESTS_NOT_READ

VERSIONS = frozenset({"1.0", "1.1"})
LINGER_SECONDS = 1.0
"""Seconds for which input is still read and discarded after the last response."""
FRAMING = 8
"""Most bytes of a chunked body for each byte of content. Chunks of one byte take six."""

PIECE = 2_048
"""Bytes given to the parser at a time. Between pieces, the limit of waiting requests is checked."""
MOST_READ_AHEAD = 8
"""Most requests of one connection that are read ahead. Further input waits as bytes."""

_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_ABSOLUTE = re.compile(rb"http://([^/?#@]+)(?=[/?]|\Z)[^#]*", re.IGNORECASE)


class Misread(Exception):
    """An ambiguous or unsupported request. The parser reports it as an error of its own."""


class Flow(FlowControl):
    """Flow control that stops reading from a connection while too much input waits."""

    is_full = False

    def resume_reading(self) -> None:
        """Resume reading, unless too much input waits."""
        if not self.is_full:
            super().resume_reading()

    def fill(self, *, is_full: bool) -> None:
        """Stop reading while full, and resume afterwards."""
        was_full, self.is_full = self.is_full, is_full
        if is_full:
            self.pause_reading()
        elif was_full:
            self.resume_reading()


class EdgeProtocol(HttpToolsProtocol):
    """A client connection."""

    def __init__(self, *arguments: Any, limits: Limits, access_log: bool, **settings: Any) -> None:
        """Serve within `limits`. The access log is per server; with uvicorn's own option it is per process."""
        super().__init__(*arguments, **settings)
        self.access_log = self.access_log and access_log
        self._limits = limits
        self._most_head = limits.target_bytes + limits.header_bytes
        # The part of a request that the parser is in, its bytes so far (only of data that contains nothing else), and
        # the bytes of content among them.
        self._in_head = self._in_body = self._has_completed = False
        self._part_bytes = self._content_bytes = 0
        self._unread = bytearray()
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._refusal: JobgateError | None = None
        self._is_stopping = False
        self._last_request: RequestResponseCycle | None = None
        self._made_at = self.loop.time()
        self._is_half_closed = self._has_ended = self._is_upgrade = False
        self._input_timer: TimerHandle | None = None
        self._output_timer: TimerHandle | None = None
        self._close_timer: TimerHandle | None = None
        self._extension: ServerExtension | None = None

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, with a time limit."""
        super().connection_made(transport)
        self.flow: Flow = Flow(transport)
        self._wait(self._limits.header_seconds)
        if is_stopping(self.app_state):
            self.shutdown()

    def eof_received(self) -> Any:
        """The client has sent everything. It still gets its responses; an incomplete request is dropped."""
        self._is_half_closed = True
        if not self._unread:
            self._end_input()
        # TLS has no half-closed connections, and asyncio would log a warning for each True.
        return self.transport.get_extra_info("sslcontext") is None

    def _end_input(self) -> None:
        """All input of a half-closed connection is read."""
        self._stop_waiting()
        self._has_ended = True
        if self._in_body and not self.cycle.response_complete:
            self._drop_incomplete()
        if not self._unanswered:
            self.loop.call_soon(self._close)

    def shutdown(self) -> None:
        """The server stops: let the response to the last request end the connection, and say so."""
        self._is_stopping = True
        if self._unanswered and not self._in_head:
            self._end_with(self._unanswered[-1])

    def close_if_idle(self, seconds: float) -> None:
        """Close this connection, unless it is younger than this, has a request under way, or has unread input."""
        is_busy = self._unanswered or self._in_head or self._has_ended
        if is_busy or self.loop.time() < self._made_at + seconds or self.transport.is_closing():
            return
        if self._in_body:
            self._linger()
        elif not self._has_more():
            self._close_now()

    def interrupt(self) -> None:
        """The server waits no longer: refuse an incomplete request. The guard answers the requests under way."""
        self._drop_waiting()
        if self._in_head:
            self._refuse(Interrupted("The gateway stopped before the request was complete."))
        else:
            self.shutdown()

    def _end_with(self, request: RequestResponseCycle) -> None:
        """Let the response to this request end the connection, unless another request begins before it is sent."""
        if request.keep_alive:
            self._last_request = request
            request.keep_alive = False

    def _close_now(self) -> None:
        """Close, with the FIN sent now: the transport sends it later, and the client could send a request before it."""
        with suppress(OSError), self.transport.get_extra_info("socket").dup() as copy:
            copy.shutdown(SHUT_WR)
        self._close()

    def _has_more(self) -> bool:
        """True if the socket has input that is not read yet."""
        return is_readable(self.transport.get_extra_info("socket"))

    def _keep_open(self) -> None:
        """Another request has begun, so the response to the one before it does not end the connection."""
        if self._last_request is not None:
            self._last_request.keep_alive = True
            self._last_request = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers, and disconnect every request under way; uvicorn disconnects only the last."""
        self._stop_waiting()
        self._unset_keepalive_if_required()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._drop_waiting()
        for cycle in self._unanswered:
            drop(cycle)
        self._unanswered.clear()
        self._extension = None
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read. Abort after `reply_seconds`, unless it reads on."""
        super().pause_writing()
        self._output_timer = self.loop.call_later(self._limits.reply_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._output_timer is not None:
            self._output_timer.cancel()
            self._output_timer = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close, since no further request has come."""
        self._close()

    def _close(self) -> None:
        """Close when everything is written, at the latest after `reply_seconds`."""
        if not self.transport.is_closing():
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self._close_timer = self.loop.call_later(self._limits.reply_seconds, self.transport.abort)

    def _linger(self) -> None:
        """Close after a moment, and discard further input until then.

        If input were left unread, the kernel would send a reset, which can overtake the response.
        """
        self._has_ended = True
        if not self.transport.is_closing():
            self._unread.clear()
            self.flow.fill(is_full=False)
            self.flow.resume_reading()
            self.transport.write_eof()
            self._close_timer = self.loop.call_later(LINGER_SECONDS, self._close)

    # Reading requests

    def data_received(self, data: bytes) -> None:
        """Read new input, as far as the limits allow. After a fault nothing is read."""
        if self._has_ended:
            return
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        """Parse the waiting input, but only a few requests ahead: parsed, they take far more memory than as bytes."""
        while self._unread and not self._has_ended and len(self._unanswered) < MOST_READ_AHEAD:
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            self._read(piece)
        if self._has_ended:
            self._unread.clear()
        self.flow.fill(is_full=bool(self._unread))
        if self._is_half_closed and not self._unread and not self._has_ended:
            self._end_input()

    def _read(self, data: bytes) -> None:
        """Parse a piece, within the limits."""
        self._unset_keepalive_if_required()
        is_one_part = self._in_head or self._in_body or not self._unanswered
        self._has_completed = False
        self._parse(data)
        if self.transport.is_closing() or self._has_ended:
            return
        if is_one_part and not self._has_completed:
            self._count(len(data))
        self._expect()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_upgrade:
                self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse a request again without its upgrade (RFC 9110, 7.8). `rest` is the data after its header section.

        The parser would treat that data, even a body, as another protocol.
        """
        self._is_upgrade = False
        fields = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, b"".join(fields))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(head + rest)

    def on_message_begin(self) -> None:
        """A header section begins."""
        super().on_message_begin()
        self._in_head, self._part_bytes = True, 0
        self._keep_open()

    def on_headers_complete(self) -> None:
        """A header section is complete. Raises Misread."""
        self._in_head, self._has_completed = False, True
        self._stop_waiting()
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise Misread("unsupported HTTP version")
        if version == "1.0":
            self.expect_100_continue = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Misread("CONNECT is not supported, and the data after it would be for the tunnel")
            self._is_upgrade = True
            return
        if not self.url.startswith(b"/"):
            self._use_host_of_target()
        if b"#" in self.url:
            raise Misread("a target with a fragment")
        super().on_headers_complete()
        self._in_body, self._part_bytes, self._content_bytes = True, 0, 0
        self._unanswered.append(self.cycle)
        # Trailer fields are never merged into the header fields (RFC 9110, 6.5.1): they go into a list of their own.
        self.headers = []
        self._extension = ServerExtension(partial(self._reply, self.cycle), has_access_log=self.access_log)
        self.cycle.scope["extensions"] = {SERVER: self._extension}  # type: ignore[dict-item]
        if self._is_stopping:
            self._end_with(self.cycle)

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._content_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete. Raises Misread."""
        if self._is_upgrade:
            return
        if self.headers and self._is_large(self.headers):
            raise Misread("trailer fields beyond the limits of header fields")
        self._in_body, self._has_completed = False, True
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Refuse a request that is not HTTP/1.1, with a problem instead of uvicorn's text."""
        self._refuse(MalformedRequest("The request is not HTTP/1.1, or is ambiguous."))

    def _use_host_of_target(self) -> None:
        """Replace the Host field by the host in the target (RFC 9112, 3.2.2). One Host field must be there too."""
        target = _ABSOLUTE.fullmatch(self.url)
        if target is None and self.url != b"*":
            raise Misread("a target that is neither a path nor an http URL")
        places = [place for place, (name, _) in enumerate(self.headers) if name == b"host"]
        if target is not None and len(places) == 1 and host_name(self.headers[places[0]][1]) is not None:
            self.headers[places[0]] = (b"host", target[1])

    def _is_large(self, fields: Headers) -> bool:
        size = sum(len(name) + len(value) for name, value in fields)
        return len(fields) > self._limits.header_count or size > self._limits.header_bytes

    def _count(self, size: int) -> None:
        """Count the bytes of an incomplete part, and refuse it beyond its limit."""
        self._part_bytes += size
        if self._in_head and self._part_bytes > self._most_head:
            kind = TargetTooLong if len(self.url) > self._limits.target_bytes else HeaderFieldsTooLarge
            self._refuse(kind(f"The request has more than {self._most_head} bytes before its body."))
        elif self._in_body and self._part_bytes > self._content_bytes * FRAMING + self._limits.header_bytes:
            self._refuse(RequestTooLarge("The chunk framing of the body is too large for its content."))

    # Time

    def _expect(self) -> None:
        """Start or stop the timer for incomplete input. While reading is paused behind another request, it is off."""
        if self.flow.read_paused or self._has_ended:
            self._stop_waiting()
        elif self._in_body:
            self._wait(self._limits.body_seconds)
        elif self._in_head or not self._unanswered:
            self._wait(self._limits.header_seconds)

    def _wait(self, seconds: float) -> None:
        if self._input_timer is None:
            self._input_timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._input_timer is not None:
            self._input_timer.cancel()
            self._input_timer = None

    def _give_up(self) -> None:
        """Refuse incomplete input. A client that has sent nothing is disconnected without a response."""
        self._input_timer = None
        if self._in_body and not self.cycle.response_complete:
            self._end_body()
        elif self._in_head:
            seconds = self._limits.header_seconds
            self._refuse(RequestTooSlow(f"The header fields did not arrive within {seconds:g} seconds."))
        elif not self._unanswered:
            self._close()

    def _end_body(self) -> None:
        """Let the guard refuse a request whose body does not arrive: it knows the operation."""
        if self._extension is not None:
            self._extension.gave_up = True
        self.cycle.keep_alive = False
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Answering

    def on_response_complete(self) -> None:
        """A response is complete. If it was the last one, send a pending refusal and close."""
        # Break the reference cycle of scope, extensions and cycle, so that no garbage collection is needed.
        del self._unanswered.popleft().scope["extensions"]
        super().on_response_complete()
        if self._unread:
            self._read_on()
        if self._in_head or self._in_body:
            self._expect()
        if not self._unanswered and self._refusal is not None:
            self._send_refusal(self._refusal)
        elif not self._unanswered and self._is_half_closed:
            self.loop.call_soon(self._close)

    async def _reply(self, cycle: RequestResponseCycle, status: int, fields: Headers, content: bytes) -> None:
        """Send a response in one piece. uvicorn would send header and body apart, and wake the client twice."""
        if self.flow.write_paused:
            await self.flow.drain()
        if cycle.disconnected or cycle.response_started:
            return
        if cycle.access_log:
            target = get_path_with_query_string(cycle.scope)
            version, client = cycle.scope["http_version"], get_client_addr(cycle.scope)
            cycle.access_logger.info('%s - "%s %s HTTP/%s" %d', client, cycle.scope["method"], target, version, status)
        if self._is_stopping:
            if cycle is self._last_request and self._has_more():
                self._keep_open()
            self._has_ended = self._has_ended or not cycle.keep_alive
        self._write(status, [*cycle.default_headers, *fields], content, ends=not cycle.keep_alive)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()

    def _refuse(self, problem: JobgateError) -> None:
        """Refuse a request that the guard cannot see or read completely, after the responses to those before it."""
        self._stop_waiting()
        self._has_ended = True
        self._unread.clear()
        if self._in_body and self.cycle.response_complete:
            self.loop.call_soon(self._linger)
            return
        if self._in_body:
            self._drop_incomplete()
        if self._unanswered:
            self._refusal = problem
        else:
            self._send_refusal(problem)

    def _drop_incomplete(self) -> None:
        """Drop the request whose body is incomplete."""
        self._in_body = False
        drop(self._unanswered.pop())
        if self._unanswered:
            self.pipeline.popleft()

    def _drop_waiting(self) -> None:
        """Drop every request whose processing has not begun."""
        self._unread.clear()
        self.pipeline.clear()
        while len(self._unanswered) > 1:
            drop(self._unanswered.pop())

    def _send_refusal(self, problem: JobgateError) -> None:
        REQUESTS_NOT_READ.add(problem.code)
        context = RequestContext()
        reply = render(problem, context)
        self._write(reply.status, fields_of(reply, context.id), reply.content, ends=True)

    def _write(self, status: int, fields: Headers, content: bytes, *, ends: bool) -> None:
        lines = [b"%b: %b\r\n" % field for field in fields]
        if ends:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if head.translate(None, _PRINTABLE) != b"\r\n" * len(lines):
            raise ValueError("a header field of a response contains a control character")
        # Responses are written at the end of this turn of the event loop, many clients together. Written one by one,
        # each would wake its client, whose next request would arrive before the others are served.
        self.loop.call_soon(self._flush, b"%b%b\r\n%b" % (STATUS_LINE[status], head, content), ends)

    def _flush(self, data: bytes, ends: bool) -> None:  # noqa: FBT001 - call_soon has no keywords
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if ends and self.transport.can_write_eof() and (self._has_ended or self._in_body):
            self._linger()
        elif ends:
            self._close()


def drop(request: RequestResponseCycle) -> None:
    """Drop a request, and break its reference cycles, so that no garbage collection is needed."""
    request.disconnected = True
    request.message_event.set()
    request.on_response = _nothing
    request.scope.pop("extensions", None)


def _nothing() -> None:
    """Replaces the callback of a dropped request."""
