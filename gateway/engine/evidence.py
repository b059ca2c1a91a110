"""Evidence of an action whose reply is missing: its job shows that it was carried out, that it was not, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.model import Job, JobAction, Result
from gateway.domain.times import is_later
from gateway.engine.connections import Connection
from gateway.specs.vendor import ActionMapping


@dataclass(frozen=True)
class Evidence:
    """A job as it was read at a certain time, and what is needed to interpret its state.

    `earlier` names the actions that may have led to the state of the job before this one: the last that was certainly
    carried out, and the later ones that may have been. `is_accepted` if the vendor has said that it will carry it out.
    """

    connection: Connection
    mapping: ActionMapping
    job_action: JobAction
    earlier: Sequence[str]
    job: Job
    at: datetime
    is_accepted: bool = False

    @property
    def was_carried_out(self) -> bool | None:
        """True or False if the job shows whether the action was carried out; None if both are possible."""
        if self.mapping.result is Result.GONE:  # the job is still there
            return False
        shown = self._shown_by_status if self.mapping.evidence is None else self._shown_by(self.mapping.evidence)
        return None if shown is False and self._is_deferred else shown

    @property
    def may_still_be_carried_out(self) -> bool:
        """True if a delayed request could still change the job."""
        return self.job.status.vendor_status in self.mapping.from_statuses

    @property
    def _shown_by_status(self) -> bool | None:
        """True in a status that only this action leads to, False in one that a job only has without it, else None.

        The vendor does what it has accepted, so then it is enough that the job has a status that the action leads to.
        """
        specification, status = self.connection.specification, self.job.status.vendor_status
        was = [specification.actions[name].to_status for name in self.earlier if name in specification.actions]
        after = status in specification.reachable([self.mapping.to_status])
        if self.is_accepted and after and not self.may_still_be_carried_out:
            return True
        without = status in specification.reachable([*self.mapping.from_statuses, *was])
        return None if after is without else after

    def _shown_by(self, evidence: str) -> bool | None:
        """The answer of the adapter's function; None if an earlier action of the same name may be the reason."""
        found = self.connection.vendor.adapter.evidence[evidence](self.job.vendor_object, self.job_action)
        return None if found and self.mapping.action in self.earlier else found

    @property
    def _is_deferred(self) -> bool:
        name = self.mapping.deferred_by
        return name is not None and is_later(self.job_action.parameters.get(name), self.at)
