"""Ways to end a job: the shortest and gentlest actions from its status to a final one, from the documents alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gateway.domain.vocabulary import DISCARD, Mode
from gateway.engine.connections import Vendor
from gateway.specs.vendor import ActionMapping

MOST_STEPS = 3
"""Most actions that end a job."""

Way = tuple[str, ...]
"""The actions that end a job, in order."""


def way_to_end(vendor: Vendor, vendor_status: str, mode: Mode, without: Collection[str] = ()) -> Way | None:
    """The best way to end a job in this status: () if the status is final, None if the documents have no way.

    Statuses that a vendor's document only assumes count least, then the shortest way, then the one with least harm.
    `without` are actions that the vendor has just refused for this job.
    """
    found = _ways(vendor, _usable(vendor, mode, without), vendor_status, MOST_STEPS)
    return min(found, key=lambda way: _cost(vendor, vendor_status, way), default=None)


def _usable(vendor: Vendor, mode: Mode, without: Collection[str]) -> Mapping[str, ActionMapping]:
    """The vendor's actions that can end a job. One that does no harm, such as a pause, cannot."""
    known = {name: each for name, each in vendor.capabilities.items() if name not in without}
    return {
        name: each.mapping
        for name, each in known.items()
        if each.mapping is not None and each.definition.harm and (name != DISCARD or mode is Mode.FORCED)
    }


def _ways(vendor: Vendor, usable: Mapping[str, ActionMapping], status: str, steps: int) -> Iterator[Way]:
    """All ways of at most so many steps from a status to a final one."""
    if vendor.specification.status(status).final:
        yield ()
    elif steps:
        for name, mapping in usable.items():
            if status in mapping.from_statuses:
                yield from ((name, *rest) for rest in _ways(vendor, usable, mapping.to_status, steps - 1))


def _cost(vendor: Vendor, status: str, way: Way) -> tuple[int, int, int]:
    """The number of assumed statuses on a way, its length, and its harm."""
    mappings = [vendor.specification.actions[action] for action in way]
    statuses = [status, *(each.to_status for each in mappings)]
    assumed = sum(before in each.assumed for before, each in zip(statuses, mappings, strict=False))
    return assumed, len(way), sum(vendor.capabilities[action].definition.harm for action in way)
