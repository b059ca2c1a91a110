"""HTTP/1.1 as uvicorn serves it, made strict where uvicorn and its parser are not (0.54.0, `HttpToolsProtocol`).

The guard sees a request only once its header section is complete, and nothing of its framing; for that there is this:

* header sections, trailers and chunk extensions have an end in bytes, whole requests one in seconds;
* what is no HTTP/1.1, or could be read as something else, is refused: with a problem, and after the answers to the
  requests before it;
* trailer fields are no header fields, a body beside an upgrade is no second request, a host in the target counts;
* an upgrade is not made, and its request answered as if it were not there;
* of requests that are sent at once few are read before their turn, and what is dropped leaves no cycles of objects;
* replies leave in one piece, and a client that does not read them is let go;
* while the server stops (`stopping.py`), the answer to the last request that has come ends the connection.
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
from gateway.serving.accept_filter import is_waited_at

VERSIONS = frozenset({"1.0", "1.1"})
LINGER_SECONDS = 1.0
"""How long what a client still sends is taken after the last word to it."""
FRAMING = 8
"""How many bytes a chunked body may take for each of its own: chunks of one byte each take six."""

PIECE = 2_048
"""How many bytes are read on at a time: after each it is looked whether there is room for more."""
MOST_WAITING = 8
"""How many requests of one connection are read before they are answered. What else has come waits as bytes."""

_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_ABSOLUTE = re.compile(rb"http://([^/?#@]+)(?=[/?]|\Z)[^#]*", re.IGNORECASE)


class Misread(Exception):
    """A request that could be read in more than one way."""


class Flow(FlowControl):
    """Reads from a connection, unless what has come already is more than there is room for."""

    is_full = False

    def resume_reading(self) -> None:
        """Go on where there is room."""
        if not self.is_full:
            super().resume_reading()

    def fill(self, *, is_full: bool) -> None:
        """Read no more while it is full."""
        was_full, self.is_full = self.is_full, is_full
        if is_full:
            self.pause_reading()
        elif was_full:
            self.resume_reading()


class EdgeProtocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, limits: Limits, access_log: bool, **settings: Any) -> None:
        """Serve within `limits`. uvicorn's own switch for the access log would silence every server of the process."""
        super().__init__(*arguments, **settings)
        self.access_log = self.access_log and access_log
        self._limits = limits
        self._most_head = limits.target_bytes + limits.header_bytes
        # Where in a request the parser is, how many bytes of that part came in data of nothing else, and how many of
        # them were the body's own.
        self._in_head = self._in_body = self._has_completed = False
        self._part_bytes = self._content_bytes = 0
        self._unread = bytearray()
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._last_words: JobgateError | None = None
        self._is_stopping = False
        self._last_request: RequestResponseCycle | None = None
        self._made_at = self.loop.time()
        self._is_half_closed = self._has_ended = self._is_upgrade = False
        self._patience: TimerHandle | None = None
        self._deafness: TimerHandle | None = None
        self._farewell: TimerHandle | None = None
        self._extension: ServerExtension | None = None

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self.flow: Flow = Flow(transport)
        self._wait(self._limits.header_seconds)
        if is_stopping(self.app_state):
            self.shutdown()

    def eof_received(self) -> Any:
        """A client that has said everything still hears the answers; what it has left incomplete is forgotten."""
        self._is_half_closed = True
        if not self._unread:
            self._hear_the_end()
        # Over TLS nobody can say that he has said everything and still listen; asyncio would remark on it each time.
        return self.transport.get_extra_info("sslcontext") is None

    def _hear_the_end(self) -> None:
        """Everything that the client has sent is read."""
        self._stop_waiting()
        self._has_ended = True
        if self._in_body and not self.cycle.response_complete:
            self._give_up_on_body()
        if not self._unanswered:
            self.loop.call_soon(self._close)

    def shutdown(self) -> None:
        """The server stops: the answer to the last request that has come by then says so, and ends the connection."""
        self._is_stopping = True
        if self._unanswered and not self._in_head:
            self._end_with(self._unanswered[-1])

    def let_go(self, seconds: float) -> None:
        """End this connection, unless it is younger than this, something is asked on it, or something has just come."""
        is_busy = self._unanswered or self._in_head or self._has_ended
        if is_busy or self.loop.time() < self._made_at + seconds or self.transport.is_closing():
            return
        if self._in_body:
            self._linger()
        elif not self._has_more():
            self._hang_up()

    def interrupt(self) -> None:
        """The server waits no longer: what it has not begun with is refused. The guard answers the rest."""
        self._forget_what_waits()
        if self._in_head:
            self._refuse(Interrupted("The gateway stopped before the request was complete."))
        else:
            self.shutdown()

    def _end_with(self, request: RequestResponseCycle) -> None:
        """Let the answer to this request be the last, unless another begins before it is given."""
        if request.keep_alive:
            self._last_request = request
            request.keep_alive = False

    def _hang_up(self) -> None:
        """Close, and let the client see it now: the transport does it in a while, in which the client might ask."""
        with suppress(OSError), self.transport.get_extra_info("socket").dup() as copy:
            copy.shutdown(SHUT_WR)
        self._close()

    def _has_more(self) -> bool:
        """Whether something has come that is not read yet."""
        return is_waited_at(self.transport.get_extra_info("socket"))

    def _go_on(self) -> None:
        """Another request has come: the one that was to be the last is not."""
        if self._last_request is not None:
            self._last_request.keep_alive = True
            self._last_request = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any longer, and tell every request under way; uvicorn tells only the last."""
        self._stop_waiting()
        self._unset_keepalive_if_required()
        if self._farewell is not None:
            self._farewell.cancel()
        self._forget_what_waits()
        for cycle in self._unanswered:
            forget(cycle)
        self._unanswered.clear()
        self._extension = None
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read. It has some time to go on."""
        super().pause_writing()
        self._deafness = self.loop.call_later(self._limits.reply_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._deafness is not None:
            self._deafness.cancel()
            self._deafness = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        self._close()

    def _close(self) -> None:
        """Close once everything is written, or after some time anyway."""
        if not self.transport.is_closing():
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self._farewell = self.loop.call_later(self._limits.reply_seconds, self.transport.abort)

    def _linger(self) -> None:
        """Close in a moment, and take what still comes: of bytes that are left unread, the network makes a reset.

        A reset can overtake the reply.
        """
        self._has_ended = True
        if not self.transport.is_closing():
            self._unread.clear()
            self.flow.fill(is_full=False)
            self.flow.resume_reading()
            self.transport.write_eof()
            self._farewell = self.loop.call_later(LINGER_SECONDS, self._close)

    # Reading requests

    def data_received(self, data: bytes) -> None:
        """Read on, as far as there is room. After a fault nothing is read any more."""
        if self._has_ended:
            return
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        """Read what has come, but not many requests before their turn: read, they take far more room than as bytes."""
        while self._unread and not self._has_ended and len(self._unanswered) < MOST_WAITING:
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            self._read(piece)
        if self._has_ended:
            self._unread.clear()
        self.flow.fill(is_full=bool(self._unread))
        if self._is_half_closed and not self._unread and not self._has_ended:
            self._hear_the_end()

    def _read(self, data: bytes) -> None:
        """Read a piece, within the limits."""
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
        """Read a request anew as if it asked for no upgrade (RFC 9110, 7.8); `rest` is what follows its header section.

        The parser would take that for another protocol, a body too.
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
        self._go_on()

    def on_headers_complete(self) -> None:
        """A header section is complete. Raises Misread, which the parser hands on as an error of its own."""
        self._in_head, self._has_completed = False, True
        self._stop_waiting()
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise Misread("another version of HTTP")
        if version == "1.0":
            self.expect_100_continue = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Misread("there is no tunnel here, and what follows would be meant for it")
            self._is_upgrade = True
            return
        if not self.url.startswith(b"/"):
            self._prefer_the_targets_host()
        if b"#" in self.url:
            raise Misread("a fragment is not sent")
        super().on_headers_complete()
        self._in_body, self._part_bytes, self._content_bytes = True, 0, 0
        self._unanswered.append(self.cycle)
        # Trailer fields are never merged into the header fields (RFC 9110, 6.5.1): from here on they go nowhere.
        self.headers = []
        self._extension = ServerExtension(partial(self._reply, self.cycle))
        self.cycle.scope["extensions"] = {SERVER: self._extension}  # type: ignore[dict-item]
        if self._is_stopping:
            self._end_with(self.cycle)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
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

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's words
        """Refuse what is no HTTP/1.1, in our words."""
        self._refuse(MalformedRequest("The request is not HTTP/1.1, or can be read in more than one way."))

    def _prefer_the_targets_host(self) -> None:
        """A host in the target counts instead of the one Host field that must be there too (RFC 9112, 3.2.2)."""
        target = _ABSOLUTE.fullmatch(self.url)
        if target is None and self.url != b"*":
            raise Misread("a target that is neither a path nor an address of this kind of server")
        places = [place for place, (name, _) in enumerate(self.headers) if name == b"host"]
        if target is not None and len(places) == 1 and host_name(self.headers[places[0]][1]) is not None:
            self.headers[places[0]] = (b"host", target[1])

    def _is_large(self, fields: Headers) -> bool:
        size = sum(len(name) + len(value) for name, value in fields)
        return len(fields) > self._limits.header_count or size > self._limits.header_bytes

    def _count(self, size: int) -> None:
        """Count the bytes of a part that is not complete."""
        self._part_bytes += size
        if self._in_head and self._part_bytes > self._most_head:
            kind = TargetTooLong if len(self.url) > self._limits.target_bytes else HeaderFieldsTooLarge
            self._refuse(kind(f"The request is longer than {self._most_head} bytes without its body."))
        elif self._in_body and self._part_bytes > self._content_bytes * FRAMING + self._limits.header_bytes:
            self._refuse(RequestTooLarge("What frames the body is larger than the body."))

    # Time

    def _expect(self) -> None:
        """Wait for what is incomplete, where we read at all: behind a request under way, reading may be paused."""
        if self.flow.read_paused or self._has_ended:
            self._stop_waiting()
        elif self._in_body:
            self._wait(self._limits.body_seconds)
        elif self._in_head or not self._unanswered:
            self._wait(self._limits.header_seconds)

    def _wait(self, seconds: float) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Nothing is said to a client that has said nothing."""
        self._patience = None
        if self._in_body and not self.cycle.response_complete:
            self._end_body()
        elif self._in_head:
            seconds = self._limits.header_seconds
            self._refuse(RequestTooSlow(f"The header fields did not arrive within {seconds:g} seconds."))
        elif not self._unanswered:
            self._close()

    def _end_body(self) -> None:
        """Let the guard refuse a request whose body does not come: it knows what the request was for."""
        if self._extension is not None:
            self._extension.gave_up = True
        self.cycle.keep_alive = False
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Answering

    def on_response_complete(self) -> None:
        """A request is answered. Where nothing more is to come, say what is left to say, and close."""
        # The extensions hold the cycle and the cycle the scope: apart, they need no garbage collector.
        del self._unanswered.popleft().scope["extensions"]
        super().on_response_complete()
        if self._unread:
            self._read_on()
        if self._in_head or self._in_body:
            self._expect()
        if not self._unanswered and self._last_words is not None:
            self._say(self._last_words)
        elif not self._unanswered and self._is_half_closed:
            self.loop.call_soon(self._close)

    async def _reply(self, cycle: RequestResponseCycle, status: int, fields: Headers, content: bytes) -> None:
        """Send a reply in one piece, where uvicorn would go through it twice and wake the client twice."""
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
                self._go_on()
            self._has_ended = self._has_ended or not cycle.keep_alive
        self._write(status, [*cycle.default_headers, *fields], content, ends=not cycle.keep_alive)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()

    def _refuse(self, problem: JobgateError) -> None:
        """Refuse a request that the guard has not seen or cannot read to its end, once those before it are answered."""
        self._stop_waiting()
        self._has_ended = True
        self._unread.clear()
        if self._in_body and self.cycle.response_complete:
            self.loop.call_soon(self._linger)
            return
        if self._in_body:
            self._give_up_on_body()
        if self._unanswered:
            self._last_words = problem
        else:
            self._say(problem)

    def _give_up_on_body(self) -> None:
        """Forget the request whose body cannot be read to its end."""
        self._in_body = False
        forget(self._unanswered.pop())
        if self._unanswered:
            self.pipeline.popleft()

    def _forget_what_waits(self) -> None:
        """Forget every request that is not begun with."""
        self._unread.clear()
        self.pipeline.clear()
        while len(self._unanswered) > 1:
            forget(self._unanswered.pop())

    def _say(self, problem: JobgateError) -> None:
        context = RequestContext()
        reply = render(problem, context)
        self._write(reply.status, fields_of(reply, context.id), reply.content, ends=True)

    def _write(self, status: int, fields: Headers, content: bytes, *, ends: bool) -> None:
        lines = [b"%b: %b\r\n" % field for field in fields]
        if ends:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if head.translate(None, _PRINTABLE) != b"\r\n" * len(lines):
            raise ValueError("a header field of a reply has a control character in it")
        # Written at the end of this turn of the event loop, replies to many clients go out together; one by one, each
        # would wake its client and have the next request back before the others have been looked at.
        self.loop.call_soon(self._flush, b"%b%b\r\n%b" % (STATUS_LINE[status], head, content), ends)

    def _flush(self, data: bytes, ends: bool) -> None:  # noqa: FBT001 - call_soon has no keywords
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if ends and self.transport.can_write_eof() and (self._has_ended or self._in_body):
            self._linger()
        elif ends:
            self._close()


def forget(request: RequestResponseCycle) -> None:
    """Give up a request. It and what it refers to then go by themselves, and need no garbage collector."""
    request.disconnected = True
    request.message_event.set()
    request.on_response = _nothing
    request.scope.pop("extensions", None)


def _nothing() -> None:
    """Who is forgotten tells nobody."""
