"""OpenAPI 3.0 schemas as JSON Schema.

The schema object of OpenAPI 3.0 is not JSON Schema: it has `nullable` and a boolean `exclusiveMinimum`, and ignores
members beside `$ref`. Schemas are rewritten to JSON Schema 2020-12. OpenAPI has no `propertyNames` either: our
extension `x-propertyNames` has its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NULLABLE = {"type", "enum"}
_BOUNDS = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
_VALUES = {"enum", "default", "required"}
_TRUE_OR_FALSE = {"additionalProperties", "uniqueItems"}
_ONLY_OPENAPI = {"nullable", "example", "discriminator", "xml", "externalDocs", "readOnly", "writeOnly", "deprecated"}

PROPERTY_NAMES = "x-propertyNames"
"""Our extension of schemas of objects: the `propertyNames` of JSON Schema, as a `pattern`."""

_COMPONENT = "#/components/schemas/"


class Schemas:
    """The schemas in the components of a document. Each is rewritten once, when it is first referred to."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        """Rewrite these schemas, by name."""
        self._components = components
        self._rewritten: dict[str, tuple[Any, tuple[str, ...]]] = {}

    def complete(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A schema as JSON Schema, with the components that it refers to, directly or through others, and no more."""
        whole = json_schema(schema)
        found: dict[str, Any] = {}
        left = list(_names(whole))
        while left:
            name = left.pop()
            if name in self._components and name not in found:
                found[name], others = self._component(name)
                left += others
        return {"$schema": DIALECT, **whole, "components": {"schemas": found}}

    def _component(self, name: str) -> tuple[Any, tuple[str, ...]]:
        """A component as JSON Schema, and the names of those that it refers to."""
        if name not in self._rewritten:
            rewritten = json_schema(self._components[name])
            self._rewritten[name] = rewritten, tuple(_names(rewritten))
        return self._rewritten[name]


def _names(schema: Any) -> Iterator[str]:
    """The names of the components that a schema refers to."""
    if isinstance(schema, list):
        for each in schema:
            yield from _names(each)
    elif isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(_COMPONENT):
            yield reference.removeprefix(_COMPONENT).partition("/")[0]
        for each in schema.values():
            yield from _names(each)


def json_schema(schema: Any) -> Any:
    """The OpenAPI 3.0 schema as JSON Schema 2020-12. References stay unchanged."""
    if isinstance(schema, list):
        return [json_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    return dict(_rewritten(schema))


def _rewritten(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "properties":
            yield key, {name: json_schema(each) for name, each in value.items()}
        elif key in _NULLABLE and schema.get("nullable"):
            yield key, _with_null(value)
        elif key in _BOUNDS:
            yield (_BOUNDS[key] if schema.get(_BOUNDS[key]) is True else key), value
        elif key in _VALUES:
            yield key, value
        elif key == PROPERTY_NAMES:
            yield "propertyNames", json_schema(value)
        elif key not in _ONLY_OPENAPI and not key.startswith("x-") and not isinstance(value, bool):
            yield key, json_schema(value)
        elif key in _TRUE_OR_FALSE:
            yield key, value


def _with_null(value: Any) -> list[Any]:
    return [*value, None] if isinstance(value, list) else [value, "null"]
