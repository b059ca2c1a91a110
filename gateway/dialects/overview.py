"""The overview of the unified API, and the caller's own description. Nothing here calls a vendor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.dialects import rendering
from gateway.dialects.services import Services
from gateway.domain.access import Caller
from gateway.domain.approvals import UNDECIDED, Approval
from gateway.domain.record import Tally
from gateway.edge.surface import Handler, Reply, Request

SEES_APPROVALS = "approvals:read"
MOST_APPROVALS = 100
"""Most approvals that an overview counts."""


@dataclass(frozen=True)
class OverviewApi:
    """The handlers of the operations that show the state of everything."""

    services: Services

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        return {"getOverview": self.overview, "getCaller": self.caller}

    async def overview(self, request: Request) -> Reply:
        """Return the overview of the caller, of all callers if it audits. Raises LedgerUnavailable."""
        caller = request.caller
        tally = await self.services.ledger.tally(None if caller.audits else caller.name)
        own = [each for each in self.services.directory.connections.values() if caller.may_use(each.name)]
        waiting = await self._undecided(caller, tally)
        undecided = None if waiting is None else rendering.undecided(waiting, self.services.clock.now())
        return Reply(rendering.overview(tally, own, undecided, all_callers=caller.audits))

    async def _undecided(self, caller: Caller, tally: Tally) -> Sequence[Approval] | None:
        """The approvals and reviews that wait and that the caller can see; None if it may see none."""
        if not caller.may(SEES_APPROVALS):
            return None
        if not tally.approvals:
            return ()
        return (await self.services.approvals.page(caller, UNDECIDED, MOST_APPROVALS, None)).items

    async def caller(self, request: Request) -> Reply:
        """Return the caller."""
        return Reply({"name": request.caller.name, "scopes": sorted(request.caller.scopes)})
