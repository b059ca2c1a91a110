"""Defaults and nullability as OpenAPI 3.0.3 says: what is left out counts as its default, null is a value or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.specs.document import Document
from gateway.specs.operations import Api, Operation
from gateway.specs.schemas import MOST_VALUES, not_one_of

SCHEMAS = {
    "Size": {"type": "integer", "default": 3, "minimum": 1},
    "Paint": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "colour": {"type": "string", "default": "red"},
            "coats": {"$ref": "#/components/schemas/Size"},
            "gloss": {"type": "string", "nullable": True, "default": None},
        },
    },
    "Order": {
        "allOf": [{"type": "object", "properties": {"urgent": {"type": "boolean", "default": False}}}],
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "paints": {"type": "array", "items": {"$ref": "#/components/schemas/Paint"}},
            "next": {"$ref": "#/components/schemas/Order"},
            "mood": {"type": "string", "nullable": True, "enum": ["calm", "cross"]},
            "limit": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
        },
    },
}
PARAMETERS = [
    {"name": "size", "in": "query", "schema": {"$ref": "#/components/schemas/Size"}},
    {"name": "Shade", "in": "header", "schema": {"type": "string", "default": "dark"}},
    {"name": "kind", "in": "query", "schema": {"type": "string"}},
]


def operation(body: Any) -> Operation:
    """An operation that takes such a body."""
    put = {
        "operationId": "put",
        "parameters": PARAMETERS,
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "."}},
    }
    content = {"paths": {"/x": {"put": put}}, "components": {"schemas": SCHEMAS}}
    return Api.compile(Document(Path("defaults.yaml"), content)).operations["put"]


ORDER = operation({"$ref": "#/components/schemas/Order"})


def parts(body: Any = None, **locations: Any) -> dict[str, Any]:
    """A request."""
    given: dict[str, Any] = {"path": {}, "query": {}, "header": {}} | locations
    return given if body is None else given | {"body": body}


def test_parameters_left_out_count_as_their_defaults() -> None:
    """Query and header parameters have their defaults; one without a default stays out."""
    assert ORDER.with_defaults(parts()) == parts(query={"size": 3}, header={"Shade": "dark"})
    given = parts(query={"size": 9, "kind": "a"}, header={"Shade": ""})
    assert ORDER.with_defaults(given) == given


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ({"name": "a"}, {"name": "a", "urgent": False}),
        ({"name": "a", "urgent": True}, {"name": "a", "urgent": True}),
        ({"name": "a", "other": [1]}, {"name": "a", "other": [1], "urgent": False}),
        (
            {"name": "a", "paints": [{}, {"colour": "blue", "coats": 1, "gloss": "x"}]},
            {
                "name": "a",
                "urgent": False,
                "paints": [
                    {"colour": "red", "coats": 3, "gloss": None},
                    {"colour": "blue", "coats": 1, "gloss": "x"},
                ],
            },
        ),
        ({"name": "a", "next": {"name": "b"}}, {"name": "a", "urgent": False, "next": {"name": "b", "urgent": False}}),
    ],
)
def test_members_left_out_count_as_their_defaults(body: Any, filled: Any) -> None:
    """Missing members get their defaults at every level: in arrays, references, allOf and recursive schemas."""
    assert ORDER.check(parts(body)) == ()
    assert ORDER.with_defaults(parts(body))["body"] == filled


def test_what_is_given_is_not_changed() -> None:
    """Filling in makes a new value; the request that was given stays as it was."""
    body = {"name": "a", "paints": [{}]}
    ORDER.with_defaults(parts(body))
    assert body == {"name": "a", "paints": [{}]}


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "array", "items": {"type": "string"}}])
def test_a_body_without_defaults_costs_nothing(schema: Any) -> None:
    """An operation whose body schema has no defaults does not walk through bodies."""
    assert operation(schema).fill_body is None


@pytest.mark.parametrize(
    ("member", "value", "fits"),
    [
        ("mood", "calm", True),
        ("mood", None, True),
        ("mood", "other", False),
        ("limit", None, True),
        ("limit", 0, False),
        ("limit", 0.5, True),
        ("name", None, False),
    ],
)
def test_null_is_a_value_where_the_document_says_so(member: str, value: Any, fits: bool) -> None:
    """`nullable` adds null to a type and to an enum; `exclusiveMinimum: true` sharpens a minimum."""
    assert (ORDER.check(parts({"name": "a"} | {member: value})) == ()) is fits


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-05T09:31:00.5Z", "2026-01-05 09:31"),
        ("date-time", "2026-01-05T09:31:00+05:30", "2026-13-05T09:31:00Z"),
        ("uuid", "8780b28c-7079-4de1-9143-4d369289e958", "8780b28c70794de191434d369289e958x"),
        ("date", "2026-02-28", "2026-02-30"),
        ("email", "a@b.test", "a b"),
    ],
)
def test_formats_count(form: str, good: str, bad: str) -> None:
    """A value that does not match its format is refused."""
    checked = operation({"type": "string", "format": form})
    assert (checked.check(parts(good)), len(checked.check(parts(bad)))) == ((), 1)


def test_a_long_list_of_values_is_told_as_far_as_people_read() -> None:
    """Of more than fifty, the others are counted; the value itself is not repeated."""
    assert not_one_of(["a", 1, None, "\u00e9"], "zz") == 'is not one of "a", 1, null, "\\u00e9"'
    assert not_one_of(["queued", "cancelled"], "canceled").endswith('; the closest is "cancelled"')
    assert not_one_of(["cancelled"], "canceled" * 1_000).endswith('"cancelled"')  # too long to look for a similar one
    told = not_one_of([f"v{number}" for number in range(MOST_VALUES + 7)], "V3")
    assert told.count("v") == MOST_VALUES + 1
    assert told.endswith('(and 7 more); write it as "v3"')
