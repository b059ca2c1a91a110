"""Vendors that are unreachable, silent or break off: the kind of failure, and how soon it comes."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc

import pytest

from gateway.domain.errors import VendorFailed, VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.transport.replies import LARGEST_REPLY
from tests.support.patience import PATIENCE, given_time
from tests.support.sender import NONE, Headers, Sender
from tests.support.server import Serve, answer, drip, endlessly, raw_server, reset_after, silence
from tests.support.server import send as sending

SOON = 0.3

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def failure(send: Sender, url: str, seconds: float = PATIENCE, headers: Headers = NONE) -> VendorFailed:
    """How a request fails, which must be in time."""
    start = time.monotonic()
    with pytest.raises(VendorFailed) as caught:
        await send(url, seconds=seconds, headers=headers)
    assert time.monotonic() - start < max(seconds, 0) + PATIENCE / 2
    return caught.value


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"http://127.0.0.1:{closed_port()}/", id="refused"),
        pytest.param("http://vendor.invalid/", id="no such host"),
        pytest.param("http://127.0.0.1:99999/", id="no such port"),
        pytest.param(f"http://{'a' * 70}.test/", id="no such name"),
        pytest.param("ftp://127.0.0.1/", id="no such scheme"),
        pytest.param("http:///", id="no host"),
    ],
)
async def test_where_nothing_listens_nothing_is_sent(send: Sender, url: str) -> None:
    """No connection: unreachable, which promises that nothing was sent."""
    assert type(await failure(send, url)) is VendorUnreachable


async def test_a_handshake_that_fails_sends_nothing(send: Sender) -> None:
    """A server that speaks no TLS where TLS is wanted is unreachable, and is sent no request."""
    async with raw_server(silence) as server:
        for scheme_answer in ("in time", "at once"):
            assert (
                type(await failure(send, f"https://127.0.0.1:{server.port}/{scheme_answer}", SOON)) is VendorUnreachable
            )
    assert server.requests == []


async def test_a_deadline_that_has_passed_sends_nothing(send: Sender) -> None:
    """With no time left, no request goes out."""
    async with raw_server(silence) as server:
        assert type(await failure(send, server.url, -1.0)) is VendorUnreachable
    assert server.requests == []


@pytest.mark.parametrize("serve", [silence, drip(HEAD + b"x" * 100)], ids=["silence", "drip"])
@given_time(0.3, 3.0, 30.0)
async def test_a_deadline_is_kept(send: Sender, serve: Serve, seconds: float) -> None:
    """A request ends with its deadline, and but a part of that time later. The best of three counts."""
    late = []
    async with raw_server(serve) as server:
        for _ in range(3):
            start = time.monotonic()
            await failure(send, server.url, seconds)
            late.append(time.monotonic() - start - seconds)
    assert -0.05 < min(late) < 0.8 * seconds


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(silence, id="silence"),
        pytest.param(drip(HEAD), id="the headers drip"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n" + b"X-Y: 1\r\n" * 100), id="headers without end"),
        pytest.param(endlessly(b"x", HEAD[:-2]), id="a header without end"),
        pytest.param(endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n"), id="interim responses without end"),
    ],
)
async def test_no_answer_is_a_time_out(send: Sender, serve: Serve) -> None:
    """Silence and incomplete replies end at the deadline, and the request may have been acted on."""
    async with raw_server(serve) as server:
        problem = await failure(send, server.url, SOON)
    assert isinstance(problem, VendorTimedOut | VendorReplyNotUnderstood)
    assert len(server.requests) == 1


@pytest.mark.parametrize("slow", [drip(HEAD + b"x" * 100), drip(CHUNKED + b"1\r\nx\r\n" * 100)])
async def test_a_body_that_drips_is_a_time_out(send: Sender, slow: Serve) -> None:
    """Single bytes of a body do not extend the deadline."""
    async with raw_server(slow) as server:
        assert type(await failure(send, server.url, SOON)) is VendorTimedOut


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(sending(b""), id="closed without a reply"),
        pytest.param(reset_after(b""), id="reset without a reply"),
        pytest.param(sending(b"HTTP/1.1 200 OK\r\nContent-"), id="closed in the headers"),
        pytest.param(reset_after(HEAD), id="reset after the headers"),
        pytest.param(reset_after(HEAD + b"abc"), id="reset in the body"),
        pytest.param(sending(HEAD + b"abc"), id="closed in the body"),
        pytest.param(sending(CHUNKED + b"5\r\nabc"), id="closed in a chunk"),
        pytest.param(sending(CHUNKED + b"ZZ\r\nabc\r\n"), id="a chunk of no size"),
        pytest.param(sending(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), id="no HTTP"),
        pytest.param(sending(b"{}"), id="HTTP 0.9"),
        pytest.param(sending(b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"), id="no status"),
        pytest.param(sending(HEAD[:-2] + b"Content-Length: 3\r\n\r\nabc"), id="two lengths"),
        pytest.param(sending(HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), id="a length and chunks"),
        pytest.param(sending(b"HTTP/1.1 200 OK\r\n" + b"X-Y: 1\r\n" * 10_000 + b"\r\n"), id="10,000 headers"),
        pytest.param(sending(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), id="a header of 100 kB"),
        pytest.param(answer(b"no gzip", "Content-Encoding: gzip"), id="no gzip"),
        pytest.param(endlessly(b"10000\r\n" + b"x" * 65_536 + b"\r\n", CHUNKED), id="a body without end"),
    ],
)
async def test_a_reply_that_cannot_be_read(send: Sender, serve: Serve) -> None:
    """A reply that breaks off or breaks the rules is told as one: the request may have been acted on."""
    async with raw_server(serve) as server:
        assert type(await failure(send, server.url)) is VendorReplyNotUnderstood
    assert len(server.requests) == 1


@pytest.mark.parametrize("more", [0, 1])
async def test_the_largest_reply(send: Sender, more: int) -> None:
    """A reply of the largest size is read, one byte more is not."""
    async with raw_server(answer(b"x" * (LARGEST_REPLY + more))) as server:
        if more:
            assert type(await failure(send, server.url)) is VendorReplyNotUnderstood
        else:
            assert len((await send(server.url)).content) == LARGEST_REPLY


async def test_a_small_reply_that_swells_is_not_read_to_its_end(send: Sender) -> None:
    """The size counts after decoding, and no more than that is ever held: 100 kB that become 100 MB are refused."""
    bomb = gzip.compress(b"\0" * 100 * 1024 * 1024, compresslevel=9)
    async with raw_server(answer(bomb, "Content-Encoding: gzip")) as server:
        tracemalloc.start()
        try:
            problem = await failure(send, server.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert type(problem) is VendorReplyNotUnderstood
    assert peak < 5 * LARGEST_REPLY


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b"])
async def test_a_header_that_would_be_two_is_not_sent(send: Sender, value: str) -> None:
    """A line break in a header's value is refused before anything goes out."""
    async with raw_server(answer(b"{}")) as server:
        await failure(send, server.url, headers={"Authorization": value})
    assert server.requests == []


async def test_one_bad_request_does_not_spoil_the_next(send: Sender) -> None:
    """After every kind of failure the same transport still works."""
    for serve in (sending(b""), reset_after(HEAD), sending(b"SSH-2.0\r\n\r\n"), silence):
        async with raw_server(serve) as server:
            await failure(send, server.url, SOON)
        async with raw_server(answer(b"{}")) as server:
            assert (await send(server.url)).status == 200
