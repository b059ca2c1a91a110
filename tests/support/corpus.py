"""Hostile requests: their form, how they are sent byte for byte, and the checks that hold for all of them."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol
from urllib.parse import quote

from gateway.domain.model import HttpRequest
from tests.support.edge import LIMITS, MARK, Edge
from tests.support.patience import PATIENCE
from tests.support.raw import RawResponse
from tests.support.vendors import TOKEN_URL

Answer = frozenset[int | None]
"""The statuses that are allowed; None if the connection may be closed without an answer."""

_PLACEHOLDER = re.compile(rb"@(host|HOST|key|base|read|jobs|verb|action|member|escaped|body|size|hex|mark|length)@")
HOST = b"Host: @host@\r\n"
"""The field of every good request."""
_NO_TIME_TO_WAIT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Surface:
    """An API as its clients meet it, at which hostile requests are aimed.

    `read` is a path that can be read, with `query` where it is the whole of a target; a job's action is at `jobs`, the
    job's id and `verb`. `body` is a body of that action, and reaches the vendor as it is; `member` is the name of the
    text in it. `fields` are header fields that every good request has. `carries_body`: the vendor's request has one.
    """

    host: str
    key: str
    base: str
    read: str
    jobs: str
    job: str
    verb: str
    member: str
    body: bytes
    query: str = ""
    fields: bytes = b""
    carries_body: bool = True

    def fill(self, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """What is sent: each `@name@` is replaced, `@length@` by the size of what follows the header section."""
        whole = tuple(piece.replace(b"@read@ ", f"@read@{self.query} ".encode()) for piece in pieces)
        whole = tuple(piece.replace(HOST, HOST + self.fields) for piece in whole)
        named = tuple(_PLACEHOLDER.sub(self._named, piece) for piece in whole)
        _, _, body = b"".join(named).partition(b"\r\n\r\n")
        return tuple(piece.replace(b"@length@", b"%d" % len(body)) for piece in named)

    def _named(self, match: re.Match[bytes]) -> bytes:
        return self._values.get(match[1], match[0])

    @cached_property
    def _values(self) -> Mapping[bytes, bytes]:
        texts = {
            b"host": self.host,
            b"HOST": self.host.upper(),
            b"key": self.key,
            b"base": self.base,
            b"read": self.read,
            b"jobs": self.jobs,
            b"verb": self.verb,
            b"action": f"{self.jobs}/{self.job}{self.verb}",
            b"member": self.member,
            b"escaped": f"\\u{ord(self.member[0]):04x}{self.member[1:]}",
            b"size": f"{len(self.body)}",
            b"hex": f"{len(self.body):x}",
            b"mark": MARK,
        }
        return {name: text.encode() for name, text in texts.items()} | {b"body": self.body}


class Ending(Enum):
    """How the client ends, once it has sent everything."""

    READS = "reads"
    HALF_CLOSES = "says that nothing more will come, and reads"
    LEAVES = "closes the connection"
    RESETS = "resets the connection"
    IS_DEAF = "reads nothing for a while, then everything"


@dataclass(frozen=True)
class Hostile:
    """One hostile request, and its expected result.

    `pieces` are sent one after the other, `pause` seconds apart, with the names of a surface as `@name@`. `answers` are
    the responses, in order, interim ones too. Where one of them is a success, a vendor is asked for `actions` actions,
    each of which carries the body `carries`, and is for the job of the id `job`, where there is one. `allow` is what
    405 lists. `closes`: the server ends the connection, although the client goes on listening. `findings` are the
    defects of stock Connexion of which it is a regression case.
    """

    name: str
    pieces: tuple[bytes, ...]
    answers: tuple[Answer, ...]
    findings: tuple[str, ...] = ()
    actions: int = 0
    carries: bytes = b"@body@"
    job: str | None = None
    allow: str | None = None
    pause: float = 0.0
    ending: Ending = Ending.READS
    closes: bool = False

    def __str__(self) -> str:
        """Its name in the list of tests."""
        return self.name

    @property
    def kind(self) -> object:
        """What sets it apart from most others: its table, what may come back, and how it ends."""
        answers = [sorted(each, key=str) for each in self.answers]
        return self.name.partition(":")[0], answers, self.actions, self.ending.name, self.closes

    @property
    def is_head(self) -> bool:
        """Whether its response has no body."""
        return self.pieces[0].startswith(b"HEAD ")


@dataclass(frozen=True)
class Heard:
    """The responses, whether the server closed the connection, and the remaining bytes."""

    responses: tuple[RawResponse, ...]
    closed: bool
    rest: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether anything was granted."""
        return any(200 <= response.status < 300 for response in self.responses)


def send(edge: Edge, surface: Surface, hostile: Hostile) -> Heard:
    """Send a hostile request, and listen until the connection ends."""
    with socket.socket() as connection:
        if hostile.ending is Ending.IS_DEAF:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(PATIENCE)
        connection.connect((edge.client.host, edge.client.port))
        _send_pieces(connection, surface.fill(hostile.pieces), hostile.pause)
        return _ENDINGS[hostile.ending](connection, hostile)


class Refusals(Protocol):
    """Tells whether a refusal is as the surface's document has it."""

    @property
    def media_type(self) -> str:
        """The media type of refusals."""

    def check(self, response: RawResponse, headers: Mapping[str, str]) -> object:
        """Fail the test where it is not."""


def meet(edge: Edge, surface: Surface, hostile: Hostile, refusals: Refusals | None = None) -> None:
    """Send a hostile request, and check what came of it, at the vendors too; then a healthy request works."""
    before = len(edge.transport.requests)
    heard = send(edge, surface, hostile)
    check(heard, surface, hostile, refusals or edge.problems)
    check_vendors(edge.transport.requests[before:], heard, surface, hostile)
    edge.works()


def check(heard: Heard, surface: Surface, hostile: Hostile, refusals: Refusals) -> None:
    """The responses are those expected, every refusal is a problem that repeats nothing, and the connection ended."""
    statuses: list[int | None] = [response.status for response in heard.responses]
    padded = statuses + [None] * (len(hostile.answers) - len(statuses))
    fits = len(padded) == len(hostile.answers) and all(
        status in allowed for status, allowed in zip(padded, hostile.answers, strict=True)
    )
    assert fits, f"{statuses} instead of {[sorted(each, key=str) for each in hostile.answers]}"
    assert heard.rest == b""
    assert heard.closed, "the connection is still open"
    for response in heard.responses:
        if response.status >= 400:
            check_refusal(response, surface, hostile, refusals)
        if response.status == 405:
            check_allow(response, hostile)


def check_refusal(response: RawResponse, surface: Surface, hostile: Hostile, refusals: Refusals) -> None:
    """A refusal is one of the surface's document, and repeats neither what was sent nor the key."""
    assert response.status < 500
    assert MARK not in str(response)
    assert surface.key not in str(response)
    if hostile.is_head:
        assert (response.body, response.header("content-type")) == (b"", refusals.media_type)
    else:
        refusals.check(response, dict(response.headers))
    assert (response.header("www-authenticate") == "Bearer") is (response.status == 401)


def check_allow(response: RawResponse, hostile: Hostile) -> None:
    """405 lists the methods, OPTIONS with them, and not the one that was refused."""
    listed = (response.header("allow") or "").split(", ")
    assert "OPTIONS" in listed
    assert hostile.pieces[0].split(b" ")[0].decode("latin-1") not in listed
    assert hostile.allow is None or set(listed) == set(hostile.allow.split(", "))


def check_vendors(asked: list[HttpRequest], heard: Heard, surface: Surface, hostile: Hostile) -> None:
    """No vendor was asked, unless something was granted; then for exactly the actions that were meant."""
    actions = [request for request in asked if request.method != "GET" and request.url != TOKEN_URL]
    assert len(actions) == (hostile.actions if heard.is_success else 0)
    assert heard.is_success or asked == []
    (carried,) = surface.fill((hostile.carries if surface.carries_body else b"",))
    for request in actions:
        assert request.content == carried
        assert hostile.job is None or f"/{quote(hostile.job, safe='')}" in request.url


def _send_pieces(connection: socket.socket, pieces: tuple[bytes, ...], pause: float) -> None:
    for number, piece in enumerate(pieces):
        time.sleep(pause if number else 0)
        try:
            connection.sendall(piece)
        except OSError:
            # The server has closed the connection. What it said before can still be read.
            return


def _read(connection: socket.socket, hostile: Hostile) -> Heard:
    """Listen until the connection ends. Unless the server is to end it, the client does, once it has heard enough."""
    found, rest, closed = list[RawResponse](), b"", False
    deadline = time.monotonic() + PATIENCE
    while not closed and (left := deadline - time.monotonic()) > 0:
        piece = _receive(connection, left)
        closed = piece == b""
        heard = responses(rest + (piece or b""), hostile)
        found, rest = [*found, *heard.responses], heard.rest
        if not hostile.closes and len(found) >= len(hostile.answers):
            _half_close(connection)
    return Heard(tuple(found), closed, rest)


def _receive(connection: socket.socket, seconds: float) -> bytes | None:
    """What comes next: nothing where the connection has ended, None where time has passed."""
    connection.settimeout(seconds)
    try:
        return connection.recv(65_536)
    except TimeoutError:
        return None
    except OSError:
        return b""


def _half_close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        # The server was faster.
        return


def _half_close_and_read(connection: socket.socket, hostile: Hostile) -> Heard:
    _half_close(connection)
    return _read(connection, hostile)


def _leave(_connection: socket.socket, _hostile: Hostile) -> Heard:
    return Heard((), closed=True)


def _reset(connection: socket.socket, _hostile: Hostile) -> Heard:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TIME_TO_WAIT)
    return Heard((), closed=True)


def _read_late(connection: socket.socket, hostile: Hostile) -> Heard:
    time.sleep(2 * LIMITS.header_seconds)
    return _read(connection, hostile)


_ENDINGS: Mapping[Ending, Callable[[socket.socket, Hostile], Heard]] = {
    Ending.READS: _read,
    Ending.HALF_CLOSES: _half_close_and_read,
    Ending.LEAVES: _leave,
    Ending.RESETS: _reset,
    Ending.IS_DEAF: _read_late,
}


def responses(content: bytes, hostile: Hostile) -> Heard:
    """The complete responses at the start of some bytes, and the rest of these."""
    found: list[RawResponse] = []
    while (end := content.find(b"\r\n\r\n")) >= 0:
        line, *fields = content[:end].decode("latin-1").split("\r\n")
        headers = tuple((name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields))
        status = int(line.split()[1])
        bodiless = hostile.is_head or status < 200 or status in {204, 304}
        length = 0 if bodiless else int(dict(headers)["content-length"])
        start = end + 4
        if len(content) < start + length:
            break
        found.append(RawResponse(status, headers, content[start : start + length]))
        content = content[start + length :]
    return Heard(tuple(found), closed=False, rest=content)
