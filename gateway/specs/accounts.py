"""The values of one account, checked against the vendor's document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain.suggestions import did_you_mean
from gateway.domain.vocabulary import CONNECTION
from gateway.specs.lens import UnmappableValue
from gateway.specs.operations import request_schema_at
from gateway.specs.schemas import Validator
from gateway.specs.vendor import ActionMapping, ConnectionValue, ReadMapping, VendorSpecification


def misfits(specification: VendorSpecification, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every mistake in the values of an account: the name of the value, and how to mend it."""
    for name, declared in specification.connection_values.items():
        value = specification.completed(values).get(name)
        if value is None:
            yield name, f"is missing; {specification.name} needs it: {_explained(declared)}."
        elif not _fits(specification, name, value):
            yield name, f"does not fit the document of {specification.name}; write it as there: {_explained(declared)}."
    for name in values.keys() - specification.connection_values.keys():
        yield name, f"{specification.name} has no such value; {_instead(name, specification)}"


def _explained(declared: ConnectionValue) -> str:
    return f"{declared.description.rstrip('.')}, such as {declared.example}"


def _instead(name: str, specification: VendorSpecification) -> str:
    known = specification.connection_values
    return did_you_mean(name, known) if known else "remove it."


def _fits(specification: VendorSpecification, name: str, value: str) -> bool:
    """True if the value has the form that is declared, and the document allows it wherever requests carry it."""
    document = specification.api.document
    return all(
        Validator(document, schema).is_valid(written) for schema, written in _written(specification, name, value)
    )


def _written(specification: VendorSpecification, name: str, value: str) -> Iterator[tuple[Mapping[str, Any], object]]:
    """The value as it is written at each place of a request, with the schema of the place. False fits no schema."""
    pattern = specification.connection_values[name].pattern
    yield {"type": "string", **({} if pattern is None else {"pattern": pattern})}, value
    mappings: list[ReadMapping | ActionMapping] = [*specification.reads.values(), *specification.actions.values()]
    for mapping in mappings:
        for rule in mapping.lens.rules:
            if rule.source == f"{CONNECTION}{name}":
                schema = request_schema_at(specification.api.document, mapping.operation, rule.place)
                try:
                    yield schema, rule.encode({rule.source: value})
                except UnmappableValue:
                    yield {"type": "string"}, None
