"""Connections that are kept: used again, and never at the price of sending an action twice."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from tests.faults.server import CERTIFICATES
from tests.support.patience import FOR_EVER, PATIENCE, given_time
from tests.support.sender import Sender
from tests.support.server import Serve, answer, raw_server, silence

OK = answer(b"{}")
ONCE = answer(b"{}", "Connection: close")


def first_only(then: str) -> Serve:
    """Answer the first request of a connection, and do to the second what `then` says."""
    seen: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer not in seen:
            seen.add(writer)
            await OK(reader, writer)
        elif then == "reset":
            writer.transport.abort()
        else:
            writer.close()

    return serve


def first_only_answered(then_after: float = FOR_EVER) -> Serve:
    """Answer the first request of a connection at once, and the second after a time in seconds."""
    seen: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer in seen:
            await asyncio.sleep(then_after)
        seen.add(writer)
        await OK(reader, writer)

    return serve


async def test_a_connection_is_used_again(send: Sender) -> None:
    """One connection serves one request after the other."""
    async with raw_server(OK, each_request=True) as server:
        for _ in range(5):
            await send(server.url)
    assert (server.connections, len(server.requests)) == (1, 5)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("then", ["reset", "close"])
async def test_a_connection_that_ends_under_a_request_does_not_repeat_it(send: Sender, then: str, method: str) -> None:
    """A kept connection that breaks under a request: it was sent once, and the library sends it no second time."""
    async with raw_server(first_only(then), each_request=True) as server:
        await send(server.url + "/first")
        with pytest.raises(VendorReplyNotUnderstood):
            await send(server.url + "/second", method=method)
        await asyncio.sleep(0.05)
    assert server.targets == ["/first", "/second"]


async def test_a_connection_that_ended_before_is_not_used(send: Sender) -> None:
    """A connection that the vendor closed in the meantime costs nothing: the next action takes a new one."""
    async with raw_server(OK) as server:
        await send(server.url + "/first")
        await asyncio.sleep(0.05)
        assert (await send(server.url + "/second")).status == 200
    assert (server.targets, server.connections) == (["/first", "/second"], 2)


async def test_a_request_has_no_more_time_than_its_own(send: Sender) -> None:
    """On a connection whose last request had all the time there is, the next one gives up when its own is over."""
    async with raw_server(first_only_answered(), each_request=True) as server, asyncio.timeout(PATIENCE):
        await send(server.url + "/first", seconds=FOR_EVER)
        with pytest.raises(VendorTimedOut):
            await send(server.url + "/second", seconds=0.2)
    assert server.connections == 1


@given_time(0.5, 5.0, 30.0)
async def test_a_request_has_all_of_its_own_time(send: Sender, seconds: float) -> None:
    """It is not given up when the time of the request before it on the same connection is over."""
    async with raw_server(first_only_answered(then_after=1.2 * seconds), each_request=True) as server:
        await send(server.url + "/first", seconds=seconds)
        assert (await send(server.url + "/second", seconds=FOR_EVER)).status == 200
    assert server.connections == 1


@given_time(1.0, 10.0, 60.0)
async def test_a_vendor_that_hangs_does_not_hold_up_another(send: Sender, seconds: float) -> None:
    """While one vendor is silent, another is answered at once."""
    async with raw_server(silence) as slow, raw_server(OK, each_request=True) as quick:
        waiting = [asyncio.ensure_future(send(slow.url, seconds=seconds)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert (await send(quick.url, seconds=PATIENCE)).status == 200
        assert not any(each.done() for each in waiting)
        failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(failed, VendorTimedOut) for failed in failures)


async def test_a_transport_can_be_closed_and_used_again(send: Sender) -> None:
    """A closed transport can be used again with new connections."""
    await send.close()
    async with raw_server(OK, each_request=True) as server:
        await send(server.url)
        await send.close()
        await send(server.url)
    assert server.connections == 2


@pytest.mark.parametrize(
    "stray", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]
)
async def test_a_reply_to_nothing_is_nobodys_reply(send: Sender, stray: bytes) -> None:
    """A vendor that says something unasked on a kept connection does not answer the next request with it."""
    said = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal said
        said += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % said + (stray if said == 1 else b""))

    async with raw_server(serve, each_request=True) as server:
        first = await send(server.url)
        await asyncio.sleep(0.05)
        later = [(await send(server.url)).content for _ in range(3)]
    assert (first.content, later) == (b"1", [b"2", b"3", b"4"])


@pytest.mark.parametrize("stray", [b"HTTP/1.1 200 OK\r\n", b"\r\n", b"HTTP/1.1 408 No\r\nContent-Length: 0\r\n\r\n"])
async def test_a_connection_on_which_something_comes_unasked_is_ended(send: Sender, stray: bytes) -> None:
    """Whatever comes between two requests, it ends its connection: the rest of it could be taken for a reply."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await OK(reader, writer)
        await asyncio.sleep(0.02)
        writer.write(stray)

    async with raw_server(serve, each_request=True) as server:
        for _ in range(3):
            assert (await send(server.url)).content == b"{}"
            await asyncio.sleep(0.1)
    assert server.connections == 3


async def test_a_deadline_that_has_passed_is_kept_on_a_kept_connection_too(send: Sender) -> None:
    """With no time left nothing goes out, also where a connection is there already."""
    async with raw_server(answer(b"{}"), each_request=True) as server:
        await send(server.url)
        with pytest.raises(VendorUnreachable):
            await send(server.url, seconds=-1.0)
    assert len(server.requests) == 1


@pytest.fixture
def look_up(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A function that says which addresses `vendor.test` has; it gives the names that are looked up from then on."""

    def answer_with(*addresses: tuple[str, int]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
            asked.append(host)
            time.sleep(0.02)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", each) for each in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answer_with


async def test_a_name_is_looked_up_once_for_all(send: Sender, look_up: Callable[..., list[str]]) -> None:
    """Many requests at once share a lookup, and those that follow soon use what it found."""
    async with raw_server(OK) as server:
        asked = look_up(("127.0.0.1", server.port))
        await asyncio.gather(*(send("http://vendor.test/") for _ in range(20)))
        await send("http://vendor.test/")
        assert (len(asked), server.connections) == (1, 21)


async def test_a_lookup_that_failed_is_made_again(send: Sender, look_up: Callable[..., list[str]]) -> None:
    """A name that was not found is looked up again for the next request."""
    async with raw_server(OK) as server:
        look_up(("127.0.0.1", server.port))
        found = socket.getaddrinfo

        def fails(*_: object, **__: object) -> list[Any]:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", fails)
            with pytest.raises(VendorUnreachable, match="not found"):
                await send("http://vendor.test/")
        assert socket.getaddrinfo is found
        assert (await send("http://vendor.test/")).status == 200


async def test_an_address_that_refuses_is_passed_over(send: Sender, look_up: Callable[..., list[str]]) -> None:
    """Where one of several addresses refuses, another is taken."""
    async with raw_server(ONCE) as server:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            look_up(closed.getsockname(), ("127.0.0.1", server.port), closed.getsockname())
            for _ in range(6):
                assert (await send("http://vendor.test/")).status == 200
    assert len(server.requests) == 6


async def test_an_address_that_is_silent_is_not_waited_for(
    send: Sender, look_up: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of several addresses does not answer, the next one is tried soon (RFC 8305)."""
    connect, silent = BaseSelectorEventLoop.sock_connect, ("127.0.0.1", 9)

    async def sock_connect(loop: BaseSelectorEventLoop, sock: socket.socket, address: Any) -> None:
        await (asyncio.sleep(FOR_EVER) if address == silent else connect(loop, sock, address))

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", sock_connect)
    async with raw_server(ONCE) as server:
        look_up(("127.0.0.1", server.port), silent)
        for _ in range(4):
            assert (await send("http://vendor.test/")).status == 200


async def test_a_cancelled_request_takes_its_connection_along(send: Sender) -> None:
    """A reply that comes after nobody waits for it is not the reply to the next request."""
    replies = iter((b"1", b"2"))

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = next(replies)
        await asyncio.sleep(0.1 if content == b"1" else 0.0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + content)

    async with raw_server(serve, each_request=True) as server:
        first = asyncio.ensure_future(send(server.url))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await send(server.url)).content == b"2"
    assert server.connections == 2


async def test_an_early_reply_counts_and_its_connection_does_not(send: Sender) -> None:
    """A vendor may answer before it has read the request. The rest of that is not followed by another request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            await asyncio.sleep(FOR_EVER)
        finally:
            writer.transport.abort()

    connections = 0

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    tasks: list[asyncio.Future[None]] = []
    async with await asyncio.start_server(accepted, "127.0.0.1", 0, limit=1024) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(2):
            assert (await send(url, content=bytes(16 * 1024 * 1024))).status == 413
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
    assert connections == 2


async def test_a_connection_without_use_is_ended(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody used for a while is not kept."""
    monkeypatch.setattr("gateway.transport.connections.IDLE_SECONDS", 0.05)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await OK(reader, writer)
        assert await reader.read() == b""
        ended.set()

    async with raw_server(serve) as server:
        await send(server.url)
        await asyncio.wait_for(ended.wait(), PATIENCE)


def run(loop: str, main: Coroutine[Any, Any, None]) -> None:
    """Run on an event loop of this kind."""
    (uvloop.run if loop == "uvloop" else asyncio.run)(main)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_by_tls_too(loop: str, look_up: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of TLS is used again, and not if it has ended meanwhile, on either event loop."""
    monkeypatch.setattr(
        "gateway.transport.connections.trusting",
        lambda: ssl.create_default_context(cafile=CERTIFICATES / "authority.pem"),
    )
    speaking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    speaking.load_cert_chain(CERTIFICATES / "good.pem")
    stray = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await OK(reader, writer)
        if stray:
            await OK(reader, writer)

    async def main() -> None:
        nonlocal stray
        send = Sender()
        async with raw_server(serve, each_request=True, tls=speaking) as server:
            look_up(("127.0.0.1", server.port))
            for _ in range(3):
                assert (await send("https://vendor.test/")).status == 200
            assert server.connections == 1
            stray = True
            for _ in range(3):
                assert (await send("https://vendor.test/")).content == b"{}"
                await asyncio.sleep(0.05)
            assert (server.connections, len(server.requests)) == (3, 6)
        async with raw_server(OK, tls=speaking) as server:
            look_up(("127.0.0.1", server.port))
            await send.close()
            for _ in range(3):
                assert (await send("https://vendor.test/")).status == 200
                await asyncio.sleep(0.05)
            assert (server.connections, len(server.requests)) == (3, 3)
        await send.close()

    run(loop, main())
