"""Precompiled routes: what Connexion resolved at the start, without its layers between a request and its handler.

Connexion finds the operations, their paths and their security in the documents. Here each request takes the same steps
as through its layers, in the same order: the route, the caller, the parts of the request, the handler. What is for no
operation, such as a page or a wrong method, takes the way through Connexion (`tests/edge/test_precompiled.py` holds
both against each other).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import ROUTING_CONTEXT

from gateway.edge.authentication import Security, SecurityCheck
from gateway.edge.exchange import CONTEXT, RequestContext, Scope
from gateway.edge.routing import Routing

if TYPE_CHECKING:
    from gateway.edge.surface import Dispatcher, Endpoint

Verify = Callable[[SecurityCheck], Awaitable[None]]
"""Connexion's check of the security requirements of an operation. Raises the refusal."""


@dataclass(frozen=True)
class PrecompiledRoutes:
    """The operations of all surfaces, each with its check and its endpoint, by base path and operationId."""

    routing: Routing
    dispatcher: Dispatcher
    resolved: Mapping[tuple[str, str], tuple[Verify | None, Endpoint]]

    @classmethod
    def of(cls, connexion: ConnexionMiddleware, dispatcher: Dispatcher) -> PrecompiledRoutes:
        """The routes of an application. Connexion builds its layers now, which it would do with the first request."""
        connexion.app, connexion.middleware_stack = connexion._build_middleware_stack()  # noqa: SLF001 - see above
        layers: dict[type, Any] = {type(each): each for each in connexion.middleware_stack}
        security = layers[Security]
        verified = {
            (base_path, name): each.verification_fn if each.security else None
            for base_path, apis in security.apis.items()
            for api in apis
            for name, each in api.operations.items()
        }
        endpoints = dispatcher.endpoints
        return cls(layers[Routing], dispatcher, {each: (verified[each], endpoints[each]) for each in endpoints})

    async def serve(self, scope: Scope, context: RequestContext) -> bool:
        """Answer a request for an operation. False: it is for none. Raises the problem, and HTTPException for a 405."""
        found = self.routing.find("GET" if context.method == "HEAD" else context.method, context.path, scope["path"])
        if found is None:
            return False
        route, parameters = found
        verify, endpoint = self.resolved[route["api_base_path"], route["operation_id"]]
        # A scope of its own: one that is in the server's would hold the context, which holds the server's.
        routed: Scope = {
            "path_params": parameters,
            "query_string": scope["query_string"],
            "raw_path": scope.get("raw_path"),
            "client": scope.get("client"),
            "extensions": {CONTEXT: context, ROUTING_CONTEXT: route},
        }
        context.routed = route
        if verify is not None:
            await verify(SecurityCheck(routed, context))
        await self.dispatcher.answer(endpoint, routed, context)
        return True
