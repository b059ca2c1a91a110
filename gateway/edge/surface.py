"""A surface: an API served from its document, by guard, Connexion's routing and security, validation and handlers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver

from gateway.domain.encoding import dump
from gateway.domain.errors import GatewayError, JobgateError
from gateway.domain.model import Json
from gateway.edge.authentication import security_map
from gateway.edge.guard import (
    CONTEXT,
    Application,
    Guard,
    RawReply,
    Receive,
    RequestContext,
    Scope,
    Send,
    write,
)
from gateway.edge.limits import Limits
from gateway.edge.problems import render
from gateway.edge.validation import ValidationMiddleware, operation_of
from gateway.security.callers import Callers
from gateway.specs.operations import Api, Operation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A valid request for one operation. `path`, `query` and `header` hold typed values by parameter name."""

    operation: Operation
    caller: str
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    header: Mapping[str, Any]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What a handler answers: a JSON value."""

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Coroutine[Any, Any, Reply]]


class Routing(RoutingMiddleware):
    """Connexion's routing without its redirects, whose Location would be made from the client's own Host header."""

    def __init__(self, app: Application) -> None:
        """Route to `app`."""
        super().__init__(app)
        self.router.redirect_slashes = False


class Dispatcher:
    """The application behind the edge: the operation's handler, or the pages outside the API."""

    def __init__(self, api: Api, base_path: str, handlers: Mapping[str, Handler], pages: Application) -> None:
        """Dispatch by operationId. Raises KeyError where an operation has no handler."""
        self._handlers = {name: handlers[name] for name in api.operations}
        self._apis = {base_path: api}
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        operation = operation_of(scope, self._apis)
        if operation is None:
            await self._pages(scope, receive, send)
            return
        context: RequestContext = scope["extensions"][CONTEXT]
        reply = await self._handlers[operation.operation_id](_request(operation, context))
        check_reply(operation, reply)
        headers = {"content-type": "application/json", **reply.headers}
        await write(send, RawReply(reply.status, headers, dump(reply.body)))


def _request(operation: Operation, context: RequestContext) -> Request:
    parts: Mapping[str, Any] = context.parts
    return Request(operation, context.caller, parts["path"], parts["query"], parts["header"], parts.get("body"))


def check_reply(operation: Operation, reply: Reply) -> None:
    """Hold our own reply against the document. Raises GatewayError; what differs goes to the log, values excepted."""
    response = operation.response(reply.status)
    validator = response.bodies.get("application/json") if response else None
    if validator is not None and not validator.is_valid(reply.body):
        for error in validator.errors(reply.body):
            log.error(
                "reply of %s departs from its document: %s %s", operation.operation_id, error.pointer, error.detail
            )
        raise GatewayError("Jobgate made a reply that its own document forbids.")


def surface(  # noqa: PLR0913 - what a surface is made of
    api: Api,
    base_path: str,
    *,
    handlers: Mapping[str, Handler],
    pages: Application,
    callers: Callers,
    limits: Limits,
) -> Application:
    """The ASGI application that serves `api` below `base_path`, and `pages` everywhere else."""
    dispatcher = Dispatcher(api, base_path, handlers, pages)
    validation = partial(ValidationMiddleware, apis={base_path: api})
    layers: list[Any] = [Routing, SecurityMiddleware, validation]
    connexion = ConnexionMiddleware(dispatcher, middlewares=layers)
    connexion.add_api(
        # Connexion writes into what it is given.
        copy.deepcopy(api.document.content),
        base_path=base_path,
        resolver=Resolver(lambda operation_id: handlers[operation_id]),
        security_map=security_map(callers),
    )
    return Guard(connexion, limits, partial(render_for, api, base_path), partial(methods_at, api, base_path))


def render_for(api: Api, base_path: str, error: JobgateError, context: RequestContext) -> RawReply:
    """A problem as a reply. Whatever refused a job action, however early, says what became of it; nothing else does."""
    operation = api.operation_at(context.method, context.path.removeprefix(base_path))
    is_action = operation is not None and "x-action" in operation.extensions
    outcome = (error.explanation.outcome or error.outcome) if is_action else None
    return render(error.explain(outcome=outcome), context)


def methods_at(api: Api, base_path: str, path: str) -> tuple[str, ...]:
    """The methods at a path, as the document has them."""
    return api.methods_at(path.removeprefix(base_path)) if path.startswith(f"{base_path}/") else ()
