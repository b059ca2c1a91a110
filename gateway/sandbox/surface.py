"""A vendor's API over HTTP: a Connexion FlaskApp built from its document, behind the edge's guard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from http import HTTPStatus
from typing import Any

import flask
from connexion import FlaskApp
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver
from starlette.exceptions import HTTPException

from gateway.edge.exchange import RawReply, Receive, Scope, Send, context_of
from gateway.edge.guard import Guard
from gateway.edge.limits import Limits
from gateway.edge.validation import check_media_type, check_parts, ignore_empty_body
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.errors import Errors, refusal_of
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.request_log import Exchange, exchange_of
from gateway.sandbox.routes import TOKEN, Routes
from gateway.sandbox.security import SchemeHandler
from gateway.sandbox.tokens import TokenEndpoint
from gateway.sandbox.validators import VALIDATORS
from gateway.specs.operations import Api
from gateway.specs.security import name_schemes

log = logging.getLogger(__name__)

LIMITS = Limits(body_bytes=2**20, target_bytes=2**17, header_bytes=2**16, json_depth=128, json_digits=1_000)
"""Generous limits, so that every request that matches a vendor's document is accepted."""


class Surface:
    """One vendor's API and its token endpoints, as an ASGI application."""

    def __init__(
        self,
        api: Api,
        behaviour: Behaviour,
        errors: Errors,
        security_map: Mapping[str, Callable[[], SchemeHandler]],
        token_endpoints: Mapping[str, TokenEndpoint],
    ) -> None:
        """Serve this API. The keys of `token_endpoints` are paths."""
        self.routes = Routes(api, token_endpoints.keys())
        self._api = api
        self._behaviour = behaviour
        self._errors = errors
        self._token_endpoints = token_endpoints
        self._app = self._connexion(security_map)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Its scope's extensions hold its exchange."""
        exchange = exchange_of(scope)
        # One guard for each request, since a guard does not pass the request to its callbacks.
        guard = Guard(self._route, LIMITS, partial(self._refuse, exchange), partial(self._allow, exchange))
        await guard(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        if exchange.operation_id is None:
            # The guard distinguishes an unknown path from an unknown method.
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await self._app(scope, receive, send)

    def _allow(self, exchange: Exchange, _: str) -> tuple[str, ...]:
        return self.routes.methods(exchange.raw_path)

    def _connexion(self, security_map: Mapping[str, Callable[[], SchemeHandler]]) -> FlaskApp:
        # A dictionary rather than a file: Connexion renders files as templates.
        content = deepcopy(self._api.document.content)
        name_schemes(content)
        app = FlaskApp(__name__)
        app.add_api(
            content,
            resolver=Resolver(self._handler),
            security_map=dict(security_map),
            strict_validation=True,
            swagger_ui_options=SwaggerUIOptions(serve_spec=False, swagger_ui=False),
            validate_responses=True,
            validator_map=VALIDATORS,
        )
        for path, endpoint in self._token_endpoints.items():
            rule = partial(app.add_url_rule, path, f"{TOKEN} {path}", methods=["POST"])
            rule(view_func=partial(_grant, endpoint), provide_automatic_options=False)
        for kind in (ProblemException, HTTPException, Exception):
            app.add_error_handler(kind, self._handle)
        return app

    def _handler(self, operation_id: str) -> Callable[..., flask.Response]:
        """The function that Connexion calls for an operation."""
        operation = self._api.operations[operation_id]

        def handle(**_: object) -> flask.Response:
            scope = flask.request.environ["asgi.scope"]
            context = context_of(scope)
            ignore_empty_body(operation, context)
            check_media_type(operation, context)
            parts = with_all_headers(check_parts(operation, scope, context), scope)
            return _response(self._behaviour.answer(operation, parts, exchange_of(scope)))

        return handle

    def _refuse(self, exchange: Exchange, error: Exception, _: object = None) -> RawReply:
        return self._errors.reply(refusal_of(error), exchange)

    async def _handle(self, request: ConnexionRequest, error: Exception) -> ConnexionResponse:
        """Connexion's error handler, for exceptions in a handler and in the middleware around it."""
        _log_fault(error, request)
        reply = self._refuse(exchange_of(request.scope), error)
        return ConnexionResponse(reply.status, body=reply.content, headers=dict(reply.headers))


def with_all_headers(parts: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """The request's values with all of its headers: those that every request must carry need not be declared."""
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return {**parts, "header": {**sent, **parts["header"]}}


def _grant(endpoint: TokenEndpoint) -> flask.Response:
    sent = flask.request.authorization
    basic = (sent.username, sent.password) if sent and sent.type == "basic" else None
    return _response(endpoint.answer(flask.request.form.to_dict(flat=False), basic))


def _response(reply: RawReply) -> flask.Response:
    response = flask.Response(reply.content, reply.status)
    # Flask's default content type is not in the document.
    del response.headers["Content-Type"]
    response.headers.extend(reply.headers)
    return response


def _log_fault(error: Exception, request: ConnexionRequest) -> None:
    """Log an internal error of the sandbox, or a fault of the document or the adapter."""
    if not isinstance(error, Refusal) and refusal_of(error).status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        exchange = exchange_of(request.scope)
        log.error("%s %s: %s", exchange.method, exchange.path, error, exc_info=error)
