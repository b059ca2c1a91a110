"""Requests go out exactly as built: path, query, headers and body."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.model import HttpRequest
from gateway.transport.http import written
from tests.support.sender import Sender
from tests.support.server import answer, raw_server

OK = answer(b"{}")

TARGETS = [
    "/routing/jobs/a%3Ab:cancel?api-version=2023-11-01",
    "/routing/jobs/%C3%A9%E2%82%AC%F0%9F%98%80:cancel",
    "/a%2Fb/%5C/%2E%2E/%00",
    "/a/../b/./c//d",
    "/%7E~;,=$&'()*+!@:?q=%2B+%20%26&empty=&q=2&%3D",
    "/%c3%a9%zz",
    "/?",
    "/",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_path_and_query_are_untouched(send: Sender, method: str, target: str) -> None:
    """No part of the target is decoded, encoded, sorted or resolved on its way."""
    async with raw_server(OK) as server:
        await send(server.url + target, method)
    assert server.targets == [target]


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_encoded_addresses_are_left_alone(text: str) -> None:
    """Any encoded text stays as it is in path and query: the signature is over what will be sent."""
    target = f"/routing/jobs/{quote(text, safe='')}:cancel?api-version=2023-11-01&x={quote(text, safe='')}"
    origin, content = written(HttpRequest("POST", f"https://contoso.test{target}", {}))
    assert origin == "https://contoso.test"
    assert content.startswith(f"POST {target} HTTP/1.1\r\nHost: contoso.test\r\n".encode())


async def test_nothing_is_added_but_what_http_needs(send: Sender) -> None:
    """Beside our own headers there are host, length, and what the library can read; no type, no name of its own."""
    async with raw_server(OK) as server:
        headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
        await send(server.url, content=b"abc", headers=headers)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert sorted(names) == [
        b"accept-encoding",
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
    ]
    assert body == b"abc"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_without_a_body_has_none(send: Sender, method: str) -> None:
    """No body and no type are sent; a POST says that its body is empty, as HTTP wants it."""
    async with raw_server(OK) as server:
        await send(server.url, method)
    head, _, body = server.requests[0].lower().partition(b"\r\n\r\n")
    assert (body, b"content-type" in head, b"transfer-encoding" in head) == (b"", False, False)
    assert (b"content-length: 0" in head) == (method == "POST")


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("contoso.test:80", "contoso.test:80"),
        ("contoso.test", "contoso.test"),
        ("Contoso.Test:8080", "Contoso.Test:8080"),
    ],
)
async def test_the_host_is_the_one_that_is_signed(
    send: Sender, monkeypatch: pytest.MonkeyPatch, authority: str, host: str
) -> None:
    """The Host header is the authority of the URL, also where its port is the usual one: signatures cover it."""
    async with raw_server(OK) as server:

        def look_up(*_: object, **__: object) -> list[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", server.port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        await send(f"http://{authority}/")
    assert f"\r\nHost: {host}\r\n".encode() in server.requests[0]
    assert server.requests[0].lower().count(b"\r\nhost:") == 1


async def test_the_reply_comes_as_it_is(send: Sender) -> None:
    """Status, headers by lower-case name, and the body: also where the status is an error."""
    async with raw_server(answer(b"\x00\xff", "Retry-After: 7", "Trace-ID: t", status="503 Oops")) as server:
        reply = await send(server.url)
    assert (reply.status, reply.content) == (503, b"\x00\xff")
    assert reply.headers == {"retry-after": "7", "trace-id": "t", "content-length": "2"}
