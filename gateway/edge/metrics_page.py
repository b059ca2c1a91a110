"""`/metrics` on the main port, for callers with the scope `metrics:read`."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.access import METRICS
from gateway.edge.admin_port import Scrape
from gateway.edge.authentication import Authenticator, SecurityCheck, check_scopes
from gateway.edge.exchange import context_of
from gateway.edge.html_pages import Show


def protected_metrics(scrape: Scrape, media_type: str, authenticator: Authenticator) -> Show:
    """The page for callers with the scope `metrics:read`."""

    async def show(request: Request) -> Response:
        context = context_of(request.scope)
        await authenticator.by_token(SecurityCheck(request.scope, context))
        check_scopes(context.caller, [METRICS], None)
        return Response(await asyncio.to_thread(scrape), headers={"content-type": media_type})

    return show
