"""Each vendor's support for each action of the unified API, computed from the two documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.finding import AGE_SINCE
from gateway.domain.vocabulary import LABELS, TIMESTAMP, Source
from gateway.specs.operations import Api, Operation
from gateway.specs.vendor import ActionMapping, VendorSpecification

FILTERS = {"status": Source.JOB_VENDOR_STATUS, "queue": Source.JOB_QUEUE, "type": Source.JOB_TYPE}
"""The filters of jobs that a vendor's list can have, and the sources that they name."""


class Support(StrEnum):
    """`native` is sent to the vendor, `recorded` is only kept in the record, `unsupported` is refused.

    `emulated` is done by Jobgate in the vendor's stead, in actions on one job.
    """

    NATIVE = "native"
    RECORDED = "recorded"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class ActionDefinition:
    """An action of the unified API. `parameters` has the support for each parameter where the vendor has none.

    `harm` says how much the action destroys; 0: nothing, so that it cannot end a job. `scopes` are what a caller needs.
    """

    name: str
    operation_id: str
    parameters: Mapping[str, Support]
    harm: int
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Capability:
    """One vendor's support for one action. `mapping` is None if the vendor does not have the action."""

    definition: ActionDefinition
    mapping: ActionMapping | None
    parameters: Mapping[str, Support]

    def support_of(self, parameter: str) -> Support:
        """The vendor's support for a parameter, also for one that no action of the unified API has."""
        is_own = self.mapping is not None and parameter in self.mapping.parameters
        return self.parameters.get(parameter, Support.NATIVE if is_own else Support.UNSUPPORTED)


def definitions(api: Api) -> Mapping[str, ActionDefinition]:
    """The actions that the unified API's document declares with `x-action`, by name."""
    found = [_definition(api, each) for each in api.operations.values() if "x-action" in each.extensions]
    return {definition.name: definition for definition in found}


def action_of(operation: Operation) -> str | None:
    """The action that an operation performs, None if it performs none."""
    extensions = operation.extensions
    found: str | None = extensions.get("x-action", extensions.get("x-intent"))
    return found


def capabilities(vendor: VendorSpecification, actions: Mapping[str, ActionDefinition]) -> Mapping[str, Capability]:
    """The vendor's row of the matrix, by action."""
    return {name: _capability(vendor.actions.get(name), definition) for name, definition in actions.items()}


def reads(vendor: VendorSpecification) -> Mapping[str, Support]:
    """The vendor's support for the reads of the unified API. Jobgate can find a single job in a list too."""
    has_list = vendor.list_read is not None
    found = {"getJob": has_list or vendor.job_read is not None, "listJobs": has_list}
    return {name: Support.NATIVE if supported else Support.UNSUPPORTED for name, supported in found.items()}


def filters(vendor: VendorSpecification) -> Mapping[str, str]:
    """The way in which jobs of the vendor are filtered: by the vendor itself, by Jobgate, or not at all."""
    read = vendor.list_read
    if read is None:
        return dict.fromkeys(("status", "queue", "type", "age"), "-")
    found = {
        name: "vendor" if source in read.lens.sources else "Jobgate" if source in read.job.values else "-"
        for name, source in FILTERS.items()
    }
    since = next((name for name in AGE_SINCE if f"{TIMESTAMP}{name}" in read.job.values), None)
    return {**found, "age": "-" if since is None else f"Jobgate, from {since}"}


def _definition(api: Api, operation: Operation) -> ActionDefinition:
    document = api.document
    node = document.content["paths"][operation.path][operation.method.lower()]
    content = document.resolve(node["requestBody"])["content"]
    schema = document.resolve(next(iter(content.values()))["schema"])
    otherwise = {
        name: Support(document.resolve(each).get("x-where-unsupported", Support.UNSUPPORTED))
        for name, each in schema["properties"].items()
        if name != LABELS
    }
    action, harm = operation.extensions["x-action"], operation.extensions["x-harm"]
    return ActionDefinition(action, operation.operation_id, otherwise, harm, operation.scopes)


def _capability(mapping: ActionMapping | None, definition: ActionDefinition) -> Capability:
    if mapping is None:
        return Capability(definition, None, dict.fromkeys(definition.parameters, Support.UNSUPPORTED))
    support = {
        name: Support.NATIVE if name in mapping.parameters else otherwise
        for name, otherwise in definition.parameters.items()
    }
    return Capability(definition, mapping, support)
