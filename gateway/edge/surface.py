"""Surfaces: APIs served from their documents, by guard, Connexion's routing and security, validation and handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.resolver import Resolver
from msgspec import Struct

from gateway.domain.access import Caller
from gateway.domain.encoding import dump_line
from gateway.domain.errors import JobgateError, MethodNotAllowed, UnknownPath
from gateway.domain.model import Json
from gateway.domain.record import Origin, SignedName
from gateway.domain.trace_context import trace_parent
from gateway.edge.access_log import LoggedTargets
from gateway.edge.addresses import ANY_ADDRESS, Addresses, CalledAddress
from gateway.edge.authentication import Security, SecurityMap
from gateway.edge.canonical import Fields
from gateway.edge.exchange import Application, RawReply, Receive, RequestContext, Scope, Send, context_of
from gateway.edge.guard import Guard, Render
from gateway.edge.limits import Limits
from gateway.edge.near_misses import near
from gateway.edge.precompiled import PrecompiledRoutes
from gateway.edge.problems import render
from gateway.edge.response_validation import CHECKS, ResponseValidation
from gateway.edge.routing import Routing, for_connexion
from gateway.edge.validation import validate
from gateway.specs.operations import Api, Operation
from gateway.specs.security import name_schemes


class Request(Struct, frozen=True):
    """A valid request for one operation. `path`, `query` and `header` hold typed values by parameter name.

    `fields` are all header fields, as they came; `address` is what the client called;
    `signature` is the name that the request has by its signature.
    """

    operation: Operation
    caller: Caller
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    header: Mapping[str, Any]
    body: Any
    origin: Origin
    fields: Fields
    address: CalledAddress
    signature: SignedName | None = None


class Reply(Struct, frozen=True):
    """A handler's reply: a JSON value, which is left out where the document has no body for the status.

    `is_makeshift`: no reply that fits the document can be made. It is sent unchecked, since the action was carried out.
    With a `stream`, its pieces are sent instead of the body, in the media type that the headers name.
    """

    body: Json
    status: int = 200
    headers: Mapping[str, str] = {}
    is_makeshift: bool = False
    stream: AsyncIterator[bytes] | None = None


Handler = Callable[[Request], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True)
class Surface:
    """An API, and how it is served: where, by which handlers (by operationId), to whom, and how it shows problems.

    `write` serializes a reply's body. If the surface is `lenient`, a body that says nothing is ignored where the
    document has none.
    """

    api: Api
    base_path: str
    handlers: Mapping[str, Handler]
    security: SecurityMap
    render: Render
    write: Callable[[Json], bytes] = dump_line
    lenient: bool = False

    def has(self, path: str) -> bool:
        """True if a path belongs to this surface."""
        return path.startswith(f"{self.base_path}/")

    def methods_at(self, path: str) -> tuple[str, ...]:
        """The methods at a path of this surface: those of the document, and OPTIONS, which lists them."""
        documented = self.api.methods_at(path.removeprefix(self.base_path))
        return (*documented, "OPTIONS") if documented else ()


class Endpoint(Struct, frozen=True):
    """An operation of a surface with its handler. `write` serializes replies; `is_lenient` as in the surface."""

    operation: Operation
    handle: Handler
    write: Callable[[Json], bytes]
    is_lenient: bool


class Dispatcher:
    """The application behind routing and security: validation and handlers, or the pages outside the APIs."""

    def __init__(
        self, surfaces: Sequence[Surface], pages: Application, response_validation: ResponseValidation
    ) -> None:
        """Dispatch by operationId. Raises KeyError where an operation has no handler."""
        self.endpoints = {
            (each.base_path, name): Endpoint(operation, each.handlers[name], each.write, each.lenient)
            for each in surfaces
            for name, operation in each.api.operations.items()
        }
        self._pages = pages
        self._check = CHECKS[response_validation]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that Connexion has routed."""
        routing = scope.get("extensions", {}).get(ROUTING_CONTEXT, {})
        endpoint = self.endpoints.get((routing.get("api_base_path") or "", routing.get("operation_id") or ""))
        if endpoint is None:
            await self._pages(scope, receive, send)
        else:
            await self.answer(endpoint, scope, context_of(scope))

    async def answer(self, endpoint: Endpoint, scope: Scope, context: RequestContext) -> None:
        """Validate and answer a request for an operation. Raises the problem."""
        operation = endpoint.operation
        validate(operation, scope, context, is_lenient=endpoint.is_lenient)
        parts = context.parts
        context.current.connection = parts["path"].get("connection")
        request = Request(
            operation=operation,
            caller=context.caller,
            path=parts["path"],
            query=parts["query"],
            header=parts["header"],
            body=parts.get("body"),
            origin=origin_of(scope, context),
            fields=context.fields,
            address=context.address,
            signature=context.signature,
        )
        reply = await endpoint.handle(request)
        if reply.stream is not None:
            await context.stream(reply.status, reply.headers, reply.stream)
            return
        if not reply.is_makeshift:
            self._check(operation, reply.status, reply.body)
        await context.reply(raw_reply(operation, reply, endpoint.write))


def raw_reply(operation: Operation, reply: Reply, write: Callable[[Json], bytes]) -> RawReply:
    """A reply ready for the wire, in the media type that the document has for it."""
    response = operation.response(reply.status)
    if response is None or not response.media_types:
        return RawReply(reply.status, reply.headers, b"")
    return RawReply(reply.status, {"content-type": response.media_types[0], **reply.headers}, write(reply.body))


def origin_of(scope: Scope, context: RequestContext) -> Origin:
    """The origin of a request. An invalid `traceparent` is ignored (W3C Trace Context, 3.2)."""
    client, current = scope.get("client"), context.current
    if current.trace_parent is None and b"traceparent" in context.fields:
        current.trace_parent = trace_parent(context.fields[b"traceparent"])
    return Origin(client[0] if client else None, context.id, current.trace_parent)


def application(  # noqa: PLR0913 - what serving takes
    surfaces: Sequence[Surface],
    *,
    pages: Application,
    limits: Limits,
    addresses: Addresses = ANY_ADDRESS,
    response_validation: ResponseValidation = ResponseValidation.REFUSE,
    names: Iterable[str] = (),
) -> Application:
    """The ASGI application that serves these surfaces, and `pages` everywhere else. `names` may be logged."""
    dispatcher = Dispatcher(surfaces, pages, response_validation)
    layers: list[Any] = [Routing, Security]
    connexion = ConnexionMiddleware(dispatcher, middlewares=layers)
    for each in surfaces:
        content = for_connexion(each.api.document)
        name_schemes(content)
        connexion.add_api(
            content,
            base_path=each.base_path,
            resolver=Resolver(each.handlers.__getitem__),
            security_map=dict(each.security),
        )
    logged = LoggedTargets.of((each.api for each in surfaces), names)
    return Guard(
        connexion,
        limits,
        partial(render_at, surfaces),
        partial(methods_at, surfaces),
        addresses=addresses,
        logged=logged,
        routes=PrecompiledRoutes.of(connexion, dispatcher).serve,
        templates={each: each[0] + endpoint.operation.path for each, endpoint in dispatcher.endpoints.items()},
    )


def render_at(surfaces: Sequence[Surface], error: JobgateError, context: RequestContext) -> RawReply:
    """A problem as a reply, in the words of the surface that was called; of an address, with what there is near it."""
    if isinstance(error, UnknownPath | MethodNotAllowed):
        nearby = near({each.base_path: each.api for each in surfaces}, context.method, context.path)
        error.detail = f"{error.detail} {nearby}".rstrip()
    own = (each.render for each in surfaces if each.has(context.path))
    return next(own, render)(error, context)


def methods_at(surfaces: Sequence[Surface], path: str) -> tuple[str, ...]:
    """The methods that the surfaces have at a path."""
    return next((each.methods_at(path) for each in surfaces if each.has(path)), ())
