"""Rules: the values of an account, and the operators of lenses, each where it can be written and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain.vocabulary import CONNECTION, PARAMETER
from gateway.specs.document import Document, pointer
from gateway.specs.forms import schema_at
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.promises import is_valid
from gateway.specs.lint.vendor_parts import (
    JobOperation,
    calls,
    connection_values,
    job_operations,
    lenses,
    source,
    spelling,
    vendor,
)
from gateway.specs.servers import variables


def undeclared_values(document: Document) -> Iterator[Fault]:
    """Every value of an account that a lens names is declared."""
    for lens in lenses(document):
        for place, value in lens.node.items():
            for name in connection_values(value):
                if name not in _declared(document):
                    fix = "Declare it in x-job-vendor.connection, or correct the name."
                    yield Fault(lens.place + pointer(place), f"no account has a value {CONNECTION}{name}", fix)


def values_that_nothing_uses(document: Document) -> Iterator[Fault]:
    """Every declared value is used: by a lens, in the server's URL, or for a signature."""
    used = {name for lens in lenses(document) for value in lens.node.values() for name in connection_values(value)}
    used |= {*variables(document), *_of_signatures(document)}
    for name in _declared(document):
        if name not in used:
            fix = f"Name it in a lens, as in `path.{name}: {CONNECTION}{name}`, or remove it."
            yield Fault(pointer("x-job-vendor", "connection", name), "nothing uses this value", fix)


def values_that_do_not_fit(document: Document) -> Iterator[Fault]:
    """The example and the default of a value fit its pattern, and the places of requests that carry it."""
    for name, declared in _declared(document).items():
        pattern = {"pattern": declared["pattern"]} if "pattern" in declared else {}
        schemas = [{"type": "string", **pattern}, *_schemas_of(document, name)]
        for member in {"example", "default"} & declared.keys():
            if not all(is_valid(document, schema, declared[member]) for schema in schemas):
                fix = "Write one that fits the pattern, and the schema of each place that carries it."
                yield Fault(pointer("x-job-vendor", "connection", name, member), "does not fit", fix)


def hosts_without_pattern(document: Document) -> Iterator[Fault]:
    """A value in the server's URL has a pattern: a slip of the pen must not lead to another host."""
    for name in variables(document):
        if name in _declared(document) and "pattern" not in _declared(document)[name]:
            fix = 'Add a pattern without slashes and dots, such as "^[a-z0-9-]+$".'
            yield Fault(pointer("x-job-vendor", "connection", name), "the server's URL has it, without a pattern", fix)


def constants_outside_bodies(document: Document) -> Iterator[Fault]:
    """A constant that is a list or an object is in a body."""
    for place, where, value in _operators(document):
        if isinstance(value.get("const"), list | dict) and not place.startswith("body."):
            yield Fault(f"{where}/const", "only a body has lists and objects", "Write a text, a number or a boolean.")


def times_where_no_number_fits(document: Document) -> Iterator[Fault]:
    """A time is written as a number where the document has a number."""
    for call in calls(document):
        for place, value in call.node["request"].items():
            if not isinstance(value, str) and "as" in value:
                schema = _schema_of(document, call.operation, place)
                if schema.get("type") not in {"number", "integer"}:
                    where = f"{call.place}/request{pointer(place)}/as"
                    fix = "Remove `as`, or correct the schema of the place."
                    yield Fault(where, f"{place} is not a number", fix)


def whole_numbers_for_times_with_fractions(document: Document) -> Iterator[Fault]:
    """A time that Jobgate sets itself, to the millisecond, is not written in seconds where the document has an integer.

    That of a caller may be: it is refused, if it has a fraction of a second.
    """
    for call in calls(document):
        for place, value in call.node["request"].items():
            if not isinstance(value, str) and value.get("as") == "epoch-seconds":
                is_callers = source(value).startswith(PARAMETER)
                if not is_callers and _schema_of(document, call.operation, place).get("type") == "integer":
                    where = f"{call.place}/request{pointer(place)}/as"
                    fix = "Describe the place as a number, or write epoch-milliseconds if that is its unit."
                    yield Fault(where, f"{source(value)} has milliseconds, and {place} is an integer", fix)


def operators_that_exclude_each_other(document: Document) -> Iterator[Fault]:
    """A time as a number is no word of a map, and has no separator."""
    for _, where, value in _operators(document):
        if "as" in value and {"map", "until"} & value.keys():
            yield Fault(where, "is a number, and has no words", "Keep either `as`, or `map` and `until`.")


def requests_that_are_cut(document: Document) -> Iterator[Fault]:
    """Only what vendors say is read up to a separator: in a request, the rest would be lost."""
    for call in calls(document):
        for place, value in call.node["request"].items():
            if not isinstance(value, str) and "until" in value:
                fix = "Remove `until`: it is for replies and errors."
                yield Fault(f"{call.place}/request{pointer(place)}/until", "a request would lose the rest", fix)


def arrays_of_other_styles(document: Document) -> Iterator[Fault]:
    """A parameter that is an array is in the query, in the style `form`. Jobgate writes and reads no other."""
    for operation in job_operations(document):
        for place, parameter in operation.parameters.items():
            schema = document.resolve(parameter.get("schema", {}))
            is_usual = parameter["in"] == "query" and parameter.get("style", "form") == "form"
            if schema.get("type") == "array" and not is_usual:
                fix = "Describe it as a text, or as an array in the query with `style: form`."
                yield Fault(operation.place, f"Jobgate cannot write the array {place}", fix)


def codes_of_two_types(document: Document) -> Iterator[Fault]:
    """The codes of a vendor's errors are all texts, or all numbers."""
    meanings = vendor(document).get("errors", {}).get("meanings", {})
    codes = {
        pointer("x-job-vendor", "errors", "meanings", meaning, index, "code"): each["code"]
        for meaning, replies in meanings.items()
        for index, each in enumerate(replies)
        if "code" in each
    }
    first = next(iter(codes.values()), None)
    for place, code in codes.items():
        if type(code) is not type(first):
            yield Fault(place, "is of another type than the first code", "Write all codes as texts, or all as numbers.")


def _declared(document: Document) -> Mapping[str, Mapping[str, Any]]:
    declared: Mapping[str, Mapping[str, Any]] = vendor(document).get("connection", {})
    return declared


def _of_signatures(document: Document) -> set[str]:
    """The names of the values that signatures need."""
    schemes = document.content.get("components", {}).get("securitySchemes", {}).values()
    needed = (str(value) for each in schemes for value in document.resolve(each).get("x-job-signature", {}).values())
    return {value.removeprefix(CONNECTION) for value in needed if value.startswith(CONNECTION)}


def _schemas_of(document: Document, name: str) -> Iterator[Mapping[str, Any]]:
    """The schemas of the places in requests that carry a value as it is."""
    common = vendor(document).get("request", {})
    for call in calls(document):
        for place, value in {**common, **call.node["request"]}.items():
            carried = value if isinstance(value, str) else value.get("default")
            if carried == f"{CONNECTION}{name}":
                yield _schema_of(document, call.operation, place)


def _schema_of(document: Document, operation: JobOperation, place: str) -> Mapping[str, Any]:
    """The schema of a place in the requests of an operation; empty if there is none."""
    location, *names = place.split(".")
    if location == "body":
        contents = document.resolve(operation.node.get("requestBody", {})).get("content", {}).values()
        return schema_at(document, next((each.get("schema", {}) for each in contents), {}), tuple(names))
    return schema_at(document, operation.parameters.get(spelling(place), {}).get("schema", {}), ())


def _operators(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every rule of a lens that is more than a copy: its place in the message, in the document, and the rule."""
    for lens in lenses(document):
        for place, value in lens.node.items():
            if not isinstance(value, str):
                yield place, lens.place + pointer(place), value
