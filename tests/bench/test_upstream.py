"""The vendor of the benchmark: it answers what is complete, after its time, and tells what it saw."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bench.servers import running_vendor
from bench.upstream import ANSWER, complete
from tests.support.patience import PATIENCE

POST = b"POST /a HTTP/1.1\r\nHost: vendor\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("received", "length"),
    [
        (b"", None),
        (b"GET /a HTTP/1.1\r\nHost: vendor\r\n", None),
        (b"GET /a HTTP/1.1\r\nHost: vendor\r\n\r\n", 33),
        (POST[:-1], None),
        (POST, len(POST)),
        (POST + b"POST", len(POST)),
        (POST.replace(b"Content-Length: ", b"content-length:"), len(POST) - 1),
    ],
)
def test_complete(received: bytes, length: int | None) -> None:
    """A request is complete when its head and as many bytes as it announced are there."""
    assert complete(received) == length


def test_it_answers_and_remembers(tmp_path: Path) -> None:
    """Requests that come in pieces or together are each answered, and `GET /last` is not counted."""
    with running_vendor(tmp_path, 0.0) as place:
        port = urlsplit(place.upstream).port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=PATIENCE) as connection:
            connection.sendall(POST + POST + POST[:20])
            connection.sendall(POST[20:])
            received = b""
            while len(received) < 3 * len(ANSWER):
                received += connection.recv(1_000)
        assert received == 3 * ANSWER
        assert requests.get(f"{place.upstream}/last", timeout=PATIENCE).json() == {
            "count": 3,
            "line": "POST /a HTTP/1.1",
            "headers": ["Host: vendor", "Content-Length: 2"],
            "body": "{}",
        }


def test_it_takes_its_time(tmp_path: Path) -> None:
    """An answer comes after the delay."""
    with running_vendor(tmp_path, 0.1) as place, requests.Session() as session:
        session.post(place.upstream, timeout=PATIENCE)
        before = time.monotonic()
        assert session.post(place.upstream, timeout=PATIENCE).json() == {}
        assert 0.09 < time.monotonic() - before < PATIENCE
