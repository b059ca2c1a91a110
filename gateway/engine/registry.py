"""Finds adapters as entry points of the group `jobgate.adapters`, the built-in ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from gateway.domain.adapter import Adapter
from gateway.engine.connections import Vendor
from gateway.engine.hooks import Guard
from gateway.specs.capabilities import ActionDefinition, capabilities
from gateway.specs.document import SPECIFICATIONS, SpecificationError
from gateway.specs.vendor import VendorSpecification

GROUP = "jobgate.adapters"


def installed_vendors(actions: Mapping[str, ActionDefinition], more: Iterable[Adapter] = ()) -> dict[str, Vendor]:
    """Every installed vendor by name, in the order of names. `more` adapters replace installed ones of their vendors.

    Raises SpecificationError if one cannot be used.
    """
    found = [_load(_imported(entry), entry.name, actions) for entry in entry_points(group=GROUP)]
    for name, times in Counter(vendor.name for vendor in found).items():
        if times > 1:
            raise SpecificationError(f"{times} adapters of {GROUP} are for {name}. Uninstall all but one.")
    given = [_load(adapter, "given by hand", actions) for adapter in more]
    replaced = {vendor.name for vendor in given}
    all_of_them = [*given, *(vendor for vendor in found if vendor.name not in replaced)]
    return {vendor.name: vendor for vendor in sorted(all_of_them, key=lambda vendor: vendor.name)}


def adapter_at(place: str) -> Adapter:
    """The adapter at a place, such as `package.module:ADAPTER`. Raises SpecificationError if there is none."""
    found = _imported(EntryPoint("given by hand", place, GROUP))
    if not isinstance(found, Adapter):
        raise SpecificationError(f"{place} is not an Adapter. Name a gateway.domain.adapter.Adapter.")
    return found


def installed_adapters() -> dict[str, object]:
    """Every installed adapter by the name of its entry point."""
    return {entry.name: _imported(entry) for entry in entry_points(group=GROUP)}


def installed_specifications() -> list[Path]:
    """The paths of our own documents, and of every installed vendor's document."""
    adapters: Iterable[Adapter] = map(_imported, entry_points(group=GROUP))
    own = [SPECIFICATIONS / "gateway.yaml", SPECIFICATIONS / "token-endpoint.yaml"]
    return [*own, *sorted(adapter.specification for adapter in adapters)]


def _imported(entry: EntryPoint) -> Any:
    """The object that an entry point names. Raises SpecificationError if it cannot be imported, for whatever reason."""
    try:
        return entry.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SpecificationError(
            f"adapter {entry.name}: {entry.value} cannot be imported: {reason}. Correct the module, or write the "
            "place as module:NAME."
        ) from error


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
