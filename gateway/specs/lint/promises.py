"""Rules: what every document of ours promises."""

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
"""The operationIds of the operations that anybody may call."""


BOUNDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "string": (("maxLength",), ("enum",)),
    "array": (("maxItems",),),
    "integer": (("minimum", "maximum"), ("enum",)),
    "number": (("minimum", "maximum"), ("enum",)),
}
"""For each type that has no end by itself, the sets of members of which one gives it an end."""


BOUNDED_FORMATS = frozenset({"date-time", "date", "uuid"})
"""The formats of strings that cannot be long."""


def operations_without_id(document: Document) -> Iterator[Fault]:
    """Everything of ours that names an operation names it by its operationId."""
    for part in parts(document, "operation"):
        if not part.node.get("operationId"):
            mend = "Add an operationId, a verb and a noun such as getJob."
            yield Fault(part.place, "has no operationId", mend)


def repeated_operation_ids(document: Document) -> Iterator[Fault]:
    """An operationId that two operations have names neither."""
    operations = list(parts(document, "operation"))
    count = Counter(part.node.get("operationId") for part in operations)
    for part in operations:
        name = part.node.get("operationId")
        if name and count[name] > 1:
            mend = "Give each operation an operationId of its own."
            yield Fault(f"{part.place}/operationId", f"{name} names {count[name]} operations", mend)


def unbounded_schemas(document: Document) -> Iterator[Fault]:
    """Whatever has no end can be made to fill the memory."""
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
    """Whatever else goes wrong has a documented shape: that of the default response."""
    for part in parts(document, "operation"):
        default = document.resolve(part.node["responses"].get("default", {}))
        if not default.get("content"):
            mend = "Add the response `default`, with the content of an error."
            yield Fault(f"{part.place}/responses", "no default response describes an error", mend)


def operations_open_to_anybody(document: Document) -> Iterator[Fault]:
    """Only the operations in `PUBLIC_OPERATIONS` may be called without credentials."""
    for part in parts(document, "operation"):
        security = part.node.get("security", document.content.get("security", []))
        is_open = not security or {} in security
        if is_open and part.node.get("operationId") not in PUBLIC_OPERATIONS:
            mend = "Name a security scheme in `security`, and leave no requirement empty."
            yield Fault(part.place, "may be called without credentials", mend)


def unknown_security_schemes(document: Document) -> Iterator[Fault]:
    """A requirement that names no scheme secures nothing."""
    schemes = document.content.get("components", {}).get("securitySchemes", {})
    for secured in parts(document, "document", "operation"):
        for index, requirement in enumerate(secured.node.get("security", [])):
            for name in requirement.keys() - schemes.keys():
                place = secured.place + pointer("security", index, name)
                mend = "Define it in components.securitySchemes, or correct the name."
                yield Fault(place, f"there is no security scheme {name}", mend)


def schemas_that_do_not_compile(document: Document) -> Iterator[Fault]:
    """Every schema is compiled when the gateway starts; better to learn of it here."""
    elsewhere = {"$ref", *OBJECTS["schema"]}
    for part in parts(document, "schema"):
        own = {name: part.node[name] for name in part.node.keys() - elsewhere}
        try:
            Validator(document, own)
        except jsonschema_rs.ValidationError as error:
            found = field_error(error)
            mend = "Write what Rust's regular expressions and JSON Schema 2020-12 understand."
            yield Fault(part.place + found.pointer, f"does not compile: {found.detail}", mend)


def examples_that_do_not_fit(document: Document) -> Iterator[Fault]:
    """Readers copy examples, and the sandbox is seeded from them."""
    for place, value, schema in _values_with_schema(document):
        for error in _errors(document, schema, value):
            mend = "Correct the value, or the schema where that is wrong."
            yield Fault(place + error.pointer, f"{error.detail}, says its schema", mend)


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
        return ()  # schemas_that_do_not_compile tells


def example_values(document: Document, part: Part) -> Iterator[tuple[str, Any]]:
    """The values in `example` and `examples` of a part, each with the place where it is written."""
    if "example" in part.node:
        yield f"{part.place}/example", part.node["example"]
    for name, example in part.node.get("examples", {}).items():
        place, written = followed(document, part.place + pointer("examples", name), example)
        if "value" in written:
            yield f"{place}/value", written["value"]


def followed(document: Document, place: str, node: Any) -> tuple[str, Any]:
    """A node and its place, or those of what its references lead to."""
    while is_reference(node):
        place = node["$ref"].removeprefix("#")
        node = document.at(node["$ref"])
    return place, node
