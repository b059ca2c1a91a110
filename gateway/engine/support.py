"""Support for an action: what a vendor's document has for it, checked before any call."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.domain.errors import (
    ActionNotSupported,
    Explanation,
    FieldError,
    ParameterNotSupported,
    PreconditionNotSupported,
)
from gateway.domain.model import JobAction, Outcome, StatusPair
from gateway.domain.times import is_later
from gateway.engine.action import ActionRequest
from gateway.engine.plans import Plan
from gateway.engine.wire import IF_MATCH
from gateway.specs.capabilities import Support


def supported(request: ActionRequest) -> Plan:
    """The vendor's way to perform the action, with the warnings for the caller.

    Raises ActionNotSupported if the vendor has no such action, ParameterNotSupported if it cannot carry a parameter,
    PreconditionNotSupported if it cannot compare the job's version.
    """
    asked = request.job_action
    plan = request.connection.plans.get(asked.action)
    if plan is None:
        raise _no_such_action(request)
    if not asked.parameters.keys() <= plan.carried:
        plan = _with_warnings(request, plan)
    if asked.version is not None and not plan.carries_version:
        raise _no_precondition(request)
    return plan


def status_after(plan: Plan, job_action: JobAction, now: datetime) -> StatusPair:
    """The job's status after the action, according to the vendor's document."""
    by = plan.mapping.deferred_by
    is_deferred = by is not None and is_later(job_action.parameters.get(by), now)
    return plan.before if is_deferred else plan.after


def _with_warnings(request: ActionRequest, plan: Plan) -> Plan:
    """The plan with a warning for each parameter that is only recorded. Raises ParameterNotSupported."""
    others = [name for name in request.job_action.parameters if name not in plan.carried]
    refused = others if request.strict else [name for name in others if name not in plan.recorded]
    if refused:
        raise _not_carried(request, refused)
    return replace(plan, warnings=tuple(plan.recorded[name] for name in others))


def _no_such_action(request: ActionRequest) -> ActionNotSupported:
    vendor = request.connection.vendor
    actions = vendor.supported_actions
    return ActionNotSupported(
        f"{vendor.name} has no {request.job_action.action}; it has {', '.join(actions)}.",
        Explanation(supported=actions, outcome=Outcome.NOT_SENT),
    )


def _not_carried(request: ActionRequest, refused: list[str]) -> ParameterNotSupported:
    vendor, action = request.connection.vendor, request.job_action.action
    capability = vendor.capabilities[action]
    return ParameterNotSupported(
        f"{vendor.name} cannot carry {', '.join(refused)} with {action}.",
        Explanation(
            errors=tuple(FieldError(f"/body/{name}", "is not supported by this vendor") for name in refused),
            supported=tuple(name for name, support in capability.parameters.items() if support is Support.NATIVE),
            outcome=Outcome.NOT_SENT,
        ),
    )


def _no_precondition(request: ActionRequest) -> PreconditionNotSupported:
    """Refuse a precondition that would be lost: the action would be done whatever has become of the job."""
    vendor = request.connection.vendor.name
    return PreconditionNotSupported(
        f"{vendor} cannot compare the job's version with {request.job_action.action}: leave out If-Match.",
        Explanation(errors=(FieldError(IF_MATCH, "is not supported by this vendor"),), outcome=Outcome.NOT_SENT),
    )
