"""What a job shows of an action whose reply is missing: that it was carried out, that it was not, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.model import Job, JobAction
from gateway.domain.times import is_later
from gateway.engine.connections import Connection
from gateway.specs.vendor import ActionMapping


@dataclass(frozen=True)
class Evidence:
    """A job, read at a time, and what bears on what it shows.

    `earlier` are the names of the actions on the same job that may have led to where it was before this one: the last
    that is known to have been carried out, and those after it of which that is not known.
    """

    connection: Connection
    mapping: ActionMapping
    job_action: JobAction
    earlier: Sequence[str]
    job: Job
    at: datetime

    @property
    def was_carried_out(self) -> bool | None:
        """Whether the job shows that the action was carried out; None where it can be either."""
        shown = self._shown_by_status if self.mapping.evidence is None else self._shown_by(self.mapping.evidence)
        return None if shown is False and self._is_deferred else shown

    @property
    def may_still_be(self) -> bool:
        """Whether a request that is late could still do something to the job."""
        return self.job.status.vendor_status in self.mapping.from_statuses

    @property
    def _shown_by_status(self) -> bool | None:
        """One that only the action leads to shows it; one that a job is only in without it, the contrary."""
        specification, status = self.connection.vendor.specification, self.job.status.vendor_status
        was = [specification.actions[name].to_status for name in self.earlier if name in specification.actions]
        after = status in specification.reachable([self.mapping.to_status])
        without = status in specification.reachable([*self.mapping.from_statuses, *was])
        return None if after is without else after

    def _shown_by(self, evidence: str) -> bool | None:
        """The adapter's function tells; but not whether it was this action or the same one before."""
        found = self.connection.vendor.adapter.evidence[evidence](self.job.vendor_object, self.job_action)
        return None if found and self.mapping.action in self.earlier else found

    @property
    def _is_deferred(self) -> bool:
        name = self.mapping.deferred_by
        return name is not None and is_later(self.job_action.parameters.get(name), self.at)
