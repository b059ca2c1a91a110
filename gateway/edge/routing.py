"""Connexion's routing, without its redirects and with a short cut through its own routes.

Stock Connexion asks every route of every API in turn, and copies the request's scope on the way. The short cut asks
only the routes of the same method and number of segments. They are Connexion's own, made from the document, in its
order; what none of them takes goes the long way.

Stock Connexion routes by the decoded path, where an encoded colon in an id looks like the one before a verb. Here the
two differ, on both ways: `POST /jobs/a%3Acancel` does not cancel the job `a`. And of two templates that fit, the more
concrete one counts, whatever its methods are (OpenAPI, Path Templating): `GET /jobs/a:cancel` reads no job.
"""

from __future__ import annotations

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

_PARAMETER = re.compile(r"\{[^}]*\}")

Key = tuple[str, int]
"""What narrows the choice of routes: the method, and the number of slashes in the path."""


@dataclass(frozen=True)
class ShortCut:
    """A route of Connexion's: the pattern of the whole path, and what Connexion would say that it has found.

    `hidden_by` are the patterns of more concrete templates that have other methods.
    """

    pattern: re.Pattern[str]
    found: Mapping[str, str]
    hidden_by: tuple[re.Pattern[str], ...] = ()


class Routing(RoutingMiddleware):
    """Finds the operation of each request."""

    def __init__(self, app: Application) -> None:
        """Route to `app`."""
        super().__init__(app)
        # The Location of a redirect would be made from the client's own Host header.
        self.router.redirect_slashes = False
        self._short_cuts: dict[Key, list[ShortCut]] = {}

    def add_api(self, *arguments: Any, **settings: Any) -> None:
        """Add an API, as Connexion asks for it."""
        super().add_api(*arguments, **settings)
        self._short_cuts = short_cuts(self.router.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] == "http":
            path = template_path(scope)
            for each in self._short_cuts.get((scope["method"], path.count("/")), ()):
                match = each.pattern.fullmatch(path)
                if match is not None:
                    if any(other.fullmatch(path) for other in each.hidden_by):
                        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
                    # The guard has made this scope for this request, so there is nobody to copy it for.
                    scope["path_params"] = match.groupdict() if path == scope["path"] else decoded(match.groupdict())
                    scope["extensions"][ROUTING_CONTEXT] = each.found
                    await self.app(scope, receive, send)
                    return
            scope["path"] = path
        await super().__call__(scope, receive, send)


def decoded(parameters: Mapping[str, str]) -> dict[str, str]:
    """Path parameters without their percent-encoding, which the guard has found to be that of UTF-8."""
    return {name: unquote(text) for name, text in parameters.items()}


def short_cuts(mounts: Iterable[BaseRoute]) -> dict[Key, list[ShortCut]]:
    """The short cuts through the routes of all APIs; none where one is below another, which it could hide."""
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
    """Whether each parameter is exactly one segment, so that the number of segments is known."""
    return all(isinstance(each, StringConvertor) for each in route.param_convertors.values())


def _hides(other: Route, route: Route) -> bool:
    """Whether a path of the other route is one of this route too, which has less text of its own and other methods."""
    path = _PARAMETER.sub("x", other.path)
    has_less = len(_PARAMETER.sub("", route.path)) < len(_PARAMETER.sub("", other.path))
    return (
        has_less
        and route.path_regex.match(path) is not None
        and not (other.methods or set()) & (route.methods or set())
    )


def _pattern(base_path: str, route: Route) -> re.Pattern[str]:
    return re.compile(re.escape(base_path) + route.path_regex.pattern.removeprefix("^").removesuffix("$"))
