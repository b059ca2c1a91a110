"""Clients that come in crowds, and know of every request whether its bytes were taken and whether an answer came."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.patience import PATIENCE
from tests.support.raw import message

AT_MOST_SECONDS = 5 * PATIENCE
"""How long anything may take."""


class Lost(Exception):
    """A request was taken, and the connection ended without an answer."""


@dataclass
class Tally:
    """What became of the requests of a crowd. `closed`: connections that ended before anything more was sent."""

    answers: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    goodbyes: int = 0
    refused: int = 0
    closed: int = 0


@dataclass
class Crowd:
    """Clients of one server, each of its kind, until none is let in any more."""

    address: tuple[str, int]
    requests: Sequence[bytes]
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    is_over: bool = False

    async def run(self, each: int) -> Tally:
        """So many clients of each kind."""
        kinds = (self.hurry, self.think, self.come_and_go, self.halt)
        async with asyncio.timeout(AT_MOST_SECONDS):
            await asyncio.gather(*(self._come_again(kind) for kind in kinds for _ in range(each)))
        return self.tally

    async def hurry(self, visit: Visit) -> None:
        """Ask again and again on one connection."""
        while not self.is_over and await visit.ask(self._request()):
            pass

    async def think(self, visit: Visit) -> None:
        """Ask again on one connection, after a while."""
        is_kept = True
        while not self.is_over and is_kept:
            is_kept = await visit.ask(self._request())
            await asyncio.sleep(self.chance.uniform(0.0, 0.5))

    async def come_and_go(self, visit: Visit) -> None:
        """Ask once."""
        await visit.ask(self._request())

    async def halt(self, visit: Visit) -> None:
        """Ask in two parts, with a pause between them."""
        is_kept = True
        while not self.is_over and is_kept:
            request = self._request()
            cut = self.chance.randrange(1, len(request))
            is_kept = await visit.ask(request[:cut], request[cut:], pause=self.chance.uniform(0.0, 0.3))

    def _request(self) -> bytes:
        return self.chance.choice(self.requests)

    async def _come_again(self, kind: Callable[[Visit], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while not self.is_over:
            with socket.socket() as connection:
                connection.settimeout(0)
                try:
                    await loop.sock_connect(connection, self.address)
                except OSError:
                    self.tally.refused += 1
                    return
                try:
                    await kind(Visit(connection, self.tally))
                except Lost as lost:
                    self.tally.lost.append(f"{kind.__name__}: {lost}")


@dataclass
class Visit:
    """One connection of a client."""

    connection: socket.socket
    tally: Tally
    answered: int = 0
    since: float = field(default_factory=time.monotonic)

    async def ask(self, *parts: bytes, pause: float = 0.0) -> bool:
        """Send a request, in parts, and read the answer; gives whether another may follow. Raises Lost."""
        loop = asyncio.get_running_loop()
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause)
            try:
                if self._has_ended():
                    raise ConnectionResetError
                await loop.sock_sendall(self.connection, part)
            except OSError as error:
                if number:
                    raise self._lost(f"{error!r} after {number} parts") from error
                self.tally.closed += 1
                return False
        return await self._heard()

    def _has_ended(self) -> bool:
        with suppress(BlockingIOError):
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        return False

    async def _heard(self) -> bool:
        loop, content = asyncio.get_running_loop(), b""
        while True:
            head, found, body = content.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            if found and len(body) >= int(dict(line.split(b": ", 1) for line in lines[1:])[b"content-length"]):
                break
            try:
                received = await loop.sock_recv(self.connection, 65_536)
            except OSError as error:
                raise self._lost(repr(error)) from error
            if not received:
                raise self._lost(f"the end after {content!r}")
            content += received
        self.answered += 1
        self.tally.answers[int(lines[0].split()[1])] += 1
        ends = b"connection: close" in lines
        self.tally.goodbyes += ends
        return not ends

    def _lost(self, what: str) -> Lost:
        return Lost(f"{what}; {self.answered} answers in {time.monotonic() - self.since:.3f} seconds")


def request(method: str, target: str, key: str, *headers: tuple[str, str], body: bytes | None = None) -> bytes:
    """A request on a connection that is kept."""
    whole = message(method, target, headers=headers, body=body, key=key)
    return whole.replace(b"Host: gateway.test\r\nConnection: close\r\n", b"Host: localhost\r\n")
