"""Connections that are kept: used again, and never at the price of sending an action twice."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from tests.support.patience import PATIENCE, given_time
from tests.support.sender import Sender
from tests.support.server import Serve, answer, raw_server, silence

OK = answer(b"{}")


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


async def test_a_deadline_that_has_passed_is_kept_on_a_kept_connection_too(send: Sender) -> None:
    """With no time left nothing goes out, also where a connection is there already."""
    async with raw_server(answer(b"{}"), each_request=True) as server:
        await send(server.url)
        with pytest.raises(VendorUnreachable):
            await send(server.url, seconds=-1.0)
    assert len(server.requests) == 1
