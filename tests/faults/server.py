"""Vendors that misbehave: a server of bytes, in a thread of its own, with one mode for each fault of the list.

A mode's name begins with the number that it has in that list, which is §5 of the notes on reliability; `00` is a vendor
that is well. What a mode does is in this file, what the gateway must make of it in `test_matrix.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.support.server import read_request
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, azure_job, vonage_job

CERTIFICATES = Path(__file__).parent / "certificates"
HOST = "vendor.test"
"""The name by which the vendors are called; the certificates are for it, and `looking_up` finds its address."""
LOOPBACK = "127.0.0.1"
THROTTLED = "ThrottleLimitExceededException"
TOKEN_PATH = "/Auth/connect/token"
TOKEN = "canary.bearer-token.of+the/fault~tests"
METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
ELSEWHERE = "http://169.254.169.254/routing/jobs?api-version=2023-11-01"
"""The list of the jobs, if it were not for the host."""
LATE = 1.5
"""Longer than the gateway of the tests waits, as a part of that time."""
SOON = 0.3
"""Well within what it waits, as a part of that time."""
DRIP_SECONDS = 0.02
"""Between a byte and the next one."""


class Listener(StrEnum):
    """How connections are met. `shut`: refused; `unattended`: never accepted; `slammed`: accepted and reset."""

    OPEN = "open"
    SHUT = "shut"
    UNATTENDED = "unattended"
    SLAMMED = "slammed"


class Lookup(StrEnum):
    """How a look-up of the name ends."""

    FOUND = "found"
    FAILS = "fails"
    HANGS = "hangs"


@dataclass(frozen=True)
class Hit:
    """A request as it was read whole. `number` counts those of its connection, from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes
    number: int

    @property
    def is_action(self) -> bool:
        """Whether it asks the vendor to do something."""
        return self.method == "POST" and not self.is_for_token

    @property
    def is_for_token(self) -> bool:
        """Whether it asks for a token."""
        return self.target == TOKEN_PATH

    @property
    def is_for_azure(self) -> bool:
        """Whether it is for Azure."""
        return self.target.startswith("/routing/")

    @property
    def authorization(self) -> str:
        """What proves who sent it, as a vendor may repeat it."""
        return self.headers.get("authorization") or self.content.decode()


@dataclass
class Exchange:
    """One request, and the connection on which it is answered. `patience`: the seconds that the gateway waits."""

    hit: Hit
    writer: asyncio.StreamWriter
    patience: float

    async def send(self, content: bytes) -> None:
        """Send bytes."""
        self.writer.write(content)
        await self.writer.drain()

    def end(self) -> None:
        """End the connection, as usual."""
        self.writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        reset(self.writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off."""
    # Lingering for no seconds makes the system send RST instead of FIN.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Serve = Callable[[Exchange], Awaitable[None]]
"""How a request is answered. The connection is kept for the next one, unless it was ended."""


@dataclass(frozen=True)
class Mode:
    """How a vendor misbehaves, from the connection to the reply.

    `certificate`: that of a vendor that speaks TLS. `is_second`: a healthy call comes first, whose connection is kept;
    `ends_idle`: but not for long. `trails`: something comes after the reply. `lists`: what is read is the list of jobs.
    `is_heavy`: it costs everybody so much that nothing else should be done at the same time.
    """

    serve: Serve
    listener: Listener = Listener.OPEN
    lookup: Lookup = Lookup.FOUND
    certificate: str | None = None
    is_second: bool = False
    ends_idle: bool = False
    trails: bool = False
    is_heavy: bool = False
    lists: bool = False


# What a vendor says that is well.


def message(status: int, content: bytes, *fields: str) -> bytes:
    """A whole response, with a length."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *fields]
    if status != HTTPStatus.NO_CONTENT:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def healthy(hit: Hit) -> tuple[int, bytes]:
    """What the vendor's document says: a token, a job, a list of jobs, or that it is done."""
    if hit.is_for_token:
        return 200, dump({"access_token": TOKEN, "expires_in": 7200, "token_type": "Bearer"})
    if hit.is_for_azure:
        if hit.is_action:
            return 200, b"{}"
        is_list = hit.target.startswith("/routing/jobs?")
        return 200, dump({"value": [azure_job("queued")]} if is_list else azure_job("queued", AZURE_JOB))
    if hit.is_action:
        return 204, b""
    paging = {"page": 1, "count": 1, "pageCount": 1, "totalCount": 1}
    return 200, dump({"jobs": [vonage_job("Running", VONAGE_JOB)], "paging": paging})


def dump(value: Any) -> bytes:
    """A JSON text."""
    return json.dumps(value).encode()


def refusal(hit: Hit, text: str, code: str = "Other") -> bytes:
    """An error as the vendor words it."""
    return dump({"communicationError": {"code": code, "message": text}} if hit.is_for_azure else {"message": text})


async def well(exchange: Exchange) -> None:
    """As the vendor's document says."""
    await exchange.send(message(*healthy(exchange.hit)))


# What a vendor does that is not.


async def silence(_exchange: Exchange) -> None:
    """Nothing, for as long as anybody waits."""
    await asyncio.Event().wait()


def then(finish: Callable[[Exchange], None], content: bytes = b"", wait: float = 0.0) -> Serve:
    """Send these bytes, and then end the connection in one way or another."""

    async def serve(exchange: Exchange) -> None:
        await exchange.send(content)
        await asyncio.sleep(wait)
        finish(exchange)

    return serve


def part_of_the_reply(finish: Callable[[Exchange], None], *, has_head: bool) -> Serve:
    """Send the reply up to the middle of its body, or of its head, and then end the connection."""

    async def serve(exchange: Exchange) -> None:
        whole = message(200, b'{"id": "a job that is cut off in the middle of its id"}')
        head = whole.index(b"\r\n\r\n") + 4
        await exchange.send(whole[: head + 20] if has_head else whole[: head - 10])
        # What was sent is on its way before the connection is gone.
        await asyncio.sleep(DRIP_SECONDS)
        finish(exchange)

    return serve


def keep(_exchange: Exchange) -> None:
    """Leave the connection open."""


def raw(content: bytes, *, ends: bool = False) -> Serve:
    """Send these bytes, which need be no HTTP."""
    return then(Exchange.end if ends else keep, content)


def in_two_parts(first: bytes, second: bytes) -> Serve:
    """Send these bytes, and a moment later those."""

    async def serve(exchange: Exchange) -> None:
        await exchange.send(first)
        await asyncio.sleep(DRIP_SECONDS)
        await exchange.send(second)

    return serve


async def two_replies(exchange: Exchange) -> None:
    """The right reply, and a moment later one that nobody asked for."""
    await well(exchange)
    await asyncio.sleep(DRIP_SECONDS)
    await exchange.send(message(409, refusal(exchange.hit, "No.")))


def body(content: bytes) -> Serve:
    """A success with these bytes as its body."""
    return raw(message(200, content))


def written_by(write: Callable[[Hit], bytes]) -> Serve:
    """Send what is made from the request."""

    async def serve(exchange: Exchange) -> None:
        await exchange.send(write(exchange.hit))

    return serve


def refuses(status: int, *fields: str) -> Serve:
    """An error as the vendor words it, with a status of HTTP."""
    return written_by(lambda hit: message(status, refusal(hit, "No."), *fields))


def throttled(*fields: str) -> Serve:
    """The answer that the documents of both vendors call `throttled`."""
    return written_by(lambda hit: message(429, refusal(hit, "Too Many Requests", THROTTLED), *fields))


def throttled_until(seconds: float) -> Serve:
    """The same, with the date at which to come again."""

    def write(hit: Hit) -> bytes:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        return message(429, refusal(hit, "Too Many Requests", THROTTLED), retry_after(date))

    return written_by(write)


def retry_after(value: str) -> str:
    """The header field."""
    return f"Retry-After: {value}"


def drip(content: bytes, whole: bytes = b"") -> Serve:
    """Send a part at once, and the rest a byte at a time, for as long as anybody reads."""

    async def serve(exchange: Exchange) -> None:
        await exchange.send(whole)
        for position in range(len(content)):
            await exchange.send(content[position : position + 1])
            await asyncio.sleep(DRIP_SECONDS)
        await silence(exchange)

    return serve


def endlessly(content: bytes, head: bytes = b"", pause: float = 0.0) -> Serve:
    """Send a head, and then the same bytes again and again."""

    async def serve(exchange: Exchange) -> None:
        await exchange.send(head)
        while True:
            await exchange.send(content)
            await asyncio.sleep(pause)

    return serve


async def sliced(exchange: Exchange) -> None:
    """The right reply, in slices of one to three bytes, each a packet of its own."""
    content, at = message(*healthy(exchange.hit)), 0
    while at < len(content):
        size = 1 + at % 3
        await exchange.send(content[at : at + size])
        await asyncio.sleep(0)
        at += size


async def after_interim_responses(exchange: Exchange) -> None:
    """A hundred interim responses, and then the right reply."""
    await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 100)
    await well(exchange)


async def slow_to_close(exchange: Exchange) -> None:
    """The right reply, which says that the connection ends, and the end only much later."""
    status, content = healthy(exchange.hit)
    await exchange.send(message(status, content, "Connection: close"))
    await asyncio.sleep(LATE * exchange.patience)
    exchange.end()


async def ended_by_closing(exchange: Exchange) -> None:
    """The right reply without a length: only the end of the connection, a little later, is the end of the body."""
    status, content = healthy(exchange.hit)
    await exchange.send(f"HTTP/1.1 {status} Fine\r\nConnection: close\r\n\r\n".encode() + content)
    await asyncio.sleep(SOON * exchange.patience)
    exchange.end()


async def never_ended(exchange: Exchange) -> None:
    """A reply without a length on a connection that never ends."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
    await silence(exchange)


@cache
def bomb() -> bytes:
    """A response of 32 kB that becomes 32 MB."""
    return message(200, gzip.compress(bytes(32 * 1024 * 1024), compresslevel=9), "Content-Encoding: gzip")


def on_a_kept_connection(finish: Callable[[Exchange], None]) -> Serve:
    """The first request of a connection is answered, under the second one the connection ends."""

    async def serve(exchange: Exchange) -> None:
        if exchange.hit.number == 1:
            await well(exchange)
        else:
            finish(exchange)

    return serve


async def with_link_elsewhere(exchange: Exchange) -> None:
    """The right reply, with links to the next page that lead to a machine of somebody else's."""
    status, content = healthy(exchange.hit)
    if not exchange.hit.is_action and not exchange.hit.is_for_token:
        content = dump(json.loads(content) | {"nextLink": ELSEWHERE, "next": ELSEWHERE, "links": {"next": ELSEWHERE}})
    await exchange.send(message(status, content))


def delayed(part: float) -> Serve:
    """The right reply, after some time: what was asked for is done all the same."""

    async def serve(exchange: Exchange) -> None:
        await asyncio.sleep(part * exchange.patience)
        await well(exchange)

    return serve


# Secrets that come back.


def signature(hit: Hit) -> str:
    """The part of what proves who sent a request that is secret."""
    return hit.authorization.rpartition("Signature=")[2].rpartition(" ")[2]


def escaped(text: str) -> str:
    """A text as .NET, which Azure is written in, puts it into JSON."""
    unsafe = str.maketrans({each: f"\\u{ord(each):04X}" for each in "+&<>'`"})
    return json.dumps(text).translate(unsafe)


def echo(status: int, write: Callable[[Hit], str]) -> Serve:
    """An error whose text repeats what proves who asked."""
    return written_by(lambda hit: message(status, refusal(hit, f"Cannot take '{write(hit)}' for an answer.")))


def echo_escaped(hit: Hit) -> bytes:
    """An error whose text repeats it as .NET writes it."""
    return message(400, refusal(hit, "TEXT").replace(b'"TEXT"', escaped(f"No: {hit.authorization}").encode()))


def echo_everywhere(hit: Hit) -> bytes:
    """The right reply, with what proves who asked in every field that may be kept or shown."""
    status, content = healthy(hit)
    fields = [f"trace-id: {hit.authorization}", f"x-ms-error-code: {hit.authorization}"]
    if hit.is_action or hit.is_for_token:
        return message(status, content, *fields)
    known, shown = json.loads(content), {"notes": [{"message": hit.authorization}], "type": hit.authorization}
    told = {"jobs": [job | shown for job in known["jobs"]]} if "jobs" in known else shown
    return message(status, dump(known | told), *fields)


def echo_page(hit: Hit) -> bytes:
    """A page of an unhappy server that shows the whole request."""
    fields = "".join(f"{name}: {value}\n" for name, value in hit.headers.items())
    page = f"<html><h1>500</h1><pre>{hit.method} {hit.target}\n{fields}\n{hit.content.decode()}</pre></html>".encode()
    return message(500, page)


HTML = b"<!doctype html><title>Welcome</title><h1>It works!</h1>"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nContent-Length: 13\r\n\r\n"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

WELL = Mode(well)

MODES: Mapping[str, Mode] = {
    "00 well": WELL,
    "00 well, by TLS": Mode(well, certificate="good"),
    "01 refused": Mode(well, listener=Listener.SHUT),
    "02 no such name": Mode(well, lookup=Lookup.FAILS),
    "02 a name that takes too long to look up": Mode(well, lookup=Lookup.HANGS),
    "03 certificate that has expired": Mode(well, certificate="expired"),
    "03 certificate of another host": Mode(well, certificate="wrong-host"),
    "03 certificate signed by itself": Mode(well, certificate="self-signed"),
    "03 handshake that never ends": Mode(well, certificate="good", listener=Listener.UNATTENDED),
    "04 silence": Mode(silence),
    "05 reset before the reply": Mode(then(Exchange.reset)),
    "05 closed before the reply": Mode(then(Exchange.end)),
    "05 reset as soon as there is a connection": Mode(well, listener=Listener.SLAMMED),
    "06 reset in the headers": Mode(part_of_the_reply(Exchange.reset, has_head=False)),
    "06 reset after the headers": Mode(then(Exchange.reset, LONG, DRIP_SECONDS)),
    "07 reset in the body": Mode(part_of_the_reply(Exchange.reset, has_head=True)),
    "07 closed in the body": Mode(part_of_the_reply(Exchange.end, has_head=True)),
    "08 headers that drip": Mode(drip(b"HTTP/1.1 200 OK\r\n" + b"X-Y: 1\r\n" * 100)),
    "09 body that drips": Mode(drip(b"{" + b" " * 1_000, LONG)),
    "09 chunks that drip": Mode(drip(b"1\r\n{\r\n" + b"1\r\n \r\n" * 1_000, CHUNKED)),
    "10 slow to close": Mode(slow_to_close),
    "10 slow to close, which ends the body": Mode(ended_by_closing),
    "10 never closed, which would end the body": Mode(never_ended),
    "11 sliced": Mode(sliced),
    "12 interim responses without end": Mode(endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20, pause=0.005)),
    "12 a hundred interim responses": Mode(after_interim_responses),
    "13 ten thousand header fields": Mode(raw(b"HTTP/1.1 200 OK\r\n" + b"X-Y: 1\r\n" * 10_000 + b"\r\n")),
    "13 header field of 100 kB": Mode(raw(b"HTTP/1.1 200 OK\r\nX-Y: " + b"x" * 100_000 + b"\r\n\r\n")),
    "14 body without end": Mode(
        endlessly(b" " * 65_536, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), is_heavy=True
    ),
    "14 chunks without end": Mode(endlessly(b"10000\r\n" + b" " * 65_536 + b"\r\n", CHUNKED), is_heavy=True),
    "15 gzip bomb": Mode(written_by(lambda _hit: bomb()), is_heavy=True),
    "16 shorter than its Content-Length, and closed": Mode(raw(LONG + b"{}", ends=True)),
    "16 shorter than its Content-Length, and silent": Mode(raw(LONG + b"{}")),
    "16 longer than its Content-Length": Mode(raw(SHORT + b'{"id": "a", "b": "c"}')),
    "16 longer than its Content-Length, a moment later": Mode(
        in_two_parts(SHORT + b'{"id": "a', b'", "b": "c"}'), trails=True
    ),
    "16 longer than its Content-Length by a whole reply": Mode(two_replies, trails=True),
    "17 chunk of no size": Mode(raw(CHUNKED + b"ZZ\r\n{}\r\n0\r\n\r\n")),
    "17 chunk that is longer than it says": Mode(raw(CHUNKED + b"1\r\n{}\r\n0\r\n\r\n")),
    "17 chunk that breaks off": Mode(raw(CHUNKED + b"10\r\n{}", ends=True)),
    "18 HTML with 200": Mode(body(HTML)),
    "19 JSON that breaks off": Mode(body(b'{"id": "a", ')),
    "19 JSON twice": Mode(body(b"{}{}")),
    "20 deep JSON": Mode(body(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)),
    "21 NaN": Mode(body(b'{"id": NaN, "status": NaN, "jobs": NaN}')),
    "22 an array": Mode(body(b"[]")),
    "22 other members": Mode(body(b'{"id": [1], "status": {}, "jobs": "none", "value": 7}')),
    "23 error inside a success": Mode(written_by(lambda hit: message(200, refusal(hit, "It did not work.")))),
    "24 redirect to the metadata of the machine": Mode(raw(message(302, b"", f"Location: {METADATA}"))),
    "24 lasting redirect to the metadata of the machine": Mode(raw(message(308, b"", f"Location: {METADATA}"))),
    "25 throttled": Mode(throttled()),
    "25 throttled for no time": Mode(throttled(retry_after("0"))),
    "25 throttled for a second": Mode(throttled(retry_after("1"))),
    "25 throttled until a date": Mode(throttled_until(90)),
    "25 throttled until a date that has passed": Mode(throttled_until(-90)),
    "25 throttled for -1 seconds": Mode(throttled(retry_after("-1"))),
    "25 throttled for 1e9 seconds": Mode(throttled(retry_after("1e9"))),
    "25 throttled for 999999999 seconds": Mode(throttled(retry_after("999999999"))),
    "25 throttled until soon": Mode(throttled(retry_after("soon"))),
    "25 throttled in words of its own": Mode(refuses(429)),
    "26 status 500": Mode(refuses(500)),
    "26 status 501": Mode(refuses(501)),
    "26 status 502": Mode(refuses(502)),
    "26 status 503": Mode(refuses(503)),
    "26 status 503 for a second": Mode(refuses(503, retry_after("1"))),
    "26 status 504": Mode(refuses(504)),
    "27 status 408": Mode(refuses(408)),
    "27 status 409": Mode(refuses(409)),
    "27 status 412": Mode(refuses(412)),
    "28 kept connection closed under us": Mode(on_a_kept_connection(Exchange.end), is_second=True),
    "28 kept connection reset under us": Mode(on_a_kept_connection(Exchange.reset), is_second=True),
    "28 kept connection closed before": Mode(well, is_second=True, ends_idle=True),
    "29 status 204 with a body": Mode(raw(EMPTY + b'{"id": "bad"}')),
    "29 status 204 with a body, a moment later": Mode(in_two_parts(EMPTY, b'{"id": "bad"}'), trails=True),
    "30 next page elsewhere": Mode(with_link_elsewhere, lists=True),
    "31 credentials in a refusal": Mode(echo(400, lambda hit: hit.authorization)),
    "31 credentials in a refusal, without their scheme": Mode(echo(400, signature)),
    "31 credentials in a refusal, escaped": Mode(written_by(echo_escaped)),
    "31 credentials in a refusal of credentials": Mode(echo(401, lambda hit: hit.authorization)),
    "31 credentials in an error": Mode(echo(500, signature)),
    "31 credentials in the page of an error": Mode(written_by(echo_page)),
    "31 credentials in a success": Mode(written_by(echo_everywhere)),
    "32 works, too late": Mode(delayed(LATE)),
    "32 works, in time": Mode(delayed(SOON)),
}
"""Every mode, by its number in the list and what it is."""


# The server.


@dataclass
class Site:
    """One address of a vendor. `mode` can be changed at any time, and counts from the next connection or request on.

    `hits` are the requests that came whole, `handshakes` how often somebody began to speak TLS.
    """

    port: int
    mode: Mode
    hits: list[Hit] = field(default_factory=list)
    handshakes: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    is_found: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self.mode.certificate else 'http'}://{HOST}:{self.port}"

    @property
    def actions(self) -> list[Hit]:
        """The requests for actions."""
        return [hit for hit in self.hits if hit.is_action]

    @property
    def most_tries(self) -> int:
        """How often one and the same request came."""
        return max(Counter((hit.method, hit.target) for hit in self.hits).values(), default=0)

    @property
    def credentials(self) -> set[str]:
        """What proved who sent the requests: none of it may be seen anywhere else."""
        return {signature(hit) for hit in self.hits if "authorization" in hit.headers}


class FaultServer:
    """A thread that serves any number of sites.

    `errors`: what went wrong in the server itself. `patience`: for how many seconds the gateway waits for an answer.
    """

    def __init__(self) -> None:
        """Not yet started."""
        self.patience = 0.5
        self.errors: list[BaseException] = []
        self.sites: dict[int, Site] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault server", daemon=True)
        self._sockets: dict[int, socket.socket] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End every site."""
        for site in self.sites.values():
            site.is_found.set()
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def site(self, mode: Mode) -> Site:
        """A new site, on a port of its own."""
        bound = socket.socket()
        bound.bind((LOOPBACK, 0))
        site = Site(int(bound.getsockname()[1]), mode)
        self.sites[site.port], self._sockets[site.port] = site, bound
        self._settle_in(site)
        return site

    def change(self, site: Site, mode: Mode) -> None:
        """Have a site behave otherwise from now on."""
        site.mode = replace(mode, certificate=mode.certificate or ("good" if site.mode.certificate else None))
        self._settle_in(site)

    def find(self, port: int) -> bool:
        """Look up the name of a site, in a thread of the gateway's. Whether it is found."""
        site = self.sites.get(port)
        if site is None:
            return False
        if site.mode.lookup is Lookup.HANGS:
            site.is_found.wait(10)
        return site.mode.lookup is not Lookup.FAILS

    def _settle_in(self, site: Site) -> None:
        """Listen as the mode says."""
        if site.mode.lookup is Lookup.FOUND:
            site.is_found.set()
        else:
            site.is_found.clear()
        if site.mode.listener is Listener.UNATTENDED:
            self._sockets[site.port].listen()
        elif site.mode.listener is not Listener.SHUT:
            self._do(self._open(site))
        if site.mode.ends_idle:
            self._do(self._end_connections(site))

    async def _open(self, site: Site) -> None:
        if site.port in self._servers:
            return
        context = None if site.mode.certificate is None else self._context(site)

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.add(asyncio.ensure_future(self._accept(site, reader, writer)))

        self._servers[site.port] = await asyncio.start_server(accepted, sock=self._sockets[site.port], ssl=context)

    def _context(self, site: Site) -> ssl.SSLContext:
        """TLS with the certificate that the mode has at the time."""

        def choose(connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
            site.handshakes += 1
            connection.context = context_of(site.mode.certificate or "good")

        context = new_context("good")
        context.sni_callback = choose
        return context

    async def _accept(self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        site.writers.add(writer)
        try:
            await self._converse(site, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the test that uses the server is to fail
            self.errors.append(error)
        finally:
            site.writers.discard(writer)
            writer.transport.abort()

    async def _converse(self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while not writer.is_closing():
            if site.mode.listener is Listener.SLAMMED:
                reset(writer)
                return
            request = await read_request(reader)
            number += 1
            hit = hit_of(request, number)
            site.hits.append(hit)
            await site.mode.serve(Exchange(hit, writer, self.patience))
        await writer.wait_closed()

    async def _end_connections(self, site: Site) -> None:
        for writer in tuple(site.writers):
            writer.close()
        # Until who holds the other end has heard of it.
        await asyncio.sleep(DRIP_SECONDS)

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for port in self._sockets.keys() - self._servers.keys():
            self._sockets[port].close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _do(self, work: Any) -> None:
        """Have something done in the thread of the server."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


def hit_of(request: bytes, number: int) -> Hit:
    """A request as it was read."""
    head, _, content = request.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _version = line.split(" ")
    pairs = (each.partition(":") for each in fields)
    return Hit(method, target, {name.lower(): value.strip() for name, _, value in pairs}, content, number)


def new_context(certificate: str) -> ssl.SSLContext:
    """TLS as a server with one of the certificates speaks it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    return context


context_of = cache(new_context)
"""The same, made once for each."""


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """A server, stopped at the end. What went wrong in it is raised."""
    server = FaultServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
    for error in server.errors:
        raise error
