"""The outermost layer: bytes become one canonical request, or a refusal; and nothing that goes wrong gets past it.

Every finding about stock Connexion that concerns bytes rather than schemas is answered here: content types in any case,
chunked bodies, bad UTF-8, HEAD, stalled bodies, paths that two routers read differently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import uuid_utils
from starlette.exceptions import HTTPException

from gateway.domain.errors import (
    Explanation,
    FieldError,
    GatewayError,
    JobgateError,
    MalformedRequest,
    MethodNotAllowed,
    RequestTooLarge,
    RequestTooSlow,
    Unauthenticated,
    UnknownPath,
    UnsupportedMediaType,
)
from gateway.domain.model import Json
from gateway.edge import canonical, strict_json
from gateway.edge.limits import Limits

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTEXT = "jobgate"
"""Under this name of an ASGI scope's extensions the request's context travels."""

_MOST_DIGITS = 19
"""A Content-Length of more digits is too large whatever it says, and too long to be read as a number."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


@dataclass
class RequestContext:
    """What the edge learns about one request, for everybody behind it.

    `body` is the parsed JSON body where `has_json`; `parts` the validated `{path, query, header, body}`; `caller` who
    asks.
    """

    method: str = ""
    path: str = ""
    id: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    media_type: str | None = None
    content: bytes = b""
    body: Json = None
    parts: Mapping[str, Json] = field(default_factory=dict)
    caller: str = ""


@dataclass(frozen=True)
class RawReply:
    """A reply, ready for the wire."""

    status: int
    headers: Mapping[str, str]
    content: bytes


Render = Callable[[JobgateError, RequestContext], RawReply]
"""How a surface shows a problem: each in its own words."""

AllowedMethods = Callable[[str], tuple[str, ...]]
"""The methods that the API has at a path; none where it has no such path."""

PAGE_METHODS = ("GET", "HEAD")
"""The methods of every page outside the API."""


class Guard:
    """An ASGI application that puts the edge around another."""

    def __init__(self, app: Application, limits: Limits, render: Render, allow: AllowedMethods) -> None:
        """Guard `app`. `render` shows refusals, `allow` tells 404 from 405."""
        self.app = app
        self.limits = limits
        self.render = render
        self.allow = allow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(scope["method"], scope["path"])
        wire = Wire(send, context.id, head=scope["method"] == "HEAD")
        try:
            await self._serve(scope, receive, wire, context)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the one place where nothing may get past
            await self._refuse(as_problem(error, scope, self.allow), context, wire)

    async def _serve(self, scope: Scope, receive: Receive, wire: Wire, context: RequestContext) -> None:
        path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        canonical.check_target(path, query, self.limits)
        canonical.check_path(path)
        canonical.check_query(query)
        canonical.check_headers(scope["headers"], self.limits)
        context.content = await read_body(receive, scope["headers"], self.limits)
        context.media_type = media_type(scope["headers"], context.content)
        if context.media_type is not None and is_json(context.media_type):
            context.body = parse_body(context.content, self.limits)
        await self.app(canonical_scope(scope, context), replay(context.content, receive), wire.send)

    async def _refuse(self, problem: JobgateError, context: RequestContext, wire: Wire) -> None:
        if not wire.started:
            await write(wire.send, self._rendered(problem, context))

    def _rendered(self, problem: JobgateError, context: RequestContext) -> RawReply:
        try:
            return self.render(problem, context)
        except Exception as error:  # noqa: BLE001 - a problem that cannot be shown is a problem too
            return self.render(unexpected(error), context)


class Wire:
    """The way back to the client: names the request in every reply, and sends no body to HEAD."""

    def __init__(self, send: Send, request_id: str, *, head: bool) -> None:
        """Wrap the server's own `send`."""
        self._send = send
        self._request_id = request_id.encode()
        self._head = head
        self.started = False

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on."""
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


async def write(send: Send, reply: RawReply) -> None:
    """Send a whole reply."""
    headers = {**reply.headers, "content-length": str(len(reply.content))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.content})


async def read_body(receive: Receive, headers: canonical.Headers, limits: Limits) -> bytes:
    """The whole body. Raises RequestTooLarge, RequestTooSlow or ClientGone."""
    announced = header(headers, b"content-length") or b"0"
    if announced.isdigit() and (len(announced) > _MOST_DIGITS or int(announced) > limits.body_bytes):
        raise RequestTooLarge(f"The body has more than {limits.body_bytes} bytes.")
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _receive_all(receive, limits)
    except TimeoutError:
        raise RequestTooSlow(f"The body did not arrive within {limits.body_seconds:g} seconds.") from None


async def _receive_all(receive: Receive, limits: Limits) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > limits.body_bytes:
            raise RequestTooLarge(f"The body has more than {limits.body_bytes} bytes.")
    return content


def media_type(headers: canonical.Headers, content: bytes) -> str | None:
    """The body's media type in lower case, None without a body. Raises UnsupportedMediaType."""
    if not content:
        return None
    if (header(headers, b"content-encoding") or b"identity").lower() != b"identity":
        raise UnsupportedMediaType("The body has a content encoding. Send it without.")
    declared = (header(headers, b"content-type") or b"").decode("latin-1")
    kind, *parameters = (part.strip().lower() for part in declared.split(";"))
    if not kind:
        raise UnsupportedMediaType("The body has no Content-Type.")
    for parameter in parameters:
        if parameter.startswith("charset=") and parameter.strip('"').removeprefix("charset=").strip('"') != "utf-8":
            raise UnsupportedMediaType("The body is in another charset than UTF-8.")
    return kind


def is_json(kind: str) -> bool:
    """Whether a media type is JSON, or a format on top of it (RFC 6839)."""
    return kind == "application/json" or kind.endswith("+json")


def parse_body(content: bytes, limits: Limits) -> Json:
    """The body's JSON value. Raises MalformedRequest."""
    try:
        return strict_json.parse(content, limits)
    except strict_json.StrictJsonError as error:
        raise MalformedRequest(
            f"The body of the request {error}.", Explanation(errors=(FieldError("/body", str(error)),))
        ) from None


def canonical_scope(scope: Scope, context: RequestContext) -> Scope:
    """The request as everybody behind the edge sees it: sized, its content type in lower case, HEAD as GET."""
    rewritten = {b"content-length", b"content-type", b"transfer-encoding"}
    headers = [(name, value) for name, value in scope["headers"] if name not in rewritten]
    if context.media_type is not None:
        headers.append((b"content-type", context.media_type.encode("latin-1")))
    if context.media_type is not None or scope["method"] in {"POST", "PUT", "PATCH"}:
        headers.append((b"content-length", str(len(context.content)).encode()))
    return {
        **scope,
        "headers": headers,
        "method": "GET" if scope["method"] == "HEAD" else scope["method"],
        "extensions": {**scope.get("extensions", {}), CONTEXT: context},
    }


def replay(content: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the buffered body, and then what the server says."""
    messages = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def replayed() -> Message:
        return next(messages, None) or await receive()

    return replayed


def header(headers: canonical.Headers, name: bytes) -> bytes | None:
    """The value of a header field."""
    return next((value for key, value in headers if key == name), None)


def as_problem(error: Exception, scope: Scope, allow: AllowedMethods) -> JobgateError:
    """Any exception as a problem of the catalogue. What is our own fault is logged, and shown without details."""
    if isinstance(error, JobgateError):
        return error
    status = error.status_code if isinstance(error, HTTPException) else None
    if status == HTTPStatus.NOT_FOUND:
        return not_routed(allow(scope["path"]))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return not_routed(allow(scope["path"]) or PAGE_METHODS)
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthenticated("The request carries no API key that this gateway takes.")
    return unexpected(error)


def unexpected(error: Exception) -> GatewayError:
    """An exception that nobody foresaw, as a problem that says nothing of it; the log says all."""
    log.error("unexpected error", exc_info=error)
    return GatewayError("Something went wrong in Jobgate itself.")


def not_routed(methods: tuple[str, ...]) -> JobgateError:
    """Why a request found no operation: no such path, or not with this method. `methods` are those of the path."""
    if not methods:
        return UnknownPath("There is nothing at this address.")
    listed = ", ".join(methods)
    return MethodNotAllowed(f"This address takes {listed}.", Explanation(allow=methods))
