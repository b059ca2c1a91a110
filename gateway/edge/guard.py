"""The outermost layer: bytes become one canonical request, or a refusal; and nothing that goes wrong gets past it.

Every finding about stock Connexion that concerns bytes rather than schemas is answered here: content types in any case,
chunked bodies, bad UTF-8, HEAD, paths that two routers read differently.
Time is the server's part: `serving/protocol.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import uuid_utils
from msgspec import Struct, field
from starlette.exceptions import HTTPException

from gateway.domain.access import NOBODY, Caller
from gateway.domain.errors import (
    Explanation,
    FieldError,
    GatewayError,
    Interrupted,
    JobgateError,
    MalformedRequest,
    MethodNotAllowed,
    RequestTooLarge,
    RequestTooSlow,
    Unauthenticated,
    UnknownPath,
    UnsupportedMediaType,
)
from gateway.domain.fields import unquoted
from gateway.domain.model import Json, Outcome
from gateway.domain.record import SignedName
from gateway.edge.access_log import LoggedTargets
from gateway.edge.addresses import ANY_ADDRESS, NOWHERE, Addresses, CalledAddress
from gateway.edge.canonical import (
    Fields,
    check_path,
    check_query,
    check_target,
    malformed,
    read_fields,
    template_path,
)
from gateway.edge.limits import Limits
from gateway.edge.strict_json import StrictJson, StrictJsonError
from gateway.specs.operations import Operation

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTEXT = "jobgate"
"""Under this name of an ASGI scope's extensions the request's context travels."""

WIRE = "jobgate.wire"
"""Under this name of the extensions the way back travels: a Wire."""

TOO_SLOW = "jobgate.too_slow"
"""Stands in the extensions of a scope when the server gave up on the rest of a body (`serving/protocol.py`)."""

WHOLE_REPLY = "jobgate.reply"
"""Where the server can send a reply in one piece, this extension of a scope is the function: a WholeReply."""

STOPPING = "jobgate.stopping"
"""Under this name of the state that a server shares with its application (ASGI lifespan) is the event that it stops."""

_WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_PARAMETER = rf'{_WORD}=(?:{_WORD}|"(?:[^"\\]|\\.)*")'
_MEDIA_TYPE = re.compile(rf"[ \t]*(?P<kind>{_WORD}/{_WORD})(?P<parameters>(?:[ \t]*;(?:[ \t]*{_PARAMETER})?)*)[ \t]*")
"""A media type with its parameters, in lower case (RFC 9110, 8.3.1)."""
_PARAMETERS = re.compile(rf'({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")')

_REWRITTEN = frozenset({b"content-length", b"content-type", b"transfer-encoding"})
_MOST_DIGITS = 19
"""A Content-Length of more digits is too large whatever it says, and too long to be read as a number."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class RequestContext(Struct):
    """What the edge learns about one request, for everybody behind it.

    `path` is the path as templates are held against it (`canonical.template_path`), `address` what it is a path of,
    both as the client called. `fields` are the header fields;
    `body` is the parsed JSON body where `media_type` is JSON; `operation` what is asked for, None outside the API;
    `parts` its validated `{path, query, header, body}`; `caller` who asks; `signature` the name that the request has by
    its signature, where it has one. `answer_fields` are header fields that the answer gets, whatever it is.
    """

    method: str = ""
    path: str = ""
    address: CalledAddress = NOWHERE
    id: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    fields: Fields = {}
    media_type: str | None = None
    content: bytes = b""
    body: Json = None
    operation: Operation | None = None
    parts: Mapping[str, Any] = {}
    caller: Caller = NOBODY
    signature: SignedName | None = None
    answer_fields: list[tuple[bytes, bytes]] = []


class RawReply(Struct, frozen=True):
    """A reply, ready for the wire."""

    status: int
    headers: Mapping[str, str]
    content: bytes


WholeReply = Callable[[int, list[tuple[bytes, bytes]], bytes], Awaitable[None]]
"""Sends status, header fields and content at once."""

Render = Callable[[JobgateError, RequestContext], RawReply]
"""How a surface shows a problem: each in its own words."""

AllowedMethods = Callable[[str], tuple[str, ...]]
"""The methods that the API has at a path; none where it has no such path."""

PAGE_METHODS = ("GET", "HEAD", "OPTIONS")
"""The methods of every page outside the API."""


class Guard:
    """An ASGI application that puts the edge around another."""

    def __init__(  # noqa: PLR0913 - what a request goes through
        self,
        app: Application,
        limits: Limits,
        render: Render,
        allow: AllowedMethods,
        *,
        addresses: Addresses = ANY_ADDRESS,
        logged: LoggedTargets | None = None,
    ) -> None:
        """Guard `app`. `render` shows refusals, `allow` tells 404 from 405; `addresses` are those to answer for.

        `logged` says how much of a target stands in the access log, None that all does.
        """
        self.app = app
        self.limits = limits
        self.addresses = addresses
        self.logged = logged
        self.render = render
        self.allow = allow
        self._json = StrictJson(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(scope["method"], template_path(scope))
        wire = Wire(scope, send, context, self.logged)
        try:
            await self._serve(scope, receive, wire, context)
        except ClientGone:
            return
        except asyncio.CancelledError:
            # Only a server that stops cancels a request, when it cannot wait any longer; its client still can.
            await self._refuse(interrupted(context), context, wire)
        except Exception as error:  # noqa: BLE001 - the one place where nothing may get past
            problem = as_problem(error, context.path, self.allow)
            forget_where(error)
            await self._refuse(problem, context, wire)

    async def _serve(self, scope: Scope, receive: Receive, wire: Wire, context: RequestContext) -> None:
        path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        check_target(path, query, self.limits)
        check_path(path)
        if query:
            check_query(query)
        context.fields = read_fields(scope["headers"], self.limits)
        context.address = self.addresses.read(scope, context.fields, context.path)
        context.content = await read_body(receive, context.fields, self.limits)
        if TOO_SLOW in scope.get("extensions", ()):
            raise RequestTooSlow(f"The body did not arrive within {self.limits.body_seconds:g} seconds.")
        if context.content:
            context.media_type = media_type(context.fields)
            if is_json(context.media_type):
                context.body = parse_body(context.content, self._json)
        await self.app(canonical_scope(scope, context, wire), replay(context.content, receive), wire.send)

    async def _refuse(self, problem: JobgateError, context: RequestContext, wire: Wire) -> None:
        if wire.started:
            return
        listed = isinstance(problem, MethodNotAllowed) and context.method in problem.explanation.allow
        await wire.reply(options(problem) if listed else self._rendered(problem, context))

    def _rendered(self, problem: JobgateError, context: RequestContext) -> RawReply:
        try:
            return self.render(problem, context)
        except Exception as error:  # noqa: BLE001 - a problem that cannot be shown is a problem too
            return self.render(unexpected(error), context)


class Wire:
    """The way back to the client: names the request in every reply, and sends no body to HEAD."""

    def __init__(self, scope: Scope, send: Send, context: RequestContext, logged: LoggedTargets | None = None) -> None:
        """Answer the request of `scope` with the server's own `send`."""
        self._scope = scope
        self._send = send
        self._whole: WholeReply | None = scope.get("extensions", {}).get(WHOLE_REPLY)
        self._context = context
        self._logged = logged
        self._head = scope["method"] == "HEAD"
        self.started = False

    async def reply(self, reply: RawReply) -> None:
        """Send a whole reply."""
        self._cut_target(reply.status)
        fields = [*fields_of(reply, self._context.id), *self._context.answer_fields]
        content = b"" if self._head else reply.content
        if self._whole is not None:
            await self._whole(reply.status, fields, content)
            self.started = True
        else:
            await self._send({"type": "http.response.start", "status": reply.status, "headers": fields})
            self.started = True
            await self._send({"type": "http.response.body", "body": content})

    async def send(self, message: Message) -> None:
        """Pass on one ASGI message of an application that answers by itself."""
        if message["type"] == "http.response.start":
            self.started = True
            self._cut_target(message["status"])
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._context.id.encode())]
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _cut_target(self, status: int) -> None:
        """Leave in the server's own scope, from which it logs, only what may be logged."""
        query = self._scope["query_string"]
        if self._logged is not None and (query or status >= HTTPStatus.BAD_REQUEST):
            is_api = self._context.operation is not None
            self._scope["path"], self._scope["query_string"] = self._logged(
                self._scope["path"], query, status, is_api=is_api
            )


def fields_of(reply: RawReply, request_id: str | None = None) -> list[tuple[bytes, bytes]]:
    """The header fields of a reply as they go out, its length and the id of the request among them."""
    fields = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    if reply.status != HTTPStatus.NO_CONTENT:  # RFC 9110, 8.6
        fields.append((b"content-length", b"%d" % len(reply.content)))
    if request_id is not None:
        fields.append((b"x-request-id", request_id.encode()))
    return fields


async def write(send: Send, reply: RawReply) -> None:
    """Send a whole reply where no guard stands."""
    await send({"type": "http.response.start", "status": reply.status, "headers": fields_of(reply)})
    await send({"type": "http.response.body", "body": reply.content})


def options(refusal: JobgateError) -> RawReply:
    """The answer to OPTIONS (RFC 9110, 9.3.7), which no operation has: the methods that its refusal names."""
    return RawReply(HTTPStatus.OK, {"allow": ", ".join(refusal.explanation.allow)}, b"")


async def read_body(receive: Receive, fields: Fields, limits: Limits) -> bytes:
    """The whole body, or as much as came until the server gave up. Raises RequestTooLarge or ClientGone."""
    if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise malformed("/header/transfer-encoding", "is not `chunked`, which is the only one that is understood")
    announced = fields.get(b"content-length", b"0")
    if announced.isdigit() and (len(announced) > _MOST_DIGITS or int(announced) > limits.body_bytes):
        raise RequestTooLarge(f"The body has more than {limits.body_bytes} bytes.")
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


def media_type(fields: Fields) -> str:
    """The media type of a body, in lower case. Raises UnsupportedMediaType."""
    if fields.get(b"content-encoding", b"").lower() not in {b"", b"identity"}:
        raise UnsupportedMediaType("The body has a content encoding. Send it without.")
    return declared_type(fields.get(b"content-type", b""))


@lru_cache(maxsize=128)
def declared_type(content_type: bytes) -> str:
    """The media type that a Content-Type declares, in lower case. Raises UnsupportedMediaType."""
    if not content_type:
        raise UnsupportedMediaType("The body has no Content-Type.")
    declared = _MEDIA_TYPE.fullmatch(content_type.decode("latin-1").lower())
    if declared is None:
        raise UnsupportedMediaType("The Content-Type of the body is no media type.")
    named = _PARAMETERS.findall(declared["parameters"])
    if any(name == "charset" and unquoted(value) != "utf-8" for name, value in named):
        raise UnsupportedMediaType("The body is in another charset than UTF-8.")
    return declared["kind"]


def is_json(kind: str) -> bool:
    """Whether a media type is JSON, or a format on top of it (RFC 6839)."""
    return kind == "application/json" or kind.endswith("+json")


def parse_body(content: bytes, strict_json: StrictJson) -> Json:
    """The body's JSON value. Raises MalformedRequest."""
    try:
        return strict_json.parse(content)
    except StrictJsonError as error:
        raise MalformedRequest(
            f"The body of the request {error}.", Explanation(errors=(FieldError("/body", str(error)),))
        ) from None


def canonical_scope(scope: Scope, context: RequestContext, wire: Wire) -> Scope:
    """The request as everybody behind the edge sees it: sized, its content type in lower case, HEAD as GET."""
    headers = [each for each in scope["headers"] if each[0] not in _REWRITTEN]
    if context.media_type is not None:
        headers.append((b"content-type", context.media_type.encode("latin-1")))
    if context.media_type is not None or scope["method"] in {"POST", "PUT", "PATCH"}:
        headers.append((b"content-length", str(len(context.content)).encode()))
    return {
        **scope,
        "headers": headers,
        "method": "GET" if scope["method"] == "HEAD" else scope["method"],
        "extensions": {**scope.get("extensions", {}), CONTEXT: context, WIRE: wire},
    }


def replay(content: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the buffered body, and then what the server says."""
    messages = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def replayed() -> Message:
        return next(messages, None) or await receive()

    return replayed


def as_problem(error: Exception, path: str, allow: AllowedMethods) -> JobgateError:
    """Any exception as a problem of the catalogue. What is our own fault is logged, and shown without details."""
    if isinstance(error, JobgateError):
        return error
    status = error.status_code if isinstance(error, HTTPException) else None
    if status == HTTPStatus.NOT_FOUND:
        return not_routed(allow(path))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return not_routed(allow(path) or PAGE_METHODS)
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthenticated("The request carries no API key that this gateway takes.")
    return unexpected(error)


def unexpected(error: Exception) -> GatewayError:
    """An exception that nobody foresaw, as a problem that says nothing of it; the log says all."""
    log.error("unexpected error", exc_info=error)
    return GatewayError("Something went wrong in Jobgate itself.")


def forget_where(error: BaseException | None) -> None:
    """Forget where an error was raised, and what led to it: frames that hold their own error need a garbage collector.

    Connexion's security layer has such frames (3.3.0, `verify_security`), and with them the whole request.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def interrupted(context: RequestContext) -> Interrupted:
    """A request whose answer could not be waited for. Once it is handed on, nobody here knows what came of it."""
    outcome = Outcome.NOT_SENT if context.operation is None else Outcome.UNKNOWN
    return Interrupted("The gateway stopped before there was an answer.", Explanation(outcome=outcome))


def is_stopping(state: Mapping[str, Any]) -> bool:
    """Whether the server stops that shares this state."""
    stopping: asyncio.Event | None = state.get(STOPPING)
    return stopping is not None and stopping.is_set()


def not_routed(methods: tuple[str, ...]) -> UnknownPath | MethodNotAllowed:
    """Why a request found no operation: no such path, or not with this method. `methods` are those of the path."""
    if not methods:
        return UnknownPath("There is nothing at this address.")
    listed = ", ".join(methods)
    return MethodNotAllowed(f"This address takes {listed}.", Explanation(allow=methods))
