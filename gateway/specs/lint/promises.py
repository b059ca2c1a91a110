"""Rules for all documents: the promises that each of them keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from gateway.specs.document import (
    Document,
    pointer,
)
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.parts import OBJECTS, Part, is_reference, parts
from gateway.specs.schemas import Validator, field_error

PUBLIC_OPERATIONS = frozenset({"livez", "readyz", "grantToken"})
"""The operationIds of the operations that need no credentials."""


BOUNDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "string": (("maxLength",), ("enum",)),
    "array": (("maxItems",),),
    "integer": (("minimum", "maximum"), ("enum",)),
    "number": (("minimum", "maximum"), ("enum",)),
}
"""For each unbounded type, the sets of members of which one is enough to bound it."""


BOUNDED_FORMATS = frozenset({"date-time", "date", "uuid"})
"""Formats of strings that are always short."""


def operations_without_id(document: Document) -> Iterator[Fault]:
    """Every operation has an operationId, since Jobgate refers to operations by it."""
    for part in parts(document, "operation"):
        if not part.node.get("operationId"):
            fix = "Add an operationId, a verb and a noun, such as getJob."
            yield Fault(part.place, "has no operationId", fix)


def repeated_operation_ids(document: Document) -> Iterator[Fault]:
    """No two operations have the same operationId."""
    operations = list(parts(document, "operation"))
    count = Counter(part.node.get("operationId") for part in operations)
    for part in operations:
        name = part.node.get("operationId")
        if name and count[name] > 1:
            fix = "Give each operation an operationId of its own."
            yield Fault(f"{part.place}/operationId", f"{name} names {count[name]} operations", fix)


def unbounded_schemas(document: Document) -> Iterator[Fault]:
    """Every value has a bound, since an unbounded one could fill the memory."""
    for part in parts(document, "schema"):
        kind = part.node.get("type")
        if not is_reference(part.node) and kind in BOUNDS and not _is_bounded(part.node):
            wanted = " or ".join(" and ".join(members) for members in BOUNDS[kind])
            yield Fault(part.place, f"this {kind} has no bounds", f"Give it {wanted}.")


def _is_bounded(schema: Mapping[str, Any]) -> bool:
    if schema["type"] == "string" and schema.get("format") in BOUNDED_FORMATS:
        return True
    return any(schema.keys() >= set(members) for members in BOUNDS[schema["type"]])


def operations_without_error(document: Document) -> Iterator[Fault]:
    """Every operation documents the form of its errors, in the default response."""
    for part in parts(document, "operation"):
        default = document.resolve(part.node["responses"].get("default", {}))
        if not default.get("content"):
            fix = "Add the response `default`, with the content of an error."
            yield Fault(f"{part.place}/responses", "no default response describes an error", fix)


def operations_open_to_anybody(document: Document) -> Iterator[Fault]:
    """Only the operations in `PUBLIC_OPERATIONS` can be called without credentials."""
    for part in parts(document, "operation"):
        security = part.node.get("security", document.content.get("security", []))
        is_open = not security or {} in security
        if is_open and part.node.get("operationId") not in PUBLIC_OPERATIONS:
            fix = "Name a security scheme in `security`, without an empty requirement."
            yield Fault(part.place, "can be called without credentials", fix)


def unknown_security_schemes(document: Document) -> Iterator[Fault]:
    """Every security requirement names a defined scheme; otherwise it would secure nothing."""
    schemes = document.content.get("components", {}).get("securitySchemes", {})
    for secured in parts(document, "document", "operation"):
        for index, requirement in enumerate(secured.node.get("security", [])):
            for name in requirement.keys() - schemes.keys():
                place = secured.place + pointer("security", index, name)
                fix = "Define it in components.securitySchemes, or correct the name."
                yield Fault(place, f"there is no security scheme {name}", fix)


def schemas_that_do_not_compile(document: Document) -> Iterator[Fault]:
    """Every schema compiles. Otherwise the gateway would fail at its start."""
    elsewhere = {"$ref", *OBJECTS["schema"]}
    for part in parts(document, "schema"):
        own = {name: part.node[name] for name in part.node.keys() - elsewhere}
        try:
            Validator(document, own)
        except jsonschema_rs.ValidationError as error:
            found = field_error(error)
            fix = "Use what Rust's regular expressions and JSON Schema 2020-12 support."
            yield Fault(part.place + found.pointer, f"does not compile: {found.detail}", fix)


def examples_that_do_not_fit(document: Document) -> Iterator[Fault]:
    """Every example fits its schema: readers copy examples, and the sandbox is seeded from them."""
    for place, value, schema in _values_with_schema(document):
        for error in _errors(document, schema, value):
            fix = "Correct the value, or the schema where that is wrong."
            yield Fault(place + error.pointer, f"{error.detail}, says its schema", fix)


def _values_with_schema(document: Document) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    for part in parts(document, "parameter", "header", "content"):
        if "schema" in part.node:
            for place, value in example_values(document, part):
                yield place, value, part.node["schema"]
    for part in parts(document, "schema"):
        for name in {"example", "default"} & part.node.keys():
            yield part.place + pointer(name), part.node[name], part.node


def _errors(document: Document, schema: Mapping[str, Any], value: Any) -> Sequence[Any]:
    try:
        return Validator(document, schema).errors(value)
    except jsonschema_rs.ValidationError:
        return ()  # schemas_that_do_not_compile reports it


def is_valid(document: Document, schema: Mapping[str, Any], value: Any) -> bool:
    """True if a value fits a schema, or if the schema does not compile, which another rule tells."""
    return not _errors(document, schema, value)


def example_values(document: Document, part: Part) -> Iterator[tuple[str, Any]]:
    """The values in `example` and `examples` of a part, with their places."""
    if "example" in part.node:
        yield f"{part.place}/example", part.node["example"]
    for name, example in part.node.get("examples", {}).items():
        place, written = followed(document, part.place + pointer("examples", name), example)
        if "value" in written:
            yield f"{place}/value", written["value"]


def followed(document: Document, place: str, node: Any) -> tuple[str, Any]:
    """A node and its place; for a reference, the node and the place that it leads to."""
    while is_reference(node):
        place = node["$ref"].removeprefix("#")
        node = document.at(node["$ref"])
    return place, node
