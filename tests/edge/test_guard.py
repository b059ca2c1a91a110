"""The guard by itself, for what no server on this machine would pass on to it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import RequestTooLarge
from gateway.edge.content import read_body
from gateway.edge.exchange import Message, RequestContext
from gateway.edge.guard import Guard, as_problem
from gateway.edge.limits import Limits
from gateway.edge.problems import render
from tests.support.edge import MARK

LIMITS = Limits(body_seconds=0.1)
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/x",
    "raw_path": b"/x",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [(b"host", b"gateway.test")],
}


class Inner:
    """An application that remembers what it was asked, and answers."""

    def __init__(self, *messages: Message) -> None:
        """Answer with these messages."""
        self.scopes: list[Any] = []
        self.messages = messages or (
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": b"body"},
        )

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer one request."""
        self.scopes.append(scope)
        for message in self.messages:
            if isinstance(message, Exception):
                raise message
            await send(message)


async def guarded(inner: Inner, scope: dict[str, Any], *received: Message) -> list[Message]:
    """What a guarded application sends for one request."""
    waiting, sent = iter([*received, {"type": "http.request", "body": b""}]), []

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    await Guard(inner, LIMITS, render, lambda _: ())(scope, receive, send)
    return sent


async def test_a_web_socket_goes_no_further() -> None:
    """The guard closes a web socket before the application sees it."""
    inner = Inner()
    assert await guarded(inner, {"type": "websocket", "path": "/x"}) == [{"type": "websocket.close"}]
    assert inner.scopes == []


async def test_the_servers_own_messages_pass() -> None:
    """Messages that are no requests, such as startup and shutdown, reach the application."""
    inner = Inner({"type": "lifespan.startup.complete"})
    assert await guarded(inner, {"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]


async def test_a_server_without_raw_paths() -> None:
    """Where a server gives no raw path, the decoded one is checked."""
    inner = Inner()
    scope = {**SCOPE, "raw_path": None, "path": "/a/../b"}
    (start, _) = await guarded(inner, scope)
    assert (start["status"], inner.scopes) == (400, [])


@pytest.mark.parametrize("announced", [b"9" * 20, b"9" * 5_000, b"65537"])
async def test_a_length_of_many_digits_is_too_large(announced: bytes) -> None:
    """A Content-Length that is too long to be a number is too large, and no error of ours."""
    with pytest.raises(RequestTooLarge):
        await read_body(Inner, {b"content-length": announced}, LIMITS)  # type: ignore[arg-type]


async def test_a_client_that_leaves_gets_no_answer() -> None:
    """A client that disconnects gets no answer, and no error is raised."""
    inner = Inner()
    assert await guarded(inner, SCOPE, {"type": "http.disconnect"}) == []
    assert inner.scopes == []


async def test_an_error_after_the_first_byte_adds_nothing() -> None:
    """Where a reply has begun, no second one is begun; the server ends the connection."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    sent = await guarded(Inner(start, RuntimeError(MARK)), SCOPE)  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_the_application_sees_one_form_of_every_request() -> None:
    """Method, type and length are rewritten to what the body is, whatever they were."""
    inner = Inner()
    headers = [
        *SCOPE["headers"],
        (b"content-type", b"Application/JSON ; Charset=UTF-8"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"999"),
        (b"x-kept", b"1"),
    ]
    await guarded(inner, {**SCOPE, "method": "HEAD", "headers": headers}, {"type": "http.request", "body": b"{}"})
    (scope,) = inner.scopes
    assert scope["method"] == "GET"
    assert scope["headers"] == [
        (b"host", b"gateway.test"),
        (b"x-kept", b"1"),
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
    ]


async def test_a_request_without_a_body_has_no_type() -> None:
    """The content type of an empty body is removed, so that no validation uses it."""
    inner = Inner()
    headers = [*SCOPE["headers"], (b"content-type", b"application/json")]
    await guarded(inner, {**SCOPE, "method": "POST", "headers": headers})
    assert inner.scopes[0]["headers"] == [(b"host", b"gateway.test"), (b"content-length", b"0")]


def test_a_foreign_error_is_ours() -> None:
    """An unexpected exception becomes `gateway-error` without the exception's text."""
    problem = as_problem(RuntimeError(MARK), "/", lambda _: ())
    assert render(problem, RequestContext()).status == 500
    assert MARK not in problem.detail
