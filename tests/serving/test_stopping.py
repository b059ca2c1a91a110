"""A server that stops: every client is answered in time and told that the connection ends."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.clock import SystemClock
from gateway.domain.errors import VendorTimedOut
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.record import JobActionRecord
from gateway.edge.exchange import is_stopping
from gateway.ledger.memory import MemoryLedger
from gateway.serving.accept_filter import attach_syn_filter, has_syn_filter, is_readable
from gateway.serving.listening import HOST, BannerServer, ServerOptions, address, listen, server
from gateway.settings.settings import with_server
from tests.serving.crowd import Crowd, Tally, request
from tests.serving.process import KEY, SECONDS, children, served
from tests.support.edge import CANCEL, JOB, JSON
from tests.support.patience import FOR_EVER, PATIENCE, eventually, given_time, wait_until
from tests.support.problems import Problems
from tests.support.raw import RawResponse, read_response
from tests.support.transport import FakeTransport
from tests.support.vendors import API_KEY, obedient, settings

ROUNDS = int(os.environ.get("STOP_ROUNDS", "1"))
"""Rounds in which a busy server is stopped."""
CLIENTS = 15
"""Of each kind."""
GRACE_SECONDS = 0.25

LIVEZ = request("GET", "/livez", API_KEY)
READYZ = request("GET", "/readyz", API_KEY)
ACT = request("POST", CANCEL, API_KEY)
VONAGE = "/v1/connections/vonage-sandbox/jobs/0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e02"
AZURE = "/v1/connections/azure-sandbox/jobs/8780b28c-7079-4de1-9143-4d369289e958"
REQUESTS = [
    request("GET", "/livez", KEY),
    request("GET", "/v1/connections", KEY),
    request("GET", AZURE, KEY),
    request("POST", f"{AZURE}/close", KEY, JSON, body=b'{"note":"why"}'),
    request("POST", f"{VONAGE}/pause", KEY),
]


class Vendor(FakeTransport):
    """An obedient vendor that answers slowly."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Answer after so many seconds."""
        super().__init__(otherwise=obedient)
        self.seconds = seconds

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Do as one is told, after a while."""
        answer = await super().send(request, deadline)
        await asyncio.sleep(self.seconds)
        return answer


class Silent(FakeTransport):
    """A vendor that never answers."""

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Say nothing in time."""
        self.requests.append(request)
        raise VendorTimedOut("The vendor did not answer in time.")


@dataclass(frozen=True)
class StoppingGateway:
    """A gateway that serves in this process, and can be told to stop."""

    vendor: FakeTransport
    ledger: MemoryLedger
    serving: BannerServer
    thread: threading.Thread
    place: tuple[str, int]

    def connect(self, *content: bytes) -> socket.socket:
        """A connection, on which this is sent."""
        connection = socket.create_connection(self.place, timeout=PATIENCE)
        connection.sendall(b"".join(content))
        return connection

    def stop(self) -> float:
        """Tell it to stop, and wait until it has heard; gives the time."""
        self.serving.should_exit = True
        wait_until(lambda: is_stopping(self.serving.lifespan.state))
        return time.monotonic()

    def wait_for_vendor(self, requests: int = 1) -> None:
        """Wait until the vendor was asked so often."""
        wait_until(lambda: len(self.vendor.requests) >= requests)


@contextmanager
def stopping_gateway(
    catalogue: Catalogue,
    vendor: FakeTransport,
    *,
    grace_seconds: float = GRACE_SECONDS,
    stop_seconds: float = PATIENCE,
) -> Iterator[StoppingGateway]:
    """Serve until told to stop."""
    ledger = MemoryLedger()
    local = with_server(settings(vendor_seconds=60.0), trusted_hosts=("localhost",))
    gateway = Gateway(local, catalogue, transport=vendor, ledger=ledger)
    listening = listen(HOST, 0)
    serving = server(gateway.application, ServerOptions())
    serving.grace_seconds, serving.stop_seconds = grace_seconds, stop_seconds
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    host, port = address(listening).removeprefix("http://").split(":")
    thread.start()
    try:
        wait_until(lambda: serving.started)
        yield StoppingGateway(vendor, ledger, serving, thread, (host, int(port)))
    finally:
        serving.should_exit = True
        thread.join(SECONDS)
    assert not thread.is_alive()


def heard(connection: socket.socket) -> tuple[int, bool]:
    """The status of the next answer, and whether it says that the connection ends."""
    response = read_response(connection)
    return response.status, response.header("connection") == "close"


def is_over(connection: socket.socket) -> bool:
    """Whether the connection ends without another word."""
    return connection.recv(1) == b""


@given_time(0.25, 2.5, 25.0)
def test_a_connection_is_kept_for_a_moment(catalogue: Catalogue, seconds: float) -> None:
    """A request within the grace is answered with `Connection: close`; an idle connection is closed after it."""
    with (
        stopping_gateway(catalogue, Vendor(), grace_seconds=seconds) as made,
        made.connect(LIVEZ) as asking,
        made.connect(LIVEZ) as idle,
    ):
        assert [heard(asking), heard(idle)] == [(200, False)] * 2
        begun = made.stop()
        asking.sendall(LIVEZ)
        assert heard(asking) == (200, True)
        assert is_over(asking)
        assert time.monotonic() - begun < seconds
        assert is_over(idle)
        assert seconds <= time.monotonic() - begun


@given_time(0.25, 2.5, 25.0)
def test_load_balancers_are_told(catalogue: Catalogue, seconds: float) -> None:
    """While it stops, a gateway is alive but not ready, also on new connections."""
    with stopping_gateway(catalogue, Vendor(), grace_seconds=seconds) as made, made.connect(LIVEZ) as early:
        assert heard(early) == (200, False)
        made.stop()
        early.sendall(READYZ)
        assert heard(early) == (503, True)
        with made.connect(READYZ) as late, made.connect(LIVEZ) as other:
            assert heard(late) == (503, True)
            assert heard(other) == (200, True)


def test_what_has_come_in_part_is_answered(catalogue: Catalogue) -> None:
    """A request whose first bytes came before the stop is answered, though the rest comes after the grace."""
    whole = request("POST", CANCEL, API_KEY, JSON, body=b'{"note":"why"}')
    sizes = [1, 30, whole.index(b"{") - 1, whole.index(b"{"), len(whole) - 1]
    with stopping_gateway(catalogue, Vendor()) as made, ExitStack() as stack:
        connections = [stack.enter_context(made.connect(whole[:size])) for size in sizes]
        made.stop()
        time.sleep(GRACE_SECONDS * 2)
        for connection, size in zip(connections, sizes, strict=True):
            connection.sendall(whole[size:])
            assert heard(connection) == (200, True)
            assert is_over(connection)


@given_time(0.3, 3.0, 15.0)
def test_of_several_requests_the_last_ends_the_connection(catalogue: Catalogue, seconds: float) -> None:
    """Requests sent one behind the other are all answered, also one that comes while the server stops."""
    with stopping_gateway(catalogue, Vendor(seconds)) as made, made.connect(ACT, ACT) as connection:
        made.wait_for_vendor()
        made.stop()
        connection.sendall(ACT)
        with connection.makefile("rb") as stream:
            answers = stream.read().split(b"HTTP/1.1 200")[1:]
    assert [b"connection: close" in each for each in answers] == [False, False, True]


def test_an_answer_is_waited_for_longer_than_the_grace(catalogue: Catalogue) -> None:
    """A slow action is answered after the grace, when new connections are no longer accepted."""
    with stopping_gateway(catalogue, Vendor(GRACE_SECONDS * 3)) as made, made.connect(ACT) as connection:
        made.wait_for_vendor()
        made.stop()
        assert heard(connection) == (200, True)
        with pytest.raises(ConnectionRefusedError):
            made.connect()


def test_who_waits_for_the_truth_is_answered_at_once(catalogue: Catalogue) -> None:
    """`Prefer: wait=60` ends when the server begins to stop, with what is known by then."""
    waiting = request("POST", CANCEL, API_KEY, ("Prefer", "wait=60"))
    with stopping_gateway(catalogue, Silent()) as made, made.connect(waiting) as first:
        made.wait_for_vendor()
        begun = made.stop()
        response = read_response(first)
        assert (response.status, response.json["outcome"]) == (202, "unknown")
        assert response.header("connection") == "close"
        look = request("GET", response.header("location") or "", API_KEY, ("Prefer", "wait=60"))
        with made.connect(look) as second:
            assert heard(second) == (200, True)
        assert time.monotonic() - begun < 60


def test_who_cannot_be_waited_for_is_told(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    """A request that outlasts the stop gets a problem, and its record stays unsettled in the ledger."""
    problems = Problems(catalogue)

    def told(connection: socket.socket) -> RawResponse:
        response = read_response(connection)
        problem = problems.check(response, dict(response.headers))
        assert (problem["code"], response.header("connection")) == ("interrupted", "close")
        assert is_over(connection)
        return response

    read = request("GET", JOB, API_KEY)
    with stopping_gateway(catalogue, Vendor(FOR_EVER), stop_seconds=0.8) as made:
        acting, reading, beginning = made.connect(ACT, LIVEZ), made.connect(read), made.connect(LIVEZ[:30])
        with acting, reading, beginning:
            made.wait_for_vendor(2)
            made.stop()
            answer = told(acting).json
            assert (answer["outcome"], answer["retryable"]) == ("unknown", False)
            assert told(reading).json["retryable"] is True
            assert told(beginning).json["retryable"] is True
            made.thread.join(PATIENCE)
            assert not made.thread.is_alive()
        (record,) = looked_after(made.ledger)
    assert (len(record.sent), record.conclusion) == (1, None)
    assert [each.getMessage() for each in caplog.records if each.levelname in {"WARNING", "ERROR"}] == [
        "stopped before 2 requests were answered."
    ]


def looked_after(ledger: MemoryLedger) -> tuple[JobActionRecord, ...]:
    """What somebody would look after in a while."""
    then = SystemClock().now() + timedelta(minutes=5)
    return asyncio.run(ledger.take_due(then, then, 10))


def test_newcomers_are_turned_away_before_the_door_is_closed() -> None:
    """Connections that were queued before the socket closes are accepted, and later ones are refused."""
    with listen(HOST, 0) as listening, listening.dup() as copy:
        place = listening.getsockname()
        with socket.create_connection(place) as waiting:
            attach_syn_filter(listening)
            if not has_syn_filter(copy):
                pytest.skip("this system cannot turn anybody away")
            with pytest.raises(TimeoutError):
                socket.create_connection(place, timeout=0.2)
            waiting.sendall(b"x")
            assert is_readable(copy)
            taken, _ = copy.accept()
            with taken:
                assert taken.recv(1) == b"x"
            assert not is_readable(copy)


@dataclass(frozen=True)
class BusyServer:
    """`jobgate serve` with a crowd before it."""

    process: subprocess.Popen[str]
    crowd: Crowd

    async def ends(self, tell: Callable[[], Awaitable[None]]) -> Tally:
        """What became of all requests, where something is told to stop while they come."""
        coming = asyncio.create_task(self.crowd.run(CLIENTS))
        await eventually(self.is_under_way)
        await tell()
        self.crowd.is_over = True
        return await coming

    async def is_under_way(self) -> bool:
        """Whether every client has had the time for a few requests."""
        return self.crowd.tally.answers.total() > 20 * CLIENTS

    async def stop(self) -> None:
        """Tell the server to stop, and see that it does: in time, without a fault, and without a word."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = await asyncio.to_thread(self.process.communicate, timeout=SECONDS)
        assert (self.process.returncode, said.strip()) == (0, "")

    async def stop_worker(self) -> None:
        """Tell one worker to stop, and see that it does."""
        worker, _ = children(self.process)
        os.kill(worker, signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: worker not in children(self.process))


@contextmanager
def busy_server(workers: int) -> Iterator[BusyServer]:
    """Serve with the sandbox."""
    with served("--sandbox", "--no-access-log", "--workers", str(workers)) as (process, url):
        host, port = url.removeprefix("http://").split(":")
        chance = random.Random(workers)  # noqa: S311 - no secret is made of it
        yield BusyServer(process, Crowd((host, int(port)), REQUESTS, chance))


@pytest.mark.timeout(900 * ROUNDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_no_answer_is_lost(workers: int) -> None:
    """Every request of which a byte was sent is answered, and the server stops in time."""
    for _ in range(ROUNDS):
        with busy_server(workers) as busy:
            tally = asyncio.run(busy.ends(busy.stop))
        assert tally.lost == []
        assert set(tally.answers) <= {200, 409}, tally
        assert (tally.goodbyes >= CLIENTS, tally.refused) == (True, 4 * CLIENTS), tally


@pytest.mark.timeout(900 * ROUNDS)
def test_a_worker_that_stops_loses_nothing() -> None:
    """If one of several workers stops, the others go on and no request is refused."""
    for _ in range(ROUNDS):
        with busy_server(2) as busy:
            tally = asyncio.run(busy.ends(busy.stop_worker))
        assert (tally.lost, tally.refused) == ([], 0)
        assert tally.goodbyes >= CLIENTS, tally
