"""Tables of what crosses between dialects and vendors, made from the OpenAPI documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from gateway.engine.connections import Vendor
from gateway.specs.capabilities import Support
from gateway.specs.lens import Place
from gateway.specs.operations import request_schema_at
from gateway.specs.vendor import ReadMapping

Row = tuple[object, ...]


def action_rows(vendors: Collection[Vendor]) -> Iterator[Row]:
    """A row for each action of each dialect, with its result at each vendor."""
    for dialect in vendors:
        for action, mapping in dialect.specification.actions.items():
            asked = f"{mapping.operation.method} {mapping.operation.path}"
            results = (result_at(action, dialect, target) for target in vendors)
            yield dialect.name, action, f"`{asked}`", *results


REFUSED = frozenset({Support.UNSUPPORTED, Support.EMULATED})
"""The kinds of support without which a parameter is refused, except in the unified API, which emulates some."""


def result_at(action: str, dialect: Vendor, target: Vendor) -> str:
    """The result of an action of a dialect at a vendor."""
    capability = target.capabilities[action]
    if capability.mapping is None:
        return "refused, 422"
    carried = dialect.specification.actions[action].parameters
    recorded = [name for name, support in capability.parameters.items() if support is Support.RECORDED]
    refused = [name for name, support in capability.parameters.items() if support in REFUSED]
    notes = [*note("only recorded", recorded, carried), *note("refused with it", refused, carried)]
    return f"carried out ({'; '.join(notes)})" if notes else "carried out"


def note(what: str, names: Iterable[str], carried: Collection[str]) -> Iterator[str]:
    """Yield a note on those parameters that the dialect can carry, if there are any."""
    found = [name for name in names if name in carried]
    if found:
        yield f"{what}: {listed(found)}"


def status_rows(vendors: Collection[Vendor]) -> Iterator[Row]:
    """A row for each status of each vendor, with Jobgate's word and that of each dialect."""
    for vendor in vendors:
        for name, status in vendor.specification.statuses.items():
            words = (word(name, vendor, dialect, status.pair.status) for dialect in vendors)
            yield vendor.name, name, status.pair.status, *words


def word(name: str, vendor: Vendor, dialect: Vendor, status: str) -> str:
    """The word of a dialect for a status of a vendor; `-` without one."""
    return name if vendor is dialect else dialect.specification.word_for(status) or "-"


def read_rows(vendors: Collection[Vendor]) -> Iterator[Row]:
    """A row for each read of each dialect, with its filters for jobs of its own vendor and of others."""
    for dialect in vendors:
        for read in dialect.specification.reads.values():
            asked = f"{read.operation.method} {read.operation.path}"
            own = filters(dialect, read)
            crossing = [place for place in own if read.lens.carries_of(place) and place not in read.filters_of_its_own]
            yield dialect.name, f"`{asked}`", *(listed(place.keys[0] for place in places) for places in (own, crossing))


def filters(dialect: Vendor, read: ReadMapping) -> list[Place]:
    """The places of a read's filters: its query parameters and the members of its body, except constants."""
    body = request_schema_at(dialect.specification.api.document, read.operation, Place("body", ()))
    names = {"query": read.operation.declared["query"], "body": body.get("properties", {})}
    places = [Place(location, (name,)) for location, found in names.items() for name in found]
    constants = {rule.place for rule in read.lens.rules if rule.source is None}
    return [place for place in places if place not in constants]


def listed(names: Iterable[str]) -> str:
    """Names as the text of a cell."""
    return ", ".join(f"`{name}`" for name in names) or "-"
