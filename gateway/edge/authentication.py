"""Connexion's security layer, told how this gateway knows its callers, and what the document asks of them.

An operation of the unified API requires two schemes at once: `bearer`, that the caller is known, and `scopes`, that it
may do what the operation does. Where the operation is about a connection, the caller may use that one too; to others
it is as unknown as one that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connexion.middleware.security import SecurityAPI, SecurityMiddleware, SecurityOperation
from connexion.operations import AbstractOperation
from connexion.security import AbstractSecurityHandler
from connexion.spec import Specification

from gateway.domain.access import Caller
from gateway.domain.errors import Forbidden, Unauthenticated, no_such_connection
from gateway.edge.guard import CONTEXT, Receive, RequestContext, Scope, Send
from gateway.edge.rates import Rates
from gateway.security.callers import Callers

Answer = Mapping[str, str]
Check = Callable[["Question"], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Question:
    """Who sends this request, and may it? Connexion notes in `context` what it was answered."""

    scope: Scope
    context: dict[str, Any] = field(default_factory=dict)


class Secured(SecurityOperation):
    """Connexion's check of one operation, without a request object made anew from the scope."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if self.security:
            await self.verification_fn(Question(scope))
        await self.next_app(scope, receive, send)


class SecuredApi(SecurityAPI):
    """Connexion's checks of an API, by operation."""

    def make_operation(self, operation: AbstractOperation | Specification) -> SecurityOperation:
        """The check of one operation, as its security requirements in the document say."""
        factory = self.security_handler_factory
        return Secured.from_operation(operation, next_app=self.next_app, security_handler_factory=factory)


class Security(SecurityMiddleware):
    """Connexion's security, from the document."""

    api_cls = SecuredApi


def security_map(callers: Callers, rates: Rates) -> dict[str, type[AbstractSecurityHandler]]:
    """Connexion's handlers by kind of security scheme: `bearer` tells who calls, `openIdConnect` what it may do."""

    async def identify(question: Question) -> Answer:
        context: RequestContext = question.scope["extensions"][CONTEXT]
        caller = await callers.identify(credential_of(context))
        if caller is None:
            raise Unauthenticated("The API key or token is not known here, or not good any more.")
        context.caller = caller
        rates.admit(caller, context)
        return {"sub": caller.name}

    class Bearer(AbstractSecurityHandler):
        """Gives Connexion the check of who calls."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:  # noqa: ARG002
            """The check of a request, as Connexion asks for it."""
            return identify

    class Scopes(AbstractSecurityHandler):
        """Gives Connexion the check of what the caller may do."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:  # noqa: ARG002
            """The check of a request, as Connexion asks for it."""

            def authorize(question: Question) -> Answer:
                context: RequestContext = question.scope["extensions"][CONTEXT]
                check_scopes(context.caller, required_scopes, question.scope["path_params"].get("connection"))
                return {"sub": context.caller.name}

            return authorize

    return {"bearer": Bearer, "openIdConnect": Scopes}


def credential_of(context: RequestContext) -> str:
    """The API key or token of a request. Raises Unauthenticated where there is none."""
    scheme, _, credential = context.fields.get(b"authorization", b"").decode("latin-1").partition(" ")
    if not scheme:
        raise Unauthenticated("The request has no Authorization header.")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The Authorization header is not of the scheme Bearer.")
    if not credential.strip(" "):
        raise Unauthenticated("The Authorization header has no API key or token.")
    return credential.strip(" ")


def check_scopes(caller: Caller, required: list[str], connection: str | None) -> None:
    """Hold a caller against what an operation requires. Raises UnknownConnection and Forbidden."""
    if connection is not None and not caller.may_use(connection):
        raise no_such_connection()
    missing = [scope for scope in required if not caller.may(scope)]
    if missing:
        raise Forbidden(f"It needs the scope {' and '.join(missing)}, which this caller does not have.")
