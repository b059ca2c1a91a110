"""Connexion's security layer, told how this gateway knows its callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connexion.middleware.security import SecurityAPI, SecurityMiddleware, SecurityOperation
from connexion.operations import AbstractOperation
from connexion.security import AbstractSecurityHandler
from connexion.spec import Specification

from gateway.domain.errors import Unauthenticated
from gateway.edge.guard import CONTEXT, Receive, RequestContext, Scope, Send
from gateway.security.callers import Callers

Check = Callable[["Question"], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """Who sends this request? Connexion notes in `context` what it was answered."""

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


def security_map(callers: Callers) -> dict[str, type[AbstractSecurityHandler]]:
    """Connexion's handlers by security scheme: whoever has a key is a caller."""

    def check(question: Question) -> Mapping[str, str]:
        context: RequestContext = question.scope["extensions"][CONTEXT]
        scheme, _, key = context.fields.get(b"authorization", b"").decode("latin-1").partition(" ")
        if not scheme:
            raise Unauthenticated("The request has no Authorization header.")
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header is not of the scheme Bearer.")
        caller = callers.identify(key.strip(" ")) if key.strip(" ") else None
        if caller is None:
            raise Unauthenticated("The API key is not known here.")
        context.caller = caller
        return {"sub": caller}

    class BearerHandler(AbstractSecurityHandler):
        """Gives Connexion the check, whatever the scheme says of functions."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:  # noqa: ARG002
            """The check of a request, as Connexion asks for it."""
            return check

    return {"bearer": BearerHandler}
