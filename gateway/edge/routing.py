"""Connexion's routing, without its redirects, and with a short cut to its own routes.

Connexion tries every route of every API in turn, and copies the scope on the way. The short cut tries only the routes
with the same method and number of segments. They are Connexion's own routes, in the order of the document; a request
that matches none of them is routed by Connexion.

Connexion routes by the decoded path, in which an encoded colon of an id looks like the colon before a verb. Here they
differ, with and without the short cut: `POST /jobs/a%3Acancel` does not cancel the job `a`. Of two matching templates
the more concrete one is used, whatever its methods (OpenAPI, Path Templating): `GET /jobs/a:cancel` reads no job.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware
from starlette.convertors import StringConvertor
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.edge.canonical import template_path
from gateway.edge.exchange import Application, Receive, Scope, Send
from gateway.specs.document import Document

_PARAMETER = re.compile(r"\{[^}]*\}")

Key = tuple[str, int]
"""The method, and the number of slashes in the path."""


@dataclass(frozen=True)
class ShortCut:
    """A route of Connexion: the pattern of the whole path, and Connexion's routing context for it.

    `hidden_by` has the patterns of more concrete templates with other methods.
    """

    pattern: re.Pattern[str]
    found: Mapping[str, str]
    hidden_by: tuple[re.Pattern[str], ...] = ()


class Routing(RoutingMiddleware):
    """Finds the operation of a request."""

    def __init__(self, app: Application) -> None:
        """Route to `app`."""
        super().__init__(app)
        # The Location of a redirect would contain the Host header of the client.
        self.router.redirect_slashes = False
        self._short_cuts: dict[Key, list[ShortCut]] = {}

    def add_api(self, *arguments: Any, **settings: Any) -> None:
        """Add an API. Called by Connexion."""
        super().add_api(*arguments, **settings)
        self._short_cuts = short_cuts(self.router.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] == "http":
            path = template_path(scope)
            found = self.find(scope["method"], path, scope["path"])
            if found is not None:
                # No copy needed: the guard made this scope for this request alone.
                scope["extensions"][ROUTING_CONTEXT], scope["path_params"] = found
                await self.app(scope, receive, send)
                return
            scope["path"] = path
        await super().__call__(scope, receive, send)

    def find(self, method: str, path: str, whole: str) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
        """Connexion's routing context for a request, and its path parameters; None: Connexion itself has to route it.

        `path` is the path of `template_path`, `whole` the decoded one. Raises HTTPException for a 405.
        """
        for each in self._short_cuts.get((method, path.count("/")), ()):
            match = each.pattern.fullmatch(path)
            if match is not None:
                if each.hidden_by and any(other.fullmatch(path) for other in each.hidden_by):
                    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
                return each.found, match.groupdict() if path == whole else decoded(match.groupdict())
        return None


def for_connexion(document: Document) -> dict[str, Any]:
    """The part of a document by which Connexion routes and secures requests, which it may write into.

    Connexion would copy, check and resolve the whole document, with all schemas and examples, of which it needs none.
    """
    content = document.content
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in document.operations():
        item = content["paths"][path]
        declared = [document.resolve(each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
        paths.setdefault(path, {})[method] = {
            **_members(operation, "operationId", "security"),
            "parameters": [_in_path(document, each) for each in declared if each["in"] == "path"],
            "responses": {"default": {"description": "Not for routing."}},
        }
    schemes = copy.deepcopy(content.get("components", {}).get("securitySchemes", {}))
    rest = _members(content, "openapi", "info", "security")
    return {**rest, "paths": paths, "components": {"securitySchemes": schemes}}


def _in_path(document: Document, parameter: Mapping[str, Any]) -> dict[str, Any]:
    """A path parameter, with as much of its schema as says how Connexion finds it in a path."""
    schema = _members(document.resolve(parameter["schema"]), "type", "format")
    return {"name": parameter["name"], "in": "path", "required": True, "schema": schema}


def _members(node: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: node[name] for name in names if name in node}


def decoded(parameters: Mapping[str, str]) -> dict[str, str]:
    """Path parameters without percent-encoding, which the guard has checked to be UTF-8."""
    return {name: unquote(text) for name, text in parameters.items()}


def short_cuts(mounts: Iterable[BaseRoute]) -> dict[Key, list[ShortCut]]:
    """The short cuts to the routes of all APIs. None at all if one API is below another, which it could hide."""
    apis = [mount for mount in mounts if isinstance(mount, Mount)]
    found: dict[Key, list[ShortCut]] = {}
    if any(each is not other and f"{each.path}/".startswith(f"{other.path}/") for each in apis for other in apis):
        return {}
    for api in apis:
        routes = [each for each in api.app.routes if isinstance(each, Route)] if isinstance(api.app, Router) else []
        if not all(map(_is_plain, routes)):
            return {}
        for route in routes:
            operation_id: str = route.app.operation_id  # type: ignore[attr-defined]
            leads_to = {"api_base_path": api.path, "operation_id": operation_id}
            hidden_by = tuple(_pattern(api.path, other) for other in routes if _hides(other, route))
            short_cut = ShortCut(_pattern(api.path, route), leads_to, hidden_by)
            for method in route.methods or ():
                found.setdefault((method, (api.path + route.path).count("/")), []).append(short_cut)
    return found


def _is_plain(route: Route) -> bool:
    """True if each parameter is exactly one segment, so that the number of segments is known."""
    return all(isinstance(each, StringConvertor) for each in route.param_convertors.values())


def _hides(other: Route, route: Route) -> bool:
    """True if this route matches paths of another one that is more concrete and has other methods."""
    path = _PARAMETER.sub("x", other.path)
    has_less = len(_PARAMETER.sub("", route.path)) < len(_PARAMETER.sub("", other.path))
    return (
        has_less
        and route.path_regex.match(path) is not None
        and not (other.methods or set()) & (route.methods or set())
    )


def _pattern(base_path: str, route: Route) -> re.Pattern[str]:
    return re.compile(re.escape(base_path) + route.path_regex.pattern.removeprefix("^").removesuffix("$"))
