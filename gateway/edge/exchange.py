"""One request and the way back to its client, as everybody behind the guard sees them: one typed object.

Connexion stands between the guard and the handlers and passes on an ASGI scope, so the object travels in the scope's
extensions. It holds no reference to that scope: requests that are done need no garbage collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import uuid_utils
from msgspec import Struct, field

from gateway.domain.access import NOBODY, Caller
from gateway.domain.model import Json
from gateway.domain.record import SignedName
from gateway.edge.access_log import LoggedTargets
from gateway.edge.addresses import NOWHERE, CalledAddress
from gateway.edge.canonical import Fields
from gateway.specs.operations import Operation
from gateway.telemetry.current import CurrentRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
HeaderFields = list[tuple[bytes, bytes]]

# Looked up once: in Python 3.11, each lookup of a member of HTTPStatus is a call.
ACCEPTED, NO_CONTENT, BAD_REQUEST = HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.BAD_REQUEST

CONTEXT = "jobgate"
"""The extension of an ASGI scope that holds the request's context."""

SERVER = "jobgate.server"
"""The extension of an ASGI scope in which Jobgate's own server offers a ServerExtension."""

STOPPING = "jobgate.stopping"
"""The member of the state that a server shares with its application (ASGI lifespan): the event that it stops."""

WholeReply = Callable[[int, HeaderFields, bytes], Awaitable[None]]
"""Sends status, header fields and content in one piece."""


class ServerExtension(Struct):
    """The part of a request that only Jobgate's own server knows (`serving/protocol.py`).

    `reply` sends a reply in one piece. `gave_up`: the rest of the body did not come in time. `has_access_log`: the
    server logs the request's target.
    """

    reply: WholeReply
    gave_up: bool = False
    has_access_log: bool = True


class RawReply(Struct, frozen=True):
    """A reply, ready for the wire."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Wire:
    """The way back to one client."""

    def __init__(self, scope: Scope, send: Send, logged: LoggedTargets | None = None) -> None:
        """Answer the request of `scope` with the server's own `send`. `logged` says what may be logged of a target."""
        self._scope = scope
        self._send = send
        self._server: ServerExtension | None = scope.get("extensions", {}).get(SERVER)
        has_log = self._server is None or self._server.has_access_log
        self._logged = logged if has_log else None
        self.is_head: bool = scope["method"] == "HEAD"
        # OPTIONS is answered for whatever stands in a template's place.
        self._is_proof: bool = scope["method"] != "OPTIONS"
        self.started = False
        self.status = 0

    async def reply(self, status: int, fields: HeaderFields, content: bytes) -> None:
        """Send a whole reply."""
        if self._server is not None:
            await self._server.reply(status, fields, content)
            self.started = True
        else:
            await self.send({"type": "http.response.start", "status": status, "headers": fields})
            await self.send({"type": "http.response.body", "body": content})

    async def send(self, message: Message) -> None:
        """Send one ASGI message."""
        self.started = True
        await self._send(message)

    def cut_target(self, status: int, *, is_api: bool) -> None:
        """Note the status, and leave in the server's own scope, from which it logs, only what may be logged."""
        self.status = status
        query = self._scope["query_string"]
        is_answered = self._is_proof and status < BAD_REQUEST and status != ACCEPTED
        if self._logged is not None and (query or not is_answered):
            cut = self._logged(self._scope["path"], query, is_answered=is_answered, is_api=is_api)
            self._scope["path"], self._scope["query_string"] = cut


class RequestContext(Struct):
    """Everything that the edge learns about one request, and the way back to its client.

    `path` is the path as templates are held against it (`canonical.template_path`), `address` the address that it is
    below, both as the client called. `fields` are the header fields; `body` is the parsed JSON body if `media_type` is
    JSON; `routed` is Connexion's routing, known before the caller is; `operation` is the documented operation, None
    outside the APIs; `parts` its validated `{path, query, header, body}`; `caller` the caller; `signature` the name
    that the request has by its signature. `current` is what telemetry knows of the request. `answer_fields` are header
    fields of every answer to it. `wire` is None where a request is only talked about.
    """

    method: str = ""
    path: str = ""
    address: CalledAddress = NOWHERE
    id: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    fields: Fields = {}
    media_type: str | None = None
    content: bytes = b""
    body: Json = None
    routed: Mapping[str, Any] = {}
    current: CurrentRequest = field(default_factory=CurrentRequest)
    operation: Operation | None = None
    parts: Mapping[str, Any] = {}
    caller: Caller = NOBODY
    signature: SignedName | None = None
    answer_fields: HeaderFields = []
    wire: Wire | None = None

    @property
    def is_answered(self) -> bool:
        """True once a part of the answer is sent."""
        return self.wire is not None and self.wire.started

    async def reply(self, reply: RawReply) -> None:
        """Send a whole reply, without its content to HEAD. Raises RuntimeError if there is no client."""
        wire = self._way_back()
        wire.cut_target(reply.status, is_api=self.operation is not None)
        fields = [*fields_of(reply, self.id), *self.answer_fields]
        await wire.reply(reply.status, fields, b"" if wire.is_head else reply.content)

    async def stream(self, status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]) -> None:
        """Send a reply piece by piece, without its content to HEAD. Raises RuntimeError as `reply`."""
        wire = self._way_back()
        wire.cut_target(status, is_api=self.operation is not None)
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        fields += [(b"x-request-id", self.id.encode()), *self.answer_fields]
        await wire.send({"type": "http.response.start", "status": status, "headers": fields})
        if not wire.is_head:
            async for piece in pieces:
                await wire.send({"type": "http.response.body", "body": piece, "more_body": True})
        await wire.send({"type": "http.response.body", "body": b""})

    async def send(self, message: Message) -> None:
        """Pass on one ASGI message of an application that answers by itself. Raises RuntimeError as `reply`."""
        wire = self._way_back()
        if message["type"] == "http.response.start":
            wire.cut_target(message["status"], is_api=self.operation is not None)
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
        elif wire.is_head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await wire.send(message)

    def _way_back(self) -> Wire:
        if self.wire is None:
            raise RuntimeError("This request came from no client.")
        return self.wire


def context_of(scope: Mapping[str, Any]) -> RequestContext:
    """The context of the request of a scope. Raises KeyError before the guard."""
    context: RequestContext = scope["extensions"][CONTEXT]
    return context


def fields_of(reply: RawReply, request_id: str | None = None) -> HeaderFields:
    """The header fields of a reply as they go out, with its length and the id of the request."""
    fields = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    if reply.status != NO_CONTENT:  # RFC 9110, 8.6
        fields.append((b"content-length", b"%d" % len(reply.content)))
    if request_id is not None:
        fields.append((b"x-request-id", request_id.encode()))
    return fields


async def write(send: Send, reply: RawReply) -> None:
    """Send a whole reply where no guard stands."""
    await send({"type": "http.response.start", "status": reply.status, "headers": fields_of(reply)})
    await send({"type": "http.response.body", "body": reply.content})


def is_stopping(state: Mapping[str, Any]) -> bool:
    """True if the server that shares this state is stopping."""
    stopping: asyncio.Event | None = state.get(STOPPING)
    return stopping is not None and stopping.is_set()
