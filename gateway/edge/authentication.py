"""Connexion's security layer, told how this gateway knows its callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler

from gateway.domain.errors import Unauthenticated
from gateway.edge.guard import CONTEXT
from gateway.security.callers import Callers

Check = Callable[[ConnexionRequest], Awaitable[Any]]


def security_map(callers: Callers) -> dict[str, type[AbstractSecurityHandler]]:
    """Connexion's handlers by security scheme: whoever has a key is a caller."""

    async def check(request: ConnexionRequest) -> Any:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            raise Unauthenticated("The request has no Authorization header.")
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header is not of the scheme Bearer.")
        caller = callers.identify(key.strip()) if key.strip() else None
        if caller is None:
            raise Unauthenticated("The API key is not known here.")
        request.scope["extensions"][CONTEXT].caller = caller
        return {"sub": caller}

    class BearerHandler(AbstractSecurityHandler):
        """Gives Connexion the check, whatever the scheme says of functions."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:  # noqa: ARG002
            """The check of a request, as Connexion asks for it."""
            return check

    return {"bearer": BearerHandler}
