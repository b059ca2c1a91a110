"""Clients of a gateway on persistent connections, which record the result and the times of every request.

A steady load sends requests at fixed times, whether or not earlier ones are answered. Closed-loop clients wait for each
answer.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count, cycle
from typing import cast

from bench.processes import HOST
from bench.upstream import complete
from bench.work import JOB, KEY, WORK

IDLE_SECONDS = 2.0
"""Longest idle time of a connection that is used again, in seconds. The gateway could be closing older ones."""
_CODE = re.compile(rb'"code":"([a-z-]+)"')

Over = Callable[[], bool]
"""Returns True when it is time to stop."""


class Lost(Exception):
    """A request was sent, and the connection ended without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `code`: of a problem. `says_when`: it has Retry-After. `ends`: the connection closes after it."""

    status: int
    code: str
    says_when: bool
    ends: bool

    @classmethod
    def of(cls, content: bytes) -> Reply:
        """Parse an answer."""
        head, _, body = content.partition(b"\r\n\r\n")
        fields, status = head.lower(), int(head[9:12])
        found = _CODE.search(body) if status >= HTTPStatus.BAD_REQUEST else None
        code = found[1].decode() if found else ""
        return cls(status, code, b"\r\nretry-after:" in fields, b"\r\nconnection: close" in fields)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a request, and the times of sending and answer. `late`: seconds after the planned sending."""

    begun: float
    ended: float
    status: int = 0
    code: str = ""
    says_when: bool = False
    late: float = 0.0

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.ended - self.begun

    @property
    def is_good(self) -> bool:
        """True if the request succeeded."""
        return self.status == HTTPStatus.OK

    @property
    def what(self) -> str:
        """A short description; `lost` if there was no answer."""
        return f"{self.status} {self.code}".strip() if self.status else "lost"


class Line(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        """Start unconnected."""
        self.used_at = 0.0
        self.is_open = False
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None

    @classmethod
    async def made(cls, port: int) -> Line:
        """Open a connection. Raises OSError if that fails."""
        _, line = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection is open."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending request."""
        self.is_open = False
        self._transport = None
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(Lost(repr(exc)))

    def data_received(self, data: bytes) -> None:
        """Resolve the pending request once its answer is complete."""
        self._received += data
        if self._reply is not None and not self._reply.done() and complete(self._received) is not None:
            self._reply.set_result(Reply.of(self._received))
            self._received = b""

    async def ask(self, request: bytes) -> Reply:
        """Send a request, and wait for the answer. Raises Lost if there is none, OSError if nothing was sent."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection has ended")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        reply = await self._reply
        self.used_at = time.monotonic()
        if reply.ends:
            self.close()
        return reply

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class Clients:
    """Clients of the gateway at a port. They share as many connections as they need."""

    def __init__(self, port: int) -> None:
        """Start without connections."""
        self._port = port
        self._idle: list[Line] = []

    async def ask(self, request: bytes, planned: float | None = None) -> Answer:
        """Send a request, planned for a time, and return its result."""
        begun = time.monotonic()
        late = 0.0 if planned is None else begun - planned
        try:
            line = self._found() or await Line.made(self._port)
            reply = await line.ask(request)
        except (Lost, OSError):
            return Answer(begun, time.monotonic(), late=late)
        if line.is_open:
            self._idle.append(line)
        return Answer(begun, line.used_at, reply.status, reply.code, reply.says_when, late)

    async def ask_for_content(self, request: bytes) -> tuple[Answer, bytes]:
        """Send a request on its own connection; returns the result and the body of the answer."""
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection(HOST, self._port)
        writer.write(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        received = await reader.read()
        writer.close()
        reply = Reply.of(received)
        answer = Answer(begun, time.monotonic(), reply.status, reply.code, reply.says_when)
        return answer, received.partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        """Close all idle connections."""
        for line in self._idle:
            line.close()
        self._idle.clear()

    def _found(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.is_open and time.monotonic() - line.used_at < IDLE_SECONDS:
                return line
            line.close()
        return None


@asynccontextmanager
async def clients(port: int) -> AsyncIterator[Clients]:
    """Clients whose connections are closed at the end of the block."""
    made = Clients(port)
    try:
        yield made
    finally:
        made.close()


def after(seconds: float) -> Over:
    """A condition that is met after so many seconds."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


async def steadily(
    those: Clients, requests: Iterable[bytes], rate: float, over: Over, answers: list[Answer] | None = None
) -> list[Answer]:
    """Send `rate` requests per second until it is over. Returns all answers; each is added to `answers` on arrival."""
    kept = [] if answers is None else answers

    async def ask(request: bytes, planned: float) -> None:
        kept.append(await those.ask(request, planned))

    begin = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number, request in zip(count(), cycle(requests), strict=False):
            planned = begin + number / rate
            while (wait := planned - time.monotonic()) > 0 and not over():
                await asyncio.sleep(wait)
            if over():
                break
            tasks.create_task(ask(request, planned))
            if wait <= 0:
                await asyncio.sleep(0)
    return kept


async def in_turn(those: Clients, requests: Sequence[bytes], crowd: int, over: Over) -> list[Answer]:
    """Let `crowd` clients send requests, each after its previous answer, until it is over. Returns all answers."""
    answers: list[Answer] = []

    async def ask_again(number: int) -> None:
        while not over():
            answers.append(await those.ask(requests[number % len(requests)]))

    await asyncio.gather(*map(ask_again, range(crowd)))
    return answers


@dataclass
class Tally:
    """Counts of the results while a server stops.

    `goodbyes`: answers that announce the end of the connection. `refused`: clients whose connections were refused.
    `unasked`: connections that ended before a request was sent on them.
    """

    answers: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    goodbyes: int = 0
    refused: int = 0
    unasked: int = 0


async def until_refused(port: int, request: bytes, pause: float, tally: Tally) -> None:
    """Send requests, on a new connection whenever the last one has ended, until connections are refused."""
    while True:
        try:
            line = await Line.made(port)
        except OSError:
            tally.refused += 1
            return
        try:
            while line.is_open:
                reply = await line.ask(request)
                tally.answers[f"{reply.status} {reply.code}".strip()] += 1
                tally.goodbyes += reply.ends
                await asyncio.sleep(pause)
        except Lost as lost:
            tally.lost.append(str(lost))
        except OSError:
            tally.unasked += 1
        finally:
            line.close()


def read(connection: str) -> bytes:
    """A request that reads the job, as bytes."""
    return written("GET", f"/v1/connections/{connection}/jobs/{JOB}")


def act(connection: str) -> bytes:
    """A request to cancel the job, without a key."""
    return written("POST", f"/v1/connections/{connection}/jobs/{JOB}/cancel", WORK.body)


def written(method: str, target: str, body: str = "") -> bytes:
    """A request as bytes."""
    fields = ["Host: localhost", f"Authorization: Bearer {KEY}"]
    fields += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", body]).encode()
