"""The measuring: one process serves every rung, round after round, and counts the CPU that it uses.

Requests come as bytes from a transport in memory into the server's own protocol, so that neither a load generator nor a
socket is measured. Everything runs in one process; what the kernel does for a client's socket is in no figure.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from bench.ladder.results import Measured, Results
from bench.ladder.rungs import RUNGS, Ground, Rung, ground
from bench.machine import Cores
from bench.plan import rotated
from bench.processes import HOST, BenchError
from bench.servers import running_vendor
from bench.work import CLIENT_TARGET, WORK
from gateway.edge.exchange import Application
from gateway.edge.limits import Limits
from gateway.serving.protocol import EdgeProtocol
from gateway.startup.serve import settle_in

CONNECTIONS = 64
KEPT_SECONDS = 86_400
"""Seconds for which the server keeps a connection, so that a rung can wait for its next turn."""
Tell = Callable[[str], None]
"""Called with a description of the present step."""

FIELDS = {"Host": HOST, **WORK.headers, "Content-Length": str(len(WORK.body))}
REQUEST = "\r\n".join(
    [f"POST {CLIENT_TARGET} HTTP/1.1", *(f"{name}: {value}" for name, value in FIELDS.items()), "", WORK.body]
).encode()
"""The work's request as bytes."""
GOOD = b"HTTP/1.1 200 "
_ENDS = {"sockname": (HOST, 80), "peername": (HOST, 50_000)}


@dataclass(frozen=True)
class Extent:
    """The number of rounds, the requests on each rung of a round, and the cores."""

    rounds: int
    requests: int
    cores: Cores


class Client(asyncio.Transport):
    """A client and its connection in memory, which sends a request after each answer, as often as it is told to."""

    def __init__(self, application: uvicorn.Config, loop: asyncio.AbstractEventLoop) -> None:
        """Connect to an application."""
        super().__init__(_ENDS)
        self._loop = loop
        self._left = 0
        self._done: asyncio.Future[None] = loop.create_future()
        self._protocol: Any = EdgeProtocol(application, ServerState(), {}, loop, limits=Limits(), access_log=False)
        self._protocol.connection_made(self)

    def start(self, requests: int) -> asyncio.Future[None]:
        """Send so many requests, one after another. The future ends with the last answer, or the first bad one."""
        self._left, self._done = requests, self._loop.create_future()
        self._loop.call_soon(self._protocol.data_received, REQUEST)
        return self._done

    def write(self, data: Any) -> None:
        """Get an answer."""
        self._left -= 1
        if not data.startswith(GOOD):
            self._done.set_exception(BenchError(f"a bad answer: {bytes(data)!r}"))
        elif self._left:
            self._loop.call_soon(self._protocol.data_received, REQUEST)
        else:
            self._done.set_result(None)

    def is_closing(self) -> bool:
        """False: it stays open."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: there is nothing to read before an answer."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def get_write_buffer_size(self) -> int:
        """Return 0: an answer is read at once."""
        return 0

    def close(self) -> None:
        """Fail: the server closes no connection before it has answered as often as it was asked."""
        raise BenchError("the server closed a connection")


class Server:
    """A rung at work, with its clients."""

    def __init__(self, rung: Rung, application: Application) -> None:
        """Serve."""
        configuration = uvicorn.Config(
            application, ws="none", log_config=None, proxy_headers=False, timeout_keep_alive=KEPT_SECONDS
        )
        self.rung = rung
        self._clients = [Client(configuration, asyncio.get_running_loop()) for _ in range(CONNECTIONS)]

    async def cpu(self, requests: int) -> float:
        """The microseconds of CPU of this process for each of so many requests. Raises BenchError."""
        each = requests // CONNECTIONS
        before = time.process_time_ns()
        await asyncio.gather(*(client.start(each) for client in self._clients))
        return (time.process_time_ns() - before) / each / CONNECTIONS / 1e3


def measure(extent: Extent, command: str, machine: dict[str, str], tell: Tell) -> Results:
    """Climb the ladder. Raises BenchError."""
    os.sched_setaffinity(0, extent.cores.contender)
    with TemporaryDirectory() as folder, running_vendor(Path(folder), 0.0, load=extent.cores.load):
        climbed = uvloop.run(climb(RUNGS, ground(Path(folder)), extent, tell))
    return Results(command, extent.rounds, extent.requests, CONNECTIONS, machine, climbed)


async def climb(rungs: Sequence[Rung], base: Ground, extent: Extent, tell: Tell) -> tuple[Measured, ...]:
    """Measure every rung in each round, each time beginning with another one."""
    made: list[Measured] = []
    async with AsyncExitStack() as stack:
        servers = [Server(each, await stack.enter_async_context(each.serve(base))) for each in rungs]
        settle_in()
        for server in servers:
            tell(f"warming up {server.rung.name}")
            await server.cpu(extent.requests)
        for number in range(extent.rounds):
            for server in rotated(servers, number % len(servers)):
                tell(f"round {number + 1}: {server.rung.name}")
                made.append(Measured(server.rung.name, number, await server.cpu(extent.requests)))
    return tuple(made)
