"""The services of the gateway that every dialect uses."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.approvals.approvals import Approvals
from gateway.batches.batches import Batches
from gateway.domain.ports import Clock, Ledger
from gateway.engine.actions import Actions
from gateway.engine.calls import Calls
from gateway.engine.connections import Directory
from gateway.engine.finding import Finder
from gateway.engine.jobs import Jobs
from gateway.engine.reconciliation import Reconciler
from gateway.engine.termination import Terminations
from gateway.schedules.schedules import Schedules
from gateway.security.access_tokens import AccessTokens


@dataclass(frozen=True)
class Services:
    """Vendors and connections, jobs, actions and their records, tokens for access keys, approvals, and batches.

    There are no batches and no schedules without a database.
    """

    clock: Clock
    directory: Directory
    calls: Calls
    jobs: Jobs
    actions: Actions
    ledger: Ledger
    reconciler: Reconciler
    tokens: AccessTokens
    approvals: Approvals
    batches: Batches | None = None
    schedules: Schedules | None = None

    @property
    def finder(self) -> Finder:
        """The search for jobs of several connections."""
        return Finder(self.jobs, self.directory)

    @property
    def terminations(self) -> Terminations:
        """Terminations of jobs, which consist of actions."""
        return Terminations(self.actions, self.reconciler)
