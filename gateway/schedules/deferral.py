"""Actions at a later time: `native` if the vendor waits itself, `emulated` by a schedule of one job if it cannot.

Only the action on one job chooses between the two, and its answer says which. Batches and schedules refuse what the
vendor cannot do.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from gateway.domain.batches import BatchPlan, JobReference
from gateway.domain.errors import Explanation, PreconditionNotSupported
from gateway.domain.model import JobAction, Outcome
from gateway.domain.schedules import SchedulePlan
from gateway.domain.times import parse_date_time
from gateway.domain.vocabulary import DEFERRING
from gateway.engine.action import ActionRequest
from gateway.engine.support import supported
from gateway.schedules.schedules import Schedules
from gateway.specs.capabilities import Support

NOTE = "note"


class Deferred(NamedTuple):
    """An action that is to be done at a time, and the request for it without that time."""

    at: datetime
    request: ActionRequest


def deferred(request: ActionRequest) -> Deferred | None:
    """The request, taken apart, if its vendor cannot wait itself; None for every other request.

    Raises what `supported` raises about the rest of it, and PreconditionNotSupported.
    """
    asked = request.job_action
    if asked.parameters.keys().isdisjoint(DEFERRING):
        return None
    capability = request.connection.vendor.capabilities.get(asked.action)
    names = [] if capability is None else list(asked.parameters)
    emulated = [name for name in names if capability and capability.support_of(name) is Support.EMULATED]
    if not emulated:
        return None
    rest = {name: value for name, value in asked.parameters.items() if name not in emulated}
    whole = replace(request, job_action=JobAction(asked.action, asked.job_id, rest, asked.version))
    supported(whole)
    return Deferred(parse_date_time(asked.parameters[emulated[0]]), whole)


def plan_of(found: Deferred, schedules: Schedules) -> SchedulePlan:
    """The schedule that does an action at its time. Raises PreconditionNotSupported if the job must not change."""
    request, action = found.request, found.request.job_action
    if action.version is not None:
        raise PreconditionNotSupported(
            "The version of the job cannot be compared at a later time: leave out If-Match, or the time.",
            Explanation(outcome=Outcome.NOT_SENT),
        )
    reason = action.parameters.get(NOTE) or f"{action.action} at {found.at:%Y-%m-%dT%H:%M:%SZ}"
    return SchedulePlan(
        name=f"{action.action}-at",
        batch=BatchPlan(
            action=action.action, reason=reason[:1_024], parameters=action.parameters, labels=request.labels
        ),
        start_within=schedules.start_within(action.action),
        jobs=(JobReference(request.connection.name, action.job_id),),
        run_at=found.at,
        expect_at_most=1,
    )
