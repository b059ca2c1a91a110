"""A surface: an API served from its document, by guard, Connexion's routing and security, validation and handlers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from connexion.resolver import Resolver

from gateway.domain.access import Caller
from gateway.domain.encoding import dump
from gateway.domain.errors import JobgateError
from gateway.domain.model import Json
from gateway.domain.record import Origin
from gateway.edge.authentication import Security, security_map
from gateway.edge.guard import (
    CONTEXT,
    WIRE,
    Application,
    Guard,
    RawReply,
    Receive,
    RequestContext,
    Scope,
    Send,
    Wire,
)
from gateway.edge.hosts import ANY_HOST, TrustedHosts
from gateway.edge.limits import Limits
from gateway.edge.problems import render
from gateway.edge.rates import Rates
from gateway.edge.response_validation import CHECKS, ResponseValidation
from gateway.edge.routing import Routing
from gateway.edge.validation import ValidationMiddleware
from gateway.security.callers import Callers
from gateway.specs.operations import Api, Operation


@dataclass(frozen=True)
class Request:
    """A valid request for one operation. `path`, `query` and `header` hold typed values by parameter name."""

    operation: Operation
    caller: Caller
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    header: Mapping[str, Any]
    body: Any
    origin: Origin


@dataclass(frozen=True)
class Reply:
    """What a handler answers: a JSON value."""

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


_TRACE_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{1,64})?"
)

Handler = Callable[[Request], Coroutine[Any, Any, Reply]]


class Dispatcher:
    """The application behind the edge: the operation's handler, or the pages outside the API."""

    def __init__(
        self, api: Api, handlers: Mapping[str, Handler], pages: Application, response_validation: ResponseValidation
    ) -> None:
        """Dispatch by operationId. Raises KeyError where an operation has no handler."""
        self._handlers = {name: handlers[name] for name in api.operations}
        self._pages = pages
        self._check = CHECKS[response_validation]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context: RequestContext = scope["extensions"][CONTEXT] if scope["type"] == "http" else RequestContext()
        operation = context.operation
        if operation is None:
            await self._pages(scope, receive, send)
            return
        parts = context.parts
        request = Request(
            operation=operation,
            caller=context.caller,
            path=parts["path"],
            query=parts["query"],
            header=parts["header"],
            body=parts.get("body"),
            origin=origin_of(scope, context),
        )
        reply = await self._handlers[operation.operation_id](request)
        self._check(operation, reply.status, reply.body)
        headers = {"content-type": "application/json", **reply.headers}
        wire: Wire = scope["extensions"][WIRE]
        await wire.reply(RawReply(reply.status, headers, dump(reply.body)))


def origin_of(scope: Scope, context: RequestContext) -> Origin:
    """Where a request came from. A `traceparent` that is none (W3C Trace Context, 3.2) is as if it were not there."""
    trace = _TRACE_PARENT.fullmatch(context.fields.get(b"traceparent", b""))
    client = scope.get("client")
    return Origin(client[0] if client else None, context.id, trace[0].decode() if trace else None)


def surface(  # noqa: PLR0913 - what a surface is made of
    api: Api,
    base_path: str,
    *,
    handlers: Mapping[str, Handler],
    pages: Application,
    callers: Callers,
    rates: Rates,
    limits: Limits,
    hosts: TrustedHosts = ANY_HOST,
    response_validation: ResponseValidation = ResponseValidation.REFUSE,
) -> Application:
    """The ASGI application that serves `api` below `base_path`, and `pages` everywhere else."""
    dispatcher = Dispatcher(api, handlers, pages, response_validation)
    validation = partial(ValidationMiddleware, apis={base_path: api})
    layers: list[Any] = [Routing, Security, validation]
    connexion = ConnexionMiddleware(dispatcher, middlewares=layers)
    connexion.add_api(
        # Connexion writes into what it is given.
        copy.deepcopy(api.document.content),
        base_path=base_path,
        resolver=Resolver(lambda operation_id: handlers[operation_id]),
        security_map=security_map(callers, rates),
    )
    render_problem, methods = partial(render_for, api, base_path), partial(methods_at, api, base_path)
    return Guard(connexion, limits, render_problem, methods, hosts)


def render_for(api: Api, base_path: str, error: JobgateError, context: RequestContext) -> RawReply:
    """A problem as a reply. Whatever refused a job action, however early, says what became of it; nothing else does."""
    operation = api.operation_at(context.method, context.path.removeprefix(base_path))
    is_action = operation is not None and "x-action" in operation.extensions
    outcome = (error.explanation.outcome or error.outcome) if is_action else None
    return render(error.explain(outcome=outcome), context)


def methods_at(api: Api, base_path: str, path: str) -> tuple[str, ...]:
    """The methods at a path: those of the document, and OPTIONS, which lists them."""
    documented = api.methods_at(path.removeprefix(base_path)) if path.startswith(f"{base_path}/") else ()
    return (*documented, "OPTIONS") if documented else ()
