"""Connections: a header section has an end in bytes and in time, and what is no HTTP is refused with a problem."""

from __future__ import annotations

import gc
import select
import socket
import time

import pytest

from gateway.app import Catalogue
from gateway.serving.protocol import LINGER_SECONDS, EdgeProtocol
from tests.support.edge import CANCEL, JSON, LIMITS, MARK, Edge, serving
from tests.support.patience import PATIENCE
from tests.support.raw import message, read_response
from tests.support.vendors import API_KEY

HEAD = b"GET /livez HTTP/1.1\r\nHost: gateway.test\r\n"


def connected(edge: Edge) -> socket.socket:
    """A connection to the gateway."""
    return socket.create_connection((edge.client.host, edge.client.port), timeout=PATIENCE)


@pytest.mark.parametrize("part", [b"G", b"GET /live", HEAD[:-2], HEAD, HEAD + b"X: ", HEAD + b"X: y\r\n\r"])
def test_a_header_section_that_does_not_end(edge: Edge, part: bytes) -> None:
    """A client that stops before its header section is complete is told 408, after the seconds of the setting."""
    start = time.monotonic()
    edge.refused("request-too-slow", lambda: edge.client.send(part))
    assert LIMITS.header_seconds <= time.monotonic() - start


@pytest.mark.parametrize("part", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_client_that_says_nothing(edge: Edge, part: bytes) -> None:
    """A connection on which no request begins is closed without an answer."""
    with connected(edge) as connection:
        connection.sendall(part)
        assert connection.recv(1_000) == b""
    edge.works()


def test_dripping_is_not_a_way_to_stay(edge: Edge) -> None:
    """The time limit holds for the whole header section, so that single bytes do not extend it."""
    with connected(edge) as connection:
        connection.sendall(HEAD)
        end = time.monotonic() + PATIENCE
        while not can_be_read(connection, LIMITS.header_seconds / 5) and time.monotonic() < end:
            connection.sendall(b"X")
        assert can_be_read(connection, 0), "it may stay"
        assert read_response(connection).status == 408
    edge.works()


def test_empty_lines_are_not_a_way_to_stay(edge: Edge) -> None:
    """Empty lines between requests (RFC 9112, 2.2) do not keep an idle connection open."""
    with connected(edge) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert read_response(connection).status == 200
        end = time.monotonic() + PATIENCE
        while not can_be_read(connection, LIMITS.header_seconds / 5) and time.monotonic() < end:
            connection.sendall(b"\r\n")
        assert can_be_read(connection, 0), "it may stay"
    edge.works()


def can_be_read(connection: socket.socket, seconds: float) -> bool:
    """Whether something comes within some seconds, be it the end of the connection."""
    return bool(select.select([connection], [], [], seconds)[0])


@pytest.mark.parametrize("endless", [b"GET /" + b"a" * 100, HEAD + b"X: " + b"x" * 100, HEAD + b"X-Y: z\r\n" * 20])
def test_a_header_section_without_end(edge: Edge, endless: bytes) -> None:
    """An endless header section is refused early and not kept in memory."""
    filler = b"x" * 8_192 if not endless.endswith(b"\n") else b"X-Y: z\r\n" * 1_024
    with connected(edge) as connection:
        connection.sendall(endless + filler * 100)
        assert read_response(connection).status == (414 if endless.startswith(b"GET /a") else 431)
        # What still comes is taken for a moment, so that the answer is not lost, and then no longer.
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            send_for_ever(connection, filler)
    edge.works()


def send_for_ever(connection: socket.socket, content: bytes) -> None:
    """Send until the connection is gone; in vain after some time."""
    end = time.monotonic() + LINGER_SECONDS + PATIENCE
    while time.monotonic() < end:
        connection.sendall(content)


def test_a_large_head_is_told_why(edge: Edge) -> None:
    """A header section that is a little too large gets 431 while it is still incomplete."""
    with connected(edge) as connection:
        connection.sendall(HEAD)
        for _ in range(5):
            connection.sendall(b"X-Y: " + b"z" * 8_000 + b"\r\n")
            time.sleep(0.02)
        assert read_response(connection).status == 431
    edge.works()


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.9\r\n",
    b"GET /livez\r\n\r\n",
    b"GET /livez HTTP/3.7\r\nHost: gateway.test\r\n\r\n",
    b"get /livez HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    HEAD + b"Bad Header: x\r\n\r\n",
    HEAD + f": {MARK}\r\n\r\n".encode(),
    b"\x00" * 50,
]


@pytest.mark.parametrize("content", NO_HTTP)
def test_what_is_no_http_is_refused_with_a_problem(edge: Edge, content: bytes) -> None:
    """Bytes that are no HTTP/1.1 get a problem of the catalogue, and the connection is closed."""
    edge.refused("malformed-request", lambda: edge.client.send(content))
    assert edge.client.send(content).header("connection") == "close"


def test_a_body_of_the_largest_size_is_no_large_head(edge: Edge) -> None:
    """A body of the largest size does not count as header section, nor does the next request."""
    body = b'{"note":"why"}'.ljust(LIMITS.body_bytes)
    request = message("POST", CANCEL, headers=[JSON], body=body, key=API_KEY).replace(b"Connection: close\r\n", b"")
    with connected(edge) as connection:
        for _ in range(3):
            connection.sendall(request)
            assert read_response(connection).status == 200
        connection.sendall(request + request)
        assert [read_response_of_two(connection), b""] == [b"200200", b""]


def read_response_of_two(connection: socket.socket) -> bytes:
    """The statuses of two pipelined responses."""
    statuses = b""
    content = b""
    while len(statuses) < 6:
        content += connection.recv(65_536)
        statuses = b"".join(part[:3] for part in content.split(b"HTTP/1.1 ")[1:])
    return statuses


def test_the_access_log_of_one_server_is_its_own_matter(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """A server in the background logs no requests."""
    edge.works()
    assert [record for record in caplog.records if record.name == "uvicorn.access"] == []


def test_trailer_fields_are_no_header_fields(edge: Edge) -> None:
    """Fields after a chunked body do not count as header fields (RFC 9110, 6.5.1): none of them is a key."""
    start = f"POST {CANCEL} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    kind = "Content-Type: application/json\r\n"
    trailer = f"Authorization: Bearer {API_KEY}\r\n"
    body = "e\r\n" + '{"note":"why"}' + "\r\n0\r\n"
    edge.refused("unauthenticated", lambda: edge.client.send(f"{start}{kind}\r\n{body}{trailer}\r\n".encode()))
    twice = f"{start}{kind}{trailer}\r\n{body}{trailer}Content-Type: text/plain\r\nPrefer: handling=strict\r\n\r\n"
    response = edge.client.send(twice.encode())
    assert (response.status, response.json["parameters"]) == (200, {"note": "why"})
    assert response.header("preference-applied") is None


def test_a_client_that_does_not_read_is_let_go(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    """A client that never reads is disconnected without an error, and others are still answered."""
    with serving(catalogue, LIMITS.model_copy(update={"reply_seconds": 0.5})) as edge:
        let_go(edge)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def let_go(edge: Edge) -> None:
    """Be such a client."""
    request = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
    whole = len(edge.client.send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).body)
    times = 40
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect((edge.client.host, edge.client.port))
        deaf.sendall(request * times)
        edge.works()
        time.sleep(2)
        deaf.settimeout(PATIENCE)
        received = 0
        try:
            while content := deaf.recv(1_000_000):
                received += len(content)
        except ConnectionResetError:
            pass
        assert received < whole * times
    edge.works()


def test_an_answer_is_heard_by_a_client_that_has_finished(edge: Edge) -> None:
    """A client that closes its side after its request is answered all the same, and then the connection is closed."""
    with connected(edge) as connection:
        connection.sendall(message("POST", CANCEL, key=API_KEY).replace(b"Connection: close\r\n", b""))
        connection.shutdown(socket.SHUT_WR)
        assert read_response(connection).json["outcome"] == "applied"
        assert connection.recv(1) == b""


async def test_a_reply_cannot_be_split(edge: Edge) -> None:
    """A line break in a header field of a reply is an error of ours and never reaches the client."""
    protocol = EdgeProtocol.__new__(EdgeProtocol)
    for value in (b"a\r\nset-cookie: b", b"a\rb", b"a\nb", b"a\x00b"):
        with pytest.raises(ValueError, match="control character"):
            protocol._write(200, [(b"x", value)], b"", ends=False)


def test_a_request_leaves_nothing_for_the_garbage_collector(edge: Edge) -> None:
    """A request's objects are freed without the garbage collector."""
    request = message("POST", CANCEL, headers=[JSON], body=b'{"note":"why"}', key=API_KEY)
    request = request.replace(b"Connection: close\r\n", b"")
    with connected(edge) as connection:

        def ask(times: int) -> None:
            for _ in range(times):
                connection.sendall(request)
                assert read_response(connection).status == 200

        ask(20)
        gc.collect()
        gc.disable()
        try:
            ask(100)
            assert gc.collect() < 100
        finally:
            gc.enable()


@pytest.mark.parametrize(("target", "key", "status"), [("/livez", None, 200), ("/v1/vendors", None, 401)])
def test_every_answer_is_heard_by_a_client_that_has_finished(
    edge: Edge, target: str, key: str | None, status: int
) -> None:
    """An immediate answer also reaches a client that has already closed its side."""
    request = message("GET", target, key=key).replace(b"Connection: close\r\n", b"")
    for _ in range(30):
        with connected(edge) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert read_response(connection).status == status


def test_a_rest_does_not_cost_the_answer(edge: Edge) -> None:
    """A stray byte after a good action, and then the end, leave the action its answer."""
    request = message("POST", CANCEL, key=API_KEY).replace(b"Connection: close\r\n", b"")
    for _ in range(10):
        with connected(edge) as connection:
            connection.sendall(request + b"P")
            connection.shutdown(socket.SHUT_WR)
            assert read_response(connection).json["outcome"] == "applied"


def test_a_content_type_is_read_in_linear_time(edge: Edge) -> None:
    """Many semicolons in a Content-Type cost no time: a key is not even needed to send them."""
    start = time.process_time()
    kind = "application/json" + ";  " * 4_000 + "@"
    edge.refused("unsupported-media-type", lambda: edge.cancel(b"{}", ("Content-Type", kind)))
    assert time.process_time() - start < 5
