"""Finds adapters as entry points of the group `jobgate.adapters`, the built-in ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from gateway.domain.adapter import Adapter
from gateway.engine.connections import Vendor
from gateway.engine.hooks import Guard
from gateway.specs.capabilities import ActionDefinition, capabilities
from gateway.specs.document import SPECIFICATIONS, SpecificationError
from gateway.specs.vendor import VendorSpecification

GROUP = "jobgate.adapters"


def installed_vendors(actions: Mapping[str, ActionDefinition]) -> dict[str, Vendor]:
    """Every installed vendor by name, in the order of names. Raises SpecificationError if one cannot be used."""
    found = [_load(entry.load(), entry.name, actions) for entry in entry_points(group=GROUP)]
    for name, times in Counter(vendor.name for vendor in found).items():
        if times > 1:
            raise SpecificationError(f"{times} adapters of {GROUP} are for {name}. Uninstall all but one.")
    return {vendor.name: vendor for vendor in sorted(found, key=lambda vendor: vendor.name)}


def installed_specifications() -> list[Path]:
    """The paths of our own documents, and of every installed vendor's document."""
    adapters = (entry.load() for entry in entry_points(group=GROUP))
    own = [SPECIFICATIONS / "gateway.yaml", SPECIFICATIONS / "token-endpoint.yaml"]
    return [*own, *sorted(adapter.specification for adapter in adapters)]


def _load(adapter: object, entry_point: str, actions: Mapping[str, ActionDefinition]) -> Vendor:
    if not isinstance(adapter, Adapter):
        raise SpecificationError(f"entry point {entry_point} of {GROUP} is not an Adapter. Point it to an Adapter.")
    specification = VendorSpecification.load(adapter.specification)
    _check_functions(adapter, specification)
    guarded = Guard(specification.name).adapter(adapter)
    return Vendor(guarded, specification, capabilities(specification, actions))


def _check_functions(adapter: Adapter, specification: VendorSpecification) -> None:
    for action in specification.actions.values():
        named = {*(each.by for each in action.find.values()), *((action.evidence,) if action.evidence else ())}
        missing = named - adapter.finders.keys() - adapter.evidence.keys()
        if missing:
            raise SpecificationError(
                f"{specification.name}: x-job-action of {action.action} names {', '.join(sorted(missing))}, which its "
                "adapter does not have. Add the function to the adapter, or correct the name."
            )
