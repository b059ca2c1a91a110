"""Connexion's routing, without its redirects and with a short cut through its own routes.

Stock Connexion asks every route of every API in turn, and copies the request's scope on the way. The short cut asks
only the routes of the same method and number of segments. They are Connexion's own, made from the document, in its
order; what none of them takes goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware
from starlette.convertors import StringConvertor
from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.edge.guard import Application, Receive, Scope, Send

Key = tuple[str, int]
"""What narrows the choice of routes: the method, and the number of slashes in the path."""


@dataclass(frozen=True)
class ShortCut:
    """A route of Connexion's: the pattern of the whole path, and what Connexion would say that it has found."""

    pattern: re.Pattern[str]
    found: Mapping[str, str]


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
            path: str = scope["path"]
            for each in self._short_cuts.get((scope["method"], path.count("/")), ()):
                match = each.pattern.fullmatch(path)
                if match is not None:
                    # The guard has made this scope for this request, so there is nobody to copy it for.
                    scope["path_params"] = match.groupdict()
                    scope["extensions"][ROUTING_CONTEXT] = each.found
                    await self.app(scope, receive, send)
                    return
        await super().__call__(scope, receive, send)


def short_cuts(mounts: Iterable[BaseRoute]) -> dict[Key, list[ShortCut]]:
    """The short cuts through the routes of one API; none where there are several, of which one could hide another."""
    apis = [mount for mount in mounts if isinstance(mount, Mount)]
    found: dict[Key, list[ShortCut]] = {}
    if len(apis) == 1 and isinstance(apis[0].app, Router):
        for route in apis[0].app.routes:
            if not isinstance(route, Route) or not _is_plain(route):
                return {}
            operation_id: str = route.app.operation_id  # type: ignore[attr-defined]
            leads_to = {"api_base_path": apis[0].path, "operation_id": operation_id}
            short_cut = ShortCut(_pattern(apis[0].path, route), leads_to)
            for method in route.methods or ():
                found.setdefault((method, (apis[0].path + route.path).count("/")), []).append(short_cut)
    return found


def _is_plain(route: Route) -> bool:
    """Whether each parameter is exactly one segment, so that the number of segments is known."""
    return all(isinstance(each, StringConvertor) for each in route.param_convertors.values())


def _pattern(base_path: str, route: Route) -> re.Pattern[str]:
    return re.compile(re.escape(base_path) + route.path_regex.pattern.removeprefix("^").removesuffix("$"))
