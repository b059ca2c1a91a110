"""The outermost layer: bytes become one canonical request, or a refusal; and nothing that goes wrong gets past it.

Every finding about stock Connexion that concerns bytes rather than schemas is answered here: content types in any case,
chunked bodies, bad UTF-8, HEAD, paths that two routers read differently.
Time is the server's part: `serving/protocol.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException

from gateway.domain.errors import (
    Explanation,
    GatewayError,
    Interrupted,
    JobgateError,
    MethodNotAllowed,
    RequestTooSlow,
    Unauthenticated,
    UnknownPath,
)
from gateway.domain.model import Outcome
from gateway.edge.access_log import LoggedTargets
from gateway.edge.addresses import ANY_ADDRESS, Addresses
from gateway.edge.canonical import check_path, check_query, check_target, read_fields, template_path
from gateway.edge.content import ClientGone, is_json, is_json_lines, media_type, parse_body, parse_lines, read_body
from gateway.edge.exchange import (
    CONTEXT,
    SERVER,
    Application,
    Message,
    RawReply,
    Receive,
    RequestContext,
    Scope,
    Send,
    ServerExtension,
    Wire,
)
from gateway.edge.limits import Limits
from gateway.edge.observation import Templates, begin, end
from gateway.edge.strict_json import StrictJson
from gateway.telemetry.tracing import NO_SPAN

log = logging.getLogger(__name__)

_REWRITTEN = frozenset({b"content-length", b"content-type", b"transfer-encoding"})
Render = Callable[[JobgateError, RequestContext], RawReply]
"""Renders a problem in the words of a surface."""

AllowedMethods = Callable[[str], tuple[str, ...]]
"""The methods that the API has at a path; none where it has no such path."""

Routes = Callable[[Scope, RequestContext], Awaitable[bool]]
"""Serves a request whose context is complete, if it is for an operation. Returns False if it is for none."""

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
        routes: Routes | None = None,
        templates: Templates | None = None,
    ) -> None:
        """Guard `app`. `render` shows refusals, `allow` tells 404 from 405; `addresses` are those to answer for.

        `logged` says how much of a target stands in the access log, None that all does. What `routes` does not serve is
        for `app`. `templates` has the templates of the APIs, for the metrics; without them, nothing is measured, as in
        the sandbox.
        """
        self.app = app
        self.limits = limits
        self.addresses = addresses
        self.logged = logged
        self.templates = templates
        self.render = render
        self.allow = allow
        self.routes = routes
        self._json = StrictJson(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(scope["method"], template_path(scope), wire=Wire(scope, send, self.logged))
        span = NO_SPAN if self.templates is None else begin(context, scope)
        try:
            await self._serve(scope, receive, context)
        except ClientGone:
            return
        except asyncio.CancelledError:
            # Only a server that stops cancels a request, when it cannot wait any longer; its client still can.
            await self._refuse(interrupted(context), context)
        except Exception as error:  # noqa: BLE001 - the one place where nothing may get past
            problem = as_problem(error, context.path, self.allow)
            forget_where(error)
            await self._refuse(problem, context)
        finally:
            if self.templates is not None:
                end(context, scope, self.templates, span)

    async def _serve(self, scope: Scope, receive: Receive, context: RequestContext) -> None:
        path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        check_target(path, query, self.limits)
        check_path(path)
        if query:
            check_query(query)
        context.fields = read_fields(scope["headers"], self.limits)
        context.address = self.addresses.read(scope, context.fields, context.path)
        context.content = await read_body(receive, context.fields, self.limits)
        server: ServerExtension | None = scope.get("extensions", {}).get(SERVER)
        if server is not None and server.gave_up:
            raise RequestTooSlow(f"The body did not arrive within {self.limits.body_seconds:g} seconds.")
        if context.content:
            context.media_type = media_type(context.fields)
            if is_json(context.media_type):
                context.body = parse_body(context.content, self._json)
            elif is_json_lines(context.media_type):
                context.body = parse_lines(context.content, self._json)
        if self.routes is None or not await self.routes(scope, context):
            await self.app(canonical_scope(scope, context), replay(context.content, receive), context.send)

    async def _refuse(self, problem: JobgateError, context: RequestContext) -> None:
        if context.is_answered:
            return
        listed = isinstance(problem, MethodNotAllowed) and context.method in problem.explanation.allow
        await context.reply(options(problem) if listed else self._rendered(problem, context))

    def _rendered(self, problem: JobgateError, context: RequestContext) -> RawReply:
        try:
            return self.render(problem, context)
        except Exception as error:  # noqa: BLE001 - a problem that cannot be shown is a problem too
            return self.render(unexpected(error), context)


def options(refusal: JobgateError) -> RawReply:
    """The answer to OPTIONS (RFC 9110, 9.3.7), which no operation has: the methods that its refusal names."""
    return RawReply(HTTPStatus.OK, {"allow": ", ".join(refusal.explanation.allow)}, b"")


def canonical_scope(scope: Scope, context: RequestContext) -> Scope:
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
        "extensions": {**scope.get("extensions", {}), CONTEXT: context},
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
        return Unauthenticated("The request carries no API key that this gateway accepts.")
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


def not_routed(methods: tuple[str, ...]) -> UnknownPath | MethodNotAllowed:
    """Why a request found no operation: no such path, or not with this method. `methods` are those of the path."""
    if not methods:
        return UnknownPath("There is nothing at this address.")
    listed = ", ".join(methods)
    return MethodNotAllowed(f"This address accepts {listed}.", Explanation(allow=methods))
