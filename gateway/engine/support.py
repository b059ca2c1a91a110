"""Support for an action: what a vendor's document has for it, checked before any call."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gateway.domain.errors import (
    ActionNotSupported,
    Explanation,
    FieldError,
    ParameterNotSupported,
    PreconditionNotSupported,
)
from gateway.domain.model import ActionWarning, JobAction, Outcome, StatusPair
from gateway.domain.times import is_later
from gateway.engine.action import ActionRequest
from gateway.engine.wire import IF_MATCH
from gateway.specs.capabilities import Capability, Support
from gateway.specs.vendor import ActionMapping, VendorSpecification


class Plan(NamedTuple):
    """A vendor's way to perform an action, and the warnings for the caller."""

    mapping: ActionMapping
    warnings: tuple[ActionWarning, ...]


def supported(request: ActionRequest) -> Plan:
    """The vendor's way to perform the action.

    Raises ActionNotSupported if the vendor has no such action, ParameterNotSupported if it cannot carry a parameter,
    PreconditionNotSupported if it cannot compare the job's version.
    """
    vendor = request.connection.vendor
    capability = vendor.capabilities.get(request.job_action.action)
    if capability is None or capability.mapping is None:
        actions = vendor.supported_actions
        raise ActionNotSupported(
            f"{vendor.name} has no {request.job_action.action}; it has {', '.join(actions)}.",
            Explanation(supported=actions, outcome=Outcome.NOT_SENT),
        )
    _check_parameters(request, capability)
    _check_precondition(request, capability.mapping)
    recorded = [name for name in request.job_action.parameters if capability.support_of(name) is Support.RECORDED]
    mapping = request.connection.specification.actions[capability.mapping.action]
    return Plan(mapping, tuple(_recorded_only(vendor.name, name) for name in recorded))


def status_after(
    vendor: VendorSpecification, mapping: ActionMapping, job_action: JobAction, now: datetime
) -> StatusPair:
    """The job's status after the action, according to the vendor's document."""
    deferred = mapping.deferred_by is not None and is_later(job_action.parameters.get(mapping.deferred_by), now)
    return vendor.status(mapping.from_statuses[0] if deferred else mapping.to_status).pair


def _check_parameters(request: ActionRequest, capability: Capability) -> None:
    carried = {Support.NATIVE} if request.strict else {Support.NATIVE, Support.RECORDED}
    refused = [name for name in request.job_action.parameters if capability.support_of(name) not in carried]
    if not refused:
        return
    vendor = request.connection.vendor.name
    native = tuple(name for name, support in capability.parameters.items() if support is Support.NATIVE)
    raise ParameterNotSupported(
        f"{vendor} cannot carry {', '.join(refused)} with {request.job_action.action}.",
        Explanation(
            errors=tuple(FieldError(f"/body/{name}", "is not supported by this vendor") for name in refused),
            supported=native,
            outcome=Outcome.NOT_SENT,
        ),
    )


def _check_precondition(request: ActionRequest, mapping: ActionMapping) -> None:
    """Refuse a precondition that would be lost: the action would be done whatever has become of the job."""
    if request.job_action.version is None or mapping.carries_version:
        return
    vendor = request.connection.vendor.name
    raise PreconditionNotSupported(
        f"{vendor} cannot compare the job's version with {mapping.action}: leave out If-Match.",
        Explanation(errors=(FieldError(IF_MATCH, "is not supported by this vendor"),), outcome=Outcome.NOT_SENT),
    )


def _recorded_only(vendor: str, parameter: str) -> ActionWarning:
    return ActionWarning("recorded-only", parameter, f"{vendor} has no place for it: it is kept in this record only.")
