"""The browser's request, as the edge sees it, and the client of the API that answers it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from flask import current_app, g, request, session

from gateway.console.api import ApiClient
from gateway.edge.addresses import CalledAddress
from gateway.edge.exchange import Scope, context_of

ON_A_PAGE = 50
"""Most members of a short list on one page."""
PATIENCE = 4.0
"""Seconds for which vendors keep a person waiting for a page, with all of the page's calls together."""
LEAST_SECONDS = 1.0
"""Seconds that a call has, however late it comes."""
CREDENTIAL = "credential"
CONNECT = "jobgate.connect"
"""The member of the application's configuration that makes a client from a scope and a credential."""
RUN = "jobgate.run"
"""The member with the function that runs a coroutine on the gateway's event loop."""
SCOPE = "asgi.scope"
"""The member of the WSGI environment with the ASGI scope."""


def scope() -> Scope:
    """The ASGI scope of the request."""
    found: Scope = request.environ[SCOPE]
    return found


def address() -> CalledAddress:
    """The address that the browser called."""
    return context_of(scope()).address


def connect(credential: str) -> ApiClient:
    """A client of the API with this credential."""
    client: ApiClient = current_app.config[CONNECT](scope(), credential)
    return client


def api() -> ApiClient:
    """The client of the API with the credential of the session."""
    if "api" not in g:
        g.api = connect(session[CREDENTIAL])
    client: ApiClient = g.api
    return client


def seconds_left() -> float:
    """The seconds that vendors may still take for the page. They begin with its first call to one."""
    if "until" not in g:
        g.until = monotonic() + PATIENCE
    return max(float(g.until) - monotonic(), LEAST_SECONDS)


def page_of(path: str) -> Any:
    """The page of a list of the API that the browser asks for."""
    cursor = [("cursor", request.args["cursor"])] if request.args.get("cursor") else []
    return api().get(path, [*cursor, ("limit", str(ON_A_PAGE))])
