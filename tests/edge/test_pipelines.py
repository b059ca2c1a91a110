"""Pipelined requests whose answers nobody reads: few are parsed, and dropped ones are freed."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.serving.protocol import MOST_READ_AHEAD, EdgeProtocol
from tests.support.edge import CANCEL, JSON, LIMITS, MARK, Edge
from tests.support.raw import message, read_from, read_response
from tests.support.vendors import API_KEY

ASK = b"GET /openapi.json HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
CONNECTIONS, TIMES = 20, 200
BUSY = 20.0
"""Seconds by which a busy machine may be late."""


def alive(kind: type) -> int:
    """Count the objects of a kind, garbage that only the collector can free included, and frozen objects excluded."""
    return sum(type(each) is kind for each in gc.get_objects())


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes so while there is time."""
    end = time.monotonic() + BUSY
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


@contextmanager
def without_collector() -> Iterator[None]:
    """Collect no garbage until the end of the block, and leave out of `alive` what was there before, to be quick."""
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


@contextmanager
def deaf(edge: Edge, content: bytes) -> Iterator[socket.socket]:
    """A client that sends as much of this as is taken, and reads nothing."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((edge.client.host, edge.client.port))
        connection.settimeout(0)
        connection.send(content)
        yield connection


def test_what_waits_on_a_connection_is_bounded(edge: Edge) -> None:
    """Of many pipelined requests, only a few are parsed before they are answered."""
    with without_collector(), ExitStack() as stack:
        # A piece may hold several requests; the last one that was read is not counted where it is read to its end.
        most = CONNECTIONS * (MOST_READ_AHEAD + 2_048 // len(ASK) + 1)
        for _ in range(CONNECTIONS):
            stack.enter_context(deaf(edge, ASK * TIMES))
        edge.works()
        assert 0 < alive(RequestResponseCycle) <= most
        time.sleep(0.2)
        assert 0 < alive(RequestResponseCycle) <= most


@pytest.mark.parametrize("content", [ASK * TIMES, ASK * TIMES + b"GET /", (ASK[:-2] + b"X: y\r\n\r\n") * TIMES])
def test_dropped_requests_leave_nothing_for_the_garbage_collector(edge: Edge, content: bytes) -> None:
    """When a client leaves without reading, its connection, requests and replies are freed."""
    with without_collector():
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(CONNECTIONS):
                    stack.enter_context(deaf(edge, content))
                edge.works()
            assert eventually(lambda: (alive(RequestResponseCycle), alive(EdgeProtocol)) == (0, 0))


BODY = b'{"note":"why"}'
REFUSED = {
    "unknown-path": message("GET", f"/{MARK}"),
    "unauthenticated": message("GET", "/v1/vendors"),
    "misdirected": message("GET", "/livez").replace(b"/livez", b"/docs").replace(b"gateway.test", b"evil.test"),
    "method-not-allowed": message("PUT", "/v1/vendors", key=API_KEY),
    "malformed-request": message("POST", CANCEL, headers=[JSON], body=b"{", key=API_KEY),
    "unsupported-media-type": message("POST", CANCEL, body=BODY, key=API_KEY),
    "unknown-connection": message("POST", CANCEL.replace("contoso-prod", "nobodys"), key=API_KEY),
    "request-too-large": message("POST", CANCEL, headers=[JSON], body=b" " * (LIMITS.body_bytes + 1), key=API_KEY),
    "page": message("GET", "/docs"),
    "document": message("GET", "/openapi.json"),
    "no HTTP": b"\x00" * 50,
    "upgrade": message("POST", CANCEL, headers=[JSON, ("Upgrade", "h2c")], body=BODY, key=API_KEY).replace(
        b"Connection: close", b"Connection: Upgrade"
    ),
}


@pytest.mark.sampled(0.3, kind=lambda: None)
@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_no_kind_of_answer_leaves_requests_for_the_garbage_collector(edge: Edge, content: bytes) -> None:
    """After every kind of answer, the request and its connection are freed without the garbage collector."""
    gc.collect()
    others = alive(EdgeProtocol)  # such as a connection that a test before has kept to another gateway
    edge.client.send(content)
    assert eventually(lambda: alive(EdgeProtocol) <= others)
    with without_collector():
        for _ in range(10):
            edge.client.send(content)
        assert eventually(lambda: (alive(RequestResponseCycle), alive(EdgeProtocol)) == (0, 0))


def test_requests_that_wait_as_bytes_are_answered_in_turn(edge: Edge) -> None:
    """Once the client reads, it gets every answer complete and in order."""
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        asked = [b"/livez", b"/v1/vendors", b"/nope"] * 150
        connection.sendall(b"".join(ASK.replace(b"/openapi.json", each) for each in asked))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            statuses = [int(line.split()[1]) for line in stream if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [200, 401, 404] * 150


UPGRADES = {
    "HTTP/2": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "a web socket": "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "two at once": "Connection: upgrade\r\nUpgrade: TLS/1.2, h2c\r\n",
    "two fields": "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
}
ACT = f"POST {CANCEL} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {API_KEY}\r\n"
BODIES = {
    "sized": b'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"note":"why"}',
    "in chunks": b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'7\r\n{"note"\r\n7\r\n:"why"}\r\n0\r\nX-Trailer: y\r\n\r\n',
    "empty": b"Content-Length: 0\r\n\r\n",
    "none": b"\r\n",
}


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
@pytest.mark.parametrize("rest", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_an_upgrade_is_as_if_it_were_not_there(edge: Edge, upgrade: str, rest: bytes, size: int) -> None:
    """The body is read, and requests behind it are read as such, in whatever pieces they come (RFC 9110, 7.8)."""
    content = (ACT + upgrade).encode() + rest
    content += content
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = len(edge.transport.requests)
        for start in range(0, len(content), size):
            connection.sendall(content[start : start + size])
        with connection.makefile("rb") as stream:
            answers = [read_from(stream) for _ in range(2)]
    assert [each.status for each in answers] == [200, 200]
    assert [each.json["parameters"] for each in answers] == [{"note": "why"} if b"why" in rest else {}] * 2
    assert len(edge.transport.requests) == before + 2


CLOSING = ["Connection: close", "Connection: foo, close", "Connection: Upgrade, close\r\nUpgrade: h2c"]
CLOSING += ["Connection: Upgrade\r\nUpgrade: h2c\r\nConnection: close", "Connection: CLOSE"]


@pytest.mark.parametrize("fields", CLOSING)
def test_a_connection_ends_where_a_client_says_so(edge: Edge, fields: str) -> None:
    """`close` counts wherever it stands in Connection (RFC 9112, 9.6), beside an upgrade too."""
    request = f"{ACT}{fields}\r\n".encode() + BODIES["sized"]
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        connection.sendall(request)
        response = read_response(connection)
        assert (response.status, response.header("connection")) == (200, "close")
        assert connection.recv(1) == b""


HOP_BY_HOP = ["TE: trailers", "Keep-Alive: timeout=5, max=100", "Proxy-Connection: keep-alive", "Trailer: X-T"]
HOP_BY_HOP += [
    "Connection: keep-alive, X-Hop\r\nX-Hop: 1",
    "Via: 1.1 somebody",
    "Connection: Keep-Alive, TE\r\nTE: gzip",
]


@pytest.mark.parametrize("fields", HOP_BY_HOP)
@pytest.mark.parametrize("rest", BODIES.values(), ids=BODIES.keys())
def test_fields_of_the_connection_change_no_request(edge: Edge, fields: str, rest: bytes) -> None:
    """Hop-by-hop fields (RFC 9110, 7.6.1) change no request and leave the connection open."""
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        for _ in range(2):
            connection.sendall(f"{ACT}{fields}\r\n".encode() + rest)
            response = read_response(connection)
            assert (response.status, response.header("connection")) == (200, None)


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_a_body_may_be_asked_for_beside_an_upgrade(edge: Edge, upgrade: str) -> None:
    """`Expect: 100-continue` is answered first, and then the request."""
    head, _, body = BODIES["sized"].partition(b"\r\n\r\n")
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        connection.sendall(f"{ACT}{upgrade}Expect: 100-Continue\r\n".encode() + head + b"\r\n\r\n")
        assert connection.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_response(connection).json["parameters"] == {"note": "why"}


def test_a_tunnel_is_not_made(edge: Edge) -> None:
    """What follows CONNECT is meant for another server: nothing of it is read as a request."""
    before = len(edge.transport.requests)
    request = b"CONNECT /v1/vendors HTTP/1.1\r\nHost: gateway.test\r\n\r\n" + ACT.encode() + BODIES["none"]
    with socket.create_connection((edge.client.host, edge.client.port), timeout=BUSY) as connection:
        connection.sendall(request)
        assert read_response(connection).status == 400
        assert connection.recv(1) == b""
    assert len(edge.transport.requests) == before
