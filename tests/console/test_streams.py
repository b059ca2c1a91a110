"""Long bodies, such as reports, which the console passes on while the API makes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from gateway.console.api import AHEAD, ApiClient, Refused
from gateway.edge.exchange import Application, Receive, Scope, Send

SECONDS = 30
Body = Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]


def client_of(application: Application) -> ApiClient:
    """A client of an application, in the running event loop."""
    scope: Any = {"asgi": {}, "http_version": "1.1", "scheme": "http", "headers": []}
    return ApiClient(application, asyncio.get_running_loop(), scope, "key")


def client(body: Body, status: int = 200) -> ApiClient:
    """A client of an application that answers with a body."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/csv")]})
        await body(lambda piece: send({"type": "http.response.body", "body": piece, "more_body": True}))
        await send({"type": "http.response.body", "body": b""})

    return client_of(application)


async def test_a_piece_is_read_before_the_next_is_made() -> None:
    """The first piece can be read while the API has not made the second yet."""
    is_read = threading.Event()

    async def body(put: Callable[[bytes], Awaitable[None]]) -> None:
        await put(b"first")
        assert await asyncio.to_thread(is_read.wait, SECONDS)
        await put(b"second")

    def read(api: ApiClient) -> list[bytes]:
        pieces = api.stream("/report").pieces()
        found = [next(pieces)]
        is_read.set()
        return [*found, *pieces]

    assert await asyncio.to_thread(read, client(body)) == [b"first", b"second", b""]


async def test_the_api_waits_for_a_slow_reader() -> None:
    """Only a few pieces are made ahead, and none after the reader has gone."""
    made: list[int] = []
    has_ended = asyncio.Event()

    async def body(put: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            for number in range(1_000):
                await put(b"x")
                made.append(number)
        finally:
            has_ended.set()

    streamed = await asyncio.to_thread(client(body).stream, "/report")
    streamed.close()
    await asyncio.wait_for(has_ended.wait(), SECONDS)
    assert len(made) <= AHEAD


async def test_a_refusal_is_no_body() -> None:
    """A problem is raised before anything is passed on."""

    async def body(put: Callable[[bytes], Awaitable[None]]) -> None:
        await put(b'{"status": 409, "detail": ')
        await put(b'"not yet"}')

    with pytest.raises(Refused, match="not yet"):
        await asyncio.to_thread(client(body, 409).stream, "/report")


async def test_a_failure_cuts_the_body_short() -> None:
    """If the API fails midway, so does the reader: half a report never looks like a whole one."""

    async def body(put: Callable[[bytes], Awaitable[None]]) -> None:
        await put(b"half")
        raise ConnectionError("the database is gone")

    streamed = await asyncio.to_thread(client(body).stream, "/report")
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(list, streamed.pieces())


async def test_a_body_without_its_end_is_a_failure() -> None:
    """The guard swallows what goes wrong after the first piece: a body is whole only if its end has come."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    streamed = await asyncio.to_thread(client_of(application).stream, "/report")
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(list, streamed.pieces())


async def test_a_reader_that_goes_leaves_no_task_behind() -> None:
    """The guard swallows a cancellation, too: the request ends, although nobody takes what it has made."""
    is_full = asyncio.Event()
    before = asyncio.all_tasks()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with suppress(asyncio.CancelledError):
            for number in range(AHEAD + 1):
                if number == AHEAD:
                    is_full.set()
                await send({"type": "http.response.body", "body": b"x", "more_body": True})

    streamed = await asyncio.to_thread(client_of(application).stream, "/report")
    await asyncio.wait_for(is_full.wait(), SECONDS)
    (asked,) = asyncio.all_tasks() - before
    streamed.close()
    _, left = await asyncio.wait({asked}, timeout=SECONDS)
    assert not left
