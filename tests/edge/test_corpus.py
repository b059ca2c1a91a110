"""The corpus against the unified API: every hostile request gets its answer, and a healthy one works right after it."""

from __future__ import annotations

import asyncio
import logging
import resource
import select
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from gateway.app import Catalogue
from gateway.domain.model import HttpReply, HttpRequest
from tests.edge.corpus import ACT_AND_STAY, CORPUS, ELSEWHERE, GOOD, JSON, NINE, STALLS, UNIFIED
from tests.support.corpus import Ending, Heard, Hostile, Surface, check, meet, responses, send
from tests.support.edge import LIMITS, MARK, Edge, serving
from tests.support.patience import PATIENCE, given_time
from tests.support.transport import FakeTransport
from tests.support.vendors import API_KEY, AZURE_JOB

ROOT = Path(__file__).parents[2]
SURFACE = Surface(
    host="gateway.test",
    key=API_KEY,
    base="/v1",
    read="/v1/connections",
    jobs="/v1/connections/contoso-prod/jobs",
    job=AZURE_JOB,
    verb="/cancel",
    member="note",
    body=b'{"note":"healthy"}',
)
REQUESTS = [hostile for tables in (CORPUS, UNIFIED) for table in tables.values() for hostile in table]
EVERYTHING = [*REQUESTS, *STALLS]
FINDINGS = {f"C{number}" for number in range(1, 22)}
AT_ONCE = 200
"""So many clients of each kind stall at the same time."""


class Recorder(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        """Nothing is logged yet."""
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.records.append(record)


@contextmanager
def listening_to_the_log() -> Iterator[list[logging.LogRecord]]:
    """Everything that is logged until the block ends."""
    recorder = Recorder()
    logging.getLogger().addHandler(recorder)
    try:
        yield recorder.records
    finally:
        logging.getLogger().removeHandler(recorder)


def check_log(records: list[logging.LogRecord]) -> None:
    """Hostile requests are not logged as errors, and neither their content nor the key is logged."""
    told = [record.getMessage() for record in records]
    assert [text for text, record in zip(told, records, strict=True) if record.levelno >= logging.ERROR] == []
    assert [text for text in told if MARK in text or API_KEY in text] == []


@pytest.mark.sampled(0.1, kind=lambda hostile: hostile.kind)
@pytest.mark.parametrize("hostile", REQUESTS, ids=str)
def test_a_hostile_request_gets_its_answer(edge: Edge, hostile: Hostile) -> None:
    """A hostile request gets its expected refusal, reaches no vendor, is not repeated, and spoils no later one."""
    with listening_to_the_log() as records:
        meet(edge, SURFACE, hostile)
    check_log(records)


@dataclass(frozen=True)
class Stalled:
    """The result of all stalling clients at once: what each received, the log, and the requests to vendors."""

    heard: Mapping[str, Heard]
    records: list[logging.LogRecord]
    vendor_requests: int


@pytest.fixture(scope="module")
def stalled(edge: Edge) -> Stalled:
    """All stalling clients, and then a healthy one."""
    before = len(edge.transport.requests)
    with listening_to_the_log() as records, ThreadPoolExecutor(len(STALLS)) as pool:
        heard = pool.map(partial(send, edge, SURFACE), STALLS)
        named = {hostile.name: each for hostile, each in zip(STALLS, heard, strict=True)}
        edge.works()
    return Stalled(named, records, len(edge.transport.requests) - before - 1)


@pytest.mark.parametrize("hostile", STALLS, ids=str)
def test_a_client_that_stalls_is_not_waited_for(edge: Edge, stalled: Stalled, hostile: Hostile) -> None:
    """A stalling client gets 408 if it has sent anything, its connection is closed, and the next request works."""
    check(stalled.heard[hostile.name], SURFACE, hostile, edge.problems)
    edge.works()


def test_clients_that_stall_are_no_error_of_ours(stalled: Stalled) -> None:
    """No vendor is asked for them, and however they leave, nothing is logged as an error."""
    assert stalled.vendor_requests == 0
    check_log(stalled.records)


def test_the_corpus_is_large_enough() -> None:
    """There are more than 400 requests, all different, each with a name of its own."""
    contents = {(SURFACE.fill(hostile.pieces), hostile.ending) for hostile in EVERYTHING}
    assert len(contents) == len({hostile.name for hostile in EVERYTHING}) == len(EVERYTHING)
    assert len(EVERYTHING) >= 400


def test_no_server_error_is_ever_expected() -> None:
    """Whatever a client sends, it is not answered 5xx."""
    statuses = {status for hostile in EVERYTHING for answer in hostile.answers for status in answer}
    assert max(status for status in statuses if status is not None) < 500


def test_every_finding_has_its_regression_cases() -> None:
    """Each defect of stock Connexion is held by a request of the corpus, or by the file that is named for it."""
    named = {finding for hostile in EVERYTHING for finding in hostile.findings}
    assert named | ELSEWHERE.keys() == FINDINGS
    assert [place for place in ELSEWHERE.values() if not (ROOT / place).is_file()] == []


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of many connections may be open in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 5 * AT_ONCE + 500
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard < 0 else min(needed, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@given_time(2.0, 10.0, 60.0)
def test_four_hundred_stalling_clients_hold_nobody_up(catalogue: Catalogue, many_files: None, seconds: float) -> None:
    """While 200 bodies and 200 header sections do not come, others are answered; then all 400 are told, and closed."""
    body, head = SURFACE.fill((ACT_AND_STAY + JSON + NINE, ACT_AND_STAY))
    limits = LIMITS.model_copy(update={"header_seconds": seconds, "body_seconds": seconds})
    with serving(catalogue, limits) as edge, ExitStack() as stack:
        address = (edge.client.host, edge.client.port)
        patience = seconds + PATIENCE
        connections = [stack.enter_context(socket.create_connection(address, patience)) for _ in range(2 * AT_ONCE)]
        for number, connection in enumerate(connections):
            connection.sendall(body if number % 2 else head)
        for _ in range(20):
            edge.works()
        assert answered(connections) == 0
        statuses = [status for connection in connections for status in heard_until_closed(connection)]
        assert statuses == [408] * 2 * AT_ONCE
        edge.works()


def answered(connections: list[socket.socket]) -> int:
    """The number of connections with data to read."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(poll.poll(0))


async def after_the_limits(transport: FakeTransport, request: HttpRequest, deadline: float) -> HttpReply:
    """A vendor that takes longer to answer than a client may to send a header section."""
    await asyncio.sleep(LIMITS.header_seconds + 0.3)
    return await FakeTransport.send(transport, request, deadline)


def test_what_stalls_after_a_good_request_does_not_take_its_answer(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action is answered when its vendor answers, whatever the client sends after it."""
    nexts = (b"", b"\r\n", b"P", ACT_AND_STAY, ACT_AND_STAY + JSON + NINE + b"{")
    pieces = [*((GOOD + more,) for more in nexts), *((GOOD, more) for more in nexts)]
    hostiles = [Hostile(f"{each}", each, (frozenset({200}),), pause=0.1) for each in pieces]
    monkeypatch.setattr(edge.transport, "send", partial(after_the_limits, edge.transport))
    with ThreadPoolExecutor(len(hostiles)) as pool:
        heard = pool.map(partial(send, edge, SURFACE), hostiles)
    firsts = [[response.status for response in each.responses][:1] for each in heard]
    assert firsts == [[200]] * len(hostiles)


def test_a_client_that_says_no_more_hears_of_its_action(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that half-closes its connection still gets the answer to its action, which is carried out."""
    monkeypatch.setattr(edge.transport, "send", partial(after_the_limits, edge.transport))
    heard = send(edge, SURFACE, Hostile("", (GOOD,), (frozenset({200}),), ending=Ending.HALF_CLOSES))
    assert [response.status for response in heard.responses] == [200]


def heard_until_closed(connection: socket.socket) -> list[int]:
    """The statuses of the responses on a connection that the server closes."""
    content = b""
    while piece := connection.recv(65_536):
        content += piece
    return [response.status for response in responses(content, Hostile("", (b"",), ())).responses]
