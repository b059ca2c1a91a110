"""The acceptance of connections: by the worker that holds the fewest, and by another if that one does not come."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.serving import accepting
from gateway.serving.accepting import ABSENT, Acceptor, Connections, Share, shares
from gateway.serving.sockets import HOST, listen
from tests.serving.process import SECONDS, children, served
from tests.support.patience import eventually

REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLIENTS = 40


class Protocol(asyncio.Protocol):
    """A connection of one server."""

    def __init__(self, held: Connections) -> None:
        """Belong to a server."""
        self._held = held

    def connection_made(self, transport: Any) -> None:
        """Be held."""
        self.transport = transport
        self._held.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Be held no more."""
        self._held.discard(self)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening socket."""
    with listen(HOST, 0) as made:
        yield made


def acceptor(listening: socket.socket, share: Share | None) -> tuple[Acceptor, Connections]:
    """An acceptor of a socket, and the connections that it has accepted."""
    held = Connections()
    held.join(share)
    return Acceptor(listening, lambda: Protocol(held), None, held), held


async def come(is_so: Callable[[], bool]) -> None:
    """Wait until something is true."""

    async def now() -> bool:
        return is_so()

    await eventually(now)


def connected(stack: ExitStack, listening: socket.socket, clients: int) -> list[socket.socket]:
    """So many clients."""
    place = listening.getsockname()
    return [stack.enter_context(socket.create_connection(place, SECONDS)) for _ in range(clients)]


async def test_new_connections_are_left_to_who_holds_fewer(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that accept from a socket, the one that is ahead leaves all to the other until it has as many."""
    monkeypatch.setattr(accepting, "LEFT_SECONDS", SECONDS)
    counts = [0, 0, ABSENT]
    with ExitStack() as stack, listening.dup() as copy:
        first, mine = acceptor(listening, Share(counts, 0))
        connected(stack, listening, 12)
        await come(lambda: len(mine) == 1)
        second, others = acceptor(copy, Share(counts, 1))
        await come(lambda: len(others) == 2)
        assert counts == [1, 2, ABSENT]
        first.close()
        second.close()


async def test_whoever_is_ahead_accepts_if_nobody_else_does(listening: socket.socket) -> None:
    """A worker that hangs, and holds no connection, delays nobody."""
    counts = [0, 0]
    with ExitStack() as stack:
        only, held = acceptor(listening, Share(counts, 0))
        connected(stack, listening, CLIENTS)
        await come(lambda: len(held) == CLIENTS)
        only.close()


async def test_a_lone_worker_accepts_everybody(listening: socket.socket) -> None:
    """Without others, all are accepted; once it is closed, nobody is."""
    with ExitStack() as stack:
        only, held = acceptor(listening, None)
        connected(stack, listening, CLIENTS)
        await come(lambda: len(held) == CLIENTS)
        only.close()
        connected(stack, listening, 1)
        await asyncio.sleep(5 * accepting.LEFT_SECONDS)
        assert len(held) == CLIENTS


class Full(socket.socket):
    """A listening socket of a process that has no file descriptor left, once."""

    is_full = True

    def accept(self) -> Any:
        """Fail, the first time."""
        if self.is_full:
            self.is_full = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_no_room_for_a_connection(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the system has no room for a connection, that is told, and it is accepted when there is."""
    monkeypatch.setattr(accepting, "RECOVERY_SECONDS", 0.01)
    with ExitStack() as stack, Full(fileno=listening.dup().detach()) as full, caplog.at_level(logging.ERROR):
        only, held = acceptor(full, None)
        connected(stack, listening, 1)
        await come(lambda: len(held) == 1)
        only.close()
    assert caplog.messages == ["no connection can be accepted: Too many open files"]


def test_who_stops_is_not_waited_for() -> None:
    """Once a server stops, others see no share of it, even while its last connections end."""
    first, second, *_ = shares(1)
    held = Connections()
    assert second.room > CLIENTS, "one that has not begun is waited for"
    held.join(first)
    second.hold(0)
    for each in ("a", "b"):
        held.begin()
        held.add(each)
    held.begin()
    held.fail()
    assert (first.held[0], first.room, second.room) == (2, -1, 1)
    held.leave()
    held.discard("a")
    assert first.held[0] == ABSENT


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, to count a worker's connections")
def test_workers_hold_the_same_share() -> None:
    """Two workers hold about as many connections; if one hangs, clients are answered by the other."""
    with served("--workers", "2", "--no-access-log") as (process, url), ExitStack() as stack:
        workers = children(process)
        before = [files(worker) for worker in workers]
        place = (HOST, int(url.rpartition(":")[2]))
        crowd = [stack.enter_context(socket.create_connection(place, SECONDS)) for _ in range(CLIENTS)]
        for client in crowd:
            ask(client)
        taken = [files(worker) - there for worker, there in zip(workers, before, strict=True)]
        assert min(taken) >= CLIENTS // 4, taken
        os.kill(workers[0], signal.SIGSTOP)
        try:
            newcomers = [stack.enter_context(socket.create_connection(place, SECONDS)) for _ in range(CLIENTS)]
            for client in newcomers:
                ask(client)
        finally:
            os.kill(workers[0], signal.SIGCONT)


def files(process: int) -> int:
    """The number of files and connections that a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def ask(client: socket.socket) -> None:
    """Send a request, and wait for its answer."""
    client.sendall(REQUEST)
    assert client.recv(64).startswith(b"HTTP/1.1 200 ")
