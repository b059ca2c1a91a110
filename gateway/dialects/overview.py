"""The overview of the unified API, and the caller's own description. Nothing here calls a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dialects import rendering
from gateway.dialects.services import Services
from gateway.edge.surface import Handler, Reply, Request


@dataclass(frozen=True)
class OverviewApi:
    """The handlers of the operations that show the state of everything."""

    services: Services

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by operationId."""
        return {"getOverview": self.overview, "getCaller": self.caller}

    async def overview(self, request: Request) -> Reply:
        """Return the overview of the caller, of all callers if it audits. Raises LedgerUnavailable."""
        caller = request.caller
        tally = await self.services.ledger.tally(None if caller.audits else caller.name)
        own = [each for each in self.services.directory.connections.values() if caller.may_use(each.name)]
        return Reply(rendering.overview(tally, own, all_callers=caller.audits))

    async def caller(self, request: Request) -> Reply:
        """Return the caller."""
        return Reply({"name": request.caller.name, "scopes": sorted(request.caller.scopes)})
