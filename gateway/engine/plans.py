"""Plans: all that is known of an action at a connection before anybody asks for it. They are compiled once."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.domain.model import ActionWarning, StatusPair
from gateway.specs.capabilities import Capability, Support
from gateway.specs.vendor import ActionMapping, VendorSpecification


class Plan(Struct, frozen=True):
    """A vendor's way to perform an action.

    The request carries the parameters in `carried`. Those in `recorded` are only kept in the record, each with the
    warning about it; `warnings` are those that a request for the action gets. `carries_version` if the vendor can be
    told to act on one version of the job only. `is_ambiguous` if other actions have the same request, so that the job's
    status tells which of them it is. `after` is the status that the action leads to, `before` the one in which the job
    stays if the action is deferred.
    """

    mapping: ActionMapping
    carried: frozenset[str]
    recorded: Mapping[str, ActionWarning]
    carries_version: bool
    is_ambiguous: bool
    before: StatusPair
    after: StatusPair
    warnings: tuple[ActionWarning, ...] = ()


def plans(specification: VendorSpecification, capabilities: Mapping[str, Capability]) -> dict[str, Plan]:
    """The plans of the actions that a vendor performs, by action. The specification is that of one account."""
    return {
        name: plan(specification, each, specification.actions[name])
        for name, each in capabilities.items()
        if each.mapping is not None
    }


def plan(specification: VendorSpecification, capability: Capability, mapping: ActionMapping) -> Plan:
    """The plan of one action."""
    names = capability.parameters.keys() | mapping.parameters
    support = {name: capability.support_of(name) for name in names}
    return Plan(
        mapping,
        frozenset(name for name, each in support.items() if each is Support.NATIVE),
        {name: recorded_only(specification.name, name) for name, each in support.items() if each is Support.RECORDED},
        mapping.carries_version,
        specification.shares_its_request(mapping.action),
        specification.status(mapping.from_statuses[0]).pair,
        specification.status(mapping.to_status).pair,
    )


def recorded_only(vendor: str, parameter: str) -> ActionWarning:
    """The warning about a parameter that the vendor cannot carry."""
    return ActionWarning("recorded-only", parameter, f"{vendor} has no place for it: it is kept in this record only.")
