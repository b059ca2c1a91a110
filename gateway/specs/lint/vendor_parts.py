"""The parts of a vendor's document: its operations on jobs, its lenses, its statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.domain.vocabulary import CONNECTION, Source
from gateway.specs.document import (
    METHODS,
    SPECIFICATIONS,
    Document,
    load,
    pointer,
)
from gateway.specs.lens import FIRST
from gateway.specs.lint.parts import parts
from gateway.specs.vendor import is_part

NEEDED_OF_A_JOB = (Source.JOB_ID, Source.JOB_VENDOR_STATUS)
"""The values that a vendor's job object must contain."""

LENSES = frozenset({"request", "reply", "job"})
"""The members that are lenses."""


@dataclass(frozen=True, slots=True)
class JobOperation:
    """An operation that reads or changes jobs.

    `parameters` are named as in lenses, such as `path.jobId`, and include those of its path item.
    """

    place: str
    node: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Its operationId; empty if it has none."""
        return str(self.node.get("operationId", ""))

    @property
    def read(self) -> Mapping[str, Any] | None:
        """Its x-job-read; None if it has none."""
        return self.node.get("x-job-read")


@dataclass(frozen=True, slots=True)
class Call:
    """One way to call an operation: an entry of its x-job-action, or its x-job-read."""

    place: str
    operation: JobOperation
    node: Mapping[str, Any]

    @property
    def sources(self) -> frozenset[str]:
        """The names of the values that the request carries."""
        return frozenset(source(value) for value in self.node["request"].values())


@dataclass(frozen=True, slots=True)
class Lens:
    """A lens and its place."""

    place: str
    node: Mapping[str, Any]


def vendor(document: Document) -> Mapping[str, Any]:
    """The x-job-vendor of the document; empty if it has none."""
    found: Mapping[str, Any] = document.content.get("x-job-vendor", {})
    return found


def job_operations(document: Document) -> Iterator[JobOperation]:
    """Every operation with one of our extensions."""
    for item in parts(document, "path item"):
        for method in METHODS:
            operation = item.node.get(method, {})
            if {"x-job-action", "x-job-read"} & operation.keys():
                listed = [*item.node.get("parameters", []), *operation.get("parameters", [])]
                resolved = map(document.resolve, listed)
                parameters = {_place_of(parameter): parameter for parameter in resolved}
                yield JobOperation(f"{item.place}/{method}", operation, parameters)


def _place_of(parameter: Mapping[str, Any]) -> str:
    return spelling(f"{parameter['in']}.{parameter['name']}")


def spelling(place: str) -> str:
    """The place in its comparable form: names of headers are case-insensitive."""
    return place.lower() if place.startswith("header.") else place


def actions(document: Document) -> Iterator[Call]:
    """Every entry of every x-job-action."""
    for operation in job_operations(document):
        for index, action in enumerate(operation.node.get("x-job-action", [])):
            yield Call(operation.place + pointer("x-job-action", index), operation, action)


def reads(document: Document) -> Iterator[Call]:
    """Every x-job-read that reads jobs."""
    yield from (call for call in _reads(document) if not is_part(call.operation.node))


def part_reads(document: Document) -> Iterator[Call]:
    """Every x-job-read that reads something besides the job."""
    yield from (call for call in _reads(document) if is_part(call.operation.node))


def _reads(document: Document) -> Iterator[Call]:
    for operation in job_operations(document):
        if operation.read:
            yield Call(f"{operation.place}/x-job-read", operation, operation.read)


def calls(document: Document) -> Iterator[Call]:
    """Every action and every read."""
    yield from actions(document)
    yield from _reads(document)


def lenses(document: Document) -> Iterator[Lens]:
    """Every lens of the document."""
    for call in calls(document):
        yield from (Lens(f"{call.place}/{name}", call.node[name]) for name in LENSES if name in call.node)
    for name in LENSES & vendor(document).keys():
        yield Lens(f"/x-job-vendor/{name}", vendor(document)[name])
    for name, envelope in vendor(document).get("errors", {}).get("envelopes", {}).items():
        yield Lens("/x-job-vendor/errors" + pointer("envelopes", name), envelope)


def source(value: Any) -> str:
    """The name of the value in an entry of a lens; empty for a constant."""
    return value if isinstance(value, str) else str(value.get("from", ""))


def connection_values(value: Any) -> tuple[str, ...]:
    """The values of the connection in an entry of a lens, without their prefix: its value, or its default."""
    named = (source(value), "" if isinstance(value, str) else str(value.get("default", "")))
    return tuple(each.removeprefix(CONNECTION) for each in named if each.startswith(CONNECTION))


def departures(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that an action or a transition starts from, with the place that says so."""
    for action in actions(document):
        for index, status in enumerate(action.node["from"]):
            yield action.place + pointer("from", index), status
    yield from _ends_of_transitions(document, "from")


def arrivals(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that an action or a transition leads to, with the place that says so."""
    for action in actions(document):
        yield f"{action.place}/to", action.node["to"]
    yield from _ends_of_transitions(document, "to")


def selected(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that a selector stands for, with the place that says so."""
    for read in reads(document):
        for word, statuses in read.node.get("selectors", {}).items():
            for index, status in enumerate(statuses):
                yield read.place + pointer("selectors", word, index), status


def derived(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that a rule gives, with the place that says so."""
    for rules in derivations(document):
        for index, rule in enumerate(rules.node):
            yield rules.place + pointer(index, "is"), rule["is"]


@dataclass(frozen=True, slots=True)
class Rules:
    """A derivedStatus and its place."""

    place: str
    node: Sequence[Mapping[str, Any]]


def derivations(document: Document) -> Iterator[Rules]:
    """Every derivedStatus."""
    for place, node in [("/x-job-vendor", vendor(document)), *((read.place, read.node) for read in reads(document))]:
        if "derivedStatus" in node:
            yield Rules(f"{place}/derivedStatus", node["derivedStatus"])


def has_property(document: Document, schema: Any, names: Sequence[str]) -> bool:
    """True if a schema has the property at the end of these names."""
    return any(True for _ in schemas_at(document, schema, names))


def has_element(document: Document, schema: Any, names: Sequence[str]) -> bool:
    """True if a schema has the property at the end of these names, of which `0` is the first element of a list."""
    if FIRST not in names:
        return has_property(document, schema, names)
    index = names.index(FIRST)
    lists = (each for each in schemas_at(document, schema, names[:index]) if "items" in each)
    return any(has_element(document, each["items"], names[index + 1 :]) for each in lists)


def schemas_at(document: Document, schema: Any, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The schemas of the property at the end of these names, with those that they combine."""
    for alternative in _alternatives(document, schema, ()):
        if not names:
            yield alternative
        elif names[0] in alternative.get("properties", {}):
            yield from schemas_at(document, alternative["properties"][names[0]], names[1:])


def _alternatives(document: Document, schema: Any, seen: tuple[Any, ...]) -> Iterator[Mapping[str, Any]]:
    """The schema itself, and the schemas that it combines."""
    schema = document.resolve(schema)
    if not any(schema is each for each in seen):
        yield schema
        for combination in ("allOf", "anyOf", "oneOf"):
            for inner in schema.get(combination, []):
                yield from _alternatives(document, inner, (*seen, schema))


def _ends_of_transitions(document: Document, end: str) -> Iterator[tuple[str, str]]:
    for index, transition in enumerate(vendor(document).get("transitions", [])):
        yield pointer("x-job-vendor", "transitions", index, end), transition[end]


@cache
def our_words(schema: str) -> tuple[str, ...]:
    """The values of an enumeration in our own API: JobStatus, ActionName."""
    unified = load(SPECIFICATIONS / "gateway.yaml")
    return tuple(unified.at(f"#/components/schemas/{schema}/enum"))


@cache
def our_parameters(action: str) -> frozenset[str]:
    """The parameters of an action of our own API; empty if it has no such action."""
    unified = load(SPECIFICATIONS / "gateway.yaml")
    operations = (operation for _, _, operation in unified.operations() if operation.get("x-action") == action)
    contents = (unified.resolve(each["requestBody"])["content"].values() for each in operations)
    return frozenset(
        name for media in contents for each in media for name in unified.resolve(each["schema"])["properties"]
    )
